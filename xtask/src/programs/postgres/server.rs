//! One server: its data directory, its processes, and how to talk to it.

use std::collections::HashSet;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::super::packages;
use super::super::processes::{signal, until, working_in};
use super::super::stage::Stage;
use crate::run::{output, run, told};

const BIN: &str = "/usr/lib/postgresql/15/bin";
const SHARE: &str = "/usr/share/postgresql/15";
const SHARED_BUFFERS_BYTES: u64 = 128 << 20;

const SYSV: &str = "
shared_memory_type = sysv
dynamic_shared_memory_type = sysv
";

const SETTINGS: &str = "
listen_addresses = ''
shared_buffers = 128MB
fsync = off
max_worker_processes = 32
max_parallel_workers = 32
max_parallel_workers_per_gather = 4
parallel_setup_cost = 0
parallel_tuple_cost = 0
min_parallel_table_scan_size = 0
min_parallel_index_scan_size = 0
log_line_prefix = '%m [%p] '
";

const PARALLEL: &str = "\
SELECT count(*), sum(abalance), max(filler) FROM pgbench_accounts WHERE aid <= 20000;
SELECT count(*) FROM pgbench_accounts a JOIN pgbench_accounts b USING (aid) WHERE aid <= 5000;
";

pub(crate) struct Server<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) data: PathBuf,
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        let _ = signal("KILL", &working_in(&self.data));
    }
}

impl<'a> Server<'a> {
    pub(crate) fn new(stage: &'a Stage) -> Server<'a> {
        Server { stage, data: stage.path("data") }
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.stage.path("log")
    }

    fn program(&self, name: &str) -> Command {
        let mut command = self.stage.command(Path::new(BIN).join(name));
        command.env("PGHOST", self.stage.path("")).env("PGDATABASE", "postgres").env("PGDATA", &self.data);
        command.stdin(Stdio::null());
        command
    }

    /// Version 15 takes no settings on initdb's command line: they go into the sample from which it makes the
    /// configuration that its own bootstrap reads.
    pub(crate) fn initdb(&self) -> Result<String> {
        let share = self.stage.path("share");
        run(Command::new("cp").args(["--recursive", "--dereference"]).arg(SHARE).arg(&share))?;
        let sample = share.join("postgresql.conf.sample");
        OpenOptions::new().append(true).open(&sample)?.write_all(SYSV.as_bytes())?;

        let mut initdb = self.program("initdb");
        initdb.args(["--auth=trust", "--no-sync", "--no-instructions", "-L"]).arg(&share);
        let mut child = initdb.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut largest = 0;
        while child.try_wait()?.is_none() {
            let sizes = self.stage.segments()?.into_iter().map(|segment| segment.size_bytes);
            largest = sizes.max().unwrap_or(0).max(largest);
            std::thread::sleep(Duration::from_millis(5));
        }
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "{}", told(&output));
        // With other kinds of memory, the one System V segment is a page that serves as a lock.
        ensure!(largest > 1 << 20, "the largest segment of its bootstrap has {largest} bytes");
        let configuration = std::fs::read_to_string(self.data.join("postgresql.conf"))?;
        ensure!(configuration.ends_with(SYSV), "the configuration does not end as the sample");
        OpenOptions::new()
            .append(true)
            .open(self.data.join("postgresql.conf"))?
            .write_all(SETTINGS.as_bytes())?;
        let directories = format!("unix_socket_directories = '{}'\n", self.stage.path("").display());
        OpenOptions::new()
            .append(true)
            .open(self.data.join("postgresql.conf"))?
            .write_all(directories.as_bytes())?;
        Ok(format!("{}, bootstrap in {} KiB", packages::version("postgresql-15")?, largest >> 10))
    }

    pub(crate) fn pg_ctl(&self, words: &[&str]) -> Command {
        let mut command = self.program("pg_ctl");
        command.args(words).args(["--wait", "--silent", "--log"]).arg(self.log());
        // The server inherits them, and would keep our pipes open.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    pub(crate) fn start(&self) -> Result<()> {
        if !self.pg_ctl(&["start"]).status()?.success() {
            bail!("pg_ctl start failed, the log ends with\n{}", self.log_end());
        }
        Ok(())
    }

    pub(crate) fn stop(&self, mode: &str) -> Result<()> {
        let mut command = self.program("pg_ctl");
        let output = output(command.args(["stop", "--wait", "--mode", mode]))?;
        ensure!(output.status.success(), "{}\n{}", told(&output), self.log_end());
        Ok(())
    }

