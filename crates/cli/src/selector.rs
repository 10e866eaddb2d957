//! How segments are named on the command line: one grammar, everywhere.
//!
//! | written | meaning |
//! |---|---|
//! | `5`, `id:5` | the segment of this id |
//! | `0x162e`, `key:5678`, `key:0x162e` | the segment of this key |
//! | `ftok:PATH:PROJ` | the segment of the key that ftok makes; PROJ is a character or a number |
//! | `name:market` | the region of this name |
//! | `pid:1234` | the segments that process 1234 is attached to |

use std::fmt;
use std::num::{IntErrorKind, ParseIntError};
use std::path::PathBuf;
use std::str::FromStr;

use coseg_sysv::{Key, Listed, ShmId};

use crate::backend::has_key;
use crate::failure::{Failure, Result};
use crate::output::printable;
use crate::regions;
use crate::view::{View, title};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selector {
    Id(ShmId),
    Key(Key),
    Ftok(PathBuf, u8),
    Name(String),
    Pid(i32),
}

impl FromStr for Selector {
    type Err = String;

    fn from_str(text: &str) -> Result<Selector, String> {
        if let Some(rest) = text.strip_prefix("id:") {
            return Ok(Selector::Id(parse_id(rest)?));
        }
        if let Some(rest) = text.strip_prefix("pid:") {
            let pid = rest.parse().map_err(|_| format!("`{rest}` is no process id"))?;
            return Ok(Selector::Pid(pid));
        }
        if let Some(rest) = text.strip_prefix("ftok:") {
            let (path, project) =
                rest.rsplit_once(':').ok_or("write ftok:PATH:PROJ, such as ftok:/etc/app:A")?;
            return Ok(Selector::Ftok(path.into(), parse_project(project)?));
        }
        if let Some(rest) = text.strip_prefix("key:") {
            return parse_number(rest).map(Selector::Key);
        }
        if is_hexadecimal(text) {
            return parse_number(text).map(Selector::Key);
        }
        if let Some(name) = text.strip_prefix("name:") {
            return match name {
                "" => Err("write name:NAME, such as name:market".to_owned()),
                name => Ok(Selector::Name(name.to_owned())),
            };
        }
        Ok(Selector::Id(parse_id(text)?))
    }
}

fn parse_id(text: &str) -> Result<ShmId, String> {
    text.parse().map(ShmId::new).map_err(|error| match is_too_large(&error) {
        true => format!("`{text}` is no id, which has 31 bits"),
        false => {
            format!(
                "`{text}` names no segment: write an id, 0xKEY, key:N, name:NAME, ftok:PATH:PROJ or pid:N"
            )
        }
    })
}

fn is_too_large(error: &ParseIntError) -> bool {
    matches!(error.kind(), IntErrorKind::PosOverflow | IntErrorKind::NegOverflow)
}

/// A key alone, where nothing else makes sense: any number, or `ftok:PATH:PROJ`.
pub(crate) fn parse_key(text: &str) -> Result<Key, String> {
    if let Ok(selector @ Selector::Ftok(..)) = text.parse() {
        return selector.key().map(|key| key.unwrap_or(Key::PRIVATE)).map_err(|failure| failure.to_string());
    }
    parse_number(text.strip_prefix("key:").unwrap_or(text))
}

fn is_hexadecimal(text: &str) -> bool {
    text.starts_with("0x") || text.starts_with("0X")
}

fn parse_number(text: &str) -> Result<Key, String> {
    let number = if is_hexadecimal(text) {
        u32::from_str_radix(&text[2..], 16)
    } else if text.starts_with('-') {
        // C prints keys as signed and as unsigned numbers.
        text.parse().map(i32::cast_unsigned)
    } else {
        text.parse()
    };
    number.map(|bits| Key::new(bits.cast_signed())).map_err(|error| match is_too_large(&error) {
        true => format!("`{text}` is no key, which has 32 bits"),
        false => format!("`{text}` is no key: write 0x162e, key:5678 or ftok:PATH:PROJ"),
    })
}

