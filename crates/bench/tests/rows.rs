//! One row of a comparison, from the command line to the figures.
#![allow(clippy::unwrap_used, reason = "a test's helpers fail like a test")]

use std::process::Command;

/// The figures of the row, ours first; `None` if nothing can be measured here.
fn figures(comparison: &str, row: &str, unit: &str) -> Option<Vec<serde_json::Value>> {
    let mut bench = Command::new(env!("CARGO_BIN_EXE_coseg-bench"));
    let output = bench.args([comparison, "--quick", "--json", "--row", row]).output().unwrap();
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        let is_known = ["namespaces of its own", "two CPUs"].iter().any(|known| reason.contains(known));
        assert!(is_known, "{reason}");
        eprintln!("skipped: {reason}");
        return None;
    }
    let run: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let row = &run["tables"][0]["rows"][0];
    assert_eq!(row["unit"], unit);
    let figures = row["figures"].as_array().unwrap();
    assert_eq!(figures[0]["role"], "ours");
    for figure in figures {
        // A peer in C++, whose headers are not installed.
        let is_missing = |reason: &&str| reason.contains("boost/") && reason.contains("No such file");
        if let Some(reason) = figure["figure"]["Err"].as_str().filter(is_missing) {
            eprintln!("not measured: {}: {reason}", figure["name"]);
            continue;
        }
        assert!(figure["figure"]["Ok"]["median"].as_f64() > Some(0.0), "{figure}");
        assert_eq!(figure["torn_count"], 0, "{figure}");
    }
    Some(figures.clone())
}

#[test]
fn everybody_in_a_row_of_messages_has_a_figure() {
    for figure in figures("messages", "4 MiB, lent", "ns").unwrap_or_default() {
        assert!(figure["latency"]["sample_count"].as_u64() > Some(0), "{figure}");
    }
}

#[test]
fn everybody_who_has_a_map_has_a_figure() {
    if let Some(figures) = figures("map", "get, two readers", "M/s") {
        assert_eq!(figures.len(), 9);
    }
}

#[test]
fn each_operation_takes_instructions() {
    let mut bench = Command::new(env!("CARGO_BIN_EXE_coseg-bench"));
    let output = bench.args(["instructions", "--quick", "--json"]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    if told.contains("namespaces of its own") || told.contains("valgrind: No such file") {
        eprintln!("skipped: {told}");
        return;
    }
    let run: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{told}"));
    let counted = run["operations"].as_array().unwrap();
    assert_eq!(counted.len(), 8);
    for operation in counted {
        let instructions = operation["instructions"].as_f64().unwrap();
        assert!((10.0..100_000.0).contains(&instructions), "{operation}");
    }
}

#[test]
fn the_usage_is_told_to_who_asks() {
    let output = Command::new(env!("CARGO_BIN_EXE_coseg-bench")).arg("--help").output().unwrap();
    assert!(output.status.success() && output.stdout.starts_with(b"usage: coseg-bench segments"));
}

#[test]
fn a_row_that_is_not_there_is_told() {
    let mut bench = Command::new(env!("CARGO_BIN_EXE_coseg-bench"));
    let output = bench.args(["map", "--quick", "--row", "put, by nobody"]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let is_told =
        ["'put, by nobody'", "namespaces of its own", "two CPUs"].iter().any(|known| told.contains(known));
    assert!(is_told && output.status.code() == Some(2), "{told}");
}
