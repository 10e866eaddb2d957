//! The first program of every tutorial: one process writes the alphabet, another reads it and answers `*`.

use coseg_sysv::Attachment;
use schemars::JsonSchema;
use serde::Serialize;

use super::child::{clock, say, wait_until};
use super::stage::Stage;
use crate::failure::{Failure, Result};
use crate::stop::Stop;

const SIZE_BYTES: usize = 27;
const LETTERS: &[u8; 26] = b"abcdefghijklmnopqrstuvwxyz";
const ANSWER: u8 = b'*';

#[derive(Debug, JsonSchema, Serialize)]
pub(super) struct Alphabet {
    backend: &'static str,
    segment_id: i32,
    size_bytes: usize,
    producer_pid: u32,
    consumer_pid: u32,
    attachment_count: u64,
    read: String,
    answer: char,
    answer_seen_after_us: f64,
}

/// The producer's part.
pub(super) fn produce(memory: &Attachment) -> Result<()> {
    memory.write(0, LETTERS)?;
    say("written")?;
    wait_until(memory, |memory| first(memory).map(|byte| byte == ANSWER))?;
    say(&clock().to_string())
}

/// The consumer's part.
pub(super) fn consume(memory: &Attachment) -> Result<()> {
    let mut text = [0; SIZE_BYTES];
    memory.read(0, &mut text)?;
    let length = text.iter().position(|&byte| byte == 0).unwrap_or(SIZE_BYTES);
    say(&String::from_utf8_lossy(&text[..length]))?;
    let now = clock();
    memory.write(0, &[ANSWER])?;
    say(&now.to_string())
}

fn first(memory: &Attachment) -> Result<u8> {
    let mut byte = [0];
    memory.read(0, &mut byte)?;
    Ok(byte[0])
}

pub(super) fn play(stage: &mut Stage, stop: &Stop) -> Result<Alphabet> {
    let (id, memory) = stage.segment(SIZE_BYTES)?;
    let mut producer = stage.child("producer", id, 0)?;
    let mut producer_says = producer.speech()?;
    let heard = |lines: &mut dyn Iterator<Item = std::io::Result<String>>, who: &str| {
        stop.check()?;
        let line = lines.next().transpose()?;
        line.ok_or_else(|| Failure::error(format!("demo: the {who} ended without a word")))
    };
    heard(&mut producer_says, "producer")?;
    let mut consumer = stage.child("consumer", id, 0)?;
    let mut consumer_says = consumer.speech()?;
    let read = heard(&mut consumer_says, "consumer")?;
    // The producer waits for the answer, so it and this process are attached for certain.
    let attachment_count = stage.attachment_count(id)?;
    let answered = heard(&mut consumer_says, "consumer")?;
    let noticed = heard(&mut producer_says, "producer")?;
    let (producer_pid, consumer_pid) = (producer.pid(), consumer.pid());
    producer.join()?;
    consumer.join()?;
    let answer = char::from(first(&memory)?);
    memory.detach()?;
    Ok(Alphabet {
        backend: stage.name,
        segment_id: id.raw(),
        size_bytes: SIZE_BYTES,
        producer_pid,
        consumer_pid,
        attachment_count,
        read,
        answer,
        answer_seen_after_us: microseconds(&answered, &noticed),
    })
}

#[allow(clippy::cast_precision_loss, reason = "a difference of microseconds")]
fn microseconds(from: &str, to: &str) -> f64 {
    let number = |text: &str| text.parse::<i128>().unwrap_or(0);
    (number(to) - number(from)) as f64 / 1000.0
}

impl Alphabet {
    pub(super) fn lines(&self) -> Vec<String> {
        vec![
            format!("producer  pid {:<7} wrote   abcdefghijklmnopqrstuvwxyz", self.producer_pid),
            format!("consumer  pid {:<7} read    {}", self.consumer_pid, self.read),
            format!(
                "          and answered with {}, which the producer saw {:.0} µs later",
                self.answer, self.answer_seen_after_us
            ),
        ]
    }

    /// Whether the consumer read what the producer wrote, and the producer got its answer.
    pub(super) fn is_whole(&self) -> bool {
        self.read.as_bytes() == LETTERS && self.answer == char::from(ANSWER)
    }
}
