//! Whether a call's cost depends on how many segments there are.

use crate::report::{Cell, Goal, Row, Table};
use crate::sample::Spread;

/// What still counts as independent: several times the spread between equal runs.
const GOAL: Goal = Goal::Ratio(1.25);

/// Sets each backend's times with few segments beside those with many. The rows of both are in one order.
pub(super) fn table(few: &[Row], many: &[Row], columns: [&'static str; 2]) -> Table {
    let mut rows = Vec::new();
    for (few, many) in few.iter().zip(many) {
        let operation = few.operation.split(';').next().unwrap_or_default();
        for (side, backend) in ["kernel", "user"].into_iter().enumerate() {
            let goal = (backend == "user").then_some(GOAL);
            let measured = vec![measured(&few.cells[side]), measured(&many.cells[side])];
            rows.push(Row::new(format!("{operation}: {backend}"), measured, goal));
        }
    }
    Table { title: "Independent of their number".to_owned(), columns: columns.to_vec(), rows }
}

fn measured(cell: &Cell) -> Result<Spread, String> {
    match cell {
        Cell::Time(spread) => Ok(*spread),
        Cell::Failed(reason) => Err(reason.clone()),
    }
}
