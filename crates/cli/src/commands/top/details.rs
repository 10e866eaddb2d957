//! The selected segment closely: who is attached, who is in its region, locks, channels, and why its verdict is what it is.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::app::App;
use super::draw::{put, put_all, rule};
use super::grid::{Column, Grid, text, wrap};
use super::palette::Palette;
use super::table::age;
use crate::commands::gc::judge::Verdict;
use crate::commands::locks::state::{LockState, Party, State};
use crate::live::region::{ChannelLook, LockLook, Member, RegionLook};
use crate::live::{Scene, SegmentLook};
use crate::output;
use crate::regions::{Mark, NOT_LOOKED_AT};
use crate::table::Align;
use crate::view::title;
use crate::{size, time};

pub(super) fn draw(app: &mut App, buffer: &mut Buffer, area: Rect, scene: &Scene, segment: &SegmentLook) {
    let Some(height) = area.height.checked_sub(1) else { return };
    let lines = Details { palette: app.palette, bytes: app.bytes, scene, segment }.lines(area.width.into());
    let below = lines.len().saturating_sub(height.into());
    app.details_top = app.details_top.min(below);
    let more = match below - app.details_top {
        0 if app.details_top == 0 => String::new(),
        more => format!(" (J, K scroll: {more} more)"),
    };
    let name = format!("{}{more}", segment.title);
    put(buffer, area, 0, &rule(&name, area.width, app.palette.dim()));
    let below_rule = Rect { y: area.y + 1, height, ..area };
    put_all(buffer, below_rule, lines.into_iter().skip(app.details_top));
}

struct Details<'a> {
    palette: Palette,
    bytes: bool,
    scene: &'a Scene,
    segment: &'a SegmentLook,
}

const fn column(name: &'static str, align: Align) -> Column {
    Column { name, align, width_max: 40 }
}

