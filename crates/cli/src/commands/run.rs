//! `coseg run`: a program on the user-space backend, through the drop-in library.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Args;
use coseg_sysv::BackendName;

use crate::args::Global;
use crate::failure::{Failure, RUN_FAILED, Result, io_text};
use crate::output;
use crate::program;

const LIBRARY: &str = "libcoseg_preload.so";

const EXAMPLES: &str = "\
Examples:
  coseg run -- initdb -D data
  coseg run --dir /srv/app/shm -- ./server --port 80    a namespace of its own
  COSEG_RESERVE=1 coseg run -- ./server                 take memory when segments are made
  eval \"$(coseg run --print-env)\"                       for this whole shell
  COSEG_BACKEND=user coseg ls                           what such programs made

The program's shmget, shmat, shmdt and shmctl reach coseg's library instead of the kernel; its \
children inherit that. Out of reach: static programs, setuid programs, and raw system calls.
Exit codes: the program's own; 125 coseg itself failed, 126 not executable, 127 not found.";

/// Run a program on the user-space backend
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Run {
    /// Directory of the namespace [default: COSEG_DIR, else /dev/shm/coseg-UID]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Print the environment for a shell instead
    #[arg(long)]
    print_env: bool,
    /// The program and its arguments
    #[arg(value_name = "PROGRAM", trailing_var_arg = true, required_unless_present = "print_env")]
    program: Vec<OsString>,
}

pub(crate) fn run(args: &Run, global: &Global) -> Result<ExitCode> {
    if global.backend == Some(BackendName::Kernel) && std::env::var_os("COSEG_BACKEND").is_none() {
        return Err(
            failed("a program is on the kernel backend already").hint("the program without coseg run")
        );
    }
    let environment = environment(args)?;
    if args.print_env {
        let lines: String =
            environment.iter().map(|(name, value)| format!("export {name}={}\n", quoted(value))).collect();
        output::print(&lines)?;
        return Ok(ExitCode::SUCCESS);
    }
    let (name, arguments) = args.program.split_first().ok_or_else(|| failed("no program is named"))?;
    if let Some(reason) = program::find(name).and_then(|file| program::out_of_reach(&file)) {
        output::note(&format!("run: {reason}; it goes to the kernel"));
    }
    let error = Command::new(name).args(arguments).envs(environment).exec();
    let code = if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 };
    let fact = match (code, name.as_bytes().contains(&b'/')) {
        (127, false) => "ENOENT: no such program in PATH".to_owned(),
        _ => io_text(&error),
    };
    let hint = match (code, name.as_bytes().contains(&b'/')) {
        (127, false) => "its path, such as ./PROGRAM, or its directory in PATH",
        (127, true) => "ls -l on it: a script's interpreter may be what is missing",
        _ => "chmod +x, or the interpreter before it",
    };
    Err(Failure::new(code, format!("run {}: {fact}", name.to_string_lossy())).hint(hint))
}

fn failed(text: impl std::fmt::Display) -> Failure {
    Failure::new(RUN_FAILED, format!("run: {text}"))
}

fn environment(args: &Run) -> Result<Vec<(&'static str, OsString)>> {
    let library = library()?;
    if library.as_os_str().as_bytes().iter().any(|byte| matches!(byte, b' ' | b':')) {
        return Err(failed(format!("{}: LD_PRELOAD splits at blanks and colons", library.display()))
            .hint("a copy of the library in another directory, named by COSEG_PRELOAD"));
    }
    let mut preload = library.into_os_string();
    if let Some(existing) = std::env::var_os("LD_PRELOAD").filter(|value| !value.is_empty()) {
        preload.push(":");
        preload.push(existing);
    }
    // So that a coseg inside looks where the program's segments are.
    let mut environment = vec![("LD_PRELOAD", preload), ("COSEG_BACKEND", "user".into())];
    if let Some(directory) = &args.dir {
        // The program may change its directory before its first segment.
        let absolute = std::path::absolute(directory)
            .map_err(|error| failed(format!("{}: {}", directory.display(), io_text(&error))))?;
        environment.push(("COSEG_DIR", absolute.into_os_string()));
    }
    Ok(environment)
}

/// The drop-in library: where the environment says, where cargo builds it, where packages install it.
fn library() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("COSEG_PRELOAD").map(PathBuf::from) {
        let found = path.is_file();
        let missing = || failed(format!("COSEG_PRELOAD names {}, which is no file", path.display()));
        return if found { std::path::absolute(&path).map_err(|_| missing()) } else { Err(missing()) };
    }
    let executable = std::env::current_exe()
        .map_err(|error| failed(format!("where this program is: {}", io_text(&error))))?;
    let directory = executable.parent().unwrap_or(Path::new("/"));
    let tried = ["", "deps", "../lib/coseg", "../lib"].map(|place| directory.join(place).join(LIBRARY));
    match tried.iter().find(|path| path.is_file()) {
        Some(path) => Ok(path.canonicalize().unwrap_or_else(|_| path.clone())),
        None => {
            let tried: Vec<String> = tried.iter().map(|path| path.display().to_string()).collect();
            Err(failed(format!("ENOENT: {LIBRARY} is in none of {}", tried.join(", ")))
                .hint("COSEG_PRELOAD=PATH, or cargo build --package coseg-preload"))
        }
    }
}

/// In single quotes, for any shell of the Bourne family.
fn quoted(value: &OsStr) -> String {
    format!("'{}'", value.to_string_lossy().replace('\'', r"'\''"))
}
