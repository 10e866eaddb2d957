//! Room for more: the limits, and the filesystem of shared memory.

use std::path::{Path, PathBuf};

use coseg_sysv::{Limits, Usage, caller};

use super::{Finding, Severity};
use crate::failure::Result;
use crate::output;
use crate::size;
use crate::view::View;

/// Used percents from which on it is worth a word, and from which on the next is refused soon.
const WARN_PERCENT: u128 = 80;
const PROBLEM_PERCENT: u128 = 95;

/// Most segments of a kernel that was not told otherwise when it booted, and of the user backend.
const SEGMENTS_MAX: u64 = 32_768;

/// Kernels before 3.16 began with half of this; a `shmmax` below was left over from then.
const SHMMAX_SMALL: u64 = 64 << 20;

pub(super) fn limits(view: &View) -> Result<Vec<Finding>> {
    let (limits, usage) = (view.facility.backend.limits()?, view.facility.backend.usage()?);
    let largest = view.listed.iter().map(|listed| listed.stat.size_bytes as u64).max().unwrap_or(0);
    Ok(limit_findings(&limits, &usage, largest, view.facility.user.is_some()))
}

fn limit_findings(limits: &Limits, usage: &Usage, largest: u64, is_user: bool) -> Vec<Finding> {
    let page = caller::page_size() as u64;
    let set = |name: &str, value: u64| match is_user {
        true => format!("coseg limits --backend user --{name} {value}"),
        false => format!("sysctl -w kernel.{name}={value}"),
    };
    let mut findings = Vec::new();
    let (count, most) = (u64::from(usage.segment_count), limits.max_segment_count);
    if let Some((severity, percent)) = fullness(count, most) {
        let fact = format!(
            "{} of {} segments ({percent}%); at the limit, shmget says ENOSPC",
            output::grouped(count),
            output::grouped(most)
        );
        let mend = if most >= SEGMENTS_MAX {
            "coseg gc".to_owned()
        } else {
            set("shmmni", (most * 2).min(SEGMENTS_MAX))
        };
        findings.push(Finding::new(severity, "shmmni", fact).mend(mend));
    }
    let all = limits.max_total_pages;
    if let Some((severity, percent)) = fullness(usage.total_pages, all) {
        let fact = format!(
            "{} of {} in all segments together ({percent}%); at the limit, shmget says ENOSPC",
            size::human(usage.total_pages.saturating_mul(page)),
            size::human(all.saturating_mul(page))
        );
        findings.push(Finding::new(severity, "shmall", fact).mend(set("shmall", all.saturating_mul(2))));
    }
    let max = limits.max_size_bytes;
    if max < SHMMAX_SMALL {
        let fact = format!("no segment may be larger than {}; shmget says EINVAL then", size::human(max));
        let severity = if largest.saturating_mul(2) > max { Severity::Warning } else { Severity::Note };
        let evidence = format!("the largest there is has {}", size::human(largest));
        findings
            .push(Finding::new(severity, "shmmax", fact).evidence([evidence]).mend(set("shmmax", 1 << 30)));
    }
    if all.saturating_mul(page) < max && max < 1 << 60 {
        let fact = format!(
            "one segment of the largest size, {}, is more than shmall lets all together have, {}",
            size::human(max),
            size::human(all.saturating_mul(page))
        );
        findings
            .push(Finding::new(Severity::Warning, "shmall", fact).mend(set("shmall", max.div_ceil(page))));
    }
    findings
}

fn fullness(used: u64, limit: u64) -> Option<(Severity, u128)> {
    let percent = (u128::from(used) * 100).checked_div(u128::from(limit)).unwrap_or(100);
    match percent {
        ..WARN_PERCENT => None,
        WARN_PERCENT..PROBLEM_PERCENT => Some((Severity::Warning, percent)),
        _ => Some((Severity::Problem, percent)),
    }
}

/// The filesystems that segments lie in, or POSIX shared memory.
pub(super) fn storage(view: &View) -> Result<Vec<Finding>> {
    let mut places = vec![PathBuf::from("/dev/shm")];
    places.extend(
        view.facility
            .user
            .as_ref()
            .map(coseg_sysv::User::directory)
            .filter(|own| !own.starts_with("/dev/shm")),
    );
    Ok(places.iter().filter_map(|place| storage_of(place)).flatten().collect())
}

