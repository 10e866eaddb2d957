//! What was found: ours beside its peers and the limit, judged by what it should reach.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use crate::Outcome;
use crate::report::Method;

/// Everything one run found.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) method: Method,
    /// Which turns last longer.
    pub(crate) longer: &'static str,
    pub(crate) backend: &'static str,
    pub(crate) tables: Vec<Table>,
}

/// Rows about one thing.
#[derive(Debug, Serialize)]
pub(crate) struct Table {
    pub(crate) title: &'static str,
    pub(crate) rows: Vec<Row>,
}

/// One operation, as everybody does it.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    operation: &'static str,
    unit: &'static str,
    figures: Vec<Named>,
    goals: Vec<Judged>,
}

/// One contender's figure, or why there is none.
#[derive(Debug, Serialize)]
struct Named {
    name: &'static str,
    role: Role,
    figure: Result<Figure, String>,
    /// Reads that were partly of one write and partly of another, in all rounds.
    torn_count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency: Option<Latency>,
}

/// How long single operations took, over all rounds, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
    pub(crate) max: u64,
    pub(crate) sample_count: u64,
}

/// What a contender is here for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    Ours,
    Peer,
    /// What cares for nothing but speed.
    Limit,
}

/// Median, 10th and 90th percentile of the rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Figure {
    median: f64,
    p10: f64,
    p90: f64,
}

