//! What lies over the view: the question before a removal, and the keys.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Text};
use ratatui::widgets::{Block, Clear, Padding, Paragraph, Widget};

use super::app::App;
use super::grid::{text, wrap};
use crate::commands::gc::judge::Verdict;
use crate::live::SegmentLook;
use crate::size;
use crate::view::title;
use crate::who;

/// Columns that lines of a dialog have.
const WIDTH: u16 = 72;
/// Fewer cut what a question is about.
const WIDTH_MIN: u16 = 40;

const KEYS: [(&str, &str); 18] = [
    ("↑ ↓ j k", "select; PageUp, PageDown, Home and End too"),
    ("Enter →", "the selected segment closely; again or ← closes that"),
    ("J K", "scroll what is shown of it"),
    ("s < >", "sort by the next, the previous, the next column"),
    ("r", "turn the order around"),
    ("/", "show what has this text in its name, key, owner, type or commands"),
    ("g", "show garbage only"),
    ("d Delete", "remove the selected segment, after a question"),
    ("p", "pause, and go on"),
    ("Space", "look at once"),
    ("+ -", "look less often, more often"),
    ("Esc", "back: from the details, from the filter, and out"),
    ("Ctrl-L", "draw everything anew"),
    ("q", "quit"),
    ("", ""),
    ("ACTIVITY", "the pages that changed, of those looked at: the last looks, and the share in the last"),
    ("AGE", "since it was last used: made, attached or detached"),
    ("STATUS", "what there is to worry about; coseg gc and doctor say more"),
];

/// Columns that names of facts and keys have.
const NAME_WIDTH: usize = 10;

/// Columns within a dialog's border.
fn inner(area: Rect) -> usize {
    usize::from(WIDTH.min(area.width)).saturating_sub(4)
}

/// A name, and what is to be said of it in as many lines as that takes.
fn fact(name: &str, name_style: Style, words: &str, style: Style, area: Rect) -> Vec<Line<'static>> {
    let rest = inner(area).saturating_sub(NAME_WIDTH);
    let names = std::iter::once(name).chain(std::iter::repeat(""));
    let line = |(name, words)| Line::from(vec![text(format!("{name:<NAME_WIDTH$}"), name_style), words]);
    names.zip(wrap(words, style, rest)).map(line).collect()
}

pub(super) fn help(app: &App, buffer: &mut Buffer, area: Rect) {
    let line = |(key, what)| fact(key, app.palette.bold(), what, Style::new(), area);
    let lines = KEYS.into_iter().flat_map(line).collect();
    draw(app, buffer, area, "keys; any of them closes this", lines);
}

/// What would be removed, and what that does; whether all of the question can be seen.
pub(super) fn confirm(app: &App, buffer: &mut Buffer, area: Rect, segment: &SegmentLook) -> bool {
    let (palette, record) = (app.palette, &segment.record);
    let owner = record.owner();
    let (attached, attached_style, effect) = match record.attachment_count {
        0 => ("nobody".to_owned(), palette.good(), "Its key and its memory go at once."),
        _ => {
            let holders = record.attached.as_deref().unwrap_or_default();
            let who = who::sentence(holders, record.hidden_count.unwrap_or(0));
            (who, palette.bad(), "Its key goes at once, its memory when the last of them detaches.")
        }
    };
    let verdict_style = match segment.verdict {
        Verdict::Garbage => palette.good(),
        Verdict::Keep | Verdict::Unsure => palette.warn(),
    };
    let verdict = format!("{:?}", segment.verdict).to_lowercase();
    let facts = [
        ("segment", title(&segment.stat), palette.name()),
        ("name", segment.title.clone(), Style::new()),
        ("size", size::show(record.size_bytes as u64, app.bytes), Style::new()),
        ("owner", format!("{owner}, mode {}", record.mode_octal), Style::new()),
        ("attached", attached, attached_style),
        ("verdict", format!("{verdict}: {}", segment.verdict_why), verdict_style),
    ];
    let line = |(name, words, style): (&str, String, Style)| fact(name, palette.dim(), &words, style, area);
    let mut lines: Vec<Line<'static>> = facts.into_iter().flat_map(line).collect();
    lines.push(Line::default());
    lines.extend(wrap(effect, Style::new(), inner(area)).into_iter().map(Line::from));
    lines.push(Line::from(vec![
        text("y", palette.bold()),
        text(" removes it   ", Style::new()),
        text("n", palette.bold()),
        text(" keeps it", Style::new()),
    ]));
    let is_seen = area.width >= WIDTH_MIN && lines.len() + 2 <= usize::from(area.height);
    if is_seen {
        draw(app, buffer, area, "remove this segment?", lines);
    }
    is_seen
}

fn draw(app: &App, buffer: &mut Buffer, area: Rect, name: &'static str, lines: Vec<Line<'static>>) {
    let width = WIDTH.min(area.width);
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX).min(area.height);
    let place =
        Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    Clear.render(place, buffer);
    let block = Block::bordered().title(format!(" {name} ")).title_style(app.palette.bold());
    let block = block.padding(Padding::horizontal(1));
    Paragraph::new(Text::from(lines)).block(block).render(place, buffer);
}
