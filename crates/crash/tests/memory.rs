//! A toy in shared memory, where the state can change at any instruction.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail like a test")]

mod toy;

use std::fs;
use std::time::Duration;

use coseg_crash::{Changes, Place, Report, Scratch, Trial, role, survive};
use toy::memory::{self, Page};
use toy::play;

const LIMIT: Duration = Duration::from_secs(10);

#[test]
fn player() {
    if let Some(role) = role() {
        memory::play(&role, &toy::world());
    }
}

fn trial<'a>(name: &'a str, update: &'a str, recover: &'a str) -> Trial<'a, Scratch> {
    let prepared = || {
        let world = Scratch::new()?;
        memory::prepare(world.path())?;
        Ok(world)
    };
    Trial::new(name, prepared, move |world| play("player", update, world))
        .observe(Changes::Anywhere, |world, seen| {
            seen.stable(&fs::read(world.path().join("page"))?);
            Ok(())
        })
        .check(move |world, death| {
            survive(play("player", recover, world), LIMIT)?;
            let value = Page::map(world.path()).agreed()?;
            if death.operation_completed() && value != memory::NEW {
                return Err(format!("returned, and yet the value is {value}"));
            }
            Ok(())
        })
        .recovery(move |world| play("player", recover, world))
}

fn held(trial: &Trial<'_, Scratch>) -> Report {
    let report = trial.run().unwrap();
    eprintln!("{report}");
    report
}

#[test]
fn a_redo_log_survives_every_kill() {
    let report = held(&trial("memory", "update", "recover").random_kills(40, 2));
    report.assert_whole();
    // Nothing; value; committed; a; b; cleared.
    assert_eq!(report.states, 6, "{report}");
    assert_eq!(report.states_killed_in, 6, "{report}");
    assert!(report.nested_kills > report.kills, "{report}");
    assert!(report.nested_repeats > 0, "where one has applied `a`, the next comes too: {report}");
}

#[test]
fn no_log_falls_to_a_single_kill_between_two_stores() {
    let report = held(&trial("memory, no log", "update without log", "recover"));
    assert!(report.failures.iter().any(|found| found.at().contains("between instructions")), "{report}");
    assert!(report.failures.iter().any(|found| !found.is_nested()));
}

#[test]
fn clearing_before_applying_falls_only_to_a_nested_kill() {
    let report = held(&trial("memory, clears early", "update", "recover, clearing early"));
    assert!(!report.is_whole());
    assert!(report.failures.iter().all(|found| found.is_nested()), "{:?}", report.failures);
}

#[test]
fn a_check_is_told_the_point() {
    let found = std::cell::RefCell::new(Vec::new());
    let report = Trial::new("points", Scratch::new, |world| {
        memory::prepare(world.path()).unwrap();
        play("player", "update", world)
    })
    .observe(Changes::Anywhere, |world, seen| {
        seen.stable(&fs::read(world.path().join("page"))?);
        Ok(())
    })
    .check(|_, death| {
        found.borrow_mut().extend(death.point().map(|point| (point.place(), point.state())));
        Ok(())
    })
    .run()
    .unwrap();
    report.assert_whole();
    let found = found.into_inner();
    assert_eq!(found.first(), Some(&(Place::Begin, 0)));
    assert_eq!(found.last(), Some(&(Place::End, 5)));
    let between = found.iter().filter(|(place, _)| *place == Place::Instruction).count();
    assert_eq!(between, 5, "{found:?}");
}

/// Prints how many instructions a second are stepped; run it with `--ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn speed() {
    let prepared = || {
        let world = Scratch::new()?;
        memory::prepare(world.path())?;
        Ok(world)
    };
    for changes in [Changes::OnSyscall, Changes::Anywhere] {
        let report = Trial::new(format!("{changes:?}"), prepared, |world| play("player", "count", world))
            .observe(changes, |world, seen| {
                seen.stable(&fs::read(world.path().join("page"))?);
                Ok(())
            })
            .check(|_, _| Ok(()))
            .run()
            .unwrap();
        eprintln!("{report}");
    }
}