/// ftok's project byte: a number, or the character itself. C code says `'A'` as often as `65`.
pub(crate) fn parse_project(text: &str) -> Result<u8, String> {
    let wrong = || format!("`{text}` is no project: write a character such as A, or a number from 0 to 255");
    if let Some(hex) = text.strip_prefix("0x") {
        return u8::from_str_radix(hex, 16).map_err(|_| wrong());
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().map_err(|_| wrong());
    }
    match text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).unwrap_or(text).as_bytes() {
        [byte] => Ok(*byte),
        _ => Err(wrong()),
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Selector::Id(id) => write!(f, "id {id}"),
            Selector::Key(key) => write!(f, "key {key}"),
            Selector::Ftok(path, project) => write!(f, "ftok:{}:{project}", path.display()),
            Selector::Name(name) => write!(f, "name:{}", printable(name)),
            Selector::Pid(pid) => write!(f, "pid {pid}"),
        }
    }
}

impl Selector {
    /// The key it stands for, where it stands for one.
    pub(crate) fn key(&self) -> Result<Option<Key>> {
        match self {
            Selector::Key(key) => Ok(Some(*key)),
            Selector::Ftok(path, project) => {
                let key = Key::ftok(path, *project).map_err(|error| {
                    Failure::error(error.to_string()).hint("a path that exists, as ftok(3) needs one")
                })?;
                Ok(Some(key))
            }
            Selector::Id(_) | Selector::Name(_) | Selector::Pid(_) => Ok(None),
        }
    }

    /// The segments meant; at least one.
    pub(crate) fn all<'a>(&self, view: &'a View) -> Result<Vec<&'a Listed>> {
        let found: Vec<&Listed> = match self {
            Selector::Id(id) => view.listed.iter().filter(|listed| listed.stat.id == *id).collect(),
            Selector::Pid(pid) => {
                let who = view.who()?;
                view.listed.iter().filter(|listed| who.holds(*pid, listed.stat.id)).collect()
            }
            Selector::Name(name) => vec![regions::named(view, name)?],
            Selector::Key(_) | Selector::Ftok(..) => {
                let key = self.key()?.unwrap_or(Key::PRIVATE);
                if key.is_private() {
                    return Err(Failure::error(
                        "find key 0x00000000: this is IPC_PRIVATE, which names no segment",
                    )
                    .hint("coseg ls, then its id"));
                }
                view.listed.iter().filter(|listed| listed.stat.key == key && !listed.stat.removed).collect()
            }
        };
        if found.is_empty() { Err(self.absent(view)) } else { Ok(found) }
    }

    /// The one segment meant.
    pub(crate) fn one<'a>(&self, view: &'a View) -> Result<&'a Listed> {
        let found = self.all(view)?;
        match found.as_slice() {
            [one] => Ok(one),
            several => {
                let names: Vec<String> = several.iter().map(|listed| title(&listed.stat)).collect();
                let text =
                    format!("find {self}: it is attached to {} segments: {}", names.len(), names.join(", "));
                Err(Failure::nothing(text).hint(format!("one of them, such as id:{}", several[0].stat.id)))
            }
        }
    }

    fn absent(&self, view: &View) -> Failure {
        let facility = &view.facility;
        match self {
            Selector::Pid(pid) => {
                let text = match crate::process::command(*pid) {
                    Some(command) => format!("{command} is attached to no segment that can be seen"),
                    None => "ESRCH: no such process".to_owned(),
                };
                Failure::nothing(format!("find {self}: {text}")).hint("coseg ls")
            }
            Selector::Name(_) => Failure::nothing(format!("find {self}: no region has this name")),
            Selector::Id(id) => {
                let same = Key::new(id.raw());
                if !same.is_private() && view.listed.iter().any(|listed| listed.stat.key == same) {
                    return Failure::nothing(format!(
                        "find {self}: EINVAL: no segment has id {id}; a segment has key {} ({same}): say key:{0}",
                        id.raw()
                    ));
                }
                let elsewhere = facility.elsewhere(|backend| {
                    backend.list().is_ok_and(|all| all.iter().any(|listed| listed.stat.id == *id))
                });
                let text =
                    format!("find {self}: EINVAL: no segment has this id on the {} backend", facility.name());
                absence(text, elsewhere, "coseg ls")
            }
            Selector::Key(_) | Selector::Ftok(..) => {
                let key = match self.key() {
                    Ok(key) => key.unwrap_or(Key::PRIVATE),
                    Err(failure) => return failure,
                };
                let name = match self {
                    Selector::Ftok(path, _) => format!("key {key} (ftok of {})", path.display()),
                    _ => format!("key {key}"),
                };
                let elsewhere = facility.elsewhere(|backend| has_key(backend, key));
                let text = format!(
                    "find {name}: ENOENT: no segment has this key on the {} backend",
                    facility.name()
                );
                absence(
                    text,
                    elsewhere,
                    &format!("coseg ls, or coseg create --key {:#x} --size 4K", key.bits()),
                )
            }
        }
    }
}

