//! Which keyed segments may be removed too: a file says so, for those who know what the keys mean.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use coseg_sysv::{Key, Stat, caller};
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::failure::{Failure, Result};
use crate::{people, selector, time};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    policy: Vec<Policy>,
}

/// Segments that may go once they are garbage but for their key.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Policy {
    /// What its removals are reported under.
    pub(super) name: String,
    #[serde(default)]
    keys: Vec<Keys>,
    /// Patterns of regions' names.
    #[serde(default)]
    names: Vec<String>,
    /// Owners; anybody where none is named.
    #[serde(default)]
    users: Vec<User>,
    #[serde(deserialize_with = "duration")]
    pub(super) older_than: Duration,
    /// Those of known owners too: PostgreSQL's, a time source's.
    #[serde(default)]
    pub(super) known_owners: bool,
}

/// A key, or a range of them with both its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Keys {
    first: u32,
    last: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct User(u32);

/// What a policy says of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    Yes,
    No,
    /// Its name decides, which is not known.
    Unknown,
}

/// The policies of a file, in their order.
pub(super) fn read(path: &Path) -> Result<Vec<Policy>> {
    let what = format!("read policies from {}", path.display());
    let meta = std::fs::metadata(path).map_err(|error| Failure::io(&what, &error))?;
    let is_trusted = meta.uid() == caller::effective_uid() || meta.uid() == 0;
    if !is_trusted || meta.mode() & 0o022 != 0 {
        let text = format!(
            "{what}: others could say by it what you remove: it is another user's, or others may write it"
        );
        return Err(Failure::error(text).hint("chmod go-w, and chown to yourself or root"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| Failure::io(&what, &error))?;
    parse(&text).map_err(|error| {
        Failure::error(format!("{what}: {}", error.trim_end())).hint("coseg gc --help shows one")
    })
}

fn parse(text: &str) -> Result<Vec<Policy>, String> {
    let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
    for policy in &file.policy {
        if policy.keys.is_empty() && policy.names.is_empty() {
            return Err(format!("policy `{}` says neither keys nor names", policy.name));
        }
    }
    Ok(file.policy)
}

impl Policy {
    /// `region` is the segment's name as a region, where it is known: `Some(None)` for what has none.
    pub(super) fn matches(&self, stat: &Stat, region: Option<Option<&str>>) -> Match {
        if !self.users.is_empty() && !self.users.contains(&User(stat.uid)) {
            return Match::No;
        }
        let bits = stat.key.bits();
        if self.keys.iter().any(|keys| (keys.first..=keys.last).contains(&bits)) {
            return Match::Yes;
        }
        let is_named = |name: &str| self.names.iter().any(|pattern| is_like(pattern, name));
        match region {
            _ if self.names.is_empty() => Match::No,
            None => Match::Unknown,
            Some(name) if name.is_some_and(|name| !name.is_empty() && is_named(name)) => Match::Yes,
            Some(_) => Match::No,
        }
    }
}

/// `*` stands for any characters, `?` for one.
fn is_like(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut seen) = (0, 0);
    // The last star, and where in the text what it stands for ends.
    let mut star: Option<(usize, usize)> = None;
    while seen < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(&c) if c == '?' || c == text[seen] => (at, seen) = (at + 1, seen + 1),
            _ => match &mut star {
                Some((of, end)) => {
                    *end += 1;
                    (at, seen) = (*of + 1, *end);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|&c| c == '*')
}

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Keys, D::Error> {
        let text = String::deserialize(deserializer)?;
        let key = |text: &str| match selector::parse_key(text.trim()) {
            Ok(key) if key == Key::PRIVATE => {
                Err(D::Error::custom("key 0 is IPC_PRIVATE, which names no segment"))
            }
            Ok(key) => Ok(key.bits()),
            Err(error) => Err(D::Error::custom(error)),
        };
        if let Ok(one) = key(&text) {
            return Ok(Keys { first: one, last: one });
        }
        let Some((first, last)) = text.split_once('-') else {
            return Err(key(&text).err().unwrap_or_else(|| D::Error::custom("no key")));
        };
        let keys = Keys { first: key(first)?, last: key(last)? };
        if keys.first > keys.last {
            return Err(D::Error::custom(format!("`{text}` begins after its end")));
        }
        Ok(keys)
    }
}

impl<'de> Deserialize<'de> for User {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<User, D::Error> {
        people::uid_of(&String::deserialize(deserializer)?).map(User).map_err(D::Error::custom)
    }
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    time::parse_duration(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::commands::gc) fn policies(text: &str) -> Vec<Policy> {
        parse(text).unwrap()
    }

    #[test]
    fn patterns_have_stars_and_question_marks() {
        for (pattern, text) in [
            ("market", "market"),
            ("mar*", "market"),
            ("*", "x"),
            ("*ket*", "market"),
            ("m?rket", "märket"),
            ("a*b*c", "aXbXbc"),
            ("x**", "x"),
        ] {
            assert!(is_like(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in
            [("market", "markets"), ("mar", "market"), ("?", ""), ("a*b", "abc"), ("", "x")]
        {
            assert!(!is_like(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn keys_are_single_or_ranges() {
        let text =
            "[[policy]]\nname = \"x\"\nolder_than = \"1h\"\nkeys = [\"0x10-0x1f\", \"66\", \"key:-1\"]\n";
        let policy = &policies(text)[0];
        let keys: Vec<(u32, u32)> = policy.keys.iter().map(|keys| (keys.first, keys.last)).collect();
        assert_eq!(keys, [(0x10, 0x1f), (66, 66), (u32::MAX, u32::MAX)]);
        assert_eq!(policy.older_than, Duration::from_secs(3600));
    }

    #[test]
    fn what_is_no_policy_says_why() {
        for (text, fact) in [
            ("[[policy]]\nname = \"x\"\nolder_than = \"1h\"", "neither keys nor names"),
            ("[[policy]]\nname = \"x\"\nkeys = [\"0x1\"]", "older_than"),
            ("[[policy]]\nolder_than = \"1h\"\nkeys = [\"0x1\"]", "name"),
            ("[[policy]]\nname = \"x\"\nolder_than = \"1h\"\nkeys = [\"0x2-0x1\"]", "begins after its end"),
            ("[[policy]]\nname = \"x\"\nolder_than = \"1h\"\nkeys = [\"0\"]", "names no segment"),
            ("[[policy]]\nname = \"x\"\nolder_than = \"1h\"\nkeys = [\"*\"]", "no key"),
            ("[[policy]]\nname = \"x\"\nolder_than = \"soon\"\nkeys = [\"1\"]", "no time"),
            (
                "[[policy]]\nname = \"x\"\nolder_than = \"1h\"\nusers = [\"no such user\"]\nkeys = [\"1\"]",
                "no user",
            ),
            ("[[policy]]\nname = \"x\"\nolder_than = \"1h\"\nkey = \"1\"", "unknown field"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(fact), "{fact}: {error}");
        }
    }
}