fn storage_of(place: &Path) -> Option<Vec<Finding>> {
    let stat = rustix::fs::statvfs(place).ok()?;
    let mut findings = Vec::new();
    if let Some((severity, percent)) =
        fullness(stat.f_blocks - stat.f_bfree.min(stat.f_blocks), stat.f_blocks).filter(|_| stat.f_blocks > 0)
    {
        let total = stat.f_blocks.saturating_mul(stat.f_frsize);
        let fact = format!("{} is {percent}% full, of {}", place.display(), size::human(total));
        let evidence = "when it is full, the user backend says ENOMEM, or a first touch of a page is SIGBUS; so with POSIX shared memory";
        let mend = match place.starts_with("/dev/shm") {
            true => format!("mount -o remount,size={}M /dev/shm, or ls -lS /dev/shm", (total >> 19).max(64)),
            false => "another directory in COSEG_DIR".to_owned(),
        };
        findings.push(Finding::new(severity, "storage", fact).evidence([evidence.to_owned()]).mend(mend));
    }
    if let Some((severity, percent)) =
        fullness(stat.f_files - stat.f_ffree.min(stat.f_files), stat.f_files).filter(|_| stat.f_files > 0)
    {
        let fact = format!(
            "{} has used {percent}% of its {} inodes",
            place.display(),
            output::grouped(stat.f_files)
        );
        let mend =
            format!("mount -o remount,nr_inodes={} {}", stat.f_files.saturating_mul(2), place.display());
        findings.push(Finding::new(severity, "storage", fact).mend(mend));
    }
    Some(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HUGE: u64 = u64::MAX - (1 << 24);

    fn checks(
        count: u32,
        pages: u64,
        limits: Limits,
        is_user: bool,
    ) -> Vec<(Severity, &'static str, String)> {
        let usage = Usage { segment_count: count, total_pages: pages, ..Usage::default() };
        let found = limit_findings(&limits, &usage, 40 << 20, is_user).into_iter();
        found.map(|finding| (finding.severity, finding.check, finding.mend.unwrap())).collect()
    }

    fn limits(count: u64, pages: u64, size: u64) -> Limits {
        Limits { max_size_bytes: size, max_segment_count: count, max_total_pages: pages, highest_index: 0 }
    }

    #[test]
    fn limits_are_told_before_they_are_reached() {
        assert_eq!(checks(79, 0, limits(100, HUGE, HUGE), false), []);
        let sysctl = |text: &str| format!("sysctl -w kernel.{text}");
        assert_eq!(
            checks(80, 0, limits(100, HUGE, HUGE), false),
            [(Severity::Warning, "shmmni", sysctl("shmmni=200"))]
        );
        assert_eq!(
            checks(95, 0, limits(100, HUGE, HUGE), true),
            [(Severity::Problem, "shmmni", "coseg limits --backend user --shmmni 200".to_owned())]
        );
        assert_eq!(
            checks(32_768, 0, limits(32_768, HUGE, HUGE), false),
            [(Severity::Problem, "shmmni", "coseg gc".to_owned())]
        );
        assert_eq!(
            checks(1, 100, limits(100, 100, HUGE), false),
            [(Severity::Problem, "shmall", sysctl("shmall=200"))]
        );
        assert_eq!(checks(0, 0, limits(0, HUGE, HUGE), false)[0].0, Severity::Problem);
    }

    #[test]
    fn sizes_that_no_segment_can_have_are_told() {
        let page = caller::page_size() as u64;
        assert_eq!(
            checks(1, 1, limits(100, HUGE, 32 << 20), false),
            [(Severity::Warning, "shmmax", format!("sysctl -w kernel.shmmax={}", 1 << 30))]
        );
        assert_eq!(
            checks(1, 1, limits(100, 1000, 1 << 40), false),
            [(Severity::Warning, "shmall", format!("sysctl -w kernel.shmall={}", (1_u64 << 40) / page))]
        );
    }
}