/// What ours should reach: a multiple of another's figure, or a number.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Goal {
    AtMost(f64, &'static str),
    AtLeast(f64, &'static str),
    AtLeastNumber(f64),
    /// The ratio is of interest, nothing is asked of it.
    Compare(&'static str),
}

#[derive(Debug, Serialize)]
struct Judged {
    goal: Goal,
    /// Ours by the other's, the median of the rounds'.
    ratio: Option<f64>,
    met: Option<bool>,
}

/// What was measured of a contender, one value for each round.
#[derive(Clone, Debug)]
pub(crate) struct Values {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    pub(crate) values: Result<Vec<f64>, String>,
    pub(crate) torn_count: u64,
    pub(crate) latency: Option<Latency>,
}

impl Figure {
    fn of(mut values: Vec<f64>) -> Figure {
        values.sort_by(f64::total_cmp);
        let last = values.len() - 1;
        let at = |percent: usize| values[(last * percent + 50) / 100];
        Figure { median: at(50), p10: at(10), p90: at(90) }
    }
}

impl Row {
    /// Everybody's values; the first are ours.
    pub(crate) fn new(operation: &'static str, unit: &'static str, all: &[Values], goals: &[Goal]) -> Row {
        let named = |one: &Values| Named {
            name: one.name,
            role: one.role,
            figure: one.values.clone().map(Figure::of),
            torn_count: one.torn_count,
            latency: one.latency,
        };
        let ours = all.first().and_then(|ours| ours.values.as_ref().ok());
        let ratio = |name: &str| {
            let theirs = all.iter().find(|one| one.name == name)?.values.as_ref().ok()?;
            let ratios = ours?.iter().zip(theirs).map(|(own, other)| own / other);
            Some(Figure::of(ratios.collect()).median)
        };
        let judged = |&goal: &Goal| {
            let (ratio, met) = match goal {
                Goal::AtMost(limit, name) => (ratio(name), ratio(name).map(|ratio| ratio <= limit)),
                Goal::AtLeast(limit, name) => (ratio(name), ratio(name).map(|ratio| ratio >= limit)),
                Goal::AtLeastNumber(limit) => {
                    (None, ours.map(|ours| Figure::of(ours.clone()).median >= limit))
                }
                Goal::Compare(name) => (ratio(name), None),
            };
            Judged { goal, ratio, met }
        };
        Row {
            operation,
            unit,
            figures: all.iter().map(named).collect(),
            goals: goals.iter().map(judged).collect(),
        }
    }

    /// What those of one role reached, each after its name.
    fn column(&self, role: Role, text: impl Fn(&Named) -> String) -> String {
        let of_role = self.figures.iter().filter(|named| named.role == role);
        let texts = of_role.map(|named| {
            let text = text(named);
            if role == Role::Ours { text } else { format!("{} {text}", named.name) }
        });
        texts.collect::<Vec<_>>().join("; ")
    }

    fn line(&self, text: &mut String) {
        let column =
            |role| self.column(role, |named| named.figure.as_ref().map_or("—".to_owned(), figure_text));
        let goals: Vec<String> = self.goals.iter().map(Judged::text).collect();
        let unit = if self.unit.is_empty() { String::new() } else { format!(", {}", self.unit) };
        let _ = writeln!(
            text,
            "| {}{unit} | {} | {} | {} | {} |",
            self.operation,
            column(Role::Ours),
            column(Role::Peer),
            column(Role::Limit),
            goals.join("; ")
        );
    }

    fn latency_line(&self, text: &mut String) {
        let column = |role| {
            self.column(role, |named| match named.latency {
                Some(Latency { p50, p99, p999, .. }) => format!("{p50} / {p99} / {p999}"),
                None => "—".to_owned(),
            })
        };
        let [ours, peers, limit] = [Role::Ours, Role::Peer, Role::Limit].map(column);
        let _ = writeln!(text, "| {} | {ours} | {peers} | {limit} |", self.operation);
    }

    fn has_latency(&self) -> bool {
        self.figures.iter().any(|named| named.latency.is_some())
    }
}

impl Table {
    fn markdown(&self, text: &mut String) {
        let _ = writeln!(text, "| {} | coseg | peers | limit | ratio (goal) |", self.title);
        text.push_str("|---|---:|---|---|---|\n");
        for row in &self.rows {
            row.line(text);
        }
        let mut timed = self.rows.iter().filter(|row| row.has_latency()).peekable();
        if timed.peek().is_some() {
            text.push_str("\n| ns: median / 99 % / 99.9 % | coseg | peers | limit |\n|---|---:|---|---|\n");
        }
        for row in timed {
            row.latency_line(text);
        }
        for row in &self.rows {
            for named in &row.figures {
                if named.torn_count > 0 {
                    let (operation, name, count) = (row.operation, named.name, named.torn_count);
                    let _ = write!(text, "\nTorn reads: {operation}, {name}: {count}\n");
                }
                if let Err(reason) = &named.figure {
                    let _ = write!(text, "\nNot measured: {}, {}: {reason}\n", row.operation, named.name);
                }
            }
        }
        text.push('\n');
    }
}

impl Judged {
    fn text(&self) -> String {
        let goal = match self.goal {
            Goal::AtMost(limit, name) => format!("≤ {limit} × {name}"),
            Goal::AtLeast(limit, name) => format!("≥ {limit} × {name}"),
            Goal::AtLeastNumber(limit) => format!("≥ {limit}"),
            Goal::Compare(name) => format!("× {name}"),
        };
        let met = match self.met {
            Some(true) => ": ok",
            Some(false) => ": **MISSED**",
            None => "",
        };
        self.ratio.map_or(format!("{goal}{met}"), |ratio| format!("{ratio:.2} ({goal}){met}"))
    }
}

impl Report {
    /// Only the tables that have the row that was asked for.
    pub(crate) fn of_row(mut self, row: Option<&str>) -> Outcome<Report> {
        self.tables.retain(|table| !table.rows.is_empty());
        match row {
            Some(row) if self.tables.is_empty() => Err(format!("no row's name contains '{row}'").into()),
            _ => Ok(self),
        }
    }

    pub(crate) fn json(&self) -> Outcome<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        for table in &self.tables {
            table.markdown(&mut text);
        }
        let Method { round_count, turn_us, cpu, processor, kernel, load, .. } = &self.method;
        let _ = write!(
            text,
            "Method: {round_count} rounds in which the contenders take turns of {turn_us} µs, {}; median of the rounds \
             (10th to 90th percentile), ratios within one round; one process on CPU {cpu}, {processor}, Linux {kernel}, \
             load {load} at the start, backend {}.",
            self.longer, self.backend
        );
        self.method.end(&mut text);
        text
    }
}

fn figure_text(figure: &Figure) -> String {
    let Figure { median, p10, p90 } = figure;
    let digits = match median.abs() {
        small if small < 1.0 => 3,
        small if small < 100.0 => 1,
        _ => 0,
    };
    format!("{median:.digits$} ({p10:.digits$}–{p90:.digits$})")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(name: &'static str, values: &[f64]) -> Values {
        Values { name, role: Role::Ours, values: Ok(values.to_vec()), torn_count: 0, latency: None }
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        // The second round was disturbed for both.
        let all = [values("ours", &[10.0, 90.0, 10.0]), values("theirs", &[20.0, 180.0, 20.0])];
        let goals = [Goal::AtMost(0.5, "theirs"), Goal::AtMost(0.4, "theirs"), Goal::AtMost(1.0, "nobody")];
        let row = Row::new("lock", "ns", &all, &goals);
        assert_eq!(row.goals[0].ratio, Some(0.5));
        assert_eq!(
            row.goals.iter().map(|judged| judged.met).collect::<Vec<_>>(),
            [Some(true), Some(false), None]
        );
    }

    #[test]
    fn who_has_no_figure_is_judged_by_nothing() {
        let ours = Values { values: Err("torn".to_owned()), ..values("ours", &[]) };
        let row = Row::new("lock", "ns", &[ours, values("theirs", &[1.0])], &[Goal::AtMost(2.0, "theirs")]);
        assert_eq!((row.goals[0].ratio, row.goals[0].met), (None, None));
        let mut text = String::new();
        Table { title: "Locks", rows: vec![row] }.markdown(&mut text);
        assert!(text.contains("Not measured: lock, ours: torn"), "{text}");
        assert!(!text.contains("99.9 %"), "{text}");
    }
}
