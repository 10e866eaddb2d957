//! The judge is right about histories that are known: each rule finds what breaks it, and nothing else.

use std::collections::HashMap;
use std::time::Duration;

use super::{judge, told};
use crate::hall::{Part, number};
use crate::nemesis::{History, Life};
use crate::record::{Deed, Outcome, Record};

/// Operations one after the other, each of ten ticks, by two lives; the second is killed at the end.
struct Story(History);

const SENDER: usize = 0;
const RECEIVER: usize = 1;
const OTHER: usize = 2;

impl Story {
    fn new() -> Story {
        let lives = (0..3).map(|worker| Life { worker, ..Life::default() }).collect();
        let (records, failures) = (Vec::new(), Vec::new());
        let (done, ticks) = (HashMap::new(), (Vec::new(), 0));
        Story(History { begin: 0, lives, records, done, done_count: 0, ticks, failures })
    }

    fn now(&self) -> u64 {
        20 * (self.0.records.len() as u64 + 1)
    }

    fn add(mut self, life: usize, record: Record) -> Story {
        let now = self.now();
        self.0.records.push(Record { life, begin: now, end: Some(now + 10), ..record });
        self
    }

    fn send(self, part: Part, count: u64) -> Story {
        let what = number(SENDER, part, count);
        self.add(SENDER, Record { what, value: 1, ..Record::new(Deed::Send, part) })
    }

    fn receive_by(self, life: usize, deed: Deed, part: Part, count: u64) -> Story {
        let found = [number(SENDER, part, count), 0, 0, 0];
        self.add(life, Record { found, ..Record::new(deed, part) })
    }

    fn receive(self, part: Part, count: u64) -> Story {
        self.receive_by(RECEIVER, Deed::Receive, part, count)
    }

    fn find_nothing(self, part: Part) -> Story {
        self.add(RECEIVER, Record { outcome: Outcome::Nothing, ..Record::new(Deed::Receive, part) })
    }

    /// Changes the last record.
    fn but(mut self, change: impl FnOnce(&mut Record)) -> Story {
        change(self.0.records.last_mut().unwrap());
        self
    }

    /// The last one was killed in it.
    fn killed(mut self) -> Story {
        let now = self.now();
        let last = self.0.records.last_mut().unwrap();
        (last.end, last.found) = (None, [0; 4]);
        self.0.lives[last.life].death = Some(now - 5);
        self
    }

    fn in_hand(self, part: Part, count: u64) -> Story {
        self.but(|record| record.seen = number(SENDER, part, count)).killed()
    }

    #[track_caller]
    fn holds(self) {
        let found = judge(&self.0);
        assert!(found.is_empty(), "{}", told(&self.0, &found[0]));
    }

    #[track_caller]
    fn breaks(self, rule: &str) {
        let found = judge(&self.0);
        let rules: Vec<&str> = found.iter().map(|violation| violation.rule).collect();
        assert!(rules.contains(&rule), "{rules:?}");
        assert!(told(&self.0, &found[0]).lines().count() < 50);
    }
}

const EACH: [Part; 3] = [Part::Queue, Part::Line, Part::Film];

#[test]
fn what_is_sent_and_received_is_right() {
    for part in EACH {
        Story::new().send(part, 1).send(part, 2).receive(part, 1).receive(part, 2).find_nothing(part).holds();
    }
}

#[test]
fn lost() {
    for part in EACH {
        Story::new().send(part, 1).send(part, 2).receive(part, 2).breaks("nothing is lost");
        Story::new().send(part, 1).breaks("nothing is lost");
        // One who was killed may have had one, and not two.
        let blind = |story: Story| story.receive(part, 1).killed();
        blind(Story::new().send(part, 1)).holds();
        blind(Story::new().send(part, 1).send(part, 2)).breaks("nothing is lost");
        blind(Story::new()).send(part, 1).breaks("nothing is lost");
    }
}

