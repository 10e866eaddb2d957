//! Random sequences on the kernel and on the user backend, compared after every step.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use coseg_conformance::differential::generate::Taste;
use coseg_conformance::differential::step::{Step, Verb};
use coseg_conformance::differential::{Duel, keep, kept};
use coseg_conformance::lab::{Column, is_root};

const TASTE: Taste = Taste { steps: (6, 30), tick_one_in: 100 };
const SEED: u64 = 1;
const SEQUENCES: u64 = 400;

fn may_run() -> bool {
    if !is_root() {
        eprintln!("skipped: needs root, for other users and an IPC namespace of its own");
    }
    is_root()
}

#[test]
fn user_does_as_the_kernel() {
    if !may_run() {
        return;
    }
    let mut duel = Duel::new(Column::User);
    for (name, sequence) in kept().unwrap() {
        if let Err(difference) = duel.fight(&sequence) {
            panic!("{name}: {difference}\n{sequence}");
        }
    }
    if let Some((n, finding)) = duel.run(SEED, 0, SEQUENCES, 1, TASTE) {
        let path = keep(&format!("seed-{SEED}-{n}"), &finding).unwrap();
        panic!("seed {SEED} sequence {n}, kept as {}:\n{finding}", path.display());
    }
    println!("{}", duel.tally);
}

#[test]
fn kernel_does_as_the_kernel() {
    if !may_run() {
        return;
    }
    let mut duel = Duel::new(Column::Kernel);
    let found = duel.run(SEED, 0, SEQUENCES, 1, TASTE);
    assert!(found.is_none(), "{}", found.unwrap().1);
    assert!(duel.tally.masked.is_empty(), "{}", duel.tally);
    println!("{}", duel.tally);
}

/// A comparison that finds nothing proves nothing until it has found something.
#[test]
fn a_seeded_fault_is_found_and_made_short() {
    if !may_run() {
        return;
    }
    let mut errno = Duel::with_fault(|step: &Step, outcome| {
        if step.verb == Verb::Dt && outcome.errno == libc::EINVAL {
            outcome.errno = libc::EFAULT;
        }
    });
    let (_, finding) = errno.run(SEED, 0, SEQUENCES, 1, TASTE).expect("a wrong errno is noticed");
    assert_eq!(finding.sequence.steps.len(), 1, "{finding}");
    assert_eq!(finding.sequence.to_string().parse(), Ok(finding.sequence.clone()));

    let mut count = Duel::with_fault(|_, outcome| {
        if let Some((_, stat)) = outcome.segments.first_mut().filter(|(_, stat)| stat.nattch == 2) {
            stat.nattch = 1;
        }
    });
    let (_, finding) = count.run(SEED, 0, SEQUENCES, 1, TASTE).expect("a lost attach is noticed");
    assert!(finding.sequence.steps.len() <= 3, "{finding}");
}
