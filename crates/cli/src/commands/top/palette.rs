//! What the view's styles mean; without colors, weight alone tells.

use ratatui::style::{Color, Modifier, Style};

#[derive(Clone, Copy, Debug)]
pub(super) struct Palette {
    pub(super) has_colors: bool,
}

impl Palette {
    fn style(self, color: Color, otherwise: Modifier) -> Style {
        if self.has_colors { Style::new().fg(color) } else { Style::new().add_modifier(otherwise) }
    }

    /// Names of things.
    pub(super) fn name(self) -> Style {
        self.style(Color::Cyan, Modifier::empty())
    }

    pub(super) fn good(self) -> Style {
        self.style(Color::Green, Modifier::empty())
    }

    /// Worth a look.
    pub(super) fn warn(self) -> Style {
        self.style(Color::Yellow, Modifier::empty())
    }

    /// Somebody should do something.
    pub(super) fn bad(self) -> Style {
        self.style(Color::Red, Modifier::BOLD)
    }

    pub(super) fn dim(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    pub(super) fn bold(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub(super) fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}
