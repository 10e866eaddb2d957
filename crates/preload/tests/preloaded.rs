//! C programs under the library: each checks itself, and says on stderr what was not so.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

#[allow(dead_code, reason = "shared by several tests")]
mod common;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{Scratch, succeed, told};

fn passes(name: &str) {
    let scratch = Scratch::new();
    let program = scratch.compile(name, &[]);
    succeed(&mut scratch.command(program));
}

#[test]
fn a_segment_lives_as_with_the_kernel() {
    passes("life");
}

#[test]
fn a_pointer_into_nowhere_is_efault() {
    passes("faults");
}

#[test]
fn works_where_copying_between_processes_is_refused() {
    passes("refused");
}

#[test]
fn threads_may_call_at_once_and_be_cancelled() {
    passes("threads");
}

#[test]
fn forks_threads_and_signals_may_mix() {
    passes("storm");
}

#[test]
fn the_open_family_hides_one_path() {
    let scratch = Scratch::new();
    let program = scratch.compile("open", &[]);
    succeed(scratch.command(&program).arg(scratch.path("work")));
}

#[test]
fn the_open_family_is_fortified_too() {
    let scratch = Scratch::new();
    let program = scratch.compile("open", &["-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=2"]);
    succeed(scratch.command(&program).arg(scratch.path("work")));
}

/// Runs tests/c/handler.c, interrupts it, and sees its segment gone.
fn interrupts(busy: bool, after: Duration) {
    let scratch = Scratch::new();
    let program = scratch.compile("handler", &[]);
    let mut command = scratch.command(program);
    if busy {
        command.arg("busy");
    }
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    std::thread::sleep(after);
    succeed(Command::new("kill").args(["-INT", &child.id().to_string()]));
    let mut waited = 0;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        waited += 1;
        if waited > 1000 {
            child.kill().unwrap();
            panic!("the handler hangs");
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(status.code(), Some(0), "{status}");
    let left = succeed(scratch.command("ipcs").arg("-m"));
    assert!(!left.contains("0x00000077"), "{left}");
}

#[test]
fn a_signal_handler_may_detach_and_remove() {
    interrupts(false, Duration::from_millis(50));
}

#[test]
fn a_signal_handler_may_interrupt_a_call_and_call() {
    for round in 0..20 {
        interrupts(true, Duration::from_micros(5_000 + round * 137));
    }
}

#[test]
fn a_refused_namespace_is_said_once() {
    let scratch = Scratch::new();
    let file = scratch.path("file");
    std::fs::write(&file, "not a directory").unwrap();
    let program = scratch.compile("twice", &[]);
    let output = scratch.command(&program).env("COSEG_DIR", &file).output().unwrap();
    assert!(output.status.success(), "{}", told(&output));
    let words = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(words.starts_with("coseg: ") && words.ends_with('\n'), "{words:?}");
    assert_eq!(words.lines().count(), 1, "{words:?}");

    succeed(scratch.command(&program).env("COSEG_DIR", &file).env("COSEG_QUIET", "1"));
}
