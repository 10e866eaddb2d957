//! Paths to values: `board[1].stock`.

use super::Inspection;
use crate::layout::Item;
use crate::schema::{PartKind, Type, listed, shown};
use crate::{Error, ErrorKind, Result};

/// A place within a region, found by its path.
pub(super) struct Found<'a> {
    pub(super) item: Item,
    pub(super) of: &'a Type,
    /// From the start of the item's value.
    pub(super) offset: usize,
    /// The key by which it was found: another may have got the item since.
    pub(super) key: Option<Vec<u8>>,
}

impl Inspection {
    pub(super) fn part_of<'p>(&self, path: &'p str) -> Result<(usize, &'p str)> {
        let end = path.find(['.', '[']).unwrap_or(path.len());
        let parts = &self.schema().parts;
        if let Some(part) = parts.iter().position(|part| part.name == path[..end]) {
            return Ok((part, &path[end..]));
        }
        match parts.as_slice() {
            // A field of the only value may be named without a dot.
            [only] if only.kind == PartKind::Cell => Ok((0, path)),
            _ => {
                let names = listed(parts.iter().map(|part| part.name.as_str()));
                let fact = format!("there is no part `{}`: it has {names}", &path[..end]);
                Err(self.bad_path(path, fact))
            }
        }
    }

    pub(super) fn find<'s>(&'s self, path: &str, part: usize, rest: &str) -> Result<Found<'s>> {
        let schema = &self.schema().parts[part];
        let bad = |fact: String| self.bad_path(path, fact);
        let Some(of) = &schema.of else { return Err(bad(format!("a {} has no fields", schema.kind))) };
        if schema.kind == PartKind::Map {
            let (found, rest) = self.find_key(path, part, rest)?;
            return self.go_down(path, found, steps(rest).map_err(bad)?.into_iter());
        }
        let mut steps = steps(rest).map_err(bad)?.into_iter();
        let row = match (schema.kind, schema.row_count) {
            (PartKind::Table, row_count) => match steps.next() {
                Some(Step::Index(row)) if row < row_count => row,
                _ => return Err(bad(format!("name a row first: [0] to [{}]", row_count.saturating_sub(1)))),
            },
            _ => 0,
        };
        let item = self.base.layout.item_of(part, row);
        let item = item.ok_or_else(|| bad(format!("there is no row {row}")))?;
        self.go_down(path, Found { item, of, offset: 0, key: None }, steps)
    }

    /// From a value to what is inside.
    fn go_down<'s, 'p>(
        &'s self,
        path: &str,
        mut found: Found<'s>,
        steps: impl Iterator<Item = Step<'p>>,
    ) -> Result<Found<'s>> {
        let bad = |fact: String| self.bad_path(path, fact);
        for step in steps {
            match (step, found.of) {
                (Step::Field(name), Type::Struct(of)) => {
                    let Some(field) = of.fields.iter().find(|field| field.name == name) else {
                        let names = listed(of.fields.iter().map(|field| field.name.as_str()));
                        return Err(bad(format!(
                            "{} has no field `{name}`: it has {names}",
                            shown(&of.name)
                        )));
                    };
                    found.offset += field.offset;
                    found.of = &field.of;
                }
                (Step::Index(index), Type::Array { element, count }) => {
                    if index >= *count {
                        let last = count.saturating_sub(1);
                        return Err(bad(format!("there is no [{index}]: [0] to [{last}]")));
                    }
                    found.offset += index * element.size_bytes();
                    found.of = element;
                }
                (Step::Field(name), of) => return Err(bad(format!("{} has no field `{name}`", shown(of)))),
                (Step::Index(index), of) => {
                    return Err(bad(format!("{} is no array: no [{index}]", shown(of))));
                }
            }
        }
        self.check_size(found.of, found.item.room_bytes, 1)?;
        Ok(found)
    }

    pub(super) fn bad_path(&self, path: &str, fact: String) -> Error {
        Error::new("find", format!("`{path}` in {}", self.base.object()), ErrorKind::BadPath, fact)
    }
}

/// One step of a path.
enum Step<'a> {
    Field(&'a str),
    Index(usize),
}

fn steps(mut path: &str) -> std::result::Result<Vec<Step<'_>>, String> {
    let mut steps = Vec::new();
    while !path.is_empty() {
        if let Some(rest) = path.strip_prefix('[') {
            let (index, rest) = rest.split_once(']').ok_or_else(|| format!("`{path}` has no `]`"))?;
            let index = index.parse().map_err(|_| format!("`{index}` is no index"))?;
            steps.push(Step::Index(index));
            path = rest;
        } else {
            let rest = path.strip_prefix('.').unwrap_or(path);
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            if end == 0 {
                return Err("a field's name is missing".to_owned());
            }
            steps.push(Step::Field(&rest[..end]));
            path = &rest[end..];
        }
    }
    Ok(steps)
}
