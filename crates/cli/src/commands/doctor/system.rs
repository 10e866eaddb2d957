//! What the host does to segments: systemd, namespaces, huge pages, sysctls.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Finding, Severity};
use crate::failure::Result;
use crate::namespaces;
use crate::output;
use crate::size;
use crate::view::{View, title};

/// Below are the users of the system, whose segments systemd-logind leaves alone; as is nobody.
const FIRST_PERSON: u32 = 1000;
const NOBODY: u32 = 65_534;

/// systemd-logind removes a person's segments when his last session ends, and his files in /dev/shm.
pub(super) fn remove_ipc(view: &View) -> Result<Vec<Finding>> {
    if !Path::new("/run/systemd/seats").exists() || !removes_ipc(&logind_files()) {
        return Ok(Vec::new());
    }
    let is_person = |uid: u32| uid >= FIRST_PERSON && uid != NOBODY;
    let theirs =
        view.listed.iter().map(|listed| listed.stat).filter(|stat| is_person(stat.uid) && !stat.removed);
    let evidence: Vec<String> =
        theirs.map(|stat| format!("{}, of {}", title(&stat), view.people.user_or_number(stat.uid))).collect();
    let severity = if evidence.is_empty() { Severity::Note } else { Severity::Warning };
    let fact = "RemoveIPC=yes: when a user's last session ends, systemd-logind removes his segments, and his files in /dev/shm";
    Ok(vec![Finding::new(severity, "remove-ipc", fact).evidence(evidence).mend(
        "mkdir -p /etc/systemd/logind.conf.d; printf '[Login]\\nRemoveIPC=no\\n' > \
         /etc/systemd/logind.conf.d/ipc.conf; systemctl restart systemd-logind; or loginctl enable-linger USER",
    )])
}

/// The settings of logind in the order in which they count: the main file, then pieces by name, where /etc's go
/// before /run's and those before /usr's of the same name.
fn logind_files() -> Vec<String> {
    let places = ["/usr/lib/systemd", "/usr/local/lib/systemd", "/run/systemd", "/etc/systemd"];
    let main = places.iter().rev().find_map(|place| fs::read_to_string(format!("{place}/logind.conf")).ok());
    let mut pieces: BTreeMap<OsString, PathBuf> = BTreeMap::new();
    for place in places {
        for entry in fs::read_dir(format!("{place}/logind.conf.d")).into_iter().flatten().flatten() {
            if entry.path().extension().is_some_and(|extension| extension == "conf") {
                pieces.insert(entry.file_name(), entry.path());
            }
        }
    }
    main.into_iter().chain(pieces.values().filter_map(|path| fs::read_to_string(path).ok())).collect()
}

fn removes_ipc(files: &[String]) -> bool {
    let mut removes = true;
    for text in files {
        let mut section = "";
        for line in text.lines().map(str::trim) {
            if line.starts_with('[') {
                section = line;
            } else if section == "[Login]"
                && let Some((name, value)) = line.split_once('=')
                && name.trim() == "RemoveIPC"
            {
                // An empty value is the default again.
                removes = !matches!(
                    value.trim().to_ascii_lowercase().as_str(),
                    "no" | "n" | "false" | "f" | "off" | "0"
                );
            }
        }
    }
    removes
}

pub(super) fn rmid_forced(view: &View) -> Result<Vec<Finding>> {
    let Some(command) = crate::regions::destroys_at_last_detach(view) else { return Ok(Vec::new()) };
    let fact = "shm_rmid_forced is 1: a segment goes with its last attacher, removed or not";
    Ok(vec![Finding::new(Severity::Note, "rmid-forced", fact).mend(command)])
}

pub(super) fn other_namespaces(view: &View) -> Result<Vec<Finding>> {
    if view.facility.user.is_some() {
        return Ok(Vec::new());
    }
    let own = namespaces::own();
    let (found, _) = namespaces::all();
    let others: Vec<_> = found.iter().filter(|namespace| Some(namespace.inode) != own).collect();
    if others.is_empty() {
        return Ok(Vec::new());
    }
    let processes =
        output::count(others.iter().map(|one| one.process_count).sum(), "process is", "processes are");
    let fact = format!(
        "{processes} in {}, whose segments are not seen from here",
        output::count(others.len() as u64, "other IPC namespace", "other IPC namespaces")
    );
    Ok(vec![Finding::new(Severity::Note, "namespaces", fact).mend("coseg ls --all-namespaces")])
}

