//! A toy registry of two files that must be equal, updated through a redo log, with and without mistakes.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail like a test")]

mod toy;

use std::time::Duration;

use coseg_crash::{Changes, Fault, Report, Scratch, Trial, role, survive};
use toy::files::{self, Mistake};
use toy::play;

const LIMIT: Duration = Duration::from_secs(10);

#[test]
fn player() {
    if let Some(role) = role() {
        files::play(&role, &toy::world());
    }
}

/// A trial of one update by a player that makes `mistake`, recovered by a survivor that makes it too.
fn trial(name: &str, mistake: Mistake) -> Trial<'_, Scratch> {
    let prepared = || {
        let world = Scratch::new()?;
        files::prepare(world.path())?;
        Ok(world)
    };
    Trial::new(name, prepared, move |world| play("player", mistake.update(), world))
        .observe(Changes::OnSyscall, |world, seen| seen.directory(world.path(), |_, _| {}))
        .check(move |world, death| {
            survive(play("player", mistake.recover(), world), LIMIT)?;
            let value = files::agreed(world.path())?;
            if death.operation_completed() && value != files::NEW {
                return Err(format!("returned, and yet the value is {value}"));
            }
            Ok(())
        })
        .recovery(move |world| play("player", mistake.recover(), world))
}

fn held(trial: &Trial<'_, Scratch>) -> Report {
    let report = trial.run().unwrap();
    eprintln!("{report}");
    report.failures.iter().for_each(|found| eprintln!("  {found}"));
    report
}

#[test]
fn a_redo_log_survives_every_kill() {
    let report = held(&trial("redo log", Mistake::None).random_kills(40, 1));
    report.assert_whole();
    assert!(report.states >= 5, "{report}");
    assert!(report.nested_kills > report.kills, "{report}");
    assert_eq!(report.random_kills + report.random_misses, 40);
}

#[test]
fn no_log_falls_to_a_single_kill() {
    let report = held(&trial("no log", Mistake::NoLog));
    assert!(report.failures.iter().any(|found| !found.is_nested() && found.fault() == Fault::Check));
}

#[test]
fn clearing_before_applying_falls_only_to_a_nested_kill() {
    let report = held(&trial("clears early", Mistake::ClearsEarly));
    assert!(!report.is_whole());
    assert!(report.failures.iter().all(|found| found.is_nested() && found.fault() == Fault::Check));
}

#[test]
fn acknowledging_before_writing_falls_to_a_kill_at_the_end() {
    let report = held(&trial("forgets", Mistake::ForgetsToWrite));
    assert!(report.failures.iter().any(|found| found.why().contains("returned, and yet")));
}

#[test]
fn waiters_go_on_when_the_holder_dies() {
    let report =
        held(&trial("waiters", Mistake::None).waiters(3, LIMIT, |world| play("player", "update", world)));
    report.assert_whole();
    assert_eq!(report.waiter_kills, report.points);
    // At the points inside the locked section, which are most, all three wait.
    assert!(report.waiters_blocked > report.points, "{report}");
}

#[test]
fn a_waiter_that_never_ends_is_found() {
    let limit = Duration::from_millis(200);
    let report = held(
        &trial("stuck", Mistake::None)
            .failures_at_most(1)
            .waiters(1, limit, |world| play("player", "hang", world)),
    );
    assert_eq!(report.failures[0].fault(), Fault::Waiter);
}

#[test]
fn a_path_that_differs_from_run_to_run_is_told() {
    let report = held(
        &Trial::new("random", Scratch::new, |world| play("player", "random", world))
            .observe(Changes::OnSyscall, |world, seen| seen.directory(world.path(), |_, _| {}))
            .check(|_, _| Ok(())),
    );
    assert!(report.failures.iter().any(|found| found.fault() == Fault::NotReproducible));
    assert!(report.failures.iter().any(|found| found.fault() == Fault::Incomplete));
    assert!(report.mismatches > 0 && report.retries > 0);
    let told = report.failures.iter().any(|found| found.why().contains("random (bytes): "));
    assert!(told, "{:?}", report.failures);
}

#[test]
fn bytes_that_differ_by_nature_can_be_blanked() {
    let report = held(
        &Trial::new("blanked", Scratch::new, |world| play("player", "random", world))
            .observe(Changes::OnSyscall, |world, seen| seen.directory(world.path(), |_, bytes| bytes.fill(0)))
            .check(|_, _| Ok(())),
    );
    report.assert_whole();
    assert_eq!(report.mismatches, 0);
}

#[test]
fn a_victim_that_does_not_end_is_an_error() {
    let start = std::time::Instant::now();
    let error = Trial::new("endless", Scratch::new, |world| play("player", "endless", world))
        .limit(Duration::from_millis(300))
        .observe(Changes::OnSyscall, |_, _| Ok(()))
        .check(|_, _| Ok(()))
        .run()
        .unwrap_err();
    assert!(error.to_string().contains("still running after 300ms"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_victim_that_fails_by_itself_is_an_error() {
    let run = |role| {
        Trial::new("failing", Scratch::new, move |world| play("player", role, world))
            .observe(Changes::OnSyscall, |_, _| Ok(()))
            .check(|_, _| Ok(()))
            .run()
            .unwrap_err()
            .to_string()
    };
    assert!(run("unmarked").contains("before its operation began"), "{}", run("unmarked"));
    assert!(run("dies").contains("during its operation"), "{}", run("dies"));
}
