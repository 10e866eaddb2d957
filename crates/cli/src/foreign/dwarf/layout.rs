//! How a type lies in memory, by its entries of debug information.

use std::collections::HashMap;
use std::sync::Arc;

use coseg::schema::{Field, Scalar, Struct, Type};
use gimli::{AttributeValue, DebugInfoOffset, DwAte, Operation, UnitOffset, constants as dw};

use super::{Dwarf, Entry, Unit, Unreadable, fail, is_compound, name, number};
use crate::foreign::reading::{How, Names, Reading, bit_field, bytes, integer, legend};

/// A type that nests deeper is a circle.
const DEPTH_MAX: usize = 16;
/// Types that fields are of, those of fields included.
const TYPES_MAX: usize = 30_000;
/// Names that a number's type passes through, such as a typedef of a typedef.
const PASSED_MAX: usize = 6;

/// An entry, in its unit.
#[derive(Clone, Copy)]
pub(super) struct Place<'u, 'a> {
    pub(super) unit: &'u Unit<'a>,
    pub(super) offset: UnitOffset,
}

/// Lays out types.
pub(super) struct Layout<'u, 'a> {
    dwarf: &'u Dwarf<'a>,
    /// All, in their order.
    units: &'u [Unit<'a>],
    /// That of the entry that is looked at.
    unit: &'u Unit<'a>,
    /// The fields that lead to the type that is laid out.
    path: Vec<String>,
    readings: Vec<Reading>,
    /// By where they are told.
    names: HashMap<DebugInfoOffset, Arc<Names>>,
    /// How many more types may be looked at.
    left: usize,
}

