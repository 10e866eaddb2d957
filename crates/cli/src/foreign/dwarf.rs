//! Types from the debug information that a compiler left in a program: DWARF, as `cc -g` writes it.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};

use coseg::schema::{Field, Scalar, Struct, Type};
use gimli::{
    AttributeValue, DwAte, EndianSlice, Operation, RunTimeEndian, SectionId, UnitOffset, constants as dw,
};
use object::{Object, ObjectSection};

use super::{BitField, Declared};

type Bytes<'a> = EndianSlice<'a, RunTimeEndian>;
type Dwarf<'a> = gimli::Dwarf<Bytes<'a>>;
type Unit<'a> = gimli::Unit<Bytes<'a>>;
type Entry<'a> = gimli::DebuggingInformationEntry<Bytes<'a>>;

/// More bytes than any program has.
const FILE_MAX: u64 = 4 << 30;
/// A type that nests deeper is a circle.
const DEPTH_MAX: usize = 16;
/// Types that fields are of, those of fields included.
const TYPES_MAX: usize = 30_000;
/// Names that a number's type passes through, such as a typedef of a typedef.
const PASSED_MAX: usize = 6;
/// Enumerators that a field's comment names.
const NAMED_MAX: usize = 12;
/// Names that are told when none is the one that is wanted.
const TOLD_MAX: usize = 4;
/// Where distributions put what they strip off.
const STRIPPED: &str = "/usr/lib/debug/.build-id";

/// The type of this name in a program or library: a struct, a union, a typedef, an enum or a number.
pub(crate) fn declared(path: &Path, name: &str) -> Result<Declared, String> {
    let wrong = |path: &Path, fact: String| format!("{}: {fact}", path.display());
    let read = |path: &Path| {
        let about = fs::metadata(path).map_err(|error| wrong(path, error.to_string()))?;
        if !about.is_file() || about.len() > FILE_MAX {
            return Err(wrong(path, "no program, or too large for one".to_owned()));
        }
        fs::read(path).map_err(|error| wrong(path, error.to_string()))
    };
    let bytes = read(path)?;
    let file = object::File::parse(&*bytes).map_err(|error| wrong(path, format!("no program: {error}")))?;
    if file.section_by_name(".debug_info").is_some() {
        return of_file(&file, name).map_err(|fact| wrong(path, fact));
    }
    let Some(apart) = file.build_id().ok().flatten().and_then(stripped).filter(|apart| apart.exists()) else {
        let fact = "it has no debug information: compile it with -g, or name a file that was";
        return Err(wrong(path, fact.to_owned()));
    };
    let bytes = read(&apart)?;
    let file = object::File::parse(&*bytes).map_err(|error| wrong(&apart, error.to_string()))?;
    of_file(&file, name).map_err(|fact| wrong(&apart, fact))
}

/// The file that a stripped program's debug information went to.
fn stripped(build_id: &[u8]) -> Option<PathBuf> {
    let (first, rest) = build_id.split_first()?;
    let rest: String = rest.iter().map(|byte| format!("{byte:02x}")).collect();
    Some(Path::new(STRIPPED).join(format!("{first:02x}")).join(format!("{rest}.debug")))
}

fn of_file(file: &object::File<'_>, name: &str) -> Result<Declared, String> {
    let endian = if file.is_little_endian() { RunTimeEndian::Little } else { RunTimeEndian::Big };
    let own = if cfg!(target_endian = "little") { RunTimeEndian::Little } else { RunTimeEndian::Big };
    if endian != own || !file.is_64() {
        return Err("it is for another kind of processor than this one".to_owned());
    }
    let section = |id: SectionId| match file.section_by_name(id.name()) {
        Some(section) => section.uncompressed_data(),
        None => Ok(Cow::Borrowed(&[][..])),
    };
    let sections = gimli::DwarfSections::load(section).map_err(|error| error.to_string())?;
    let dwarf = sections.borrow(|section| EndianSlice::new(section, endian));
    Search { dwarf: &dwarf, seen: Vec::new() }.find(name).map_err(|error| error.0)
}

/// What cannot be read, or is not there.
struct Unreadable(String);

impl From<gimli::Error> for Unreadable {
    fn from(error: gimli::Error) -> Unreadable {
        Unreadable(format!("its debug information is damaged: {error}"))
    }
}

fn fail<T>(fact: impl Into<String>) -> Result<T, Unreadable> {
    Err(Unreadable(fact.into()))
}

struct Search<'d, 'a> {
    dwarf: &'d Dwarf<'a>,
    /// Names of structs on the way, to be told if the right one is not among them.
    seen: Vec<String>,
}

impl Search<'_, '_> {
    fn find(&mut self, wanted: &str) -> Result<Declared, Unreadable> {
        let bare = ["struct ", "union ", "enum ", "class "].iter().find_map(|kind| wanted.strip_prefix(kind));
        let bare = bare.unwrap_or(wanted).trim();
        let mut headers = self.dwarf.units();
        while let Some(header) = headers.next()? {
            let unit = self.dwarf.unit(header)?;
            let mut entries = unit.entries();
            while let Some(entry) = entries.next_dfs()? {
                if !is_type(entry.tag()) || entry.attr(dw::DW_AT_declaration).is_some() {
                    continue;
                }
                let Some(name) = name(self.dwarf, &unit, entry)? else { continue };
                if name == bare {
                    let mut layout = Layout {
                        dwarf: self.dwarf,
                        unit: &unit,
                        path: Vec::new(),
                        bits: Vec::new(),
                        left: TYPES_MAX,
                    };
                    let of = layout.type_at(entry.offset(), 0)?;
                    return Ok(Declared { of, is_open: false, bits: layout.bits });
                }
                if is_compound(entry.tag()) && !self.seen.contains(&name) {
                    self.seen.push(name);
                }
            }
        }
        let distance = |name: &String| strsim::damerau_levenshtein(name, bare);
        self.seen.sort_by_cached_key(distance);
        match self.seen.get(..self.seen.len().min(TOLD_MAX)).unwrap_or_default() {
            [] => fail(format!("it has no type `{wanted}`, and no structs at all")),
            near => fail(format!(
                "it has no type `{wanted}`; its structs with the nearest names are {}",
                near.join(", ")
            )),
        }
    }
}

