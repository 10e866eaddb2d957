//! Producer and consumer, as a typed region: each sleeps until the other has done its part, and no longer.
//!
//! ```text
//! safe-alphabet consume &
//! safe-alphabet produce
//! ```
//!
//! The order does not matter: who comes first makes the region and waits. Nobody looks at the clock: the change
//! itself wakes who waits for it. And nobody waits for ever: who has waited long enough says for whom, and
//! takes the region away.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use coseg::{Cell, Key, Region, Text};
use coseg_examples::cli::{Args, Outcome, run};

const USAGE: &str =
    "usage: safe-alphabet [--backend kernel|user] [--timeout SECONDS] produce | safe-alphabet […] consume";

const KEY: Key = Key::new(5679);
const LETTERS: &str = "abcdefghijklmnopqrstuvwxyz";
const ANSWER: u8 = b'*';

/// What passes between the two.
#[derive(Region)]
struct Letterbox {
    /// Written by the producer.
    letters: Cell<Text<26>>,
    /// `*`, written by the consumer.
    answer: Cell<u8>,
}

fn main() -> ExitCode {
    run(USAGE, &["timeout"], program)
}

fn program(args: &Args) -> Outcome {
    let timeout = Some(args.duration("timeout", Duration::from_secs(60))?);
    let name = match args.words()[..] {
        ["produce"] => "producer",
        ["consume"] => "consumer",
        _ => return args.misused(),
    };
    let play = if name == "producer" { produce } else { consume };
    let letterbox = Region::<Letterbox>::at(KEY).backend(&args.backend()?).name("alphabet").participant(name);
    let letterbox = letterbox.open_or_create(LetterboxInitial::default)?;
    play(&letterbox, timeout).inspect_err(|_| {
        // Whoever comes next shall not find half a conversation; it may be gone already.
        let _ = letterbox.remove();
    })
}

fn produce(letterbox: &Region<Letterbox>, timeout: Option<Duration>) -> Outcome {
    // Both at once, so that no answer to a producer who was killed passes for one to this.
    letterbox.transaction(|change| {
        change.set(&letterbox.letters, LETTERS.into())?;
        change.set(&letterbox.answer, 0)
    })?;
    writeln!(std::io::stdout(), "waiting for the consumer")?;
    letterbox
        .answer
        .wait_while(|&answer| answer != ANSWER, timeout)
        .map_err(|error| format!("{error}: start `safe-alphabet consume`"))?;
    letterbox.remove()?;
    writeln!(std::io::stdout(), "answered")?;
    Ok(())
}

fn consume(letterbox: &Region<Letterbox>, timeout: Option<Duration>) -> Outcome {
    let letters = letterbox
        .letters
        .wait_while(|letters| letters.as_bytes().is_empty(), timeout)
        .map_err(|error| format!("{error}: start `safe-alphabet produce`"))?;
    writeln!(std::io::stdout(), "{letters}")?;
    letterbox.answer.set(ANSWER)?;
    Ok(())
}