impl<'u, 'a> Layout<'u, 'a> {
    /// The type, and how its fields are read.
    pub(super) fn of(
        dwarf: &'u Dwarf<'a>,
        units: &'u [Unit<'a>],
        at: Place<'u, 'a>,
    ) -> Result<(Type, Vec<Reading>), Unreadable> {
        let (path, readings, names) = (Vec::new(), Vec::new(), HashMap::new());
        let mut layout = Layout { dwarf, units, unit: at.unit, path, readings, names, left: TYPES_MAX };
        let of = layout.type_at(at, 0)?;
        Ok((of, layout.readings))
    }

    fn type_at(&mut self, at: Place<'u, 'a>, depth: usize) -> Result<Type, Unreadable> {
        let before = std::mem::replace(&mut self.unit, at.unit);
        let of = self.type_here(at.offset, depth);
        self.unit = before;
        of
    }

    fn type_here(&mut self, offset: UnitOffset, depth: usize) -> Result<Type, Unreadable> {
        self.left = self.left.saturating_sub(1);
        if depth > DEPTH_MAX || self.left == 0 {
            return fail("the type is nested too deeply, or has too many fields");
        }
        let entry = self.unit.entry(offset)?;
        let size_bytes = number(&entry, dw::DW_AT_byte_size)?;
        match entry.tag() {
            dw::DW_TAG_base_type => self.base(&entry, size_bytes),
            dw::DW_TAG_pointer_type
            | dw::DW_TAG_reference_type
            | dw::DW_TAG_rvalue_reference_type
            | dw::DW_TAG_subroutine_type => {
                self.readings.push(Reading::new(self.path.clone(), How::Address));
                Ok(Type::Scalar(Scalar::U64))
            }
            dw::DW_TAG_enumeration_type => self.enumeration(&entry, size_bytes, depth),
            dw::DW_TAG_array_type => self.array(&entry, depth),
            tag if is_compound(tag) => self.compound(&entry, size_bytes, depth),
            dw::DW_TAG_typedef
            | dw::DW_TAG_const_type
            | dw::DW_TAG_volatile_type
            | dw::DW_TAG_restrict_type
            | dw::DW_TAG_atomic_type => match self.reference(self.unit, &entry)? {
                Some(inner) => self.type_at(inner, depth + 1),
                None => fail("the type is void: it has no values"),
            },
            tag => {
                Ok(bytes(size_bytes.ok_or_else(|| Unreadable(format!("types by {tag} are not known here")))?))
            }
        }
    }

    /// The type that a type, or a field, is of. It may be told in another unit, where a linker joined what several say.
    fn reference(&self, unit: &'u Unit<'a>, entry: &Entry<'_>) -> Result<Option<Place<'u, 'a>>, Unreadable> {
        match entry.attr_value(dw::DW_AT_type) {
            None => Ok(None),
            Some(AttributeValue::UnitRef(offset)) => Ok(Some(Place { unit, offset })),
            Some(AttributeValue::DebugInfoRef(offset)) => {
                let starts_behind =
                    |unit: &Unit<'_>| unit.header.debug_info_offset().is_none_or(|own| own > offset);
                let end = self.units.partition_point(|unit| !starts_behind(unit));
                let unit = end.checked_sub(1).and_then(|index| self.units.get(index));
                match unit.and_then(|unit| Some((unit, offset.to_unit_offset(&unit.header)?))) {
                    Some((unit, offset)) => Ok(Some(Place { unit, offset })),
                    None => fail("the type is told in no unit"),
                }
            }
            Some(_) => fail("the type is told in another file, or apart from its unit"),
        }
    }

    fn base(&self, entry: &Entry<'_>, size_bytes: Option<usize>) -> Result<Type, Unreadable> {
        let encoding = match entry.attr_value(dw::DW_AT_encoding) {
            Some(AttributeValue::Encoding(encoding)) => encoding,
            _ => DwAte(0),
        };
        let size_bytes = size_bytes.unwrap_or(0);
        if name(self.dwarf, self.unit, entry)?.as_deref() == Some("char") && size_bytes == 1 {
            return Ok(Type::Text { size_bytes });
        }
        Ok(match encoding {
            dw::DW_ATE_boolean if size_bytes == 1 => Type::Scalar(Scalar::Bool),
            dw::DW_ATE_signed | dw::DW_ATE_signed_char => integer(size_bytes, true),
            dw::DW_ATE_unsigned | dw::DW_ATE_unsigned_char | dw::DW_ATE_UTF | dw::DW_ATE_boolean => {
                integer(size_bytes, false)
            }
            dw::DW_ATE_float if size_bytes == 4 => Type::Scalar(Scalar::F32),
            dw::DW_ATE_float if size_bytes == 8 => Type::Scalar(Scalar::F64),
            _ => bytes(size_bytes),
        })
    }

    fn enumeration(
        &mut self,
        entry: &Entry<'_>,
        size_bytes: Option<usize>,
        depth: usize,
    ) -> Result<Type, Unreadable> {
        let names = self.enumerators(Place { unit: self.unit, offset: entry.offset() })?;
        let is_signed = names.any_is_negative();
        self.readings.push(Reading::new(self.path.clone(), How::Names(names)));
        // C++ and newer C compilers name the type of its numbers.
        match self.reference(self.unit, entry)? {
            Some(inner) => Ok(match self.type_at(inner, depth + 1)? {
                // Of characters, say: what has names is a number.
                Type::Scalar(Scalar::Bool) | Type::Text { .. } => integer(1, is_signed),
                of => of,
            }),
            None => Ok(integer(size_bytes.unwrap_or(4), is_signed)),
        }
    }

    /// The values of an enum, by name.
    fn enumerators(&mut self, at: Place<'u, 'a>) -> Result<Arc<Names>, Unreadable> {
        let place = at.offset.to_debug_info_offset(&at.unit.header);
        if let Some(known) = place.and_then(|place| self.names.get(&place)) {
            return Ok(Arc::clone(known));
        }
        let mut found = Vec::new();
        let mut tree = at.unit.entries_tree(Some(at.offset))?;
        let mut children = tree.root()?.children();
        while let Some(child) = children.next()? {
            let entry = child.entry();
            if entry.tag() == dw::DW_TAG_enumerator
                && let Some(value) = entry.attr_value(dw::DW_AT_const_value)
                && let Some(name) = name(self.dwarf, at.unit, entry)?
            {
                // Only what is written as a signed number can be a negative one.
                let value = match value {
                    AttributeValue::Sdata(value) => Some(value.into()),
                    value => value.udata_value().map(i128::from),
                };
                found.extend(value.map(|value| (value, name)));
            }
        }
        let found = Arc::new(Names::new(found));
        self.names.extend(place.map(|place| (place, Arc::clone(&found))));
        Ok(found)
    }

    fn array(&mut self, entry: &Entry<'_>, depth: usize) -> Result<Type, Unreadable> {
        let Some(inner) = self.reference(self.unit, entry)? else { return fail("an array is of no type") };
        let mut of = self.type_at(inner, depth + 1)?;
        let mut counts = Vec::new();
        let mut tree = self.unit.entries_tree(Some(entry.offset()))?;
        let mut children = tree.root()?.children();
        while let Some(child) = children.next()? {
            let entry = child.entry();
            if entry.tag() == dw::DW_TAG_subrange_type {
                let last = number(entry, dw::DW_AT_upper_bound)?;
                let count = number(entry, dw::DW_AT_count)?.or(last.and_then(|last| last.checked_add(1)));
                // One at a struct's end has as many as the program makes room for.
                counts.push(count.unwrap_or(0));
            }
        }
        if counts.len() > DEPTH_MAX {
            return fail("an array has too many dimensions");
        }
        for &count in counts.iter().rev() {
            let Some(size_bytes) = of.size_bytes().checked_mul(count) else {
                return fail("an array is too large");
            };
            if size_bytes == 0 && count > 0 {
                return fail("an array of nothing has any number of elements");
            }
            of = match of {
                Type::Text { size_bytes: 1 } => Type::Text { size_bytes },
                of => Type::Array { element: Box::new(of), count },
            };
        }
        Ok(of)
    }

    fn compound(
        &mut self,
        entry: &Entry<'_>,
        size_bytes: Option<usize>,
        depth: usize,
    ) -> Result<Type, Unreadable> {
        let Some(size_bytes) = size_bytes else { return fail("a struct's size is not told") };
        let own = name(self.dwarf, self.unit, entry)?;
        let own = own.unwrap_or_else(|| {
            if entry.tag() == dw::DW_TAG_union_type { "union" } else { "struct" }.to_owned()
        });
        let mut fields = Vec::new();
        let mut tree = self.unit.entries_tree(Some(entry.offset()))?;
        let mut children = tree.root()?.children();
        while let Some(child) = children.next()? {
            let entry = child.entry();
            if entry.tag() == dw::DW_TAG_variant_part {
                return fail(format!("`{own}` is an enum with values, which cannot be shown"));
            }
            if !matches!(entry.tag(), dw::DW_TAG_member | dw::DW_TAG_inheritance) {
                continue;
            }
            let Some(inner) = self.reference(self.unit, entry)? else { continue };
            // What is shared by all objects is in none of them.
            if entry.attr(dw::DW_AT_external).is_some() || entry.attr(dw::DW_AT_declaration).is_some() {
                continue;
            }
            // What comes from another class stands under that one's name.
            let named = match entry.tag() {
                dw::DW_TAG_inheritance => name(self.dwarf, inner.unit, &inner.unit.entry(inner.offset)?)?,
                _ => name(self.dwarf, self.unit, entry)?,
            };
            let name = named.unwrap_or_default();
            if let Some(bit_count) = number(entry, dw::DW_AT_bit_size)? {
                fields.push(self.bits(entry, &name, inner, bit_count, size_bytes)?);
                continue;
            }
            let offset = self.location(entry)?;
            let before = self.readings.len();
            self.path.extend((!name.is_empty()).then(|| name.clone()));
            let of = self.type_at(inner, depth + 1)?;
            let doc = legend(&self.readings[before..], &self.path);
            self.path.truncate(self.path.len() - usize::from(!name.is_empty()));
            match (of, name.is_empty()) {
                (Type::Struct(inner), true) => fields.extend(
                    inner.fields.into_iter().map(|field| Field { offset: offset + field.offset, ..field }),
                ),
                (of, _) => fields.push(Field { name, offset, of, unit: String::new(), doc }),
            }
        }
        if fields.iter().any(|field| field.offset.saturating_add(field.of.size_bytes()) > size_bytes) {
            return fail(format!("`{own}` has a field beyond its end"));
        }
        Ok(Type::Struct(Struct { name: own, size_bytes, fields }))
    }

    /// Where a field begins in its struct.
    fn location(&self, entry: &Entry<'_>) -> Result<usize, Unreadable> {
        let told = match entry.attr_value(dw::DW_AT_data_member_location) {
            None => Some(0),
            Some(AttributeValue::Exprloc(expression)) => {
                let mut steps = expression.operations(self.unit.encoding());
                match (steps.next()?, steps.next()?) {
                    (Some(Operation::PlusConstant { value }), None) => Some(value),
                    _ => None,
                }
            }
            Some(value) => value.udata_value(),
        };
        match told.and_then(|offset| usize::try_from(offset).ok()) {
            // So that it can be counted in bits.
            Some(offset) if offset <= isize::MAX as usize / 8 => Ok(offset),
            _ => fail("a field begins where only the running program knows"),
        }
    }

    /// The bytes that hold a bit-field, and which of their bits it is.
    fn bits(
        &mut self,
        entry: &Entry<'_>,
        name: &str,
        inner: Place<'u, 'a>,
        bit_count: usize,
        struct_bytes: usize,
    ) -> Result<Field, Unreadable> {
        let before = self.readings.len();
        self.path.push(name.to_owned());
        let own = self.type_at(inner, DEPTH_MAX - PASSED_MAX)?;
        let path = self.path.clone();
        self.path.pop();
        let location = self.location(entry)? * 8;
        let told = (number(entry, dw::DW_AT_data_bit_offset)?, number(entry, dw::DW_AT_bit_offset)?);
        let first = match told {
            (Some(first), _) => location.checked_add(first),
            // Up to DWARF 3 they were counted from the other end of what holds them.
            (None, Some(after)) if cfg!(target_endian = "little") => {
                let held_by = number(entry, dw::DW_AT_byte_size)?.unwrap_or(own.size_bytes().max(1));
                let end = held_by.checked_mul(8).and_then(|bits| location.checked_add(bits));
                end.and_then(|end| end.checked_sub(after.checked_add(bit_count)?))
            }
            (None, before) => location.checked_add(before.unwrap_or(0)),
        };
        let Some(first) = first else { return fail("a bit-field begins before its struct") };
        let (field, how) = bit_field(name, &own, first, bit_count, struct_bytes);
        match how {
            // What the number is called is asked of the bits.
            Some(how) => self.readings.insert(before, Reading::new(path, how)),
            None => self.readings.truncate(before),
        }
        Ok(field)
    }
}
