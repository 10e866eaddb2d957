//! Aligned columns of styled text, made to fit a width.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::output::printable;
use crate::table::Align;

/// Between two columns.
const GAP: &str = "  ";

/// A column: its name, its side, and the most that it takes of a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) align: Align,
    pub(super) width_max: usize,
}

impl Column {
    /// However much there is in it.
    pub(super) fn whole(self) -> Column {
        Column { width_max: usize::MAX, ..self }
    }
}

#[derive(Debug)]
pub(super) struct Grid {
    columns: Vec<Column>,
    rows: Vec<Vec<Span<'static>>>,
    widths: Vec<usize>,
}

/// Text of one style. Others choose their names: nothing of them steers the terminal.
pub(super) fn text(text: impl AsRef<str>, style: Style) -> Span<'static> {
    Span::styled(printable(text.as_ref()), style)
}

impl Grid {
    pub(super) fn new(columns: Vec<Column>) -> Grid {
        let widths = columns.iter().map(|column| column.name.len()).collect();
        Grid { columns, rows: Vec::new(), widths }
    }

    /// A row with one cell per column.
    pub(super) fn row(&mut self, cells: Vec<Span<'static>>) {
        debug_assert_eq!(cells.len(), self.columns.len());
        for ((width, cell), column) in self.widths.iter_mut().zip(&cells).zip(&self.columns) {
            *width = (*width).max(cell.width().min(column.width_max));
        }
        self.rows.push(cells);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn width(&self) -> usize {
        self.widths.iter().sum::<usize>() + GAP.len() * self.widths.len().saturating_sub(1)
    }

    /// Takes columns away, the first-named first, until the rest fits this width. What is still too much, the last
    /// column gives, down to `last_min`.
    pub(super) fn fit(&mut self, width: usize, last_min: usize, expendable: &[&str]) {
        let needed = |grid: &Grid| match grid.widths.last() {
            Some(&last) => grid.width() - last + last.min(last_min),
            None => 0,
        };
        for name in expendable {
            if needed(self) <= width {
                break;
            }
            if let Some(index) = self.columns.iter().position(|column| column.name == *name) {
                self.columns.remove(index);
                self.widths.remove(index);
                for row in &mut self.rows {
                    row.remove(index);
                }
            }
        }
        let excess = self.width().saturating_sub(width);
        if let Some(last) = self.widths.last_mut() {
            *last -= excess.min(*last);
        }
    }

    /// The names of the columns, one of them in a style of its own.
    pub(super) fn heading(&self, style: Style, marked: Option<(&str, Style)>) -> Line<'static> {
        let names = self.columns.iter().map(|column| match marked {
            Some((name, own)) if name == column.name => Span::styled(column.name, own),
            _ => Span::styled(column.name, style),
        });
        self.line(&names.collect::<Vec<_>>())
    }

    pub(super) fn lines(&self) -> impl Iterator<Item = Line<'static>> {
        self.rows.iter().map(|row| self.line(row))
    }

    fn line(&self, cells: &[Span<'static>]) -> Line<'static> {
        let mut spans = Vec::with_capacity(cells.len() * 3);
        let last = cells.len().saturating_sub(1);
        for (index, (cell, (column, &width))) in
            cells.iter().zip(self.columns.iter().zip(&self.widths)).enumerate()
        {
            let cell = cut(cell, width);
            let padding = Span::raw(" ".repeat(width.saturating_sub(cell.width())));
            if column.align == Align::Right {
                spans.extend([padding, cell]);
            } else if index == last {
                spans.push(cell);
            } else {
                spans.extend([cell, padding]);
            }
            if index < last {
                spans.push(Span::raw(GAP));
            }
        }
        Line::from(spans)
    }
}

/// The beginning of a text that is too long.
pub(super) fn cut(span: &Span<'static>, width: usize) -> Span<'static> {
    if span.width() <= width {
        return span.clone();
    }
    if width == 0 {
        return Span::styled("", span.style);
    }
    let mut beginning = String::new();
    let mut left = width - 1;
    for letter in span.styled_graphemes(Style::new()) {
        match left.checked_sub(Span::raw(letter.symbol).width()) {
            Some(rest) => left = rest,
            None => break,
        }
        beginning.push_str(letter.symbol);
    }
    Span::styled(beginning + "…", span.style)
}

/// Words in lines that fit a width; a word that does not is cut where its line is drawn.
pub(super) fn wrap(words: &str, style: Style, width: usize) -> Vec<Span<'static>> {
    let mut lines: Vec<Span<'static>> = Vec::new();
    let mut line = String::new();
    for word in printable(words).split(' ') {
        let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
        if Span::raw(longer.as_str()).width() <= width || line.is_empty() {
            line = longer;
        } else {
            lines.push(Span::styled(std::mem::replace(&mut line, word.to_owned()), style));
        }
    }
    lines.push(Span::styled(line, style));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Grid {
        let column = |name, align| Column { name, align, width_max: 6 };
        let mut grid = Grid::new(vec![
            column("NAME", Align::Left),
            column("SIZE", Align::Right),
            column("WHO", Align::Left),
        ]);
        for row in [["a", "1", ""], ["much too long", "12345", "some\x1bbody"]] {
            grid.row(row.map(|cell| text(cell, Style::new())).to_vec());
        }
        grid
    }

    fn rendered(grid: &Grid) -> Vec<String> {
        let heading = grid.heading(Style::new(), None);
        std::iter::once(heading).chain(grid.lines()).map(|line| line.to_string()).collect()
    }

    #[test]
    fn columns_are_aligned_and_cut() {
        let lines = rendered(&sample());
        assert_eq!(lines, ["NAME     SIZE  WHO", "a           1  ", "much …  12345  some\\…"]);
    }

    #[test]
    fn narrow_grids_lose_columns_and_then_the_end() {
        let mut grid = sample();
        grid.fit(17, 3, &["ABSENT", "SIZE", "NAME"]);
        assert_eq!(rendered(&grid), ["NAME    WHO", "a       ", "much …  some\\…"]);
        grid.fit(11, 3, &[]);
        assert_eq!(rendered(&grid)[2], "much …  so…");
        grid.fit(1, 3, &[]);
        assert_eq!(rendered(&grid)[2], "much …  ");
    }

    #[test]
    fn long_texts_are_wrapped_at_their_blanks() {
        let wrapped = |text, width| {
            let lines = wrap(text, Style::new(), width);
            lines.into_iter().map(|line| line.content.into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("incomprehensible to me", 5), ["incomprehensible", "to me"]);
        assert_eq!(wrapped("", 5), [""]);
    }

    #[test]
    fn wide_letters_count_twice() {
        assert_eq!(cut(&Span::raw("日本語"), 5).content, "日本…");
        assert_eq!(cut(&Span::raw("日本語"), 4).content, "日…");
    }
}
