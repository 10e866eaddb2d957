//! Segments that nobody uses, that anybody writes, whose keys are not what they seem; and regions.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use coseg::{ErrorKind, Inspection, Label, Peek};
use coseg_sysv::{Key, Stat, caller};

use super::{Finding, Severity};
use crate::commands::gc::facts::{Facts, Past, Pids};
use crate::commands::gc::judge::{Rules, Verdict};
use crate::commands::gc::leftovers::Leftovers;
use crate::commands::locks::state::{LockState, Party, State};
use crate::failure::{Failure, Result};
use crate::output::{self, printable};
use crate::peek::peek;
use crate::regions::{self, Refused, short_title};
use crate::size;
use crate::view::{View, title};

/// As `coseg gc` waits before it calls something garbage.
const GARBAGE_AGE: Duration = Duration::from_secs(60);

/// ftok's answer where the file does not exist, which programs take for a key.
const FAILED_FTOK: Key = Key::new(-1);

fn stats(view: &View) -> impl Iterator<Item = Stat> {
    view.listed.iter().map(|listed| listed.stat)
}

fn sized(stat: &Stat) -> String {
    format!("{}, {}", title(stat), size::human(stat.size_bytes as u64))
}

/// `id:3 id:7`, as commands take them.
fn ids(stats: &[Stat]) -> String {
    stats.iter().map(|stat| format!("id:{}", stat.id)).collect::<Vec<_>>().join(" ")
}

fn segments(count: usize) -> String {
    output::count(count as u64, "segment", "segments")
}

pub(super) fn garbage(view: &View) -> Result<Vec<Finding>> {
    let rules = Rules::older_than(GARBAGE_AGE);
    let pids = Pids::default();
    let judged = stats(view).map(|stat| (stat, rules.judge(&Facts::of(&stat, view, &pids))));
    let found: Vec<_> = judged.filter(|(_, judgement)| judgement.verdict == Verdict::Garbage).collect();
    let left = Leftovers::find(view, GARBAGE_AGE)?;
    let mut findings = Vec::new();
    if !found.is_empty() {
        let bytes = found.iter().map(|(stat, _)| stat.size_bytes as u64).sum();
        let fact = format!("{} nobody uses any more ({})", segments(found.len()), size::human(bytes));
        let evidence = found.iter().map(|(stat, judgement)| format!("{}: {}", sized(stat), judgement.why));
        findings.push(
            Finding::new(Severity::Warning, "garbage", fact).evidence(evidence).mend("coseg gc --apply"),
        );
    }
    if left.count() > 0 {
        let fact = format!("{} that nobody has any more", left.counted().join(" and "));
        let finding = Finding::new(Severity::Warning, "garbage", fact).evidence(left.lines());
        findings.push(finding.mend("coseg gc --apply"));
    }
    Ok(findings)
}

/// Removed, and held by others long after who made them; where the maker lives, it is a habit: nobody else is to come.
pub(super) fn leaked(view: &View) -> Result<Vec<Finding>> {
    let pids = Pids::default();
    let is_left = |stat: &Stat| {
        stat.removed
            && stat.attachment_count > 0
            && matches!(Facts::of(stat, view, &pids).creator, Past::Gone | Past::Reused)
    };
    let found: Vec<Stat> = stats(view).filter(is_left).collect();
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let who = view.who()?;
    let fact = format!(
        "{} removed (`dest`) whose creators are gone, held by others still: their memory is not free",
        segments(found.len())
    );
    let evidence = found.iter().map(|stat| format!("{}: attached by {}", sized(stat), who.sentence(stat)));
    let mend = format!("coseg who {}, and restart whom it names", ids(&found));
    Ok(vec![Finding::new(Severity::Warning, "leaked", fact).evidence(evidence).mend(mend)])
}

