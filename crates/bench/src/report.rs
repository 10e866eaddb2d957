//! What was measured, as a Markdown table for a README and as JSON.

use std::fmt::Write;

use serde::Serialize;

use crate::Outcome;
use crate::sample::{Measured, Spread};

/// Everything one run found.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) method: Method,
    pub(crate) tables: Vec<Table>,
}

/// How it was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Method {
    pub(crate) round_count: usize,
    pub(crate) turn_us: u128,
    pub(crate) cpu: String,
    pub(crate) processor: String,
    pub(crate) kernel: String,
    pub(crate) load: String,
    pub(crate) optimised: bool,
    pub(crate) notes: Vec<String>,
}

impl Method {
    /// What is said last of how it was measured.
    pub(crate) fn end(&self, text: &mut String) {
        for note in &self.notes {
            let _ = write!(text, " {note}");
        }
        if !self.optimised {
            text.push_str(" **Unoptimised build: not to be quoted.**");
        }
        text.push('\n');
    }
}

/// Contenders in columns, operations in rows.
#[derive(Debug, Serialize)]
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) columns: Vec<&'static str>,
    pub(crate) rows: Vec<Row>,
}

/// One operation. The last column is the one that is judged, against the first.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) operation: String,
    pub(crate) cells: Vec<Cell>,
    /// Last column by first.
    pub(crate) ratio: Option<f64>,
    pub(crate) goal: Option<Goal>,
    pub(crate) met: Option<bool>,
}

/// One contender's time.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Cell {
    Time(Spread),
    Failed(String),
}

/// What the last column should reach.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Goal {
    /// At most so many times the first column.
    Ratio(f64),
    /// At most so many nanoseconds.
    Ns(f64),
}

impl Row {
    pub(crate) fn new(operation: impl Into<String>, measured: Vec<Measured>, goal: Option<Goal>) -> Row {
        let median = |measured: &Measured| measured.as_ref().map(|spread| spread.median_ns).ok();
        let first = measured.first().and_then(median);
        let last = measured.last().and_then(median);
        let ratio = first.zip(last).filter(|_| measured.len() > 1).map(|(first, last)| last / first);
        let met = match goal {
            Some(Goal::Ratio(limit)) => ratio.map(|ratio| ratio <= limit),
            Some(Goal::Ns(limit)) => last.map(|last| last <= limit),
            None => None,
        };
        let cells = measured.into_iter().map(|m| m.map_or_else(Cell::Failed, Cell::Time)).collect();
        Row { operation: operation.into(), cells, ratio, goal, met }
    }
}

impl Report {
    pub(crate) fn json(&self) -> Outcome<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        for table in &self.tables {
            table.markdown(&mut text);
            text.push('\n');
        }
        let Method { round_count, turn_us, cpu, processor, kernel, load, .. } = &self.method;
        let _ = write!(
            text,
            "Method: {round_count} rounds in which the contenders take turns of at least {turn_us} µs each; median of \
             the rounds (10th to 90th percentile), per operation; pinned to CPU {cpu}, {processor}, Linux {kernel}, load {load} at the start."
        );
        self.method.end(&mut text);
        text
    }
}

impl Table {
    fn markdown(&self, text: &mut String) {
        let compared = self.columns.len() > 1;
        let judged = self.rows.iter().any(|row| row.goal.is_some());
        let mut head = vec![self.title.clone()];
        head.extend(self.columns.iter().map(|&column| column.to_owned()));
        if compared {
            head.push(format!("{} ÷ {}", self.columns[self.columns.len() - 1], self.columns[0]));
        }
        if judged {
            head.push("goal".to_owned());
        }
        line(text, &head);
        let rule: Vec<String> =
            head.iter().enumerate().map(|(i, _)| if i == 0 { "---" } else { "---:" }.into()).collect();
        line(text, &rule);
        let mut failures = Vec::new();
        for row in &self.rows {
            let mut cells = vec![row.operation.clone()];
            for (column, cell) in self.columns.iter().zip(&row.cells) {
                cells.push(match cell {
                    Cell::Time(spread) => spread_text(spread),
                    Cell::Failed(_) => "—".to_owned(),
                });
                if let Cell::Failed(reason) = cell {
                    failures.push(format!("{}, {column}: {reason}", row.operation));
                }
            }
            if compared {
                cells.push(row.ratio.map_or("—".to_owned(), |ratio| format!("{ratio:.2}")));
            }
            if judged {
                cells.push(row.goal.map_or(String::new(), |goal| goal_text(goal, self.columns[0], row.met)));
            }
            line(text, &cells);
        }
        for failure in failures {
            let _ = write!(text, "\nNot measured: {failure}\n");
        }
    }
}

fn line(text: &mut String, cells: &[String]) {
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}

fn goal_text(goal: Goal, base: &str, met: Option<bool>) -> String {
    let goal = match goal {
        Goal::Ratio(limit) => format!("≤ {limit} × {base}"),
        Goal::Ns(limit) => {
            let (divisor, name) = unit(limit);
            format!("≤ {} {name}", limit / divisor)
        }
    };
    match met {
        Some(true) => format!("{goal}: met"),
        Some(false) => format!("{goal}: **missed**"),
        None => goal,
    }
}

fn spread_text(spread: &Spread) -> String {
    let unit = unit(spread.median_ns);
    let (low, high) = (spread.p10_ns / unit.0, spread.p90_ns / unit.0);
    format!("{} ({low:.2}–{high:.2})", time(spread.median_ns, unit))
}

fn unit(ns: f64) -> (f64, &'static str) {
    match ns {
        ns if ns < 1e3 => (1.0, "ns"),
        ns if ns < 1e6 => (1e3, "µs"),
        ns if ns < 1e9 => (1e6, "ms"),
        _ => (1e9, "s"),
    }
}

fn time(ns: f64, (divisor, name): (f64, &str)) -> String {
    format!("{:.2} {name}", ns / divisor)
}
