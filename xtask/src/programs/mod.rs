//! Unmodified programs on a backend, each with checks of its results.
//!
//! Everything runs in an IPC and a PID namespace of its own, so that nothing of the host is seen or harmed, and
//! nothing stays. On the user backend that namespace allows no segment at all: a program that reached the kernel
//! would fail, not pass by mistake. The same checks pass on the kernel backend, which is how we know that they
//! ask for what is right.

mod ipc_tools;
pub(crate) mod packages;
mod perl;
mod postgres;
mod processes;
pub(crate) mod stage;
mod steps;
mod stress_ng;
mod sysv_ipc;

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, bail};
use lexopt::prelude::*;

use stage::{BackendName, Stage};
use steps::Steps;

struct Program {
    name: &'static str,
    /// Debian packages.
    packages: &'static [&'static str],
    /// The user it runs as.
    user: &'static str,
    check: fn(&Stage, &mut Steps) -> Result<()>,
}

const PROGRAMS: &[Program] = &[
    Program { name: "ipc-tools", packages: &["util-linux"], user: "nobody", check: ipc_tools::check },
    Program { name: "perl", packages: &["perl"], user: "nobody", check: perl::check },
    Program {
        name: "sysv_ipc",
        packages: &["python3-venv", "python3-dev", "gcc"],
        user: "root",
        check: sysv_ipc::check,
    },
    Program { name: "stress-ng", packages: &["stress-ng"], user: "nobody", check: stress_ng::check },
    Program { name: "postgresql", packages: &["postgresql-15"], user: "postgres", check: postgres::check },
];

/// Set in the process that is inside the namespaces.
const INSIDE: &str = "COSEG_XTASK_INSIDE";

pub(crate) fn command(mut words: lexopt::Parser) -> Result<()> {
    let mut backend = BackendName::User;
    let mut names: Vec<String> = Vec::new();
    while let Some(word) = words.next()? {
        match word {
            Long("backend") => {
                backend = match words.value()?.string()?.as_str() {
                    "user" => BackendName::User,
                    "kernel" => BackendName::Kernel,
                    other => bail!("no backend {other}: user or kernel"),
                }
            }
            Value(name) => names.push(name.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    if let Some(unknown) = names.iter().find(|name| PROGRAMS.iter().all(|program| program.name != **name)) {
        let known: Vec<_> = PROGRAMS.iter().map(|program| program.name).collect();
        bail!("no program {unknown}: {}", known.join(", "));
    }
    if std::env::var_os(INSIDE).is_none() {
        return enter();
    }

    let chosen = |program: &&Program| names.is_empty() || names.iter().any(|name| name == program.name);
    let mut steps = Steps::new(backend);
    let library = crate::build::library()?;
    if backend == BackendName::User {
        std::fs::write("/proc/sys/kernel/shmmni", "0")
            .context("closing the kernel's facility in this namespace")?;
    }
    for program in PROGRAMS.iter().filter(chosen) {
        steps.program = program.name;
        // What it failed with is in the table already.
        let _ = on_stage(program, backend, &library, &mut steps);
    }
    steps.finish()
}

fn on_stage(
    program: &Program,
    backend: BackendName,
    library: &std::path::Path,
    steps: &mut Steps,
) -> Result<()> {
    steps.step("installed", || packages::install(program.packages))?;
    let mut staged = None;
    steps.step("staged", || {
        staged = Some(Stage::new(program.name, backend, library, program.user)?);
        Ok(format!("as {}", program.user))
    })?;
    let stage = staged.context("staged")?;
    (program.check)(&stage, steps)?;
    steps.step("nothing left", || stage.check_empty())
}

/// Starts this program again in namespaces of its own.
fn enter() -> Result<()> {
    let me = packages::user("root")?;
    if me.uid != stage::effective_uid()? {
        bail!(
            "programs are installed, and run as other users: run it as root, \
             for example with sudo --preserve-env=PATH,CARGO_HOME,RUSTUP_HOME cargo xtask programs"
        );
    }
    // The first process in there is a shell, for someone must bury the dead of servers that were killed: PostgreSQL
    // takes a zombie of the pid it noted for a running server. All that lives still is killed with the shell.
    let mut unshare = Command::new("unshare");
    unshare.args([
        "--ipc",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "--",
        "sh",
        "-c",
        "\"$@\" & wait $!",
        "sh",
    ]);
    unshare.arg(std::env::current_exe()?).args(std::env::args_os().skip(1)).env(INSIDE, "1");
    Err(unshare.exec()).context("unshare")
}
