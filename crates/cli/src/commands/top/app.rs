//! What the view shows of a scene, and what keys change of that. No I/O: looking, drawing and removing are others'.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use coseg_sysv::Stat;
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use jiff::tz::TimeZone;

use super::order::{Order, changed_per_mille};
use super::palette::Palette;
use crate::live::events::Event;
use crate::live::{Scene, SegmentLook};
use crate::view::title;

/// Looks whose activity is kept of each segment.
pub(super) const HISTORY_LEN: usize = 8;
/// Events that are kept.
const EVENTS_MAX: usize = 200;
/// The intervals that `+` and `-` go through, in milliseconds.
const INTERVALS_MS: [u64; 10] = [100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 300_000];

/// What a key asks of whoever has the terminal and the segments.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    Nothing,
    Quit,
    /// Stop, as Ctrl-Z has it, until the shell says to go on.
    Suspend,
    /// Draw all of the screen again.
    Redraw,
    /// Look at once.
    Look,
    /// Remove this one, if it is still as it was when the question was asked.
    Remove(Stat),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    List,
    /// The filter is being written.
    Filter,
    /// Whether to remove this one is being asked.
    Confirm(Stat),
    Help,
}

#[derive(Debug)]
pub(super) struct App {
    pub(super) palette: Palette,
    /// Sizes as plain numbers.
    pub(super) bytes: bool,
    pub(super) zone: TimeZone,
    pub(super) order: Order,
    pub(super) every: Duration,
    pub(super) paused: bool,
    pub(super) mode: Mode,
    /// Whether the selected segment's details are shown.
    pub(super) details: bool,
    /// Lines of the details that are scrolled away.
    pub(super) details_top: usize,
    pub(super) events: VecDeque<Event>,
    pub(super) history: HashMap<i32, VecDeque<Option<u64>>>,
    /// The last answer, and whether it is a refusal.
    pub(super) note: Option<(String, bool)>,
    /// The id that was chosen. Without one, the first row is selected, whichever that is.
    pub(super) selected: Option<i32>,
    /// The row that was selected last, for when its segment goes.
    pub(super) row: usize,
    /// The first row that is drawn, and how many were.
    pub(super) top: usize,
    pub(super) row_count: usize,
}

impl App {
    pub(super) fn new(palette: Palette, zone: TimeZone, order: Order, every: Duration) -> App {
        App {
            palette,
            bytes: false,
            zone,
            order,
            every,
            paused: false,
            mode: Mode::List,
            details: false,
            details_top: 0,
            events: VecDeque::new(),
            history: HashMap::new(),
            note: None,
            selected: None,
            row: 0,
            top: 0,
            row_count: 1,
        }
    }

    /// Takes in a new look.
    pub(super) fn see(&mut self, scene: &Scene) {
        self.events.extend(scene.events.iter().cloned());
        let excess = self.events.len().saturating_sub(EVENTS_MAX);
        self.events.drain(..excess);
        let mut before = std::mem::take(&mut self.history);
        for segment in &scene.segments {
            let mut history = before.remove(&segment.record.id).unwrap_or_default();
            history.push_back(changed_per_mille(segment));
            let excess = history.len().saturating_sub(HISTORY_LEN);
            history.drain(..excess);
            self.history.insert(segment.record.id, history);
        }
        if let Mode::Confirm(asked) = self.mode
            && !scene.segments.iter().any(|segment| segment.stat == asked)
        {
            self.mode = Mode::List;
            self.refuse(format!("{} has changed meanwhile: nothing was removed", title(&asked)));
        }
    }

    pub(super) fn tell(&mut self, text: String) {
        self.note = Some((text, false));
    }

    pub(super) fn refuse(&mut self, text: String) {
        self.note = Some((text, true));
    }

    /// The row that is selected, of those shown.
    pub(super) fn selected_row(&self, rows: &[&SegmentLook]) -> Option<usize> {
        let chosen = |id| rows.iter().position(|segment| segment.record.id == id);
        let row = match self.selected {
            Some(id) => chosen(id).unwrap_or(self.row),
            None => 0,
        };
        rows.len().checked_sub(1).map(|last| row.min(last))
    }