    fn log_end(&self) -> String {
        let text = std::fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    pub(crate) fn psql(&self, query: &str) -> Command {
        let mut command = self.program("psql");
        command.args([
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "--set",
            "ON_ERROR_STOP=1",
            "-c",
            query,
        ]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    pub(crate) fn sql(&self, query: &str) -> Result<String> {
        let mut psql = self.psql(query);
        psql.stdout(Stdio::piped()).stderr(Stdio::piped());
        let text = run(&mut psql).with_context(|| format!("the log ends with\n{}", self.log_end()))?;
        Ok(text.trim().to_owned())
    }

    pub(crate) fn pgbench(&self, words: &[&str]) -> Result<String> {
        let text = run(self.program("pgbench").args(words))
            .with_context(|| format!("the log ends with\n{}", self.log_end()))?;
        ensure!(
            !text.contains("number of failed transactions: ")
                || text.contains("number of failed transactions: 0 "),
            "{text}"
        );
        Ok(text)
    }

    /// The id of the main segment, from the server's own lock file.
    pub(crate) fn segment_id(&self) -> Result<i32> {
        let text = std::fs::read_to_string(self.data.join("postmaster.pid"))?;
        let line = text.lines().nth(6).with_context(|| format!("postmaster.pid is {text:?}"))?;
        let id = line.split_ascii_whitespace().nth(1).and_then(|word| word.parse().ok());
        id.with_context(|| format!("postmaster.pid has {line:?}"))
    }

    /// The ids of all segments, dynamic ones included.
    pub(crate) fn segment_ids(&self) -> Result<HashSet<i32>> {
        Ok(self.stage.checked_segments()?.into_iter().map(|segment| segment.id).collect())
    }

    /// The main segment is in the listing, and holds the buffers.
    pub(crate) fn main_segment(&self) -> Result<String> {
        let id = self.segment_id()?;
        let segments = self.stage.checked_segments()?;
        let main = segments.iter().find(|segment| segment.id == id);
        let main = main.with_context(|| format!("segment {id} is not among {segments:?}"))?;
        ensure!(main.size_bytes > SHARED_BUFFERS_BYTES, "the main segment is {main:?}");
        Ok(format!("segment {id}, {} MiB", main.size_bytes >> 20))
    }

    /// Every process of the server inherits the main segment: their number is its nattch.
    pub(crate) fn count_attachments(&self) -> Result<String> {
        let id = self.segment_id()?;
        let mut seen = (0, 0);
        let same = until("nattch is the number of processes", 15, || {
            let before = working_in(&self.data).len() as u64;
            let segments = self.stage.segments()?;
            let after = working_in(&self.data).len() as u64;
            let main = segments.iter().find(|segment| segment.id == id).context("no main segment")?;
            seen = (main.attachment_count, after);
            Ok((before == after && main.attachment_count == after).then_some(after))
        });
        let count = same.with_context(|| format!("nattch {}, {} processes", seen.0, seen.1))?;
        ensure!(count >= 5, "only {count} processes");
        Ok(format!("{count}"))
    }

    /// Queries whose workers share dynamic segments: results are right, workers ran, and segments came and went.
    pub(crate) fn parallel(&self) -> Result<String> {
        let plan = self.sql("EXPLAIN (ANALYZE) SELECT count(*), max(filler) FROM pgbench_accounts")?;
        let workers = plan.lines().find(|line| line.contains("Workers Launched: "));
        ensure!(workers.is_some_and(|line| !line.ends_with(": 0")), "{plan}");
        let query = "SELECT count(*), sum(abalance), max(aid) FROM pgbench_accounts";
        let serial = self.sql(&format!("SET max_parallel_workers_per_gather = 0; {query}"))?;
        let parallel = self.sql(query)?;
        ensure!(serial == parallel, "{serial} alone, {parallel} in parallel");

        let script = self.stage.path("parallel.sql");
        std::fs::write(&script, PARALLEL)?;
        let mut pgbench = self.program("pgbench");
        pgbench.args(["-n", "-c", super::CLIENTS, "-j", "2", "-T", "6", "-f"]).arg(&script);
        let mut child = pgbench.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let before = self.segment_ids()?;
        let mut seen = HashSet::new();
        while child.try_wait()?.is_none() {
            seen.extend(self.segment_ids()?);
            std::thread::sleep(Duration::from_millis(20));
        }
        let output = child.wait_with_output()?;
        let text = told(&output);
        ensure!(
            output.status.success() && text.contains("number of failed transactions: 0 "),
            "{text}\n{}",
            self.log_end()
        );
        // Its statistics may have got another segment, which stays.
        let left = until("dynamic segments are gone", 10, || {
            let left = self.segment_ids()?;
            Ok((left.difference(&before).count() <= 1).then_some(left))
        })?;
        let gone = seen.difference(&left).count();
        ensure!(gone > 0, "no dynamic segment was seen");
        let count =
            text.lines().find(|line| line.starts_with("number of transactions actually")).unwrap_or_default();
        Ok(format!("{} scripts, {gone} dynamic segments seen", count.split(": ").last().unwrap_or_default()))
    }
}