#[test]
fn lost_in_hand() {
    for part in [Part::Queue, Part::Line] {
        let held = |story: Story| story.receive_by(RECEIVER, Deed::Hold, part, 1).in_hand(part, 1);
        held(Story::new().send(part, 1)).breaks("nothing is lost");
        let again = |story: Story| story.receive_by(OTHER, Deed::Receive, part, 1);
        again(held(Story::new().send(part, 1))).but(|record| record.is_repeated = true).holds();
        again(held(Story::new().send(part, 1))).breaks("redelivered");
        let settled = held(Story::new().send(part, 1)).but(|record| record.is_settling = true);
        settled.holds();
    }
}

#[test]
fn twice() {
    Story::new().send(Part::Queue, 1).receive(Part::Queue, 1).receive(Part::Queue, 1).breaks("once");
    let again = Story::new().send(Part::Queue, 1).receive(Part::Queue, 1).receive(Part::Queue, 1);
    again.but(|record| record.is_repeated = true).breaks("once");
    for part in [Part::Line, Part::Film] {
        Story::new().send(part, 1).receive(part, 1).receive(part, 1).breaks("once, and in order");
    }
    let shown = |part| Story::new().send(part, 1).receive_by(RECEIVER, Deed::Show, part, 1);
    for part in [Part::Queue, Part::Line] {
        shown(part).receive(part, 1).breaks("redelivered");
        shown(part).receive(part, 1).but(|record| record.is_repeated = true).holds();
    }
}

#[test]
fn wrong_order() {
    let swapped = |part| Story::new().send(part, 1).send(part, 2).receive(part, 2).receive(part, 1);
    swapped(Part::Queue).breaks("in the order of their sender");
    swapped(Part::Line).breaks("once, and in order");
    swapped(Part::Film).breaks("once, and in order");
    // Of one that was held before, nothing is promised.
    let early = Story::new().send(Part::Queue, 1).receive_by(RECEIVER, Deed::Show, Part::Queue, 1);
    let late = early.send(Part::Queue, 2).receive_by(OTHER, Deed::Receive, Part::Queue, 2);
    late.receive(Part::Queue, 1).but(|record| record.is_repeated = true).holds();
}

#[test]
fn torn_or_of_nobody() {
    let torn = Story::new().send(Part::Line, 1).receive(Part::Line, 1);
    torn.but(|record| record.outcome = Outcome::Torn).breaks("messages are whole");
    for part in [Part::Queue, Part::Line, Part::Film] {
        Story::new().receive(part, 1).breaks("what is received was sent");
        Story::new().receive(part, 1).send(part, 1).breaks("what is received was sent");
        let refused = Story::new().send(part, 1).but(|record| record.outcome = Outcome::TimedOut);
        refused.receive(part, 1).breaks("what is received was sent");
    }
}

#[test]
fn not_empty() {
    for part in EACH {
        Story::new().send(part, 1).find_nothing(part).receive(part, 1).breaks("empty is empty");
    }
}

#[test]
fn overwritten_in_hand() {
    let part = Part::Ticks;
    // Held where the first was, and read when the third was there.
    let held =
        news(part).receive_by(RECEIVER, Deed::Hold, part, 3).but(|record| record.outcome = Outcome::Other);
    let mut story = get(held, RECEIVER, part, &[2, 3]);
    story.0.ticks = ([1, 2, 3].map(|count| number(SENDER, part, count)).to_vec(), 0);
    story.holds();
}

fn come(story: Story, life: usize, part: Part) -> Story {
    story.add(life, Record::new(Deed::TakeReceiver, part))
}

/// Two receivers, and three messages.
fn news(part: Part) -> Story {
    let story = come(come(Story::new(), RECEIVER, part), OTHER, part);
    story.send(part, 1).send(part, 2).send(part, 3)
}

fn get(mut story: Story, life: usize, part: Part, counts: &[u64]) -> Story {
    for &count in counts {
        story = story.receive_by(life, Deed::Receive, part, count);
    }
    story
}

#[test]
fn news_reach_all() {
    let part = Part::News;
    let both =
        |first: &[u64], second: &[u64]| get(get(news(part), RECEIVER, part, first), OTHER, part, second);
    both(&[1, 2, 3], &[1, 2]).holds();
    both(&[1, 3], &[]).breaks("nothing is lost");
    both(&[1, 2, 3], &[1, 3]).breaks("one order, and nothing lost");
    both(&[1, 1], &[]).breaks("once, and in the order of their sender");
    both(&[2, 1], &[]).breaks("once, and in the order of their sender");
    both(&[1], &[]).find_nothing(part).breaks("empty is empty");
    both(&[1, 2, 3], &[]).find_nothing(part).holds();
    let late = come(Story::new().send(part, 1), RECEIVER, part);
    get(late, RECEIVER, part, &[1]).breaks("what is received was sent");
}