pub(super) fn open_to_all(view: &View) -> Result<Vec<Finding>> {
    let found: Vec<Stat> =
        stats(view).filter(|stat| !stat.removed && stat.mode.bits() & 0o002 != 0).collect();
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let fact = format!("{} may be written by any user", segments(found.len()));
    let owner = |stat: &Stat| view.people.user_or_number(stat.uid);
    let evidence =
        found.iter().map(|stat| format!("{}: mode {}, of {}", sized(stat), stat.mode, owner(stat)));
    let euid = caller::effective_uid();
    let is_ours = |stat: &Stat| euid == 0 || [stat.uid, stat.creator_uid].contains(&euid);
    let (ours, others): (Vec<Stat>, Vec<Stat>) = found.iter().partition(|stat| is_ours(stat));
    let mut mends = Vec::new();
    if !ours.is_empty() {
        mends.push(format!("coseg chmod 600 {}", ids(&ours)));
    }
    if !others.is_empty() {
        mends.push(format!("as their owner or root: coseg chmod 600 {}", ids(&others)));
    }
    Ok(vec![Finding::new(Severity::Warning, "mode", fact).evidence(evidence).mend(mends.join("; "))])
}

pub(super) fn failed_ftok(view: &View) -> Result<Vec<Finding>> {
    let found: Vec<Stat> = stats(view).filter(|stat| stat.key == FAILED_FTOK).collect();
    let finding = |stat: &Stat| {
        let fact = format!(
            "{} has the key that a failed ftok returns, -1: all whose ftok fails meet in it",
            sized(stat)
        );
        let who = format!(
            "made by pid {}, user {}",
            stat.creator_pid,
            view.people.user_or_number(stat.creator_uid)
        );
        Finding::new(Severity::Warning, "failed-ftok", fact)
            .evidence([who])
            .mend(format!("coseg who id:{}, and give its program the file that it looks for", stat.id))
    };
    Ok(found.iter().map(finding).collect())
}

/// A file that a process has open, runs or stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    device: u64,
    inode: u64,
    path: PathBuf,
}

/// Keys that two files of the attached would give: programs that use one each meet in one segment.
pub(super) fn collisions(view: &View) -> Result<Vec<Finding>> {
    let who = view.who()?;
    let mut findings = Vec::new();
    for stat in stats(view).filter(|stat| !stat.key.is_private() && stat.key != FAILED_FTOK) {
        let mut pids: Vec<i32> = who.of(stat.id).iter().map(|holder| holder.pid).collect();
        pids.dedup();
        let files = alike(stat.key, pids.into_iter().flat_map(known_files));
        if files.len() < 2 {
            continue;
        }
        let fact = format!(
            "{}: ftok gives this key for {} files that its attachers use; they may not mean the same segment",
            title(&stat),
            files.len()
        );
        let evidence = files.iter().map(|file| printable(&file.path.to_string_lossy()));
        let mend = format!("coseg who id:{}, and another file or project for one of them", stat.id);
        findings.push(Finding::new(Severity::Warning, "ftok-collision", fact).evidence(evidence).mend(mend));
    }
    Ok(findings)
}

/// Those that ftok makes this key of, each file once.
fn alike(key: Key, files: impl Iterator<Item = Known>) -> Vec<Known> {
    let (inode, device, _) = key.parts();
    let mut found: Vec<Known> = Vec::new();
    for file in files {
        let gives = file.inode & 0xffff == u64::from(inode) && file.device & 0xff == u64::from(device);
        if gives && !found.iter().any(|other| (other.device, other.inode) == (file.device, file.inode)) {
            found.push(file);
        }
    }
    found
}

fn known_files(pid: i32) -> impl Iterator<Item = Known> {
    let process = PathBuf::from(format!("/proc/{pid}"));
    let open = fs::read_dir(process.join("fd")).into_iter().flatten().flatten().map(|entry| entry.path());
    ["exe", "cwd"].map(|name| process.join(name)).into_iter().chain(open).filter_map(|link| {
        let meta = fs::metadata(&link).ok()?;
        let path = fs::read_link(&link).ok()?;
        (meta.is_file() || meta.is_dir()).then(|| Known { device: meta.dev(), inode: meta.ino(), path })
    })
}

