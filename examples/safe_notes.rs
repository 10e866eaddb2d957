//! A note that outlives its writer, as a typed region: text that cannot overflow, and who wrote it.
//!
//! ```text
//! safe-notes write milk and bread
//! safe-notes read
//! safe-notes remove
//! ```
//!
//! The raw one trusts whoever writes to stay within 1 KiB and to end with a zero byte. This one is read whole, old
//! or new, also while it is written, and a program that expects another layout is told so.

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use coseg::{Key, Region, Shared, Text};
use coseg_examples::cli::{Advised, Args, Outcome, run};

const USAGE: &str = "usage: safe-notes [--backend kernel|user] [--path FILE] [--author NAME] write TEXT… | \
                     safe-notes […] read | safe-notes […] remove";

const ROOM: usize = 1024;

/// A note, and where it comes from.
#[derive(Shared, Clone, Copy)]
#[repr(C)]
struct Note {
    text: Text<ROOM>,
    /// Who wrote it.
    author: Text<32>,
    pid: u32,
    uid: u32,
    /// When, since 1970.
    #[shared(unit = "s")]
    written_unix_s: u64,
}

fn main() -> ExitCode {
    run(USAGE, &["path", "author"], program)
}

fn program(args: &Args) -> Outcome {
    let backend = args.backend()?;
    let key = Key::ftok(args.option("path").unwrap_or("."), b'N')?;
    let note = Region::<Note>::at(key).backend(&backend);
    let absent = Advised::of("`safe-notes write` leaves a note");
    match args.words()[..] {
        ["write", ref words @ ..] if !words.is_empty() => {
            let written = written(&words.join(" "), args.option("author"))?;
            note.name("note").open_or_create(|| written)?.set(written)?;
        }
        ["read"] => {
            let note = note.observe().map_err(absent)?;
            let (Note { text, author, pid, uid, written_unix_s }, change_count) = note.read_stamped();
            let mut out = std::io::stdout().lock();
            writeln!(out, "{text}")?;
            let ago = since_1970().saturating_sub(Duration::from_secs(written_unix_s)).as_secs();
            let by = format!("{author} (uid {uid}, pid {pid})");
            writeln!(out, "written by {by} {ago} s ago, change {change_count}")?;
        }
        ["remove"] => note.open().map_err(absent)?.remove()?,
        _ => return args.misused(),
    }
    Ok(())
}

fn written(text: &str, author: Option<&str>) -> Outcome<Note> {
    let Some(text) = Text::fitting(text) else {
        let fact = format!("it has {} bytes, there is room for {ROOM}: write a shorter one", text.len());
        return Err(format!("write the note: {fact}").into());
    };
    let user = std::env::var("USER").unwrap_or_else(|_| "somebody".to_owned());
    Ok(Note {
        text,
        author: author.unwrap_or(&user).into(),
        pid: std::process::id(),
        uid: coseg_sysv::caller::effective_uid(),
        written_unix_s: since_1970().as_secs(),
    })
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
