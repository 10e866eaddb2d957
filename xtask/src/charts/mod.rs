//! `cargo xtask charts FILE… [--to DIR]`: what the benchmark measured, drawn for the README.

mod svg;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use lexopt::prelude::*;
use serde::Deserialize;

/// A run, as `coseg-bench … --json` tells it.
#[derive(Deserialize)]
struct Run {
    method: Method,
    tables: Vec<Table>,
}

#[derive(Deserialize)]
struct Method {
    round_count: usize,
    turn_us: u64,
    cpu: String,
    processor: String,
    kernel: String,
    load: String,
    optimised: bool,
}

#[derive(Deserialize)]
struct Table {
    title: String,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    operation: String,
    unit: String,
    figures: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
    role: Role,
    figure: Result<Figure, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Role {
    Ours,
    Peer,
    Limit,
}

#[derive(Clone, Copy, Deserialize)]
struct Figure {
    median: f64,
    p10: f64,
    p90: f64,
}

pub(crate) fn command(mut words: lexopt::Parser) -> Result<()> {
    let (mut files, mut to) = (Vec::new(), Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/charts"));
    while let Some(word) = words.next()? {
        match word {
            Long("to") => to = PathBuf::from(words.value()?),
            Value(file) => files.push(PathBuf::from(file)),
            other => return Err(other.unexpected().into()),
        }
    }
    if files.is_empty() {
        bail!("which run? coseg-bench messages --json > messages.json, then: charts messages.json");
    }
    std::fs::create_dir_all(&to)?;
    for file in files {
        let text = std::fs::read(&file).with_context(|| file.display().to_string())?;
        let run: Run = serde_json::from_slice(&text).with_context(|| file.display().to_string())?;
        for table in &run.tables {
            let path = to.join(slug(&table.title) + ".svg");
            std::fs::write(&path, svg::chart(table, &caption(&run.method)))?;
            println!("{}", path.display());
        }
    }
    Ok(())
}

/// A title as a file's name.
fn slug(title: &str) -> String {
    let words = title.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join("-")
}

fn caption(method: &Method) -> String {
    let Method { round_count, turn_us, cpu, processor, kernel, load, optimised } = method;
    let warning = if *optimised { "" } else { " Unoptimised build: not to be quoted." };
    format!(
        "Bars: medians of {round_count} rounds, in which all took turns of {} ms; whiskers: 10th to 90th percentile. One \
         process on CPU {cpu}; {processor}, Linux {kernel}, load {load} at the start. Logarithmic.{warning}",
        turn_us / 1000
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) const RUN: &str = r#"{
        "method": {
            "round_count": 6, "turn_us": 20000, "cpu": "0", "processor": "a < b", "kernel": "6", "load": "0",
            "optimised": true, "notes": []
        },
        "longer": "", "backend": "user",
        "tables": [{"title": "Round trips, both sides busy", "rows": [{
            "operation": "8 B", "unit": "ns", "goals": [],
            "figures": [
                {"name": "ours", "role": "ours", "torn_count": 0, "figure": {"Ok": {"median": 120.0, "p10": 100.0, "p90": 150.0}}},
                {"name": "pipe", "role": "peer", "torn_count": 0, "figure": {"Ok": {"median": 1683.0, "p10": 1500.0, "p90": 2e3}}},
                {"name": "boost", "role": "peer", "torn_count": 0, "figure": {"Err": "absent"}},
                {"name": "words", "role": "limit", "torn_count": 0, "figure": {"Ok": {"median": 110.0, "p10": 1e2, "p90": 2e2}}}
            ]
        }]}]
    }"#;

    #[test]
    fn a_run_becomes_a_chart() {
        let run: Run = serde_json::from_str(RUN).unwrap();
        assert_eq!(slug(&run.tables[0].title), "round-trips-both-sides-busy");
        let text = svg::chart(&run.tables[0], &caption(&run.method));
        for wanted in ["120 ns", "1.68 µs", "not measured", "a &lt; b", "less is better"] {
            assert!(text.contains(wanted), "{wanted}: {text}");
        }
    }
}
