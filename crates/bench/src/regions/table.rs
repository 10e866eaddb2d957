//! What was found: ours beside its peers and the limit, judged by what it should reach.

use std::fmt::Write;

use serde::Serialize;

use super::pair::Both;
use crate::Outcome;
use crate::report::Method;

/// Everything one run found.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) method: Method,
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
}

/// What a contender is here for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Role {
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

/// What is read from a turn.
#[derive(Clone, Copy, Debug)]
pub(super) enum Measure {
    NsEach,
    OwnRate,
    PartnersRate,
    SumOfRates,
    SmallerShare,
}

/// What ours should reach: a multiple of another's figure, or a number.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Goal {
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

/// A contender's turns, one in each round.
pub(super) struct Turns {
    pub(super) name: &'static str,
    pub(super) role: Role,
    pub(super) turns: Result<Vec<Both>, String>,
}

impl Measure {
    fn unit(self) -> &'static str {
        match self {
            Measure::NsEach => "ns",
            Measure::SmallerShare => "",
            _ => "M/s",
        }
    }

    fn of(self, turn: &Both) -> f64 {
        match self {
            Measure::NsEach => turn.own.ns_each(),
            Measure::OwnRate => turn.own.rate(),
            Measure::PartnersRate => turn.partner.rate(),
            Measure::SumOfRates => turn.own.rate() + turn.partner.rate(),
            Measure::SmallerShare => {
                let (own, partner) = (turn.own.rate(), turn.partner.rate());
                own.min(partner) / (own + partner)
            }
        }
    }
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
    /// Reads one measure from everybody's turns; the first are ours.
    pub(super) fn new(operation: &'static str, measure: Measure, all: &[Turns], goals: &[Goal]) -> Row {
        let values = |turns: &Turns| -> Result<Vec<f64>, String> {
            Ok(turns.turns.as_ref().map_err(String::clone)?.iter().map(|turn| measure.of(turn)).collect())
        };
        let named = |turns: &Turns| Named {
            name: turns.name,
            role: turns.role,
            figure: values(turns).map(Figure::of),
            torn_count: turns.turns.iter().flatten().map(Both::torn_count).sum(),
        };
        let ours = all.first().and_then(|turns| values(turns).ok());
        let ratio = |name: &str| {
            let theirs = values(all.iter().find(|turns| turns.name == name)?).ok()?;
            Some(
                Figure::of(ours.as_ref()?.iter().zip(theirs).map(|(own, other)| own / other).collect())
                    .median,
            )
        };
        let judged = |&goal: &Goal| {
            let (ratio, met) = match goal {
                Goal::AtMost(limit, name) => (ratio(name), ratio(name).map(|ratio| ratio <= limit)),
                Goal::AtLeast(limit, name) => (ratio(name), ratio(name).map(|ratio| ratio >= limit)),
                Goal::AtLeastNumber(limit) => {
                    (None, ours.clone().map(|ours| Figure::of(ours).median >= limit))
                }
                Goal::Compare(name) => (ratio(name), None),
            };
            Judged { goal, ratio, met }
        };
        Row {
            operation,
            unit: measure.unit(),
            figures: all.iter().map(named).collect(),
            goals: goals.iter().map(judged).collect(),
        }
    }

    fn markdown(&self, text: &mut String) {
        let column = |role: Role| {
            let of_role = self.figures.iter().filter(|named| named.role == role);
            let texts = of_role.map(|named| {
                let figure = named.figure.as_ref().map_or("—".to_owned(), figure_text);
                if role == Role::Ours { figure } else { format!("{} {figure}", named.name) }
            });
            texts.collect::<Vec<_>>().join("; ")
        };
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
    pub(crate) fn json(&self) -> Outcome<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        for table in &self.tables {
            let _ = writeln!(text, "| {} | coseg | peers | limit | ratio (goal) |", table.title);
            text.push_str("|---|---:|---|---|---|\n");
            for row in &table.rows {
                row.markdown(&mut text);
            }
            for row in &table.rows {
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
        let Method { round_count, turn_us, cpu, processor, kernel, load, optimised, notes } = &self.method;
        let _ = write!(
            text,
            "Method: {round_count} rounds in which the contenders take turns of {turn_us} µs, four times as long \
             with two processes; median of the rounds (10th to 90th percentile), ratios within one round; one process \
             on CPU {cpu}, {processor}, Linux {kernel}, load {load} at the start, backend {}.",
            self.backend
        );
        for note in notes {
            let _ = write!(text, " {note}");
        }
        if !optimised {
            text.push_str(" **Unoptimised build: not to be quoted.**");
        }
        text.push('\n');
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
    use super::super::turn::Tally;
    use super::*;

    fn turns(name: &'static str, ns_each: &[u64]) -> Turns {
        let turn = |&ns: &u64| Both {
            own: Tally { count: 100, elapsed_ns: ns * 100, torn_count: 0 },
            partner: Tally { count: 50, elapsed_ns: ns * 100, torn_count: 0 },
        };
        Turns { name, role: Role::Ours, turns: Ok(ns_each.iter().map(turn).collect()) }
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        // The second round was disturbed for both.
        let all = [turns("ours", &[10, 90, 10]), turns("theirs", &[20, 180, 20])];
        let goals = [Goal::AtMost(0.5, "theirs"), Goal::AtMost(0.4, "theirs"), Goal::AtMost(1.0, "nobody")];
        let row = Row::new("lock", Measure::NsEach, &all, &goals);
        assert_eq!(row.goals[0].ratio, Some(0.5));
        assert_eq!(
            row.goals.iter().map(|judged| judged.met).collect::<Vec<_>>(),
            [Some(true), Some(false), None]
        );
    }

    #[test]
    fn shares_and_sums_count_both_processes() {
        let all = [turns("ours", &[10])];
        let figure = |measure| {
            let row = Row::new("lock", measure, &all, &[Goal::AtLeastNumber(0.3)]);
            (row.figures[0].figure.as_ref().map(|figure| figure.median).unwrap_or_default(), row.goals[0].met)
        };
        assert_eq!(figure(Measure::SumOfRates), (150.0, Some(true)));
        assert_eq!(figure(Measure::SmallerShare).1, Some(true));
        assert_eq!(figure(Measure::PartnersRate).0, 50.0);
    }
}
