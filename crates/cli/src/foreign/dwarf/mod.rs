//! Types from the debug information that a compiler left in a program: DWARF, as `cc -g` writes it.

mod layout;

use std::borrow::Cow;
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use gimli::{AttributeValue, EndianSlice, RunTimeEndian, SectionId, constants as dw};
use object::{Object, ObjectSection};

use self::layout::{Layout, Place};
use super::Declared;

type Bytes<'a> = EndianSlice<'a, RunTimeEndian>;
type Dwarf<'a> = gimli::Dwarf<Bytes<'a>>;
type Unit<'a> = gimli::Unit<Bytes<'a>>;
type Entry<'a> = gimli::DebuggingInformationEntry<Bytes<'a>>;

/// More bytes than any program has.
const FILE_MAX: u64 = 4 << 30;
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
    Search { dwarf: &dwarf, seen: HashSet::new() }.find(name).map_err(|error| error.0)
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
    seen: HashSet<String>,
}

/// What a name stands for in one place of a program.
struct Definition {
    /// `struct at market.c:12`
    place: String,
    /// Why not, where it cannot be laid out.
    declared: Result<Declared, String>,
}

impl<'a> Search<'_, 'a> {
    fn find(&mut self, wanted: &str) -> Result<Declared, Unreadable> {
        let kinds = [
            ("struct ", dw::DW_TAG_structure_type),
            ("union ", dw::DW_TAG_union_type),
            ("enum ", dw::DW_TAG_enumeration_type),
            ("class ", dw::DW_TAG_class_type),
        ];
        let told = kinds.iter().find_map(|(kind, tag)| Some((wanted.strip_prefix(kind)?, *tag)));
        let bare = told.map_or(wanted, |(bare, _)| bare).trim();
        // C++ says struct and class of the same things.
        let is_meant =
            |tag: gimli::DwTag| told.is_none_or(|(_, kind)| tag == kind || is_class(tag) && is_class(kind));
        let mut units = Vec::new();
        let mut headers = self.dwarf.units();
        while let Some(header) = headers.next()? {
            units.push(self.dwarf.unit(header)?);
        }
        let mut found: Vec<Definition> = Vec::new();
        for unit in &units {
            let mut entries = unit.entries();
            while let Some(entry) = entries.next_dfs()? {
                if !is_type(entry.tag()) || entry.attr(dw::DW_AT_declaration).is_some() {
                    continue;
                }
                let Some(name) = name(self.dwarf, unit, entry)? else { continue };
                if name == bare && is_meant(entry.tag()) {
                    let laid = Layout::of(self.dwarf, &units, Place { unit, offset: entry.offset() });
                    let declared = laid.map(|(of, readings)| Declared { of, is_open: false, readings });
                    let declared = declared.map_err(|error| error.0);
                    // Each unit that uses a type says what it is, mostly the same.
                    if !found.iter().any(|other| other.declared == declared) {
                        let place = self.place(unit, entry)?;
                        found.push(Definition { place, declared });
                    }
                } else if found.is_empty() && is_compound(entry.tag()) {
                    self.seen.insert(name);
                }
            }
        }
        match found.as_slice() {
            [] => self.fail_near(wanted, bare),
            [_] => found.remove(0).declared.map_err(Unreadable),
            several => {
                let places: Vec<&str> = several.iter().take(TOLD_MAX).map(|one| &*one.place).collect();
                let more = if several.len() > TOLD_MAX { ", …" } else { "" };
                let count = several.len();
                let places = places.join(", ");
                fail(format!("`{wanted}` is {count} different types in different places: {places}{more}"))
            }
        }
    }

    fn fail_near(&mut self, wanted: &str, bare: &str) -> Result<Declared, Unreadable> {
        let distance = |name: &String| strsim::damerau_levenshtein(name, bare);
        let mut near: Vec<String> = self.seen.drain().collect();
        near.sort_by_cached_key(|name| (distance(name), name.clone()));
        near.truncate(TOLD_MAX);
        match near.as_slice() {
            [] => fail(format!(
                "it has no type `{wanted}`, and no structs at all: was it compiled with -g, without -gsplit-dwarf \
                 and -fdebug-types-section? Types in other files or units are not read"
            )),
            near => fail(format!(
                "it has no type `{wanted}`; its structs with the nearest names are {}",
                near.join(", ")
            )),
        }
    }

    /// Where in its source something is declared: `struct at market.c:12`.
    fn place(&self, unit: &Unit<'a>, entry: &Entry<'a>) -> Result<String, Unreadable> {
        let kind = match entry.tag() {
            dw::DW_TAG_structure_type => "struct",
            dw::DW_TAG_union_type => "union",
            dw::DW_TAG_class_type => "class",
            dw::DW_TAG_enumeration_type => "enum",
            dw::DW_TAG_typedef => "typedef",
            _ => "number",
        };
        let of_unit = unit.name.map(|name| name.to_string_lossy().into_owned());
        let file = match (entry.attr_value(dw::DW_AT_decl_file), &unit.line_program) {
            (Some(AttributeValue::FileIndex(index)), Some(program)) => match program.header().file(index) {
                Some(file) => {
                    let path = self.dwarf.attr_string(unit, file.path_name())?;
                    Some(path.to_string_lossy().into_owned())
                }
                None => of_unit,
            },
            _ => of_unit,
        };
        let file = file.unwrap_or_else(|| "an unknown file".to_owned());
        Ok(match number(entry, dw::DW_AT_decl_line)? {
            Some(line) => format!("{kind} at {file}:{line}"),
            None => format!("{kind} in {file}"),
        })
    }
}

fn is_class(tag: gimli::DwTag) -> bool {
    matches!(tag, dw::DW_TAG_structure_type | dw::DW_TAG_class_type)
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
