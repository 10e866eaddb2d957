//! `coseg limits`: how much there may be, how much there is, and where to raise it.

use std::process::ExitCode;

use clap::Args;
use coseg_sysv::{ShmId, caller};
use schemars::JsonSchema;
use serde::Serialize;

use crate::args::Global;
use crate::backend::Facility;
use crate::failure::{Failure, Result};
use crate::output::{self, DIM};
use crate::record::Origin;
use crate::size;
use crate::table::{Align, Table};
use crate::view::View;

const EXAMPLES: &str = "\
Examples:
  coseg limits
  coseg limits --backend user --shmmax 1GiB --shmmni 8192
  coseg limits --backend user --rmid-forced 1     segments go with their last attacher
  sysctl -w kernel.shmmax=1073741824              the kernel's are set this way
shmmax is in bytes, shmall in pages: the table shows both as bytes too.";

/// Show limits and their use; set those of the user backend
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct LimitsArgs {
    /// Largest size of one segment, such as 1GiB
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    shmmax: Option<u64>,
    /// Most pages of all segments together
    #[arg(long, value_name = "PAGES")]
    shmall: Option<u64>,
    /// Most segments
    #[arg(long, value_name = "COUNT")]
    shmmni: Option<u32>,
    /// Destroy each segment at its last detach, removed or not
    #[arg(long, value_name = "0|1", value_parser = parse_switch)]
    rmid_forced: Option<bool>,
    /// The id the next new segment gets, if its place is free; -1 for none
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    next_id: Option<i32>,
}

#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct Document {
    #[serde(flatten)]
    origin: Origin,
    limits: Values,
    usage: Used,
}

/// The limits as documents have them.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub(crate) struct Values {
    pub(crate) shmmax_bytes: u64,
    pub(crate) shmall_pages: u64,
    pub(crate) shmall_bytes: Option<u64>,
    pub(crate) shmmni: u64,
    pub(crate) rmid_forced: Option<bool>,
    pub(crate) next_id: Option<i32>,
}

/// What is used of them.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub(crate) struct Used {
    pub(crate) segment_count: u32,
    pub(crate) total_pages: u64,
    pub(crate) total_bytes: u64,
    pub(crate) resident_bytes: u64,
    pub(crate) swapped_bytes: u64,
    pub(crate) largest_segment_bytes: u64,
    pub(crate) page_size_bytes: usize,
}

impl Values {
    pub(crate) fn of(facility: &Facility) -> Result<Values> {
        let limits = facility.backend.limits()?;
        let (rmid_forced, next_id) = switches(facility)?;
        Ok(Values {
            shmmax_bytes: limits.max_size_bytes,
            shmall_pages: limits.max_total_pages,
            shmall_bytes: limits.max_total_pages.checked_mul(caller::page_size() as u64),
            shmmni: limits.max_segment_count,
            rmid_forced,
            next_id,
        })
    }
}

impl Used {
    pub(crate) fn of(view: &View) -> Result<Used> {
        let usage = view.facility.backend.usage()?;
        let page = caller::page_size() as u64;
        Ok(Used {
            segment_count: usage.segment_count,
            total_pages: usage.total_pages,
            total_bytes: usage.total_pages * page,
            resident_bytes: usage.resident_pages * page,
            swapped_bytes: usage.swapped_pages * page,
            largest_segment_bytes: largest(view),
            page_size_bytes: caller::page_size(),
        })
    }
}

fn largest(view: &View) -> u64 {
    view.listed.iter().map(|listed| listed.stat.size_bytes as u64).max().unwrap_or(0)
}

fn parse_switch(text: &str) -> Result<bool, String> {
    match text {
        "0" => Ok(false),
        "1" => Ok(true),
        _ => Err("write 0 or 1".to_owned()),
    }
}

impl LimitsArgs {
    /// The settings asked for, as sysctl would take them.
    fn settings(&self) -> Vec<String> {
        let mut settings = Vec::new();
        let mut add = |name: &str, value: Option<String>| {
            settings.extend(value.map(|value| format!("kernel.{name}={value}")));
        };
        add("shmmax", self.shmmax.map(|value| value.to_string()));
        add("shmall", self.shmall.map(|value| value.to_string()));
        add("shmmni", self.shmmni.map(|value| value.to_string()));
        add("shm_rmid_forced", self.rmid_forced.map(|value| u8::from(value).to_string()));
        add("shm_next_id", self.next_id.map(|value| value.to_string()));
        settings
    }
}

pub(crate) fn run(args: &LimitsArgs, global: &Global) -> Result<ExitCode> {
    let facility = Facility::open(global)?;
    let settings = args.settings();
    if !settings.is_empty() {
        set(args, &facility, &settings)?;
    }
    show(&View::of(facility)?, global)?;
    Ok(ExitCode::SUCCESS)
}