impl Details<'_> {
    fn lines(&self, width: usize) -> Vec<Line<'static>> {
        let mut lines = self.about(width);
        lines.extend(self.verdict(width));
        lines.extend(self.attached(width));
        if let Some(inside) = &self.segment.inside {
            lines.extend(self.participants(inside, width));
            lines.extend(self.locks(inside, width));
            lines.extend(self.channels(inside, width));
        }
        lines
    }

    fn about(&self, width: usize) -> Vec<Line<'static>> {
        let record = &self.segment.record;
        let owner = record.owner();
        let mut words = format!(
            "{}, {}, mode {}, owner {owner}, made by pid {}, last used by pid {}",
            title(&self.segment.stat),
            size::show(record.size_bytes as u64, self.bytes),
            record.mode_octal,
            record.creator_pid,
            record.last_pid,
        );
        for (what, at) in [
            ("changed", record.change_time),
            ("attached", record.attach_time),
            ("detached", record.detach_time),
        ] {
            if at.is_some() {
                words.push_str(&format!(", {what} {} ago", age(self.scene, at)));
            }
        }
        if let Some(Mark::Unreadable(why)) = record.region {
            words.push_str(&format!("; what is inside was {why}"));
            if why == NOT_LOOKED_AT {
                words.push_str(": nobody has it attached whom you may look through (coseg show attaches it)");
            }
        }
        wrap(&words, Style::new(), width).into_iter().map(Line::from).collect()
    }

    fn verdict(&self, width: usize) -> Vec<Line<'static>> {
        let (word, style) = match self.segment.verdict {
            Verdict::Garbage => ("garbage", self.palette.bad()),
            Verdict::Unsure => ("unsure", self.palette.warn()),
            Verdict::Keep => ("keep", self.palette.good()),
        };
        let words = format!("{word}: {}", self.segment.verdict_why);
        wrap(&words, style, width).into_iter().map(Line::from).collect()
    }

    /// A grid as lines, with its heading.
    fn shown(&self, mut grid: Grid, width: usize) -> Vec<Line<'static>> {
        grid.fit(width, 10, &[]);
        std::iter::once(grid.heading(self.palette.bold(), None)).chain(grid.lines()).collect()
    }

    fn plain(cell: impl AsRef<str>) -> Span<'static> {
        text(cell, Style::new())
    }

    fn attached(&self, width: usize) -> Vec<Line<'static>> {
        let record = &self.segment.record;
        let mut grid = Grid::new(vec![
            column("ATTACHED", Align::Right),
            column("COMMAND", Align::Left),
            column("USER", Align::Left),
            column("ACCESS", Align::Left),
            column("SIZE", Align::Right),
            column("ADDRESS", Align::Left),
        ]);
        for holder in record.attached.iter().flatten() {
            let user = holder.user.clone().or_else(|| Some(holder.uid?.to_string()));
            grid.row(vec![
                Self::plain(holder.pid.to_string()),
                text(holder.command.as_deref().unwrap_or("?"), self.palette.name()),
                Self::plain(user.as_deref().unwrap_or("?")),
                Self::plain(if holder.read_only { "ro" } else { "rw" }),
                Self::plain(size::show(holder.size_bytes as u64, self.bytes)),
                Self::plain(&holder.address_hex),
            ]);
        }
        let hidden = record.hidden_count.filter(|&hidden| hidden > 0).map(|hidden| {
            let words = output::count(hidden, "attachment is hidden", "attachments are hidden");
            Line::from(text(words, self.palette.warn()))
        });
        if grid.is_empty() {
            return hidden.into_iter().collect();
        }
        let mut lines = self.shown(grid, width);
        lines.extend(hidden);
        lines
    }

    /// Since a moment that a region noted.
    fn since(&self, unix_ns: u64) -> String {
        time::short(self.scene.unix_ms.saturating_sub(unix_ns / 1_000_000))
    }

    /// A participant's name, and that he is dead.
    fn party(&self, party: &Party) -> Span<'static> {
        let style = if party.alive == Some(false) { self.palette.bad() } else { self.palette.name() };
        text(party.short(), style)
    }

    fn participants(&self, inside: &RegionLook, width: usize) -> Vec<Line<'static>> {
        if inside.participants.is_empty() {
            return Vec::new();
        }
        let mut grid = Grid::new(vec![
            column("SLOT", Align::Right),
            column("GENERATION", Align::Right),
            column("JOINED", Align::Right),
            column("PARTICIPANT", Align::Left),
        ]);
        let number = |number: Option<String>| Self::plain(number.unwrap_or_default());
        for Member { party, joined_unix_ns, .. } in &inside.participants {
            grid.row(vec![
                number(party.slot.map(|slot| slot.to_string())),
                number(party.generation.map(|generation| generation.to_string())),
                Self::plain(format!("{} ago", self.since(*joined_unix_ns))),
                self.party(party),
            ]);
        }
        self.shown(grid, width)
    }

    fn locks(&self, inside: &RegionLook, width: usize) -> Vec<Line<'static>> {
        let mut grid = Grid::new(vec![
            column("LOCK", Align::Left),
            column("STATE", Align::Left),
            column("TAKEN", Align::Right),
            column("FOR", Align::Right),
            column("BY", Align::Left),
            Column { name: "WAITING", align: Align::Left, width_max: usize::MAX },
        ]);
        for LockLook { lock, per_s } in &inside.locks {
            let style = match lock.state {
                State::Orphaned => self.palette.bad(),
                State::Held => self.palette.warn(),
                State::Reading => self.palette.good(),
                State::Free => self.palette.dim(),
            };
            let held = lock.held_since_unix_ns.map(|since| self.since(since)).unwrap_or_default();
            grid.row(vec![
                text(&lock.name, self.palette.name()),
                text(format!("{:?}", lock.state).to_lowercase(), style),
                Self::plain(per_second(*per_s)),
                Self::plain(held),
                self.holders(lock),
                Self::plain(self.waiters(lock)),
            ]);
        }
        if grid.is_empty() { Vec::new() } else { self.shown(grid, width) }
    }

    fn holders(&self, lock: &LockState) -> Span<'static> {
        if let Some(holder) = &lock.holder {
            return self.party(holder);
        }
        let readers: Vec<String> = lock.readers.iter().map(Party::short).collect();
        Self::plain(readers.join(", "))
    }

    fn waiters(&self, lock: &LockState) -> String {
        let waiters = lock
            .waiters
            .iter()
            .map(|waiter| format!("{} for {}", waiter.party.short(), self.since(waiter.since_unix_ns)));
        waiters.collect::<Vec<_>>().join(", ")
    }

    fn channels(&self, inside: &RegionLook, width: usize) -> Vec<Line<'static>> {
        let mut grid = Grid::new(vec![
            column("CHANNEL", Align::Left),
            column("KIND", Align::Left),
            column("STATE", Align::Left),
            column("READY", Align::Right),
            column("SENT", Align::Right),
            column("RECEIVED", Align::Right),
            Column { name: "ENDS", align: Align::Left, width_max: usize::MAX },
        ]);
        for ChannelLook { channel, sent_per_s, received_per_s } in &inside.channels {
            let state = &channel.state;
            let status = state.status();
            let style = match status {
                "orphaned" => self.palette.bad(),
                "full" => self.palette.warn(),
                "closed" => self.palette.dim(),
                _ => self.palette.good(),
            };
            grid.row(vec![
                text(&channel.name, self.palette.name()),
                Self::plain(&channel.kind),
                text(status, style),
                Self::plain(format!("{}/{}", state.ready_count, state.capacity)),
                Self::plain(per_second(*sent_per_s)),
                Self::plain(per_second(*received_per_s)),
                Self::plain(state.ends()),
            ]);
        }
        if grid.is_empty() { Vec::new() } else { self.shown(grid, width) }
    }
}

/// `0/s`, `3.5/s`, `12,000/s`, and `-` where nobody counts, or too little time has passed.
fn per_second(rate: Option<f64>) -> String {
    match rate {
        None => "-".to_owned(),
        Some(rate) if rate > 0.0 && rate < 10.0 => format!("{rate:.1}/s"),
        #[expect(clippy::cast_possible_truncation, reason = "for people")]
        Some(rate) => format!("{}/s", output::grouped(rate.round() as u64)),
    }
}
