//! How a type lies in memory, by its entries of debug information.

use coseg::schema::{Field, Scalar, Struct, Type};
use gimli::{AttributeValue, DwAte, Operation, UnitOffset, constants as dw};

use super::{Dwarf, Entry, Unit, Unreadable, fail, is_compound, name, number};
use crate::foreign::BitField;

/// A type that nests deeper is a circle.
const DEPTH_MAX: usize = 16;
/// Types that fields are of, those of fields included.
const TYPES_MAX: usize = 30_000;
/// Names that a number's type passes through, such as a typedef of a typedef.
const PASSED_MAX: usize = 6;
/// Enumerators that a field's comment names.
const NAMED_MAX: usize = 12;

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
    bits: Vec<BitField>,
    /// How many more types may be looked at.
    left: usize,
}

impl<'u, 'a> Layout<'u, 'a> {
    /// The type, and those of its fields that are bits.
    pub(super) fn of(
        dwarf: &'u Dwarf<'a>,
        units: &'u [Unit<'a>],
        at: Place<'u, 'a>,
    ) -> Result<(Type, Vec<BitField>), Unreadable> {
        let (path, bits) = (Vec::new(), Vec::new());
        let mut layout = Layout { dwarf, units, unit: at.unit, path, bits, left: TYPES_MAX };
        let of = layout.type_at(at, 0)?;
        Ok((of, layout.bits))
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
            | dw::DW_TAG_subroutine_type => Ok(Type::Scalar(Scalar::U64)),
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
        let scalar = match encoding {
            dw::DW_ATE_boolean if size_bytes == 1 => Some(Scalar::Bool),
            dw::DW_ATE_signed | dw::DW_ATE_signed_char => integer(size_bytes, true),
            dw::DW_ATE_unsigned | dw::DW_ATE_unsigned_char | dw::DW_ATE_UTF | dw::DW_ATE_boolean => {
                integer(size_bytes, false)
            }
            dw::DW_ATE_float if size_bytes == 4 => Some(Scalar::F32),
            dw::DW_ATE_float if size_bytes == 8 => Some(Scalar::F64),
            _ => None,
        };
        Ok(scalar.map_or_else(|| bytes(size_bytes), Type::Scalar))
    }

    fn enumeration(
        &mut self,
        entry: &Entry<'_>,
        size_bytes: Option<usize>,
        depth: usize,
    ) -> Result<Type, Unreadable> {
        // C++ and newer C compilers name the type of its numbers.
        if let Some(inner) = self.reference(self.unit, entry)? {
            return self.type_at(inner, depth + 1);
        }
        let size_bytes = size_bytes.unwrap_or(4);
        let is_signed = self
            .enumerators(Place { unit: self.unit, offset: entry.offset() })?
            .iter()
            .any(|(value, _)| *value < 0);
        Ok(integer(size_bytes, is_signed).map_or_else(|| bytes(size_bytes), Type::Scalar))
    }

    /// The values of an enum, by name.
    fn enumerators(&self, at: Place<'u, 'a>) -> Result<Vec<(i128, String)>, Unreadable> {
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
        Ok(found)
    }

    /// What the numbers of an enum stand for; empty if it is none.
    fn names(&self, mut at: Place<'u, 'a>) -> Result<String, Unreadable> {
        for _ in 0..DEPTH_MAX {
            let entry = at.unit.entry(at.offset)?;
            if entry.tag() == dw::DW_TAG_enumeration_type {
                let found = self.enumerators(at)?;
                let named: Vec<String> =
                    found.iter().take(NAMED_MAX).map(|(value, name)| format!("{value} {name}")).collect();
                let more = if found.len() > NAMED_MAX { ", …" } else { "" };
                return Ok(named.join(", ") + more);
            }
            let passes_on = matches!(
                entry.tag(),
                dw::DW_TAG_typedef | dw::DW_TAG_const_type | dw::DW_TAG_volatile_type | dw::DW_TAG_array_type
            );
            match self.reference(at.unit, &entry)? {
                Some(inner) if passes_on => at = inner,
                _ => break,
            }
        }
        Ok(String::new())
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
            self.path.extend((!name.is_empty()).then(|| name.clone()));
            let of = self.type_at(inner, depth + 1)?;
            self.path.truncate(self.path.len() - usize::from(!name.is_empty()));
            match (of, name.is_empty()) {
                (Type::Struct(inner), true) => fields.extend(
                    inner.fields.into_iter().map(|field| Field { offset: offset + field.offset, ..field }),
                ),
                (of, _) => {
                    let doc = self.names(inner)?;
                    fields.push(Field { name, offset, of, unit: String::new(), doc });
                }
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
        let own = self.type_at(inner, DEPTH_MAX - PASSED_MAX)?;
        let unit_bytes = own.size_bytes().max(1);
        let location = self.location(entry)? * 8;
        let told = (number(entry, dw::DW_AT_data_bit_offset)?, number(entry, dw::DW_AT_bit_offset)?);
        let first = match told {
            (Some(first), _) => location.checked_add(first),
            // Up to DWARF 3 they were counted from the other end of what holds them.
            (None, Some(after)) if cfg!(target_endian = "little") => {
                let held_by = number(entry, dw::DW_AT_byte_size)?.unwrap_or(unit_bytes);
                let end = held_by.checked_mul(8).and_then(|bits| location.checked_add(bits));
                end.and_then(|end| end.checked_sub(after.checked_add(bit_count)?))
            }
            (None, before) => location.checked_add(before.unwrap_or(0)),
        };
        let Some(first) = first else { return fail("a bit-field begins before its struct") };
        // The least number of bytes that holds them, and lies in the struct.
        let (start, end) = (first / 8, first.saturating_add(bit_count).div_ceil(8));
        let held_by =
            [1, 2, 4, 8, 16].into_iter().find(|&held_by| end - start <= held_by && held_by <= struct_bytes);
        let unit_bytes = held_by.unwrap_or(unit_bytes);
        let offset = start.min(struct_bytes.saturating_sub(unit_bytes));
        let from = first - offset * 8;
        let of = integer(unit_bytes, false).map_or_else(|| bytes(unit_bytes), Type::Scalar);
        let last = from.saturating_add(bit_count.max(1)) - 1;
        let mut doc = format!("bits {from} to {last} of {unit_bytes} bytes");
        if last < unit_bytes * 8 {
            let is_signed = matches!(own, Type::Scalar(own) if own.to_string().starts_with('i'));
            let path = self.path.iter().cloned().chain([name.to_owned()]).collect();
            self.bits.push(BitField { path, from, count: bit_count.max(1), is_signed });
        } else {
            doc += ", which are shown whole";
        }
        Ok(Field { name: name.to_owned(), offset, of, unit: String::new(), doc })
    }
}

fn integer(size_bytes: usize, is_signed: bool) -> Option<Scalar> {
    Some(match (size_bytes, is_signed) {
        (1, true) => Scalar::I8,
        (2, true) => Scalar::I16,
        (4, true) => Scalar::I32,
        (8, true) => Scalar::I64,
        (16, true) => Scalar::I128,
        (1, false) => Scalar::U8,
        (2, false) => Scalar::U16,
        (4, false) => Scalar::U32,
        (8, false) => Scalar::U64,
        (16, false) => Scalar::U128,
        _ => return None,
    })
}

/// What there is no number for.
fn bytes(size_bytes: usize) -> Type {
    Type::Array { element: Box::new(Type::Scalar(Scalar::U8)), count: size_bytes }
}
