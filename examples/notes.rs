//! A note that outlives its writer: a string in a segment of 1 KiB, found by the key of a file.
//!
//! ```text
//! notes write milk and bread
//! notes read
//! notes remove
//! ```

use std::io::Write;
use std::process::ExitCode;

use coseg_examples::bytes::string;
use coseg_examples::cli::{Args, Outcome, run};
use coseg_sysv::{Key, Segment};

const USAGE: &str =
    "usage: notes [--backend kernel|user] [--path FILE] write TEXT… | notes […] read | notes […] remove";

const SIZE_BYTES: usize = 1024;

fn main() -> ExitCode {
    run(USAGE, &["path"], program)
}

fn program(args: &Args) -> Outcome {
    let backend = args.backend()?;
    let note = Segment::options(Key::ftok(args.option("path").unwrap_or("."), b'n')?);
    match args.words()[..] {
        ["write", ref words @ ..] if !words.is_empty() => {
            let text = terminated(&words.join(" "))?;
            note.size(SIZE_BYTES).open_or_create(&backend)?.attach()?.write(0, &text)?;
        }
        ["read"] => {
            let mut bytes = [0; SIZE_BYTES];
            note.size(SIZE_BYTES).open(&backend)?.attach_read_only()?.read(0, &mut bytes)?;
            let mut out = std::io::stdout().lock();
            out.write_all(string(&bytes))?;
            out.write_all(b"\n")?;
        }
        ["remove"] => note.open(&backend)?.remove()?,
        _ => return args.misused(),
    }
    Ok(())
}

/// The text with C's NUL after it, if both fit.
fn terminated(text: &str) -> Outcome<Vec<u8>> {
    let room = SIZE_BYTES - 1;
    if text.len() > room {
        return Err(format!("the note has {} bytes, there is room for {room}", text.len()).into());
    }
    Ok([text.as_bytes(), b"\0"].concat())
}
