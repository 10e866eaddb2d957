//! Tables: wrapped to the terminal's width on one, plain aligned columns in a pipe.

use std::borrow::Cow;

use comfy_table::{CellAlignment, ContentArrangement, presets};

use crate::output::{self, BOLD};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<(Cow<'static, str>, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new<N: Into<Cow<'static, str>>>(columns: Vec<(N, Align)>) -> Table {
        let columns = columns.into_iter().map(|(name, align)| (name.into(), align)).collect();
        Table { columns, rows: Vec::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Columns of the terminal that it takes if nothing is to wrap.
    pub(crate) fn width(&self) -> usize {
        // The terminal's table puts a blank on each side.
        self.natural_widths().into_iter().map(|width| width + 2).sum()
    }

    /// A row with one text per column.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows.push(cells);
    }

    /// As the standard output of this process wants it.
    pub(crate) fn render(&self) -> String {
        if output::is_terminal() { self.for_terminal(output::terminal_width()) } else { self.for_pipe() }
    }

    /// Takes away columns, the first-named first, until the rest fits a terminal of this width without breaking
    /// numbers in two. `wraps` is text and may be broken down to this width. Says what went.
    pub(crate) fn fit(
        &mut self,
        width: usize,
        wraps: (&str, usize),
        expendable: &[&'static str],
    ) -> Vec<&'static str> {
        let mut gone = Vec::new();
        for name in expendable {
            let widths = self.natural_widths();
            let needed = widths.into_iter().zip(&self.columns).map(|(natural, (name, _))| {
                // The terminal's table puts a blank on each side.
                2 + if name == wraps.0 { natural.min(wraps.1) } else { natural }
            });
            if needed.sum::<usize>() <= width {
                break;
            }
            if let Some(index) = self.columns.iter().position(|(column, _)| column == name) {
                self.columns.remove(index);
                for row in &mut self.rows {
                    row.remove(index);
                }
                gone.push(*name);
            }
        }
        gone
    }

    /// The width of each column that needs no wrapping.
    fn natural_widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.columns.iter().map(|(name, _)| name.chars().count()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        widths
    }

    fn for_terminal(&self, width: u16) -> String {
        let mut table = comfy_table::Table::new();
        table
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width);
        table.set_header(self.columns.iter().map(|(name, _)| name));
        for row in &self.rows {
            table.add_row(row);
        }
        for (column, (_, align)) in table.column_iter_mut().zip(&self.columns) {
            if *align == Align::Right {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let mut text = String::new();
        for (index, line) in table.lines().enumerate() {
            let line = line.trim_end();
            text.push_str(&if index == 0 { output::paint(BOLD, line) } else { line.to_owned() });
            text.push('\n');
        }
        text
    }

    fn for_pipe(&self) -> String {
        let widths = self.natural_widths();
        let header = self.columns.iter().map(|(name, _)| name).collect::<Vec<_>>();
        let mut text =
            String::with_capacity((self.rows.len() + 1) * (widths.iter().sum::<usize>() + 2 * widths.len()));
        self.line(&mut text, &widths, &header);
        for row in &self.rows {
            self.line(&mut text, &widths, row);
        }
        text
    }

    fn line<T: AsRef<str>>(&self, text: &mut String, widths: &[usize], cells: &[T]) {
        let last = cells.len().saturating_sub(1);
        for (index, (cell, (width, (_, align)))) in
            cells.iter().zip(widths.iter().zip(&self.columns)).enumerate()
        {
            // An empty cell would shift the columns of whoever splits at blanks.
            let cell = if cell.as_ref().is_empty() { "-" } else { cell.as_ref() };
            let padding = width.saturating_sub(cell.chars().count());
            if *align == Align::Right {
                text.extend(std::iter::repeat_n(' ', padding));
            }
            text.push_str(cell);
            if index < last {
                if *align == Align::Left {
                    text.extend(std::iter::repeat_n(' ', padding));
                }
                text.push_str("  ");
            }
        }
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new(vec![("NAME", Align::Left), ("SIZE", Align::Right), ("WHO", Align::Left)]);
        table.row(vec!["a".into(), "1".into(), String::new()]);
        table.row(vec!["longer".into(), "12345".into(), "somebody".into()]);
        table
    }

    #[test]
    fn pipes_get_aligned_columns_without_gaps() {
        assert_eq!(sample().for_pipe(), "NAME     SIZE  WHO\na           1  -\nlonger  12345  somebody\n");
    }

    #[test]
    fn narrow_terminals_lose_columns_and_not_digits() {
        let mut table = sample();
        assert_eq!(table.fit(100, ("", 0), &["SIZE"]), [] as [&str; 0]);
        assert_eq!(table.fit(20, ("WHO", 5), &["ABSENT", "SIZE", "NAME"]), ["SIZE"]);
        assert_eq!(table.for_pipe(), "NAME    WHO\na       -\nlonger  somebody\n");
    }

    #[test]
    fn terminals_get_lines_that_fit() {
        let text = sample().for_terminal(20);
        for line in text.lines().skip(1) {
            assert!(line.chars().count() <= 20, "{line}");
        }
    }
}
