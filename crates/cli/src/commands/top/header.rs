//! The first lines: which facility, how full it is, what there is to worry about.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::app::App;
use super::concern::Level;
use super::draw::clock;
use super::grid::{cut, text};
use super::palette::Palette;
use super::table;
use crate::commands::gc::judge::Verdict;
use crate::live::{Scene, SegmentLook};
use crate::regions::Mark;
use crate::{output, size};

/// What a gauge's bar has at least, and at most.
const BAR_MIN: usize = 4;
const BAR_MAX: usize = 20;

pub(super) fn lines(app: &App, scene: &Scene, width: u16) -> [Line<'static>; 3] {
    let width = usize::from(width);
    [first(app, scene, width), gauges(app, scene, width), worries(app, scene, width)]
}

/// Text at both ends of a line; where both do not fit, the left one gives.
fn spread(left: Vec<Span<'static>>, right: Span<'static>, width: usize) -> Line<'static> {
    let mut room = width.saturating_sub(right.width() + 1);
    let mut spans = Vec::new();
    for span in left {
        let span = cut(&span, room);
        room -= span.width();
        spans.push(span);
    }
    spans.push(Span::raw(" ".repeat(room + 1)));
    spans.push(right);
    Line::from(spans)
}

fn first(app: &App, scene: &Scene, width: usize) -> Line<'static> {
    let palette = app.palette;
    let left = vec![text("coseg top  ", palette.bold()), text(&scene.place, palette.name())];
    let every = format!("every {}  {}", interval(app), clock(scene.unix_ms, &app.zone));
    let right = if app.paused {
        text(format!("paused at {}", clock(scene.unix_ms, &app.zone)), palette.warn())
    } else {
        text(every, Style::new())
    };
    spread(left, right, width)
}

/// `500ms`, `1s`, `1.5s`
fn interval(app: &App) -> String {
    match app.every.as_millis() {
        ms if ms < 1000 => format!("{ms}ms"),
        _ => format!("{}s", app.every.as_secs_f64()),
    }
}

struct Gauge {
    name: &'static str,
    used: u64,
    limit: Option<u64>,
    /// Whether being full is a worry.
    is_to_stay_low: bool,
    words: String,
}

fn gauges(app: &App, scene: &Scene, width: usize) -> Line<'static> {
    let (usage, limits) = (&scene.usage, &scene.limits);
    let show = |bytes| size::show(bytes, app.bytes);
    let of = |limit: Option<String>| limit.map_or_else(String::new, |limit| format!(" of {limit}"));
    let count = u64::from(usage.segment_count);
    let gauges = [
        Gauge {
            name: "segments",
            used: count,
            limit: Some(limits.shmmni),
            is_to_stay_low: true,
            words: format!("{} of {}", output::grouped(count), output::grouped(limits.shmmni)),
        },
        Gauge {
            name: "size",
            used: usage.total_bytes,
            limit: limits.shmall_bytes,
            is_to_stay_low: true,
            words: format!("{}{}", show(usage.total_bytes), of(limits.shmall_bytes.map(show))),
        },
        Gauge {
            name: "resident",
            used: usage.resident_bytes,
            limit: Some(usage.total_bytes),
            is_to_stay_low: false,
            words: show(usage.resident_bytes),
        },
    ];
    let words: usize = gauges.iter().map(|gauge| gauge.name.len() + gauge.words.len() + 5).sum();
    // Bars of the same length, if there is room for any.
    let bar = width.saturating_sub(words) / gauges.len();
    let bar = if bar < BAR_MIN { 0 } else { bar.min(BAR_MAX) };
    let mut spans = Vec::new();
    for gauge in gauges {
        spans.push(text(format!("{} ", gauge.name), app.palette.dim()));
        spans.extend(gauge.bar(app.palette, bar));
        spans.push(text(format!("{}   ", gauge.words), Style::new()));
    }
    Line::from(spans)
}

impl Gauge {
    /// In eighths of a letter, in the color of how full it is.
    fn bar(&self, palette: Palette, width: usize) -> Vec<Span<'static>> {
        const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
        if width == 0 {
            return Vec::new();
        }
        let limit = u128::from(self.limit.unwrap_or(u64::MAX).max(1));
        let used = u128::from(self.used).min(limit);
        let eighths = usize::try_from(used * (width as u128 * 8) / limit).unwrap_or(0);
        let eighths = eighths.max(usize::from(used > 0));
        let full = format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8]);
        let full = match used * 100 / limit {
            75..90 if self.is_to_stay_low => text(full, palette.warn()),
            90.. if self.is_to_stay_low => text(full, palette.bad()),
            _ => text(full, palette.good()),
        };
        let rest = "░".repeat(width.saturating_sub(full.width()));
        vec![full, text(rest, palette.dim()), Span::raw(" ")]
    }
}

fn worries(app: &App, scene: &Scene, width: usize) -> Line<'static> {
    let palette = app.palette;
    let mut found = Vec::new();
    let mut add = |level: Level, words: String| {
        if !found.is_empty() {
            found.push(text(", ", palette.dim()));
        }
        found.push(text(words, table::style(palette, level)));
    };
    let garbage = || scene.segments.iter().filter(|segment| segment.verdict == Verdict::Garbage);
    let count = garbage().count();
    if count > 0 {
        let bytes = garbage().map(|segment| segment.record.size_bytes as u64).sum();
        add(Level::Bad, format!("{count} garbage ({})", size::show(bytes, app.bytes)));
    }
    let sum = |of: fn(&SegmentLook) -> usize| scene.segments.iter().map(of).sum::<usize>() as u64;
    match sum(|segment| segment.inside.as_ref().map_or(0, |inside| inside.orphaned_locks().count())) {
        0 => {}
        count => add(Level::Bad, output::count(count, "orphaned lock", "orphaned locks")),
    }
    match sum(|segment| segment.inside.as_ref().map_or(0, |inside| inside.dead_count())) {
        0 => {}
        count => add(Level::Warn, output::count(count, "dead participant", "dead participants")),
    }
    match sum(|segment| usize::from(segment.stat.removed)) {
        0 => {}
        count => add(Level::Warn, format!("{count} removed")),
    }
    if scene.hidden_count > 0 {
        add(Level::Told, output::count(scene.hidden_count, "attachment hidden", "attachments hidden"));
    }
    let is_unseen = |segment: &&SegmentLook| matches!(segment.record.region, Some(Mark::Unreadable(_)));
    let unseen_count = scene.segments.iter().filter(is_unseen).count();
    if found.is_empty() {
        let words = if unseen_count == 0 { "no garbage, nobody dead" } else { "no garbage" };
        found.push(text(words, palette.dim()));
    }
    if unseen_count > 0 {
        found.push(text(format!(", {unseen_count} not looked into"), palette.dim()));
    }
    let shown = &app.order;
    let mut order = format!("by {:?}", shown.sort).to_lowercase();
    if shown.reverse {
        order.push_str(", reversed");
    }
    if shown.garbage_only {
        order.push_str(", garbage only");
    }
    if !shown.filter.is_empty() {
        order.push_str(&format!(", with `{}`", shown.filter));
    }
    spread(found, text(order, palette.dim()), width)
}
