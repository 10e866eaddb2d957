//! Values of one type as the columns of a table: the fields that are no structs themselves.

use coseg::Value;
use coseg::schema::{Field, Struct, Type};

use crate::output::printable;
use crate::table::Align;
use crate::value::line;

/// A column of a table: the way to a field through nested structs.
#[derive(Debug)]
pub(crate) struct Column<'a> {
    path: Vec<usize>,
    name: String,
    field: Option<&'a Field>,
    of: &'a Type,
}

/// The fields of a type that are no structs themselves.
fn columns<'a>(
    of: &'a Type,
    path: &[usize],
    name: &str,
    field: Option<&'a Field>,
    out: &mut Vec<Column<'a>>,
) {
    let Type::Struct(Struct { fields, .. }) = of else {
        out.push(Column { path: path.to_vec(), name: name.to_owned(), field, of });
        return;
    };
    for (index, field) in fields.iter().enumerate() {
        let dot = if name.is_empty() { "" } else { "." };
        let name = format!("{name}{dot}{}", printable(&field.name));
        columns(&field.of, &[path, &[index]].concat(), &name, Some(field), out);
    }
}

impl<'a> Column<'a> {
    /// The columns of a type, in the order of its fields.
    pub(crate) fn all(of: &'a Type) -> Vec<Column<'a>> {
        let mut found = Vec::new();
        columns(of, &[], "", None, &mut found);
        found
    }

    pub(crate) fn header(&self) -> String {
        match self.field {
            Some(field) if !field.unit.is_empty() => format!("{}({})", self.name, printable(&field.unit)),
            Some(_) => self.name.clone(),
            None => "value".to_owned(),
        }
    }

    /// `sell: What who sells one gets.`
    pub(crate) fn doc(&self) -> Option<String> {
        let field = self.field.filter(|field| !field.doc.is_empty())?;
        Some(format!("{}: {}", self.name, printable(&field.doc)))
    }

    pub(crate) fn align(&self) -> Align {
        if matches!(self.of, Type::Scalar(_)) { Align::Right } else { Align::Left }
    }

    pub(crate) fn cell(&self, value: &Value, all: bool) -> String {
        let mut value = value;
        for &index in &self.path {
            match value {
                Value::Struct(fields) if index < fields.len() => value = &fields[index].1,
                _ => return String::new(),
            }
        }
        line(value, all)
    }
}