pub(super) fn huge_pages(_: &View) -> Result<Vec<Finding>> {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let group = fs::read_to_string("/proc/sys/vm/hugetlb_shm_group").ok();
    Ok(huge_page_findings(&text, group.and_then(|text| text.trim().parse().ok())))
}

fn huge_page_findings(meminfo: &str, group: Option<u32>) -> Vec<Finding> {
    let number = |name: &str| -> u64 {
        let rest = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        rest.and_then(|rest| rest.split_ascii_whitespace().next()?.parse().ok()).unwrap_or(0)
    };
    let (total, free, reserved) =
        (number("HugePages_Total"), number("HugePages_Free"), number("HugePages_Rsvd"));
    let bytes = |pages: u64| size::human(pages.saturating_mul(number("Hugepagesize")).saturating_mul(1024));
    if total == 0 {
        return Vec::new();
    }
    let finding = |severity, fact: String| Finding::new(severity, "huge-pages", fact);
    let mut findings = Vec::new();
    if free == total && reserved == 0 {
        let fact = format!(
            "{} huge pages ({}) are set aside, and none is used",
            output::grouped(total),
            bytes(total)
        );
        findings.push(finding(Severity::Warning, fact).mend("sysctl -w vm.nr_hugepages=0"));
    } else if free <= reserved {
        let fact = format!(
            "all {} huge pages ({}) are used or promised: the next SHM_HUGETLB is ENOMEM",
            output::grouped(total),
            bytes(total)
        );
        let evidence = format!("HugePages_Free: {free}, HugePages_Rsvd: {reserved}");
        let more = total + total.div_ceil(4);
        findings.push(
            finding(Severity::Note, fact)
                .evidence([evidence])
                .mend(format!("sysctl -w vm.nr_hugepages={more}")),
        );
    }
    if group == Some(0) {
        let fact =
            "vm.hugetlb_shm_group is 0: only root, or who has CAP_IPC_LOCK, makes segments of huge pages";
        findings.push(finding(Severity::Note, fact.to_owned()).mend("sysctl -w vm.hugetlb_shm_group=GID"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_on_remove_ipc_counts() {
        let files = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        assert!(removes_ipc(&[]));
        assert!(removes_ipc(&files(&["[Login]\n#RemoveIPC=no\n"])));
        assert!(!removes_ipc(&files(&["[Login]\n RemoveIPC = No \n"])));
        assert!(removes_ipc(&files(&["[Other]\nRemoveIPC=no\n"])));
        assert!(removes_ipc(&files(&["[Login]\nRemoveIPC=no", "[Login]\nRemoveIPC=yes"])));
        assert!(removes_ipc(&files(&["[Login]\nRemoveIPC=no", "[Login]\nRemoveIPC="])));
    }

    fn huge(total: u64, free: u64, reserved: u64, group: u32) -> Vec<(Severity, Option<String>)> {
        let text = format!(
            "MemTotal: 1 kB\nHugePages_Total:  {total}\nHugePages_Free: {free}\nHugePages_Rsvd: {reserved}\n\
             Hugepagesize:  2048 kB\n"
        );
        huge_page_findings(&text, Some(group))
            .into_iter()
            .map(|finding| (finding.severity, finding.mend))
            .collect()
    }

    #[test]
    fn huge_pages_are_neither_idle_nor_all_gone() {
        let mend = |text: &str| Some(format!("sysctl -w vm.{text}"));
        assert_eq!(huge(0, 0, 0, 0), []);
        assert_eq!(huge(8, 4, 1, 5), []);
        assert_eq!(huge(8, 8, 0, 5), [(Severity::Warning, mend("nr_hugepages=0"))]);
        assert_eq!(huge(8, 2, 2, 5), [(Severity::Note, mend("nr_hugepages=10"))]);
        assert_eq!(huge(8, 4, 1, 0), [(Severity::Note, mend("hugetlb_shm_group=GID"))]);
    }
}
