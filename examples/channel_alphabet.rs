//! Producer and consumer over two channels: the letters go one way, the answer the other.
//!
//! ```text
//! channel-alphabet consume &
//! channel-alphabet produce
//! ```
//!
//! The order does not matter: what is sent stays in the channel until it is received, whoever has ended meanwhile.
//! Whoever waits is told if the other dies, and after a while goes away himself, with the region.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use coseg::{Channel, Key, OneToOne, Receiver, Refusal, Region, Sender, Text};
use coseg_examples::cli::{Args, Outcome, run};

const USAGE: &str = "\
usage: channel-alphabet [--backend kernel|user] [--timeout SECONDS] produce | channel-alphabet […] consume";

const KEY: Key = Key::new(5680);
const LETTERS: &str = "abcdefghijklmnopqrstuvwxyz";
const ANSWER: u8 = b'*';

/// What passes between the two.
#[derive(Region)]
struct Letterbox {
    /// From the producer.
    letters: Channel<Text<26>, OneToOne<1>>,
    /// `*`, from the consumer.
    answers: Channel<u8, OneToOne<1>>,
}

fn main() -> ExitCode {
    run(USAGE, &["timeout"], program)
}

fn program(args: &Args) -> Outcome {
    let timeout = args.duration("timeout", Duration::from_secs(60))?;
    let name = match args.words()[..] {
        ["produce"] => "producer",
        ["consume"] => "consumer",
        _ => return args.misused(),
    };
    let letterbox = Region::<Letterbox>::at(KEY).backend(&args.backend()?).name("letters").participant(name);
    let letterbox = letterbox.open_or_create(LetterboxInitial::default)?;
    let result = if name == "producer" {
        produce(letterbox.letters.sender()?, letterbox.answers.receiver()?, timeout)
    } else {
        consume(letterbox.letters.receiver()?, letterbox.answers.sender()?, timeout)
    };
    if name == "producer" || result.is_err() {
        // Whoever comes next shall not find half a conversation; it may be gone already.
        let _ = letterbox.remove();
    }
    result
}

fn produce(
    mut letters: Sender<Text<26>, OneToOne<1>>,
    mut answers: Receiver<u8, OneToOne<1>>,
    timeout: Duration,
) -> Outcome {
    // An answer to a producer who was killed is not for this one.
    answers.try_iter().for_each(drop);
    letters.send_timeout(&LETTERS.into(), timeout).map_err(alone("send the letters", "consume"))?;
    writeln!(std::io::stdout(), "waiting for the consumer")?;
    let answer = answers.receive_timeout(timeout).map_err(alone("receive the answer", "consume"))?;
    if answer != ANSWER {
        return Err(format!("receive the answer: it is `{}`, not `*`", char::from(answer)).into());
    }
    writeln!(std::io::stdout(), "answered")?;
    Ok(())
}

fn consume(
    mut letters: Receiver<Text<26>, OneToOne<1>>,
    mut answers: Sender<u8, OneToOne<1>>,
    timeout: Duration,
) -> Outcome {
    let text = letters.receive_timeout(timeout).map_err(alone("receive the letters", "produce"))?;
    writeln!(std::io::stdout(), "{text}")?;
    answers.send_timeout(&ANSWER, timeout).map_err(alone("send the answer", "produce"))?;
    Ok(())
}

/// What to do about one who does not come, or died.
fn alone(doing: &'static str, other: &'static str) -> impl Fn(Refusal) -> String {
    move |refusal| format!("{doing}: {refusal}: start `channel-alphabet {other}`")
}
