//! `coseg pages`: which pages of a segment are in memory, and which change.

use std::fmt::Write;
use std::ops::Range;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use crate::args::Global;
use crate::contents::Contents;
use crate::extents::Extents;
use crate::failure::Result;
use crate::image::Image;
use crate::output::{self, BAD, DIM, NAME};
use crate::record::Origin;
use crate::selector::Selector;
use crate::size;
use crate::stop::Stop;
use crate::time;
use crate::view::{View, title};

const EXAMPLES: &str = "\
Examples:
  $ coseg pages 0x4242
  key 0x00004242 (id 3): 1MiB, 256 pages of 4KiB
  0x000000  █·······························································
  0x040000  ································································
  0x080000  ································································
  0x0c0000  ································································
  each sign is 1 page: · never written, ░▒▓█ resident, from some to all
  1 page resident
  $ coseg pages name:market --after 1s           which pages were changed within a second
  $ coseg pages 0x4242 --json | jq '.extents[] | select(.state == \"changed\")'
Resident pages have been written, or read through an attachment; where some are swapped out, these are not told from \
them. --after makes a private copy of the resident pages in TMPDIR, and reads them twice; a page that was changed and \
changed back counts as the same. Without it nothing is read.
While a process is attached that you may look into, nothing is attached for this.";

/// Lines of the map, at most.
const LINES_MAX: usize = 16;

/// Show which pages of a segment are resident, and which change
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Pages {
    /// The segment
    #[arg(value_name = "SEGMENT")]
    selector: Selector,
    /// Tell pages that changed within this time
    #[arg(long, value_name = "TIME", value_parser = time::parse_duration)]
    after: Option<Duration>,
}

#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct Document {
    #[serde(flatten)]
    origin: Origin,
    id: i32,
    size_bytes: usize,
    page_bytes: usize,
    page_count: usize,
    /// Null where it cannot be told which they are; see `resident_bytes` of `coseg stat`.
    resident_page_count: Option<usize>,
    /// Of all, wherever they are.
    swapped_bytes: u64,
    /// Null without --after.
    changed_page_count: Option<usize>,
    /// What attached processes have mapped by huge pages, at most; null where that cannot be told.
    huge_mapped_bytes: Option<u64>,
    looked_through: &'static str,
    extents: Vec<ExtentJson>,
}

#[derive(Debug, JsonSchema, Serialize)]
struct ExtentJson {
    offset_bytes: usize,
    length_bytes: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Hole,
    Resident,
    /// Resident, and not what it was.
    Changed,
    Unknown,
}