/// Looks into those that can be told for regions without attaching, and those somebody is attached to.
pub(super) fn regions(view: &View) -> Result<Vec<Finding>> {
    let (mut findings, mut unseen) = (Vec::new(), Vec::new());
    for stat in stats(view) {
        match peek(view, &stat) {
            Peek::Region(_) => {}
            Peek::Plain => continue,
            Peek::Unknown if stat.size_bytes < Label::BYTES_MIN => continue,
            Peek::Unknown if stat.attachment_count > 0 || view.facility.user.is_some() => {}
            // The times of what nobody uses tell how long.
            Peek::Unknown => {
                unseen.push(stat);
                continue;
            }
        }
        match regions::look(view, &stat) {
            Ok(region) => findings.extend(region_findings(&stat, &region)),
            Err(Refused::Error(error)) if *error.kind() == ErrorKind::Damaged => {
                let failure = Failure::from(error).to_string();
                let mend =
                    format!("coseg read id:{0} > saved; coseg rm id:{0}; and its program anew", stat.id);
                findings.push(Finding::new(Severity::Problem, "regions", failure).mend(mend));
            }
            Err(Refused::Error(error)) if *error.kind() == ErrorKind::Segment => unseen.push(stat),
            Err(Refused::WouldDestroy(..)) => unseen.push(stat),
            // No region.
            Err(_) => {}
        }
    }
    if !unseen.is_empty() {
        let fact = format!("{} not looked into: locks of the dead may be in them", segments(unseen.len()));
        let mend = "coseg locks, run by their owner or root: it attaches what nobody has attached".to_owned();
        let finding = Finding::new(Severity::Note, "regions", fact).evidence(unseen.iter().map(sized));
        findings.push(finding.mend(mend));
    }
    Ok(findings)
}

fn region_findings(stat: &Stat, region: &Inspection) -> Vec<Finding> {
    let name = short_title(stat, region);
    let mut findings = Vec::new();
    let orphaned: Vec<String> = LockState::all(region)
        .iter()
        .filter(|lock| lock.state == State::Orphaned)
        .map(|lock| format!("{}: {}", printable(&lock.name), lock.sentence()))
        .collect();
    if !orphaned.is_empty() {
        let locks = output::count(orphaned.len() as u64, "lock", "locks");
        let fact = format!("{name}: {locks} of the dead");
        let mend = format!("coseg locks id:{}; whoever locks it next recovers it", stat.id);
        findings.push(Finding::new(Severity::Warning, "orphaned-lock", fact).evidence(orphaned).mend(mend));
    }
    let dead: Vec<String> = region
        .participants()
        .iter()
        .filter(|one| one.alive == Some(false))
        .map(|one| format!("{} died without leaving", Party::of(one).sentence()))
        .collect();
    if !dead.is_empty() {
        let participants = output::count(dead.len() as u64, "participant is", "participants are");
        let fact = format!("{name}: {participants} dead; who joins next takes the slot");
        let mend = format!("coseg show id:{}", stat.id);
        findings.push(Finding::new(Severity::Note, "dead-participant", fact).evidence(dead).mend(mend));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_give_one_key_are_told_from_one_file_twice() {
        let key = Key::new(0x4105_1234);
        let file = |device, inode, path: &str| Known { device, inode, path: path.into() };
        let all = [
            file(0x105, 0x1234, "/a"),
            file(0x105, 0x1234, "/a again"),
            file(0x205, 0xff_1234, "/b"),
            file(0x105, 0x1235, "/another inode"),
            file(0x106, 0x1234, "/another device"),
        ];
        let paths: Vec<PathBuf> = alike(key, all.into_iter()).into_iter().map(|file| file.path).collect();
        assert_eq!(paths, [PathBuf::from("/a"), PathBuf::from("/b")]);
    }
}
