//! Where a process lives, by its control group: a container, a unit of systemd.

use schemars::JsonSchema;
use serde::Serialize;

use crate::output::printable;

/// What a control group's path tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, JsonSchema, Serialize)]
pub(crate) struct Home {
    pub(crate) container: Option<Container>,
    /// The unit of systemd, inside the container where there is one.
    pub(crate) unit: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
pub(crate) struct Container {
    pub(crate) kind: Kind,
    /// The container's id, or its name where it goes by one.
    pub(crate) id: String,
    /// Of Kubernetes alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pod: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Docker,
    Podman,
    Containerd,
    CriO,
    Kubernetes,
    Lxc,
    Nspawn,
}

/// How programs begin the name of a container's scope, before its id.
const SCOPES: [(&str, Kind); 5] = [
    ("docker-", Kind::Docker),
    ("libpod-", Kind::Podman),
    ("cri-containerd-", Kind::Containerd),
    ("nerdctl-", Kind::Containerd),
    ("crio-", Kind::CriO),
];

/// As much of an id as people use.
const SHORT_ID: usize = 12;

impl Home {
    /// Of a process that can be seen.
    pub(crate) fn of(pid: i32) -> Home {
        std::fs::read(format!("/proc/{pid}/cgroup"))
            .map(|text| Home::parse(&String::from_utf8_lossy(&text)))
            .unwrap_or_default()
    }

    /// From the lines of /proc/PID/cgroup: `number:controllers:path`.
    fn parse(text: &str) -> Home {
        let paths = || text.lines().filter_map(|line| line.splitn(3, ':').nth(2));
        // A hierarchy of its own may know nothing of the container that the others name.
        Home { container: paths().find_map(container), unit: paths().find_map(unit) }
    }

    /// In one word: the container, else the unit, else nothing.
    pub(crate) fn word(&self) -> String {
        match (&self.container, &self.unit) {
            (Some(container), _) => container.word(),
            (None, Some(unit)) => unit.clone(),
            (None, None) => String::new(),
        }
    }
}

impl Container {
    fn new(kind: Kind, id: &str) -> Container {
        Container { kind, id: printable(id), pod: None }
    }

    /// `docker:0123456789ab`, `kubernetes:POD/0123456789ab`, `lxc:web`
    pub(crate) fn word(&self) -> String {
        let kind = format!("{:?}", self.kind).to_lowercase();
        let id = if is_id(&self.id) { &self.id[..SHORT_ID] } else { &self.id };
        match &self.pod {
            Some(pod) => format!("{kind}:{pod}/{id}"),
            None => format!("{kind}:{id}"),
        }
    }
}

/// The outermost container on a path.
fn container(path: &str) -> Option<Container> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    if parts.iter().any(|part| part.starts_with("kubepods")) {
        return kubernetes(&parts);
    }
    parts.iter().enumerate().find_map(|(index, part)| {
        let before = index.checked_sub(1).map_or("", |before| parts[before]);
        scoped(part).or_else(|| below(before, part))
    })
}

/// `docker-ID.scope` and its like.
fn scoped(part: &str) -> Option<Container> {
    let name = part.strip_suffix(".scope").unwrap_or(part);
    for (prefix, kind) in SCOPES {
        if let Some(id) = name.strip_prefix(prefix).filter(|id| is_id(id)) {
            return Some(Container::new(kind, id));
        }
    }
    if let Some(name) = part.strip_prefix("lxc.payload.") {
        return Some(Container::new(Kind::Lxc, name));
    }
    let instance = part.strip_prefix("systemd-nspawn@").and_then(|rest| rest.strip_suffix(".service"));
    // libvirt's scopes are called machine-qemu…, and are no containers.
    let machine = name.strip_prefix("machine-").filter(|name| *name != part && !name.starts_with("qemu"));
    Some(Container::new(Kind::Nspawn, &instance.or(machine)?.replace("\\x2d", "-")))
}

/// A directory's name says what is below it.
fn below(parent: &str, part: &str) -> Option<Container> {
    match parent {
        "docker" if is_id(part) => Some(Container::new(Kind::Docker, part)),
        "lxc" | "lxc.payload" => Some(Container::new(Kind::Lxc, part)),
        _ => None,
    }
}

