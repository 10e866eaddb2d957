//! Bars on a logarithmic scale. Who is faster stands higher.

use std::fmt::Write;

use super::{Figure, Named, Role, Row, Table};
use crate::markup::escaped;

const WIDTH: f64 = 880.0;
const MARGIN: f64 = 16.0;
/// A row's panel is half as wide as the picture.
const PANEL: f64 = (WIDTH - 3.0 * MARGIN) / 2.0;
const NAMES: f64 = 112.0;
const VALUES: f64 = 76.0;
const BARS: f64 = PANEL - NAMES - VALUES;
const LINE: f64 = 17.0;
const BAR: f64 = 11.0;
const HEAD: f64 = 30.0;
const FOOT: f64 = 24.0;
/// Letters of the caption in one line.
const CAPTION: usize = 150;

/// Its own ground under it, so that it can be read on any.
const STYLE: &str = "
  .ground { fill: #ffffff } text { fill: #1f2328; font: 12px system-ui, sans-serif }
  .title { font-size: 15px; font-weight: 600 } .row { font-weight: 600 } .small, .none { font-size: 11px; fill: #59636e }
  .ours { fill: #0969da } .peer { fill: #afb8c1 } .limit { fill: none; stroke: #9a6700; stroke-dasharray: 3 2 }
  .bold { font-weight: 600 } .whisker { stroke: #1f2328; opacity: .55 } .grid { stroke: #d1d9e0 }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117 } text { fill: #e6edf3 } .small, .none { fill: #9198a1 }
    .ours { fill: #4493f8 } .peer { fill: #656c76 } .limit { stroke: #d29922 }
    .whisker { stroke: #e6edf3 } .grid { stroke: #3d444d }
  }
";

/// A table as a picture: a panel for each row, two abreast.
pub(super) fn chart(table: &Table, caption: &str) -> String {
    let mut body = String::new();
    let mut top = MARGIN + 48.0;
    for pair in table.rows.chunks(2) {
        for (index, row) in pair.iter().enumerate() {
            let left = MARGIN + (PANEL + MARGIN) * index as f64;
            let _ = writeln!(body, r#"<g transform="translate({left} {top})">"#);
            panel(&mut body, row);
            body.push_str("</g>\n");
        }
        top += pair.iter().map(height).fold(0.0, f64::max) + MARGIN;
    }
    for line in wrapped(caption) {
        let _ = writeln!(body, r#"<text class="small" x="{MARGIN}" y="{top}">{}</text>"#, escaped(line));
        top += 15.0;
    }
    let title = escaped(&table.title);
    let mut text = String::new();
    let _ = writeln!(
        text,
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top}" viewBox="0 0 {WIDTH} {top}" role="img">
<title>{title}</title>
<style>{STYLE}</style>
<rect class="ground" width="{WIDTH}" height="{top}" rx="6"/>
<text class="title" x="{MARGIN}" y="{}">{title}</text>"#,
        MARGIN + 14.0
    );
    legend(&mut text);
    text + &body + "</svg>\n"
}

fn legend(text: &mut String) {
    let y = MARGIN + 24.0;
    let entries = [("ours", "coseg"), ("peer", "others"), ("limit", "limit: shared memory without any care")];
    let mut x = MARGIN;
    for (class, name) in entries {
        let _ = writeln!(text, r#"<rect class="{class}" x="{x}" y="{y}" width="14" height="{BAR}"/>"#);
        let (x_name, base) = (x + 20.0, y + BAR - 1.0);
        let _ = writeln!(text, r#"<text class="small" x="{x_name}" y="{base}">{name}</text>"#);
        x += 90.0;
    }
}

fn height(row: &Row) -> f64 {
    HEAD + LINE * row.figures.len() as f64 + FOOT
}

/// Whether a smaller figure is the better one.
fn less_is_better(row: &Row) -> bool {
    row.unit == "ns"
}

fn panel(text: &mut String, row: &Row) {
    let word = if less_is_better(row) { "less is better" } else { "more is better" };
    let _ = writeln!(
        text,
        r#"<text class="row" x="0" y="12">{}</text><text class="small" x="{PANEL}" y="12" text-anchor="end">{word}</text>"#,
        escaped(&row.operation)
    );
    let figures = row.figures.iter().filter_map(|named| named.figure.as_ref().ok());
    let scale = Scale::of(figures);
    let bottom = HEAD + LINE * row.figures.len() as f64;
    for value in scale.decades() {
        let x = NAMES + scale.place(value);
        let top = HEAD - 8.0;
        let _ = writeln!(text, r#"<line class="grid" x1="{x:.1}" x2="{x:.1}" y1="{top}" y2="{bottom}"/>"#);
        let (base, value) = (bottom + 13.0, said(value, &row.unit));
        let _ = writeln!(
            text,
            r#"<text class="small" x="{x:.1}" y="{base}" text-anchor="middle">{value}</text>"#
        );
    }
    for (index, named) in sorted(row).into_iter().enumerate() {
        bar(text, named, &scale, &row.unit, HEAD + LINE * index as f64);
    }
}

fn bar(text: &mut String, named: &Named, scale: &Scale, unit: &str, y: f64) {
    let class = match named.role {
        Role::Ours => "ours",
        Role::Peer => "peer",
        Role::Limit => "limit",
    };
    let name = if named.role == Role::Ours { "coseg" } else { &named.name };
    let bold = if named.role == Role::Ours { " class=\"bold\"" } else { "" };
    let base = y + BAR - 1.0;
    let _ = write!(
        text,
        r#"<text{bold} x="{}" y="{base}" text-anchor="end">{}</text>"#,
        NAMES - 6.0,
        escaped(name)
    );
    let Ok(Figure { median, p10, p90 }) = named.figure else {
        let _ = writeln!(text, r#"<text class="none" x="{}" y="{base}">not measured</text>"#, NAMES + 6.0);
        return;
    };
    let [length, from, to] = [median, p10, p90].map(|value| scale.place(value));
    let middle = y + BAR / 2.0;
    let (from, to) = (NAMES + from, NAMES + to);
    let _ = writeln!(
        text,
        r#"<rect class="{class}" x="{NAMES}" y="{y}" width="{length:.1}" height="{BAR}"/>
<line class="whisker" x1="{from:.1}" x2="{to:.1}" y1="{middle}" y2="{middle}"/>
<text{bold} x="{PANEL}" y="{base}" text-anchor="end">{}</text>"#,
        said(median, unit)
    );
}

/// The best first; who has no figure last.
fn sorted(row: &Row) -> Vec<&Named> {
    let key = |named: &Named| match &named.figure {
        Ok(figure) if less_is_better(row) => figure.median,
        Ok(figure) => -figure.median,
        Err(_) => f64::INFINITY,
    };
    let mut all: Vec<&Named> = row.figures.iter().collect();
    all.sort_by(|one, other| key(one).total_cmp(&key(other)));
    all
}

/// From a whole decade to somewhat above the most, both as powers of ten.
struct Scale {
    low: i32,
    high: f64,
}

impl Scale {
    fn of<'a>(figures: impl Iterator<Item = &'a Figure>) -> Scale {
        let (least, most) = figures.fold((f64::INFINITY, 0.0_f64), |(least, most), figure| {
            (least.min(figure.p10), most.max(figure.p90))
        });
        if !(least > 0.0 && least.is_finite()) {
            return Scale { low: 0, high: 1.0 };
        }
        #[expect(clippy::cast_possible_truncation, reason = "decades of what is measured are few")]
        let low = (least * 0.8).log10().floor() as i32;
        Scale { low, high: (most * 1.1).log10().max(f64::from(low) + 1.0) }
    }

    fn decades(&self) -> impl Iterator<Item = f64> {
        let all = (self.low..).take_while(|&decade| f64::from(decade) <= self.high);
        all.map(|decade| 10_f64.powi(decade))
    }

    fn place(&self, value: f64) -> f64 {
        let low = f64::from(self.low);
        ((value.log10() - low) / (self.high - low)).clamp(0.0, 1.0) * BARS
    }
}

/// A figure in three digits, in the unit that fits.
fn said(value: f64, unit: &str) -> String {
    let units: &[(f64, &str)] = match unit {
        "ns" => &[(1.0, "ns"), (1e3, "µs"), (1e6, "ms"), (1e9, "s")],
        "M/s" => &[(1e-6, "/s"), (1e-3, "k/s"), (1.0, "M/s"), (1e3, "G/s")],
        _ => &[(1.0, "")],
    };
    // What rounds to a thousand is one of the next.
    let fitting = units.iter().rev().find(|(size, _)| value >= size * 0.9995);
    let (size, name) = fitting.unwrap_or(&units[0]);
    let value = value / size;
    let digits = match value {
        _ if (value - value.round()).abs() < 1e-9 => 0,
        small if small < 9.995 => 2,
        small if small < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {name}").trim_end().to_owned()
}

fn wrapped(text: &str) -> Vec<&str> {
    let (mut lines, mut rest) = (Vec::new(), text);
    while let Some((end, _)) = rest.char_indices().nth(CAPTION) {
        let Some(space) = rest[..end].rfind(' ') else { break };
        lines.push(&rest[..space]);
        rest = &rest[space + 1..];
    }
    lines.push(rest);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_said_in_the_unit_that_fits() {
        let said = |value, unit| super::said(value, unit);
        assert_eq!(said(118.4, "ns"), "118 ns");
        assert_eq!(said(999.7, "ns"), "1.00 µs");
        assert_eq!(said(1683.0, "ns"), "1.68 µs");
        assert_eq!(said(0.151, "M/s"), "151 k/s");
        assert_eq!(said(1250.0, "M/s"), "1.25 G/s");
        assert_eq!(said(1000.0, "ns"), "1 µs");
        assert_eq!(said(0.43, ""), "0.43");
    }

    #[test]
    fn a_scale_reaches_from_a_whole_decade_over_all_figures() {
        let figure = |median| Figure { median, p10: median, p90: median };
        let scale = Scale::of([figure(120.0), figure(4500.0)].iter());
        assert_eq!(scale.decades().collect::<Vec<_>>(), [10.0, 100.0, 1000.0]);
        assert_eq!(scale.place(10.0), 0.0);
        assert!((0.9 * BARS..BARS).contains(&scale.place(4500.0)));
        let flat = Scale::of([figure(1000.0)].iter());
        assert!(flat.place(1000.0) > 0.0);
    }

    #[test]
    fn captions_break_between_words() {
        let text = "word ".repeat(80);
        assert!(wrapped(&text).iter().all(|line| line.len() <= CAPTION && !line.starts_with(' ')));
    }
}
