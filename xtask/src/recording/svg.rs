//! Frames beside one another behind a window, which goes from one to the next.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::film::{Film, Look, Row, Run};
use crate::markup::escaped;

const CELL: f64 = 7.8;
const LINE: f64 = 17.0;
const MARGIN: f64 = 14.0;
/// Letters stand on this, of a line.
const BASE: f64 = 12.5;

/// The same on a light page and on a dark one: it is a terminal.
const STYLE: &str = "
  .ground { fill: #0d1117 } .cursor { fill: #e6edf3 }
  text { fill: #e6edf3; font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace; white-space: pre }
  .b { font-weight: 700 } .d { opacity: .6 } .i { fill: #0d1117 }
  .c1 { fill: #ff7b72 } .c2 { fill: #3fb950 } .c3 { fill: #d29922 } .c4 { fill: #58a6ff } .c5 { fill: #bc8cff }
  .c6 { fill: #39c5cf } .c7 { fill: #b1bac4 } .c8 { fill: #6e7681 }
";

pub(super) fn picture(film: &Film) -> String {
    let (width, height) = (f64::from(film.columns) * CELL, f64::from(film.rows) * LINE);
    let (outer_width, outer_height) = (width + 2.0 * MARGIN, height + 2.0 * MARGIN);
    let step = outer_width;
    let seconds = film.length.as_secs_f64();
    let mut rows: BTreeMap<&Row, usize> = BTreeMap::new();
    for row in film.frames.iter().flat_map(|frame| &frame.rows).filter(|row| !row.is_empty()) {
        let number = rows.len();
        rows.entry(row).or_insert(number);
    }
    let mut text = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{outer_width:.0}" height="{outer_height:.0}" viewBox="0 0 {outer_width:.1} {outer_height:.1}" role="img">
<title>coseg top finds a leak: segments that nobody uses, why they are garbage, and their removal</title>
<style>{STYLE}  @keyframes film {{
"#
    );
    for (number, frame) in film.frames.iter().enumerate() {
        let share = frame.at.as_secs_f64() / seconds * 100.0;
        let _ = writeln!(text, "    {share:.2}% {{ transform: translateX({:.1}px) }}", -step * number as f64);
    }
    let _ = writeln!(
        text,
        "  }}\n  .film {{ animation: film {seconds:.1}s step-end infinite }}\n  \
         @media (prefers-reduced-motion: reduce) {{ .film {{ animation: none }} }}\n</style>\n<defs>"
    );
    for (row, number) in &rows {
        let _ = write!(text, r#"<g id="r{number}">"#);
        row.iter().for_each(|run| write_run(&mut text, run));
        text.push_str("</g>\n");
    }
    let _ = writeln!(
        text,
        r#"<clipPath id="window"><rect width="{width:.1}" height="{height:.1}"/></clipPath></defs>
<rect class="ground" width="{outer_width:.1}" height="{outer_height:.1}" rx="8"/>
<g transform="translate({MARGIN} {MARGIN})" clip-path="url(#window)"><g class="film">"#
    );
    for (number, frame) in film.frames.iter().enumerate() {
        let _ = write!(text, r#"<g transform="translate({:.1} 0)">"#, step * number as f64);
        for (line, row) in frame.rows.iter().enumerate().filter(|(_, row)| !row.is_empty()) {
            let _ = write!(text, r##"<use href="#r{}" y="{}"/>"##, rows[row], LINE * line as f64);
        }
        text.push_str("</g>\n");
    }
    text.push_str("</g></g>\n</svg>\n");
    text
}

fn write_run(text: &mut String, run: &Run) {
    let (x, width) = (f64::from(run.column) * CELL, f64::from(run.width) * CELL);
    if run.look.inverse {
        let class = run.look.color.map_or("cursor".to_owned(), |color| format!("c{}", color % 8));
        let _ = write!(text, r#"<rect class="{class}" x="{x:.1}" width="{width:.1}" height="{LINE}"/>"#);
    }
    let class = classes(&run.look);
    let class = if class.is_empty() { class } else { format!(r#" class="{class}""#) };
    let _ = write!(
        text,
        r#"<text{class} x="{x:.1}" y="{BASE}" textLength="{width:.1}" lengthAdjust="spacingAndGlyphs">{}</text>"#,
        escaped(&run.text)
    );
}

fn classes(look: &Look) -> String {
    let mut classes = Vec::new();
    match (look.inverse, look.color) {
        (true, _) => classes.push("i".to_owned()),
        (false, Some(color)) => classes.push(format!("c{}", if color == 8 { 8 } else { color % 8 })),
        (false, None) => {}
    }
    classes.extend(look.bold.then(|| "b".to_owned()));
    classes.extend(look.dim.then(|| "d".to_owned()));
    classes.join(" ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::film::Frame;
    use super::*;

    #[test]
    fn a_row_that_stays_is_written_once() {
        let row =
            |text: &str| vec![Run { column: 0, width: 3, text: text.to_owned(), look: Look::default() }];
        let frame = |ms, second| Frame { at: Duration::from_millis(ms), rows: vec![row("a<b"), row(second)] };
        let film = Film {
            frames: vec![frame(0, "one"), frame(1500, "two")],
            length: Duration::from_secs(6),
            rows: 2,
            columns: 10,
        };
        let text = picture(&film);
        assert_eq!(text.matches("a&lt;b").count(), 1);
        assert_eq!(text.matches("<use ").count(), 4);
        assert!(text.contains("25.00% { transform: translateX(-106.0px) }"), "{text}");
    }
}
