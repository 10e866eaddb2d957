//! Producer and consumer: one writes the letters and waits, the other prints them and answers with a star.
//!
//! ```text
//! alphabet produce &
//! alphabet consume
//! ```
//!
//! Nothing tells the consumer that the letters are all there, nor the producer that the consumer has died:
//! started too early the one prints nothing, and started alone the other waits for ever.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use coseg_examples::bytes::string;
use coseg_examples::cli::{Args, Outcome, run};
use coseg_sysv::{Backend, Key, Segment};

const USAGE: &str = "usage: alphabet [--backend kernel|user] produce | alphabet […] consume";

const KEY: Key = Key::new(5678);
const LETTERS: &[u8; 27] = b"abcdefghijklmnopqrstuvwxyz\0";
const ANSWER: u8 = b'*';
const PAUSE: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    run(USAGE, &[], program)
}

fn program(args: &Args) -> Outcome {
    let backend = args.backend()?;
    match args.words()[..] {
        ["produce"] => produce(&backend),
        ["consume"] => consume(&backend),
        _ => args.misused(),
    }
}

fn produce(backend: &Arc<dyn Backend>) -> Outcome {
    let segment = Segment::options(KEY).size(LETTERS.len()).open_or_create(backend)?;
    let memory = segment.attach()?;
    memory.write(0, LETTERS)?;
    writeln!(std::io::stdout(), "waiting for the consumer")?;
    let mut first = [0];
    while first[0] != ANSWER {
        sleep(PAUSE);
        memory.read(0, &mut first)?;
    }
    segment.remove()?;
    writeln!(std::io::stdout(), "answered")?;
    Ok(())
}

fn consume(backend: &Arc<dyn Backend>) -> Outcome {
    let memory = Segment::options(KEY).size(LETTERS.len()).open(backend)?.attach()?;
    let mut letters = [0; LETTERS.len()];
    memory.read(0, &mut letters)?;
    let mut out = std::io::stdout().lock();
    out.write_all(string(&letters))?;
    out.write_all(b"\n")?;
    memory.write(0, &[ANSWER])?;
    Ok(())
}
