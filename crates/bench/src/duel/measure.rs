//! What is read from the turns.

use super::Both;
use crate::table::{Goal, Role, Row, Values};

/// What is read from a turn.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Measure {
    NsEach,
    OwnRate,
    PartnersRate,
    SumOfRates,
    SmallerShare,
}

/// A contender's turns, one in each round.
pub(crate) struct Turns {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    pub(crate) turns: Result<Vec<Both>, String>,
}

impl Measure {
    /// One measure of everybody's turns; the first are ours.
    pub(crate) fn row(self, operation: &'static str, all: &[Turns], goals: &[Goal]) -> Row {
        let values = |turns: &Turns| Values {
            name: turns.name,
            role: turns.role,
            values: turns.turns.clone().map(|turns| turns.iter().map(|turn| self.of(turn)).collect()),
            torn_count: turns.turns.iter().flatten().map(Both::torn_count).sum(),
            latency: None,
        };
        Row::new(operation, self.unit(), &all.iter().map(values).collect::<Vec<_>>(), goals)
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::turn::Tally;

    #[test]
    fn shares_and_sums_count_both_processes() {
        let turn = Both {
            own: Tally { count: 100, elapsed_ns: 1000, torn_count: 0 },
            partner: Tally { count: 50, elapsed_ns: 1000, torn_count: 0 },
        };
        assert_eq!(Measure::SumOfRates.of(&turn), 150.0);
        assert_eq!(Measure::SmallerShare.of(&turn), 1.0 / 3.0);
        assert_eq!(Measure::PartnersRate.of(&turn), 50.0);
    }
}
