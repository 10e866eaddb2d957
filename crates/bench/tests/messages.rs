//! One row of the comparison of messages, from the command line to the figures.

use std::process::Command;

#[test]
fn everybody_in_a_row_has_a_figure() {
    let mut bench = Command::new(env!("CARGO_BIN_EXE_coseg-bench"));
    let output = bench.args(["messages", "--quick", "--json", "--row", "4 MiB, lent"]).output().unwrap();
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        let is_known = ["namespaces of its own", "two CPUs"].iter().any(|known| reason.contains(known));
        assert!(is_known, "{reason}");
        eprintln!("skipped: {reason}");
        return;
    }
    let run: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let row = &run["tables"][0]["rows"][0];
    assert_eq!(row["unit"], "ns");
    let figures = row["figures"].as_array().unwrap();
    assert_eq!(figures[0]["role"], "ours");
    for figure in figures {
        assert!(figure["figure"]["Ok"]["median"].as_f64() > Some(0.0), "{figure}");
        assert!(figure["latency"]["sample_count"].as_u64() > Some(0), "{figure}");
    }
}