fn set(args: &LimitsArgs, facility: &Facility, settings: &[String]) -> Result<()> {
    let Some(user) = &facility.user else {
        return Err(Failure::error("limits: the kernel's limits are set by sysctl")
            .hint(format!("sysctl -w {}", settings.join(" "))));
    };
    let mut knobs = user.knobs()?;
    knobs.max_size_bytes = args.shmmax.unwrap_or(knobs.max_size_bytes);
    knobs.max_total_pages = args.shmall.unwrap_or(knobs.max_total_pages);
    knobs.max_segment_count = args.shmmni.unwrap_or(knobs.max_segment_count);
    knobs.remove_forced = args.rmid_forced.unwrap_or(knobs.remove_forced);
    if let Some(next_id) = args.next_id {
        knobs.next_id = (next_id >= 0).then(|| ShmId::new(next_id));
    }
    Ok(user.set_knobs(knobs)?)
}

fn show(view: &View, global: &Global) -> Result<()> {
    let facility = &view.facility;
    let (limits, usage) = (Values::of(facility)?, Used::of(view)?);
    if global.json {
        return output::print_json(&Document { origin: Origin::of(facility), limits, usage });
    }
    let mut table = table(facility, &limits, &usage, global.bytes);
    if output::is_terminal() {
        output::print(&format!("{}\n", output::paint(DIM, format!("backend {}", facility.place()))))?;
        table.fit(output::terminal_width().into(), ("", 0), &["MEANING", "PAGES"]);
    }
    output::print(&table.render())
}

fn table(facility: &Facility, limits: &Values, usage: &Used, bytes: bool) -> Table {
    let page = usage.page_size_bytes as u64;
    let raise = |sysctl: &str, flag: &str| match facility.user {
        None => format!("sysctl -w kernel.{sysctl}=N"),
        Some(_) => format!("coseg limits --backend user --{flag} N"),
    };
    let mut table = Table::new(vec![
        ("LIMIT", Align::Left),
        ("MEANING", Align::Left),
        ("VALUE", Align::Right),
        ("PAGES", Align::Right),
        ("IN-USE", Align::Right),
        ("USE", Align::Right),
        ("SET-BY", Align::Left),
    ]);
    let mut row = |name: &str, meaning: &str, cells: [String; 4], set_by: String| {
        let [value, pages, used, percent] = cells;
        table.row(vec![name.to_owned(), meaning.to_owned(), value, pages, used, percent, set_by]);
    };
    let words = |text: &str| if output::is_terminal() { text.to_owned() } else { text.replace(' ', "-") };
    let (max, largest) = (limits.shmmax_bytes, usage.largest_segment_bytes);
    row(
        "shmmax",
        &words("largest segment"),
        [size::show(max, bytes), (max / page).to_string(), size::show(largest, bytes), percent(largest, max)],
        raise("shmmax", "shmmax"),
    );
    let all = limits.shmall_pages;
    row(
        "shmall",
        &words("all segments together"),
        [
            size::show(all.saturating_mul(page), bytes),
            all.to_string(),
            size::show(usage.total_bytes, bytes),
            percent(usage.total_pages, all),
        ],
        raise("shmall", "shmall"),
    );
    let count = u64::from(usage.segment_count);
    row(
        "shmmni",
        &words("number of segments"),
        [limits.shmmni.to_string(), String::new(), count.to_string(), percent(count, limits.shmmni)],
        raise("shmmni", "shmmni"),
    );
    if let Some(forced) = limits.rmid_forced {
        let value = u8::from(forced).to_string();
        let meaning = words("destroy at last detach");
        row(
            "rmid_forced",
            &meaning,
            [value, String::new(), String::new(), String::new()],
            raise("shm_rmid_forced", "rmid-forced"),
        );
    }
    if let Some(id) = limits.next_id {
        let meaning = words("id of the next segment");
        row(
            "next_id",
            &meaning,
            [id.to_string(), String::new(), String::new(), String::new()],
            raise("shm_next_id", "next-id"),
        );
    }
    table
}

/// Tenths of a percent, so that little use is not no use.
fn percent(used: u64, limit: u64) -> String {
    if limit == 0 {
        return String::new();
    }
    let tenths = u128::from(used) * 1000 / u128::from(limit);
    if used > 0 && tenths == 0 { "<0.1%".to_owned() } else { format!("{}.{}%", tenths / 10, tenths % 10) }
}

/// Whether segments go with their last attacher, and which id comes next (-1 where none is set).
fn switches(facility: &Facility) -> Result<(Option<bool>, Option<i32>)> {
    if let Some(user) = &facility.user {
        let knobs = user.knobs()?;
        return Ok((Some(knobs.remove_forced), Some(knobs.next_id.map_or(-1, ShmId::raw))));
    }
    let read = |name: &str| -> Option<i32> {
        std::fs::read_to_string(format!("/proc/sys/kernel/{name}")).ok()?.trim().parse().ok()
    };
    Ok((read("shm_rmid_forced").map(|value| value != 0), read("shm_next_id")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_do_not_hide_a_little_use() {
        assert_eq!(percent(0, 100), "0.0%");
        assert_eq!(percent(1, u64::MAX), "<0.1%");
        assert_eq!(percent(1, 3), "33.3%");
        assert_eq!(percent(5, 0), "");
        assert_eq!(percent(u64::MAX, u64::MAX), "100.0%");
    }
}
