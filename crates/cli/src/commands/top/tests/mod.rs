//! Frames as text, and what keys do to them.

mod frames;
mod keys;
mod scenes;

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use jiff::tz::TimeZone;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

use super::app::{Action, App};
use super::order::{Order, Sort};
use super::palette::Palette;
use crate::live::Scene;

/// A view that has seen a scene.
fn app(sort: Sort, scene: &Scene) -> App {
    let order = Order { sort, reverse: false, filter: String::new(), garbage_only: false };
    let palette = Palette { has_colors: false };
    let mut app = App::new(palette, TimeZone::UTC, order, Duration::from_secs(1));
    app.see(scene);
    app
}

fn buffer(app: &mut App, scene: &Scene, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| app.draw(frame, scene)).unwrap();
    terminal.backend().buffer().clone()
}

/// The lines of a frame, without the blanks behind them.
fn frame(app: &mut App, scene: &Scene, width: u16, height: u16) -> String {
    let buffer = buffer(app, scene, width, height);
    let line = |y| {
        let mut line = String::new();
        let mut x = 0;
        while x < width {
            let cell = &buffer[(x, y)];
            line.push_str(cell.symbol());
            x += u16::try_from(ratatui::text::Span::raw(cell.symbol()).width().max(1)).unwrap();
        }
        line.trim_end().to_owned() + "\n"
    };
    (0..height).map(line).collect()
}

fn press(app: &mut App, scene: &Scene, code: KeyCode) -> Action {
    app.on_key(KeyEvent::new(code, KeyModifiers::NONE), scene)
}

/// One key after the other, each a letter.
fn type_in(app: &mut App, scene: &Scene, letters: &str) {
    for letter in letters.chars() {
        assert_eq!(press(app, scene, KeyCode::Char(letter)), Action::Nothing, "{letter}");
    }
}