pub(crate) fn run(args: &Pages, global: &Global) -> Result<ExitCode> {
    let stop = Stop::on_first_signal("pages")?;
    let view = View::open(global)?;
    let listed = *args.selector.one(&view)?;
    let stat = listed.stat;
    let contents = Contents::open(&view, &stat)?;
    let changed = match args.after {
        None => None,
        Some(after) => {
            let mut image = Image::empty(stat.size_bytes, &stop)?;
            image.update(&contents, |_| {})?;
            stop.sleep(after)?;
            Some(image.update(&contents, |_| {})?)
        }
    };
    let page_bytes = contents.page_bytes();
    let map = Map {
        page_bytes,
        page_count: stat.size_bytes.div_ceil(page_bytes),
        resident: contents.told_extents(),
        changed: changed.as_ref().map(|pages| Extents::of_ranges(pages)),
    };
    let huge_mapped_bytes = huge_mapped_bytes(&view, &stat)?;
    if global.json {
        output::print_json(&Document {
            origin: Origin::of(&view.facility),
            id: stat.id.raw(),
            size_bytes: stat.size_bytes,
            page_bytes,
            page_count: map.page_count,
            resident_page_count: map.resident_count(),
            swapped_bytes: listed.swapped_bytes,
            changed_page_count: map.changed_count(),
            huge_mapped_bytes,
            looked_through: contents.looked_through(),
            extents: map.extents(stat.size_bytes),
        })?;
    } else {
        let bytes = |number: u64| size::show(number, global.bytes);
        let pages = |count: usize| output::count(count as u64, "page", "pages");
        let mut text = format!(
            "{}: {}, {} of {}\n",
            title(&stat),
            bytes(stat.size_bytes as u64),
            pages(map.page_count),
            bytes(page_bytes as u64)
        );
        map.draw(&mut text, usize::from(output::terminal_width()));
        // Writing to a String cannot fail.
        let _ = match map.resident_count() {
            Some(count) => write!(text, "{} resident", pages(count)),
            None => write!(text, "{} resident, it cannot be told which", bytes(listed.resident_bytes)),
        };
        if listed.swapped_bytes > 0 {
            let _ = write!(text, ", {} of them swapped out", bytes(listed.swapped_bytes));
        }
        if let Some((count, after)) = map.changed_count().zip(args.after) {
            let _ = write!(text, ", {count} changed within {}", time::short(millis(after)));
        }
        if let Some(huge) = huge_mapped_bytes.filter(|&huge| huge > 0) {
            let _ = write!(text, ", {} mapped by huge pages", bytes(huge));
        }
        text.push('\n');
        output::print(&text)?;
    }
    contents.close()?;
    Ok(ExitCode::SUCCESS)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What is known of the pages.
struct Map {
    page_bytes: usize,
    page_count: usize,
    resident: Option<Extents>,
    changed: Option<Extents>,
}

impl Map {
    fn state(&self, page: usize) -> State {
        let start = (page * self.page_bytes) as u64;
        let bytes = start..start + self.page_bytes as u64;
        if self.changed.as_ref().is_some_and(|changed| changed.touch(&bytes)) {
            return State::Changed;
        }
        match &self.resident {
            None => State::Unknown,
            Some(resident) if resident.touch(&bytes) => State::Resident,
            Some(_) => State::Hole,
        }
    }

    fn resident_count(&self) -> Option<usize> {
        self.resident.as_ref().map(|resident| self.count(resident))
    }

    fn changed_count(&self) -> Option<usize> {
        self.changed.as_ref().map(|changed| self.count(changed))
    }

    /// How many pages extents touch; extents begin and end with pages, but for the segment's end.
    fn count(&self, extents: &Extents) -> usize {
        let page_bytes = self.page_bytes as u64;
        let mut end = 0;
        let mut count = 0;
        for extent in extents.ranges() {
            let pages = (extent.start / page_bytes).max(end)..extent.end.div_ceil(page_bytes);
            count += pages.end.saturating_sub(pages.start);
            end = pages.end;
        }
        usize::try_from(count).unwrap_or(usize::MAX)
    }

    fn extents(&self, size_bytes: usize) -> Vec<ExtentJson> {
        let mut found: Vec<ExtentJson> = Vec::new();
        for page in self.edges() {
            let (start, end) = (page.start * self.page_bytes, (page.end * self.page_bytes).min(size_bytes));
            let state = self.state(page.start);
            match found.last_mut() {
                Some(last) if last.state == state => last.length_bytes += end - start,
                _ => found.push(ExtentJson { offset_bytes: start, length_bytes: end - start, state }),
            }
        }
        found
    }

    /// Pages between any two places where their state may change.
    fn edges(&self) -> Vec<Range<usize>> {
        let all = [&self.resident, &self.changed].into_iter().flatten().flat_map(Extents::ranges);
        let page_bytes = self.page_bytes as u64;
        let page = |number: u64| usize::try_from(number).unwrap_or(usize::MAX).min(self.page_count);
        let mut edges: Vec<usize> = all
            .flat_map(|extent| [page(extent.start / page_bytes), page(extent.end.div_ceil(page_bytes))])
            .collect();
        edges.extend([0, self.page_count]);
        edges.sort_unstable();
        edges.dedup();
        edges.windows(2).map(|pair| pair[0]..pair[1]).collect()
    }

    /// A sign for each page, or for as many as it takes to get along with few lines.
    fn draw(&self, text: &mut String, width: usize) {
        let digits = 2 + (self.page_count * self.page_bytes).max(1).ilog(16) as usize + 1;
        let columns = width.saturating_sub(digits + 4).clamp(16, 128);
        // A power of two, so that lines begin at round numbers.
        let columns = 1 << columns.ilog2();
        let per_cell = self.page_count.div_ceil(columns * LINES_MAX).next_power_of_two();
        let cells = self.page_count.div_ceil(per_cell);
        for line in 0..cells.div_ceil(columns) {
            let first = line * columns;
            let offset = format!("{:#0digits$x}", first * per_cell * self.page_bytes);
            // Writing to a String cannot fail.
            let _ = write!(text, "{}  ", output::paint(DIM, offset));
            for cell in first..cells.min(first + columns) {
                let pages = cell * per_cell..self.page_count.min((cell + 1) * per_cell);
                text.push_str(&self.cell(&pages));
            }
            text.push('\n');
        }
        let each = output::count(per_cell as u64, "page", "pages");
        let mut legend = format!("each sign is {each}: · never written, ░▒▓█ resident, from some to all");
        if self.resident.is_none() {
            legend = format!("each sign is {each}: ? not to be told");
        }
        if self.changed.is_some() {
            legend.push_str(", * changed");
        }
        let _ = writeln!(text, "{}", output::paint(DIM, legend));
    }

    fn cell(&self, pages: &Range<usize>) -> String {
        let bytes = (pages.start * self.page_bytes) as u64..(pages.end * self.page_bytes) as u64;
        if self.changed.as_ref().is_some_and(|changed| changed.touch(&bytes)) {
            return output::paint(BAD, '*');
        }
        let Some(resident) = &self.resident else { return "?".to_owned() };
        let there: u64 = resident.within(bytes.clone()).map(|extent| extent.end - extent.start).sum();
        if there == 0 {
            return output::paint(DIM, '·');
        }
        let share = there * 4 / (bytes.end - bytes.start);
        // The last page of a segment may be shorter.
        let is_whole = there.div_ceil(self.page_bytes as u64) == pages.len() as u64;
        let sign = match share {
            _ if is_whole => '█',
            0 => '░',
            1 | 2 => '▒',
            _ => '▓',
        };
        output::paint(NAME, sign)
    }
}

/// What the process with most of them has mapped by huge pages, where any lets us see.
fn huge_mapped_bytes(view: &View, stat: &coseg_sysv::Stat) -> Result<Option<u64>> {
    let of = |holder: &crate::who::Holder| {
        let text = std::fs::read_to_string(format!("/proc/{}/smaps", holder.pid)).ok()?;
        let (start, end) = (holder.address, holder.address + holder.size_bytes);
        let mut lines = text.lines().skip_while(|line| !line.starts_with(&format!("{start:x}-{end:x} ")));
        let line = lines.find(|line| line.starts_with("ShmemPmdMapped:"))?;
        let kibibytes: u64 = line.split_ascii_whitespace().nth(1)?.parse().ok()?;
        Some(kibibytes * 1024)
    };
    Ok(view.who()?.of(stat.id).iter().filter_map(of).max())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of extents by start and end.
    fn map(page_count: usize, resident: &[(usize, usize)], changed: Option<(usize, usize)>) -> Map {
        let extents = |pairs: &[(usize, usize)]| {
            let ranges: Vec<Range<usize>> = pairs.iter().map(|&(start, end)| start..end).collect();
            Extents::of_ranges(&ranges)
        };
        let resident = Some(extents(resident));
        Map { page_bytes: 4096, page_count, resident, changed: changed.map(|pair| extents(&[pair])) }
    }

    #[test]
    fn a_small_segment_has_a_sign_per_page() {
        let mut text = String::new();
        map(5, &[(0, 4096), (8192, 20_000)], Some((12_288, 16_384))).draw(&mut text, 80);
        let plain = anstream::adapter::strip_str(&text).to_string();
        assert!(plain.starts_with("0x0000  █·█*█\n"), "{plain}");
    }

    #[test]
    fn a_large_one_has_few_lines() {
        let mut text = String::new();
        map(1 << 20, &[(0, 4096)], None).draw(&mut text, 80);
        assert_eq!(text.lines().count(), LINES_MAX + 1);
        let plain = anstream::adapter::strip_str(&text).to_string();
        assert!(plain.starts_with("0x000000000  ░····"), "{plain}");
    }

    #[test]
    fn extents_change_where_the_state_does() {
        let map = map(6, &[(4096, 16_384)], Some((8192, 12_288)));
        let found: Vec<_> =
            map.extents(24_000).iter().map(|one| (one.offset_bytes, one.length_bytes, one.state)).collect();
        assert_eq!(
            found,
            [
                (0, 4096, State::Hole),
                (4096, 4096, State::Resident),
                (8192, 4096, State::Changed),
                (12_288, 4096, State::Resident),
                (16_384, 24_000 - 16_384, State::Hole),
            ]
        );
        assert_eq!((map.resident_count(), map.changed_count()), (Some(3), Some(1)));
    }
}