fn kubernetes(parts: &[&str]) -> Option<Container> {
    let pod = parts.iter().find_map(|part| {
        let name = part.strip_suffix(".slice").unwrap_or(part);
        let uid = if name.starts_with("kubepods") {
            name.rsplit_once("-pod")?.1
        } else {
            name.strip_prefix("pod")?
        };
        Some(printable(&uid.replace('_', "-")))
    })?;
    let id = parts.iter().find_map(|part| {
        let name = part.strip_suffix(".scope").unwrap_or(part);
        let id = name.rsplit('-').next()?;
        is_id(id).then_some(id)
    });
    Some(Container { kind: Kind::Kubernetes, id: id.unwrap_or("?").to_owned(), pod: Some(pod) })
}

fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The innermost service or scope on a path.
fn unit(path: &str) -> Option<String> {
    let is_unit =
        |part: &&str| (part.ends_with(".service") || part.ends_with(".scope")) && scoped(part).is_none();
    path.split('/').rfind(is_unit).map(printable)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn word(path: &str) -> String {
        Home::parse(&format!("0::{path}\n")).word()
    }

    #[test]
    fn containers_are_told_by_their_paths() {
        for (path, own) in [
            (format!("/docker/{ID}"), "docker:0123456789ab"),
            (format!("/system.slice/docker-{ID}.scope"), "docker:0123456789ab"),
            (format!("/../docker-{ID}.scope/init"), "docker:0123456789ab"),
            (format!("/docker/{ID}/system.slice/cron.service"), "docker:0123456789ab"),
            (format!("/machine.slice/libpod-{ID}.scope/container"), "podman:0123456789ab"),
            (
                format!(
                    "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope/container"
                ),
                "podman:0123456789ab",
            ),
            (format!("/system.slice/nerdctl-{ID}.scope"), "containerd:0123456789ab"),
            (format!("/kubepods/besteffort/pod12-34/{ID}"), "kubernetes:12-34/0123456789ab"),
            (
                format!(
                    "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod12_34.slice/cri-containerd-{ID}.scope"
                ),
                "kubernetes:12-34/0123456789ab",
            ),
            ("/lxc/web/init.scope".to_owned(), "lxc:web"),
            ("/lxc.payload.web/system.slice/cron.service".to_owned(), "lxc:web"),
            ("/machine.slice/machine-deb\\x2d12.scope/payload".to_owned(), "nspawn:deb-12"),
            ("/machine.slice/systemd-nspawn@deb.service/payload".to_owned(), "nspawn:deb"),
        ] {
            assert_eq!(word(&path), own, "{path}");
        }
    }

    #[test]
    fn units_are_told_where_there_is_no_container() {
        for (path, own) in [
            ("/system.slice/postgresql@15-main.service", "postgresql@15-main.service"),
            ("/user.slice/user-1000.slice/session-3.scope", "session-3.scope"),
            ("/user.slice/user-1000.slice/user@1000.service/app.slice/a.service", "a.service"),
            ("/machine.slice/machine-qemu\\x2d1.scope", "machine-qemu\\x2d1.scope"),
            ("/docker/short", ""),
            ("/", ""),
        ] {
            assert_eq!(word(path), own, "{path}");
        }
    }

    #[test]
    fn any_hierarchy_may_name_the_container() {
        let home = Home::parse(&format!(
            "4:memory:/docker/{ID}\n1:name=systemd:/docker/{ID}/system.slice/a:b.service\n0::/\n"
        ));
        assert_eq!(
            (home.word().as_str(), home.unit.as_deref()),
            ("docker:0123456789ab", Some("a:b.service"))
        );
        assert_eq!(Home::parse("nonsense\n\n1:2"), Home::default());
    }

    #[test]
    fn names_of_groups_cannot_steer_the_terminal() {
        assert_eq!(word("/lxc/\x1b[2J"), "lxc:\\u{1b}[2J");
        assert_eq!(word("/x/\x1b[2J.service"), "\\u{1b}[2J.service");
    }
}
