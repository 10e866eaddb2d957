//! Which type the user last gave to the segments of a key: a file of his own.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Choice;
use crate::failure::io_text;
use crate::output;

#[derive(Debug, Default, Serialize, Deserialize)]
struct Document {
    /// By key and backend. What is not understood stays.
    types: BTreeMap<String, serde_json::Value>,
}

/// A type, and where it begins in the segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Remembered {
    #[serde(flatten)]
    pub(crate) choice: Choice,
    #[serde(default)]
    pub(crate) offset_bytes: usize,
}

fn place() -> Option<PathBuf> {
    let of = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = of("XDG_CONFIG_HOME").or_else(|| Some(of("HOME")?.join(".config")))?;
    Some(base.join("coseg").join("types.json"))
}

fn read(path: &Path) -> Result<Document, String> {
    let wrong = |fact: String| format!("{}: {fact}", path.display());
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Document::default()),
        Err(error) => Err(wrong(error.to_string())),
    }
}

/// What was last given to a key.
pub(crate) fn remembered(key: &str) -> Result<Option<Remembered>, String> {
    let Some(path) = place() else { return Ok(None) };
    // Another user's, as for one who has changed to another without changing HOME.
    if let Err(error) = fs::File::open(&path)
        && error.kind() == std::io::ErrorKind::PermissionDenied
    {
        output::note(&format!("types told before are not known: {}: {}", path.display(), io_text(&error)));
        return Ok(None);
    }
    // One that somebody has spoilt is none.
    Ok(read(&path)?.types.remove(key).and_then(|own| serde_json::from_value(own).ok()))
}

/// Remembers; the file, if it says something else now.
pub(crate) fn remember(key: &str, own: Remembered) -> Result<Option<PathBuf>, String> {
    let own = serde_json::to_value(own).map_err(|error| error.to_string())?;
    change(|types| types.insert(key.to_owned(), own.clone()).is_none_or(|before| before != own))
}

/// Forgets; the file, if it said something.
pub(crate) fn forget(key: &str) -> Result<Option<PathBuf>, String> {
    change(|types| types.remove(key).is_some())
}

fn change(
    change: impl FnOnce(&mut BTreeMap<String, serde_json::Value>) -> bool,
) -> Result<Option<PathBuf>, String> {
    let Some(path) = place() else { return Ok(None) };
    let mut document = read(&path)?;
    if !change(&mut document.types) {
        return Ok(None);
    }
    let wrong = |error: std::io::Error| format!("{}: {error}", path.display());
    fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).map_err(wrong)?;
    // Where it is a link, what that leads to is replaced.
    let place = fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
    let directory = place.parent().unwrap_or(Path::new("."));
    // Whoever reads it meanwhile, or after a crash, finds the one or the other.
    let text = serde_json::to_string_pretty(&document).map_err(|error| error.to_string())?;
    let new = directory.join(format!("types.json.{}", std::process::id()));
    fs::write(&new, text + "\n").and_then(|()| fs::rename(&new, &place)).map_err(wrong)?;
    Ok(Some(path))
}
