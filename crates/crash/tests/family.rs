//! Operations with threads, forked children and other programs in them.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail like a test")]

mod toy;

use std::cell::RefCell;
use std::time::Duration;

use coseg_crash::{Changes, Children, Report, Scratch, Trial, role};
use toy::{family, play};

#[test]
fn player() {
    if let Some(role) = role() {
        family::play(&role, &toy::world());
    }
}

/// Holds a trial of `role`; returns the distinct contents of the two files that its kills left.
fn held(role: &str, children: Children) -> (Report, Vec<[String; 2]>) {
    let prepared = || {
        let world = Scratch::new()?;
        family::prepare(world.path())?;
        Ok(world)
    };
    let left = RefCell::new(Vec::new());
    let report = Trial::new(format!("{role}, {children:?}"), prepared, |world| play("player", role, world))
        .observe(Changes::OnSyscall, |world, seen| seen.directory(world.path(), |_, _| {}))
        .check(|world, _| {
            left.borrow_mut().push(family::contents(world.path()));
            Ok(())
        })
        .children(children)
        .limit(Duration::from_secs(30))
        .run()
        .unwrap();
    eprintln!("{report}");
    report.assert_whole();
    let mut left = left.into_inner();
    left.sort();
    left.dedup();
    (report, left)
}

fn contents(a: &str, b: &str) -> [String; 2] {
    [a.to_owned(), b.to_owned()]
}

#[test]
fn a_thread_is_followed_and_killed_with_its_process() {
    let (report, left) = held("thread", Children::Follow);
    assert_eq!(left, [contents("new", "new"), contents("new", "old"), contents("old", "old")]);
    // Each replacement makes, fills and renames a file; the rename alone changes two names at once.
    assert!(report.states >= 7, "{report}");
}

#[test]
fn a_forked_child_is_killed_alone_and_its_parent_goes_on() {
    let (report, left) = held("fork", Children::Follow);
    assert!(left.contains(&contents("old", "new")), "{left:?}");
    assert!(left.contains(&contents("new", "old")), "{left:?}");
    assert!(report.states >= 7, "{report}");
}

#[test]
fn a_child_that_runs_free_ends_before_the_check() {
    let (report, left) = held("program", Children::Free);
    assert_eq!(left, [contents("old", "new"), contents("old", "old")]);
    assert!(report.syscalls > 5, "{report}");
}

#[test]
fn another_program_is_followed() {
    let (_, left) = held("program", Children::Follow);
    assert_eq!(left, [contents("old", "new"), contents("old", "old")]);
}
