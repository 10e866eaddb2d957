//! The view, drawn: what stands where.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::app::{App, Mode};
use super::grid::text;
use super::{details, dialog, header, table};
use crate::live::events::Event;
use crate::live::{Scene, SegmentLook};

/// The least that is left to the rows, where there is room for anything else.
const ROWS_MIN: u16 = 4;

/// Who has which lines.
struct Areas {
    header: Rect,
    heading: Rect,
    rows: Rect,
    details: Rect,
    events: Rect,
    footer: Rect,
}

impl Areas {
    fn of(area: Rect, row_count: usize, details: bool) -> Areas {
        let height = area.height;
        let footer = u16::from(height > 2);
        let header = if height >= 10 { 3 } else { u16::from(height > 3) };
        let heading = u16::from(height > 4);
        let events = match height {
            0..14 => 0,
            14..24 => 3,
            _ => 6,
        };
        let left = height - footer - header - heading - events;
        let rows = u16::try_from(row_count).unwrap_or(u16::MAX).min(left / 2).max(ROWS_MIN);
        let details = if details { left.saturating_sub(rows) } else { 0 };
        let mut top = area.y;
        let mut next = |height: u16| {
            let own = Rect { x: area.x, y: top, width: area.width, height };
            top += height;
            own
        };
        Areas {
            header: next(header),
            heading: next(heading),
            rows: next(left - details),
            details: next(details),
            events: next(events),
            footer: next(footer),
        }
    }
}

/// A line at a row of an area; nothing where there is none.
pub(super) fn put(buffer: &mut Buffer, area: Rect, row: u16, line: &Line<'_>) {
    if row < area.height && area.width > 0 {
        buffer.set_line(area.x, area.y + row, line, area.width);
    }
}

/// The same for lines from the top.
pub(super) fn put_all<'a>(buffer: &mut Buffer, area: Rect, lines: impl IntoIterator<Item = Line<'a>>) {
    for (row, line) in (0..area.height).zip(lines) {
        put(buffer, area, row, &line);
    }
}

/// `14:03:07`
pub(super) fn clock(unix_ms: u64, zone: &TimeZone) -> String {
    let at = i64::try_from(unix_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    at.map(|at| at.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string()).unwrap_or_default()
}

impl App {
    pub(super) fn draw(&mut self, frame: &mut Frame<'_>, scene: &Scene) {
        let area = frame.area();
        let buffer = frame.buffer_mut();
        let rows = self.order.apply(&scene.segments);
        let areas = Areas::of(area, rows.len(), self.details);
        put_all(buffer, areas.header, header::lines(self, scene, areas.header.width));
        self.draw_rows(buffer, &areas, scene, &rows);
        if let Some(segment) = self.selected_row(&rows).map(|row| rows[row]) {
            details::draw(self, buffer, areas.details, scene, segment);
        }
        self.draw_events(buffer, areas.events);
        put(buffer, areas.footer, 0, &self.footer());
        match self.mode {
            Mode::List | Mode::Filter => {}
            Mode::Help => dialog::help(self, buffer, area),
            Mode::Confirm(stat) => {
                let asked = scene.segments.iter().find(|segment| segment.stat == stat);
                if asked.is_some_and(|segment| !dialog::confirm(self, buffer, area, segment)) {
                    self.mode = Mode::List;
                    self.refuse("too small a terminal for the question: coseg rm asks it, too".to_owned());
                    put(buffer, areas.footer, 0, &self.footer());
                }
            }
        }
    }

    fn draw_rows(&mut self, buffer: &mut Buffer, areas: &Areas, scene: &Scene, rows: &[&SegmentLook]) {
        let height = usize::from(areas.rows.height);
        self.row_count = height;
        let Some(selected) = self.selected_row(rows) else {
            let nothing = if self.order.is_everything() {
                "no segments"
            } else {
                "none of the segments is meant; Esc shows them all"
            };
            put(buffer, areas.rows, 0, &Line::from(text(nothing, self.palette.dim())));
            return;
        };
        self.row = selected;
        // A segment that was chosen and is gone gives its place to the one in its row.
        if self.selected.is_some() {
            self.selected = Some(rows[selected].record.id);
        }
        if height == 0 {
            return;
        }
        self.top = self.top.min(selected).max((selected + 1).saturating_sub(height));
        self.top = self.top.min(rows.len().saturating_sub(height));
        let (heading, lines) = table::lines(self, scene, rows, Some(areas.rows.width.into()));
        put(buffer, areas.heading, 0, &heading);
        put_all(buffer, areas.rows, lines.into_iter().skip(self.top));
        if let Ok(row) = u16::try_from(selected - self.top)
            && row < areas.rows.height
        {
            let line = Rect { y: areas.rows.y + row, height: 1, ..areas.rows };
            buffer.set_style(line, self.palette.selected());
        }
    }

    fn draw_events(&self, buffer: &mut Buffer, area: Rect) {
        let Some(count) = usize::from(area.height).checked_sub(1) else { return };
        put(buffer, area, 0, &rule("events", area.width, self.palette.dim()));
        let first = self.events.len().saturating_sub(count);
        let lines = self.events.iter().skip(first).map(|event| self.event(event));
        put_all(buffer, Rect { y: area.y + 1, height: area.height - 1, ..area }, lines);
    }

    fn event(&self, event: &Event) -> Line<'static> {
        let palette = self.palette;
        let kind = if event.kind.is_bad() { palette.bad() } else { palette.bold() };
        Line::from(vec![
            text(clock(event.unix_ms, &self.zone), palette.dim()),
            Span::raw("  "),
            text(format!("{:<9}", event.kind), kind),
            Span::raw("  "),
            text(&event.title, palette.name()),
            Span::raw("  "),
            text(&event.text, Style::new()),
        ])
    }

    fn footer(&self) -> Line<'static> {
        let palette = self.palette;
        if self.mode == Mode::Filter {
            return Line::from(vec![
                text("filter: ", palette.bold()),
                text(&self.order.filter, Style::new()),
                text(" ", palette.selected()),
                text("  Enter keeps it, Esc clears it", palette.dim()),
            ]);
        }
        if let Some((note, is_refusal)) = &self.note {
            let style = if *is_refusal { palette.bad() } else { palette.good() };
            return Line::from(text(note, style));
        }
        let keys = [
            ("q", "quit"),
            ("?", "help"),
            ("Enter", "details"),
            ("/", "filter"),
            ("s", "sort"),
            ("g", "garbage"),
            ("d", "remove"),
            ("p", "pause"),
        ];
        let hint = |(key, what)| [text(key, palette.bold()), text(format!(" {what}  "), palette.dim())];
        Line::from(keys.into_iter().flat_map(hint).collect::<Vec<_>>())
    }
}

/// `── events ─────`
pub(super) fn rule(name: &str, width: u16, style: Style) -> Line<'static> {
    let name = text(format!("── {name} "), style);
    let rest = usize::from(width).saturating_sub(name.width());
    Line::from(vec![name, Span::styled("─".repeat(rest), style)])
}