#[test]
fn news_of_two_come_in_one_order() {
    let part = Part::Ticks;
    // Sent at the same time, by two.
    let mut story = come(come(Story::new(), RECEIVER, part), OTHER, part).send(part, 1).send(part, 2);
    let other = number(OTHER, part, 7);
    let (begin, end) = (story.0.records[2].begin, story.0.records[3].end);
    story.0.records.push(Record { life: OTHER, begin, end, what: other, ..story.0.records[2].clone() });
    story.0.ticks = (vec![other, number(SENDER, part, 1), number(SENDER, part, 2)], 0);
    let first = get(story, RECEIVER, part, &[1]);
    first
        .receive_by(RECEIVER, Deed::Receive, part, 0)
        .but(|record| record.found[0] = other)
        .breaks("one order");
}

#[test]
fn whoever_misses_some_is_told_how_many() {
    let part = Part::Ticks;
    let rule = "who misses some is told how many";
    let story = |told| {
        let mut story = get(news(part), RECEIVER, part, &[1, 3]).but(|record| record.missed = told);
        story.0.ticks = ([1, 2, 3].map(|count| number(SENDER, part, count)).to_vec(), 0);
        story
    };
    story(1).holds();
    story(0).breaks(rule);
    story(2).breaks(rule);
    let mut archive = news(part);
    archive.0.ticks = (vec![number(SENDER, part, 3)], 1);
    archive.breaks(rule);
}

#[test]
fn done_exactly_once() {
    let part = Part::Jobs;
    let story = |count| {
        let mut story = Story::new().send(part, 1).receive_by(RECEIVER, Deed::Commit, part, 1);
        story.0.done.insert(number(SENDER, part, 1), count);
        story.0.done_count = count;
        story
    };
    story(1).holds();
    story(0).breaks("exactly once");
    story(2).breaks("exactly once");
    let mut half = story(1);
    half.0.done_count = 0;
    half.breaks("all of a transaction or nothing");
    // Taken back, and never done.
    let back = Story::new().send(part, 1).receive_by(RECEIVER, Deed::RollBack, part, 1);
    back.breaks("nothing is lost");
}

#[test]
fn late() {
    let timed = |took_ms: u64| {
        Story::new().find_nothing(Part::Queue).but(|record| {
            record.timeout = Some(Duration::from_millis(100));
            record.end = Some(record.begin + took_ms * 1_000_000);
        })
    };
    timed(349).holds();
    timed(351).breaks("nobody waits for longer than he said");
    timed(400).but(|record| record.waited_ns = 100_000_000).holds();
    let mut stopped = timed(400);
    stopped.0.lives[RECEIVER].stops.push((0, 100_000_000));
    stopped.holds();
}

fn at_key(story: Story, deed: Deed, value: u64, found: u64) -> Story {
    story.add(OTHER, Record { value, found: [found, 0, 0, 0], ..Record::new(deed, Part::Map) })
}

#[test]
fn a_map_is_as_if_one_after_the_other() {
    let put = || at_key(Story::new(), Deed::Put, 5, 0);
    at_key(at_key(put(), Deed::Put, 6, 5), Deed::Get, 0, 6).holds();
    at_key(at_key(put(), Deed::Put, 6, 5), Deed::Get, 0, 5).breaks("as if one after the other");
    at_key(put(), Deed::Remove, 0, 0).breaks("as if one after the other");
    at_key(put(), Deed::Insert, 6, 0).breaks("as if one after the other");
    at_key(put(), Deed::Insert, 6, 0).but(|record| record.outcome = Outcome::Other).holds();
    let swap = |expected| at_key(put(), Deed::Swap, 6, 0).but(|record| record.expected = expected);
    swap(5).holds();
    swap(4).breaks("as if one after the other");
}
