//! `coseg key`: what ftok makes of a file, and which file ftok made a key of.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use coseg_sysv::Key;
use indicatif::{ProgressBar, ProgressStyle};
use schemars::JsonSchema;
use serde::Serialize;
use walkdir::WalkDir;

use crate::args::Global;
use crate::failure::{Failure, NOTHING, Result};
use crate::output;
use crate::selector;

const EXAMPLES: &str = "\
Examples:
  coseg key /etc/app.conf A             the key of ftok(\"/etc/app.conf\", 'A')
  coseg key . 65                        the project as a number
  coseg key 0x41051234                  what ftok would have put into this key
  coseg key 0x41051234 --search /etc /opt    the files that give this key

A key holds 16 bits of the file's inode, 8 of its device and 8 of the project: several files may give \
the same key, and a file that was replaced gives another.";

/// Compute ftok's key of a file, or find the file of a key
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, override_usage = "coseg key PATH PROJ\n       coseg key KEY [--search [DIR]…]")]
pub(crate) struct KeyArgs {
    /// An existing file; or, without a project, a key
    #[arg(value_name = "PATH|KEY", allow_negative_numbers = true)]
    path_or_key: String,
    /// A character such as A, or a number from 0 to 255
    #[arg(value_name = "PROJ", value_parser = selector::parse_project, conflicts_with = "search")]
    project: Option<u8>,
    /// Look in these directories for files that give this key
    #[arg(long, value_name = "DIR", num_args = 0.., default_missing_value = ".")]
    search: Option<Vec<PathBuf>>,
}

#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct Document {
    key: i32,
    key_hex: String,
    inode_low: u16,
    device_low: u8,
    project: u8,
    project_char: Option<char>,
    files: Option<Vec<PathBuf>>,
    unreadable_count: Option<u64>,
}

#[derive(Debug, Default)]
struct Search {
    files: Vec<PathBuf>,
    looked_at: u64,
    unreadable: u64,
}

pub(crate) fn run(args: &KeyArgs, global: &Global) -> Result<ExitCode> {
    if let Some(project) = args.project {
        let key = Key::ftok(&args.path_or_key, project).map_err(|error| {
            Failure::error(error.to_string()).hint("a path that exists: ftok reads its inode")
        })?;
        if global.json {
            output::print_json(&document(key, None))?;
        } else {
            output::print(&format!("{key} {}\n", key.raw()))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let key = selector::parse_key(&args.path_or_key).map_err(|error| {
        Failure::error(format!("key: {error}"))
            .hint(format!("coseg key {} PROJ for a file's key", args.path_or_key))
    })?;
    let found = args.search.as_ref().map(|directories| search(key, directories));
    let is_empty = found.as_ref().is_some_and(|found| found.files.is_empty());
    if global.json {
        output::print_json(&document(key, found))?;
    } else {
        tell(key, found)?;
    }
    Ok(if is_empty { ExitCode::from(NOTHING) } else { ExitCode::SUCCESS })
}

fn document(key: Key, found: Option<Search>) -> Document {
    let (inode_low, device_low, project) = key.parts();
    let (files, unreadable_count) = found.map(|found| (found.files, found.unreadable)).unzip();
    Document {
        key: key.raw(),
        key_hex: key.to_string(),
        inode_low,
        device_low,
        project,
        project_char: project.is_ascii_graphic().then(|| char::from(project)),
        files,
        unreadable_count,
    }
}

/// `'A' (65)`, or the number alone.
pub(crate) fn project_name(project: u8) -> String {
    if project.is_ascii_graphic() {
        format!("'{}' ({project})", char::from(project))
    } else {
        project.to_string()
    }
}

fn tell(key: Key, found: Option<Search>) -> Result<()> {
    let (inode, device, project) = key.parts();
    let parts = format!(
        "key {key} ({}): inode …{inode:04x}, device …{device:02x}, project {}",
        key.raw(),
        project_name(project)
    );
    let Some(found) = found else {
        return output::print(&format!("{parts}\n"));
    };
    output::note(&parts);
    let lines: String =
        found.files.iter().map(|file| format!("{}\n", output::printable(&file.to_string_lossy()))).collect();
    output::print(&lines)?;
    let looked_at = output::count(found.looked_at, "file", "files");
    if found.unreadable > 0 {
        let unreadable = output::count(found.unreadable, "place", "places");
        output::note(&format!("{unreadable} could not be looked into; run as root"));
    }
    if found.files.is_empty() {
        output::complain(&format!(
            "key: none of {looked_at} gives {key}. Try: other directories, such as --search / "
        ));
    } else {
        output::note(&format!("{} of {looked_at}", found.files.len()));
    }
    Ok(())
}

fn search(key: Key, directories: &[PathBuf]) -> Search {
    let spinner = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {pos} files, {msg}") {
        spinner.set_style(style);
    }
    let mut search = Search::default();
    for directory in directories {
        for entry in WalkDir::new(directory) {
            // ftok follows links, so a link's own inode does not count.
            let meta = entry.as_ref().ok().and_then(|entry| std::fs::metadata(entry.path()).ok());
            let (Ok(entry), Some(meta)) = (entry, meta) else {
                search.unreadable += 1;
                continue;
            };
            search.looked_at += 1;
            if search.looked_at.is_multiple_of(1000) {
                spinner.set_position(search.looked_at);
                spinner.set_message(shortened(entry.path()));
            }
            if gives(key, meta.dev(), meta.ino()) {
                search.files.push(entry.into_path());
            }
        }
    }
    spinner.finish_and_clear();
    search
}

fn shortened(path: &Path) -> String {
    output::printable(&path.parent().unwrap_or(path).to_string_lossy().chars().take(60).collect::<String>())
}

fn gives(key: Key, device: u64, inode: u64) -> bool {
    Key::from_parts(device, inode, key.parts().2) == key
}
