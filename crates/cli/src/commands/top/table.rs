//! The table of segments.

use std::collections::VecDeque;

use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use super::app::{App, HISTORY_LEN};
use super::concern::{Level, concerns};
use super::grid::{Column, Grid, text};
use super::order::changed_per_mille;
use super::palette::Palette;
use crate::live::{Scene, SegmentLook};
use crate::regions::{Mark, NOT_LOOKED_AT};
use crate::table::Align;
use crate::{size, time, who};

/// What a narrow terminal does without, first things first.
const EXPENDABLE: [&str; 9] =
    ["KEY", "AGE", "OWNER", "RESIDENT", "TYPE", "ATTACHED-BY", "ID", "ACTIVITY", "SIZE"];
/// What the names of processes need at least.
const ATTACHED_BY_MIN: usize = 16;

const COLUMNS: [Column; 11] = [
    column("ID", Align::Right, 10),
    column("SEGMENT", Align::Left, 24),
    column("KEY", Align::Left, 10),
    column("OWNER", Align::Left, 12),
    column("SIZE", Align::Right, 20),
    column("RESIDENT", Align::Right, 20),
    column("ACTIVITY", Align::Left, HISTORY_LEN + 5),
    column("TYPE", Align::Left, 16),
    column("STATUS", Align::Left, 24),
    column("AGE", Align::Right, 5),
    column("ATTACHED-BY", Align::Left, usize::MAX),
];

const fn column(name: &'static str, align: Align, width_max: usize) -> Column {
    Column { name, align, width_max }
}

/// All rows, for a terminal of this width or, without one, as wide as they need.
pub(super) fn lines(
    app: &App,
    scene: &Scene,
    rows: &[&SegmentLook],
    width: Option<usize>,
) -> (Line<'static>, Vec<Line<'static>>) {
    let columns = COLUMNS.iter().map(|column| if width.is_some() { *column } else { column.whole() });
    let mut grid = Grid::new(columns.collect());
    for segment in rows {
        grid.row(cells(app, scene, segment));
    }
    if let Some(width) = width {
        grid.fit(width, ATTACHED_BY_MIN, &EXPENDABLE);
    }
    let palette = app.palette;
    let marked = palette.bold().add_modifier(Modifier::UNDERLINED);
    let heading = grid.heading(palette.bold(), Some((app.order.sort.column(), marked)));
    (heading, grid.lines().collect())
}

fn cells(app: &App, scene: &Scene, segment: &SegmentLook) -> Vec<Span<'static>> {
    let (palette, record) = (app.palette, &segment.record);
    let plain = |cell: String| text(cell, Style::new());
    let owner = record.owner();
    let level = super::concern::level(segment);
    let title = if level == Some(Level::Bad) { palette.bad() } else { palette.name() };
    vec![
        plain(record.id.to_string()),
        text(&segment.title, title),
        plain(record.key_hex.clone()),
        plain(owner),
        plain(size::show(record.size_bytes as u64, app.bytes)),
        plain(size::show(record.resident_bytes, app.bytes)),
        activity(palette, segment, app.history.get(&record.id)),
        plain(kind(segment)),
        status(palette, segment),
        plain(age(
            scene,
            [record.change_time, record.attach_time, record.detach_time].into_iter().max().flatten(),
        )),
        attached(palette, segment),
    ]
}

/// The last looks as bars, and the share of the last.
fn activity(
    palette: Palette,
    segment: &SegmentLook,
    history: Option<&VecDeque<Option<u64>>>,
) -> Span<'static> {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let Some(now) = changed_per_mille(segment) else { return text("-", palette.dim()) };
    let bar = |look: &Option<u64>| match look {
        None => ' ',
        Some(0) => '·',
        Some(share) => BARS[usize::try_from(share * 7 / 1000).unwrap_or(0).min(7)],
    };
    let bars: String = history.into_iter().flatten().map(bar).collect();
    let share = match now {
        1..10 => "<1%".to_owned(),
        now => format!("{}%", now / 10),
    };
    let style = if now == 0 { palette.dim() } else { palette.good() };
    text(format!("{bars:>HISTORY_LEN$} {share:>4}"), style)
}

fn kind(segment: &SegmentLook) -> String {
    match &segment.record.region {
        Some(Mark::Region(label)) => label.of.clone(),
        Some(Mark::Unreadable(NOT_LOOKED_AT)) => "?".to_owned(),
        Some(Mark::Unreadable(why)) => format!("? {why}"),
        Some(Mark::Plain) | None => String::new(),
    }
}

fn status(palette: Palette, segment: &SegmentLook) -> Span<'static> {
    let found = concerns(segment);
    let words: Vec<&str> = found.iter().map(|concern| concern.text.as_str()).collect();
    text(words.join(", "), found.first().map_or(Style::new(), |concern| style(palette, concern.level)))
}

pub(super) fn style(palette: Palette, level: Level) -> Style {
    match level {
        Level::Bad => palette.bad(),
        Level::Warn => palette.warn(),
        Level::Told => palette.dim(),
    }
}

/// Since a moment in seconds, in one short word.
pub(super) fn age(scene: &Scene, seconds: Option<i64>) -> String {
    // Of whole seconds, as its moment is told.
    let now = scene.unix_ms / 1000;
    let since = |seconds: i64| now.saturating_sub(u64::try_from(seconds).unwrap_or(0));
    seconds.map(|seconds| time::short_s(since(seconds))).unwrap_or_default()
}

/// How many, and who.
fn attached(palette: Palette, segment: &SegmentLook) -> Span<'static> {
    let record = &segment.record;
    if record.attachment_count == 0 {
        return text("0", palette.dim());
    }
    let holders = record.attached.as_deref().unwrap_or_default();
    let who = who::sentence(holders, record.hidden_count.unwrap_or(0));
    text(format!("{}: {who}", record.attachment_count), Style::new())
}