fn is_compound(tag: gimli::DwTag) -> bool {
    matches!(tag, dw::DW_TAG_structure_type | dw::DW_TAG_union_type | dw::DW_TAG_class_type)
}

fn is_type(tag: gimli::DwTag) -> bool {
    is_compound(tag) || matches!(tag, dw::DW_TAG_typedef | dw::DW_TAG_enumeration_type | dw::DW_TAG_base_type)
}

fn name(dwarf: &Dwarf<'_>, unit: &Unit<'_>, entry: &Entry<'_>) -> Result<Option<String>, gimli::Error> {
    let Some(value) = entry.attr_value(dw::DW_AT_name) else { return Ok(None) };
    Ok(Some(dwarf.attr_string(unit, value)?.to_string_lossy().into_owned()))
}

fn number(entry: &Entry<'_>, attribute: gimli::DwAt) -> Result<Option<usize>, Unreadable> {
    let Some(value) = entry.attr_value(attribute) else { return Ok(None) };
    // What is said by an expression is known only while the program runs.
    Ok(value.udata_value().and_then(|number| usize::try_from(number).ok()))
}

/// Types of one unit.
struct Layout<'u, 'a> {
    dwarf: &'u Dwarf<'a>,
    unit: &'u Unit<'a>,
    /// The fields that lead to the type that is laid out.
    path: Vec<String>,
    bits: Vec<BitField>,
    /// How many more types may be looked at.
    left: usize,
}

impl Layout<'_, '_> {
    fn type_at(&mut self, offset: UnitOffset, depth: usize) -> Result<Type, Unreadable> {
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
            | dw::DW_TAG_atomic_type => match self.reference(&entry)? {
                Some(inner) => self.type_at(inner, depth + 1),
                None => fail("the type is void: it has no values"),
            },
            tag => {
                Ok(bytes(size_bytes.ok_or_else(|| Unreadable(format!("types by {tag} are not known here")))?))
            }
        }
    }

    /// The type that a type, or a field, is of.
    fn reference(&self, entry: &Entry<'_>) -> Result<Option<UnitOffset>, Unreadable> {
        match entry.attr_value(dw::DW_AT_type) {
            None => Ok(None),
            Some(AttributeValue::UnitRef(offset)) => Ok(Some(offset)),
            Some(AttributeValue::DebugInfoRef(offset)) => match offset.to_unit_offset(&self.unit.header) {
                Some(offset) => Ok(Some(offset)),
                None => fail("the type is told in another unit than what uses it"),
            },
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
        if let Some(inner) = self.reference(entry)? {
            return self.type_at(inner, depth + 1);
        }
        let size_bytes = size_bytes.unwrap_or(4);
        let is_signed = self.enumerators(entry.offset())?.iter().any(|(value, _)| *value < 0);
        Ok(integer(size_bytes, is_signed).map_or_else(|| bytes(size_bytes), Type::Scalar))
    }

    /// The values of an enum, by name.
    fn enumerators(&self, offset: UnitOffset) -> Result<Vec<(i128, String)>, Unreadable> {
        let mut found = Vec::new();
        let mut tree = self.unit.entries_tree(Some(offset))?;
        let mut children = tree.root()?.children();
        while let Some(child) = children.next()? {
            let entry = child.entry();
            if entry.tag() == dw::DW_TAG_enumerator
                && let Some(value) = entry.attr_value(dw::DW_AT_const_value)
                && let Some(name) = name(self.dwarf, self.unit, entry)?
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
    fn names(&self, mut offset: UnitOffset) -> Result<String, Unreadable> {
        for _ in 0..DEPTH_MAX {
            let entry = self.unit.entry(offset)?;
            if entry.tag() == dw::DW_TAG_enumeration_type {
                let found = self.enumerators(offset)?;
                let named: Vec<String> =
                    found.iter().take(NAMED_MAX).map(|(value, name)| format!("{value} {name}")).collect();
                let more = if found.len() > NAMED_MAX { ", …" } else { "" };
                return Ok(named.join(", ") + more);
            }
            let passes_on = matches!(
                entry.tag(),
                dw::DW_TAG_typedef | dw::DW_TAG_const_type | dw::DW_TAG_volatile_type | dw::DW_TAG_array_type
            );
            match self.reference(&entry)? {
                Some(inner) if passes_on => offset = inner,
                _ => break,
            }
        }
        Ok(String::new())
    }

    fn array(&mut self, entry: &Entry<'_>, depth: usize) -> Result<Type, Unreadable> {
        let Some(inner) = self.reference(entry)? else { return fail("an array is of no type") };
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
            let Some(inner) = self.reference(entry)? else { continue };
            // What is shared by all objects is in none of them.
            if entry.attr(dw::DW_AT_external).is_some() || entry.attr(dw::DW_AT_declaration).is_some() {
                continue;
            }
            // What comes from another class stands under that one's name.
            let named = match entry.tag() {
                dw::DW_TAG_inheritance => name(self.dwarf, self.unit, &self.unit.entry(inner)?)?,
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
        inner: UnitOffset,
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