fn absence(text: String, elsewhere: Option<&'static str>, otherwise: &str) -> Failure {
    match elsewhere {
        Some(other) => Failure::nothing(format!("{text}; the {other} backend has one"))
            .hint(format!("--backend {other}")),
        None => Failure::nothing(text).hint(otherwise),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_parses() {
        let key = |bits: u32| Selector::Key(Key::new(bits.cast_signed()));
        for (text, selector) in [
            ("5", Selector::Id(ShmId::new(5))),
            ("id:5", Selector::Id(ShmId::new(5))),
            ("0x162e", key(0x162e)),
            ("0X162E", key(0x162e)),
            ("0xffffffff", key(u32::MAX)),
            ("key:5678", key(5678)),
            ("key:-1", key(u32::MAX)),
            ("key:4294967295", key(u32::MAX)),
            ("key:0x10", key(16)),
            ("pid:12", Selector::Pid(12)),
            ("name:a b:c", Selector::Name("a b:c".into())),
            ("ftok:/tmp/a:b:A", Selector::Ftok("/tmp/a:b".into(), b'A')),
            ("ftok:/tmp:65", Selector::Ftok("/tmp".into(), 65)),
            ("ftok:/tmp:'5'", Selector::Ftok("/tmp".into(), b'5')),
            ("ftok:/tmp:0x41", Selector::Ftok("/tmp".into(), 0x41)),
        ] {
            assert_eq!(text.parse::<Selector>().as_ref(), Ok(&selector), "{text}");
        }
    }

    #[test]
    fn nonsense_says_what_to_write() {
        for text in [
            "",
            "x",
            "0x",
            "0x1ffffffff",
            "key:",
            "name:",
            "pid:x",
            "ftok:/tmp",
            "ftok:/tmp:ab",
            "ftok:/tmp:256",
        ] {
            assert!(text.parse::<Selector>().is_err(), "{text}");
        }
        assert!("x".parse::<Selector>().unwrap_err().contains("key:N"));
        for (text, fact) in [
            ("2147483648", "31 bits"),
            ("0x1ffffffff", "32 bits"),
            ("key:4294967296", "32 bits"),
            ("key:-2147483649", "32 bits"),
        ] {
            assert!(text.parse::<Selector>().unwrap_err().contains(fact), "{text}");
        }
    }

    #[test]
    fn a_key_alone_may_be_any_number() {
        assert_eq!(parse_key("0x4242"), Ok(Key::new(0x4242)));
        assert_eq!(parse_key("5678"), Ok(Key::new(5678)));
        assert_eq!(parse_key("key:5678"), Ok(Key::new(5678)));
        assert!(parse_key("ftok:/no/such/file:1").is_err());
    }
}
