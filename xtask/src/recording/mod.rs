//! `coseg top` finding a leak, as a picture that moves: docs/top.svg, of a real run.

mod film;
mod svg;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use lexopt::prelude::*;

use self::film::Film;
use crate::build;
use crate::programs::stage::effective_uid;
use crate::run::run;

const ROWS: u16 = 30;
const COLUMNS: u16 = 104;

/// What nobody has used for a minute is garbage; this is a little more.
const GARBAGE_AFTER: Duration = Duration::from_secs(63);

/// What is pressed, and how long before it somebody looks.
const KEYS: [(u64, &str); 12] = [
    (4_500, "g"),
    (2_500, "\r"),
    (5_000, "d"),
    (4_000, "y"),
    (2_500, "d"),
    (1_500, "y"),
    (2_500, "g"),
    (1_000, "/"),
    (500, "market"),
    (1_500, "\r"),
    (4_000, "JJJJJJJJJJJJJJ"),
    (5_000, "q"),
];

pub(crate) fn command(mut words: lexopt::Parser) -> Result<()> {
    let mut to = PathBuf::from("docs/top.svg");
    let mut is_inside = false;
    while let Some(word) = words.next()? {
        match word {
            Long("to") => to = words.value()?.into(),
            Long("inside") => is_inside = true,
            other => return Err(other.unexpected().into()),
        }
    }
    if is_inside {
        return record(&to);
    }
    build::build(&["coseg-cli", "coseg-stage"])?;
    let mut unshare = Command::new("unshare");
    if effective_uid()? != 0 {
        unshare.args(["--user", "--map-root-user"]);
    }
    unshare.args(["--ipc", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]);
    unshare.arg(std::env::current_exe()?).args(["recording", "--inside", "--to"]).arg(&to);
    let status = unshare.status().with_context(|| format!("{unshare:?}"))?;
    if !status.success() {
        bail!("the recording failed: {status}");
    }
    Ok(())
}

/// In an IPC and a PID namespace of its own.
fn record(to: &Path) -> Result<()> {
    let artifacts = build::directory()?;
    let coseg = artifacts.join("coseg");
    let scratch = tempfile::Builder::new().prefix("xtask-recording-").tempdir()?;
    for _ in 0..2 {
        leak(&coseg)?;
    }
    eprintln!("waiting {} s, until what is not used counts as garbage", GARBAGE_AFTER.as_secs());
    thread::sleep(GARBAGE_AFTER);
    // Under a name that tells what it does.
    let market = scratch.path().join("office");
    std::fs::copy(artifacts.join("coseg-stage"), &market)?;
    let _market = Market::open(&market, scratch.path())?;
    let [output, timing] = ["output", "timing"].map(|name| scratch.path().join(name));
    let mut top = Command::new("script");
    top.args(["--quiet", "--flush", "--logging-format", "classic", "--echo", "never", "--log-out"])
        .arg(&output)
        .arg("--log-timing")
        .arg(&timing)
        .arg("--command")
        .arg(format!("stty rows {ROWS} cols {COLUMNS}; exec '{}' top", coseg.display()))
        .env("COSEG_BACKEND", "kernel")
        .env("TERM", "xterm-256color")
        .env_remove("NO_COLOR")
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    let mut top = top.spawn().with_context(|| format!("{top:?}"))?;
    play(top.stdin.as_mut().context("its keyboard is a pipe")?, &coseg)?;
    let status = top.wait()?;
    if !status.success() {
        bail!("top ended with {status}");
    }
    let film = Film::of(&std::fs::read(output)?, &std::fs::read_to_string(timing)?, ROWS, COLUMNS)?;
    film.has_all(&["garbage", "remove this segment?", "removed id", "PARTICIPANT"])?;
    std::fs::write(to, svg::picture(&film)).with_context(|| format!("write {}", to.display()))?;
    println!("{}: {} frames, {} s", to.display(), film.frames.len(), film.length.as_secs());
    Ok(())
}

fn play(keyboard: &mut ChildStdin, coseg: &Path) -> Result<()> {
    let mut next = Instant::now();
    for (number, (pause_ms, keys)) in KEYS.into_iter().enumerate() {
        next += Duration::from_millis(pause_ms);
        thread::sleep(next.saturating_duration_since(Instant::now()));
        keyboard.write_all(keys.as_bytes())?;
        if number == 1 {
            leak(coseg)?;
        }
    }
    Ok(())
}

/// Programs that take memory, use it, and end without a word.
fn leak(coseg: &Path) -> Result<()> {
    let ours = || {
        let mut command = Command::new(coseg);
        command.env("COSEG_BACKEND", "kernel");
        command
    };
    let id = run(ours().args(["create", "--private", "--size", "48M"]))?;
    let mut write = ours().arg("write").arg(format!("id:{}", id.trim())).stdin(Stdio::piped()).spawn()?;
    write.stdin.take().context("its input is a pipe")?.write_all(&vec![b'x'; 48 << 20])?;
    if !write.wait()?.success() {
        bail!("segment {id} was not written");
    }
    Ok(())
}

/// Programs that have something to do.
struct Market(Child);

impl Market {
    fn open(program: &Path, temporary: &Path) -> Result<Market> {
        let mut command = Command::new(program);
        command.arg("fair").env("COSEG_BACKEND", "kernel").env("TMPDIR", temporary);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        let said = child.stdout.take().context("its output is a pipe")?;
        let market = Market(child);
        BufReader::new(said).read_line(&mut line)?;
        if line != "ready\n" {
            bail!("{}: {line}", program.display());
        }
        Ok(market)
    }
}

impl Drop for Market {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