    pub(super) fn on_key(&mut self, key: KeyEvent, scene: &Scene) -> Action {
        if key.kind == KeyEventKind::Release {
            return Action::Nothing;
        }
        self.note = None;
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            match key.code {
                KeyCode::Char('c') => return Action::Quit,
                KeyCode::Char('z') => return Action::Suspend,
                KeyCode::Char('l') => return Action::Redraw,
                KeyCode::Char('u') if self.mode == Mode::Filter => self.order.filter.clear(),
                _ => {}
            }
            return Action::Nothing;
        }
        match self.mode {
            Mode::List => return self.on_list_key(key, scene),
            Mode::Filter => self.on_filter_key(key.code),
            Mode::Confirm(stat) => return self.on_answer(key.code, stat),
            Mode::Help => self.mode = Mode::List,
        }
        Action::Nothing
    }

    fn on_filter_key(&mut self, code: KeyCode) {
        match code {
            KeyCode::Enter => self.mode = Mode::List,
            KeyCode::Esc => {
                self.order.filter.clear();
                self.mode = Mode::List;
            }
            KeyCode::Backspace => {
                self.order.filter.pop();
            }
            KeyCode::Char(c) => self.order.filter.push(c),
            _ => {}
        }
    }

    fn on_answer(&mut self, code: KeyCode, stat: Stat) -> Action {
        match code {
            KeyCode::Char('y' | 'Y') => {
                self.mode = Mode::List;
                Action::Remove(stat)
            }
            KeyCode::Char('n' | 'N' | 'q') | KeyCode::Esc => {
                self.mode = Mode::List;
                self.tell("nothing was removed".to_owned());
                Action::Nothing
            }
            _ => Action::Nothing,
        }
    }

    fn on_list_key(&mut self, key: KeyEvent, scene: &Scene) -> Action {
        let page = self.row_count.saturating_sub(1).max(1);
        match key.code {
            KeyCode::Char('q') => return Action::Quit,
            KeyCode::Esc => return self.step_back(),
            KeyCode::Down if key.modifiers.contains(KeyModifiers::SHIFT) => self.details_top += 1,
            KeyCode::Up if key.modifiers.contains(KeyModifiers::SHIFT) => self.scroll_details_back(),
            KeyCode::Char('J') => self.details_top += 1,
            KeyCode::Char('K') => self.scroll_details_back(),
            KeyCode::Down | KeyCode::Char('j') => self.select(scene, |row| row + 1),
            KeyCode::Up | KeyCode::Char('k') => self.select(scene, |row| row.saturating_sub(1)),
            KeyCode::PageDown => self.select(scene, |row| row + page),
            KeyCode::PageUp => self.select(scene, |row| row.saturating_sub(page)),
            KeyCode::Home => self.select(scene, |_| 0),
            KeyCode::End => self.select(scene, |_| usize::MAX),
            KeyCode::Enter => {
                // From now on it is this one, whatever comes first.
                self.select(scene, |row| row);
                self.show_details(!self.details);
            }
            KeyCode::Right | KeyCode::Char('l') => {
                self.select(scene, |row| row);
                self.show_details(true);
            }
            KeyCode::Left => self.show_details(false),
            KeyCode::Char('s' | '>') => self.order.sort = self.order.sort.step(true),
            KeyCode::Char('<') => self.order.sort = self.order.sort.step(false),
            KeyCode::Char('r') => self.order.reverse = !self.order.reverse,
            KeyCode::Char('g') => self.order.garbage_only = !self.order.garbage_only,
            KeyCode::Char('/') => self.mode = Mode::Filter,
            KeyCode::Char('h' | '?') => self.mode = Mode::Help,
            KeyCode::Char('d') | KeyCode::Delete => self.ask(scene),
            KeyCode::Char('p') => {
                self.paused = !self.paused;
                return if self.paused { Action::Nothing } else { Action::Look };
            }
            KeyCode::Char(' ') => return Action::Look,
            KeyCode::Char('+') => self.change_interval(true),
            KeyCode::Char('-') => self.change_interval(false),
            _ => {}
        }
        Action::Nothing
    }

    /// Closes what is open, the last first; with nothing open, ends.
    fn step_back(&mut self) -> Action {
        if self.details {
            self.show_details(false);
        } else if self.order.is_everything() {
            return Action::Quit;
        } else {
            self.order.filter.clear();
            self.order.garbage_only = false;
        }
        Action::Nothing
    }

    fn show_details(&mut self, shown: bool) {
        self.details = shown;
        self.details_top = 0;
    }

    fn scroll_details_back(&mut self) {
        self.details_top = self.details_top.saturating_sub(1);
    }

    fn select(&mut self, scene: &Scene, to: impl FnOnce(usize) -> usize) {
        let rows = self.order.apply(&scene.segments);
        let Some(row) = self.selected_row(&rows) else { return };
        self.row = to(row).min(rows.len() - 1);
        self.selected = Some(rows[self.row].record.id);
        self.details_top = 0;
    }

    fn ask(&mut self, scene: &Scene) {
        let rows = self.order.apply(&scene.segments);
        let Some(row) = self.selected_row(&rows) else { return };
        let stat = rows[row].stat;
        self.selected = Some(stat.id.raw());
        if stat.removed {
            self.refuse(format!("{} is removed already, and goes with its last attachment", title(&stat)));
        } else {
            self.mode = Mode::Confirm(stat);
        }
    }

    fn change_interval(&mut self, longer: bool) {
        let now = u64::try_from(self.every.as_millis()).unwrap_or(u64::MAX);
        let next = if longer {
            INTERVALS_MS.into_iter().find(|&ms| ms > now)
        } else {
            INTERVALS_MS.into_iter().rev().find(|&ms| ms < now)
        };
        if let Some(ms) = next {
            self.every = Duration::from_millis(ms);
        }
    }
}
