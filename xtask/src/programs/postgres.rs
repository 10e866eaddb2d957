//! PostgreSQL with all of its shared memory in System V segments.

mod server;

use std::collections::HashSet;

use anyhow::{Result, ensure};

use super::processes::{signal, until, working_in};
use super::stage::Stage;
use super::steps::Steps;
use crate::run::{output, told};
use server::Server;

const CLIENTS: &str = "8";
const SCALE: u64 = 10;

pub(crate) fn check(stage: &Stage, steps: &mut Steps) -> Result<()> {
    let server = Server::new(stage);
    steps.step("initdb", || server.initdb())?;
    steps.step("nothing left by initdb", || stage.check_empty())?;
    steps.step("start", || {
        server.start()?;
        for setting in ["shared_memory_type", "dynamic_shared_memory_type"] {
            let value = server.sql(&format!("SHOW {setting}"))?;
            ensure!(value == "sysv", "{setting} is {value}");
        }
        server.main_segment()
    })?;
    steps.step("nattch is the processes", || server.count_attachments())?;
    steps.step("pgbench -i", || {
        server.pgbench(&["-i", "-q", "-s", &SCALE.to_string()])?;
        Ok(format!("{} accounts", server.sql("SELECT count(*) FROM pgbench_accounts")?))
    })?;
    steps.step("pgbench, 8 clients", || {
        let text = server.pgbench(&["-n", "-c", CLIENTS, "-j", "2", "-T", "10"])?;
        let rate = text.lines().find(|line| line.starts_with("tps = ")).unwrap_or_default();
        balanced(&server)?;
        Ok(rate.to_owned())
    })?;
    steps.step("parallel queries, 8 clients", || server.parallel())?;
    steps.step("kill -9 of a backend", || kill_backend(&server))?;
    steps.step("kill -9 of all", || {
        let old = server.segment_ids()?;
        let pids = working_in(&server.data);
        signal("KILL", &pids)?;
        until("death", 10, || Ok(working_in(&server.data).is_empty().then_some(())))?;
        // A process that exits gives up its directory a moment before its memory's files.
        until("nothing is attached", 5, || {
            let left = stage.checked_segments()?;
            ensure!(left.len() >= 2 && left.iter().all(|segment| segment.attachment_count == 0), "{left:?}");
            Ok(Some(()))
        })?;
        server.start()?;
        restarted(&server, &old)?;
        Ok(format!("{} processes, {} segments replaced", pids.len(), old.len()))
    })?;
    steps.step("refuses while one lives", || one_survivor(&server))?;
    steps.step("parallel queries again", || server.parallel())?;
    steps.step("stop", || {
        server.stop("fast")?;
        ensure!(working_in(&server.data).is_empty(), "processes live on: {:?}", working_in(&server.data));
        stage.check_empty()
    })
}

/// No update was lost or half done.
fn balanced(server: &Server) -> Result<()> {
    let sums = server.sql(
        "SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(delta) FROM pgbench_history), \
         (SELECT sum(bbalance) FROM pgbench_branches) = (SELECT sum(delta) FROM pgbench_history), \
         (SELECT sum(tbalance) FROM pgbench_tellers) = (SELECT sum(delta) FROM pgbench_history)",
    )?;
    ensure!(sums == "t|t|t", "balances differ: {sums}");
    Ok(())
}

/// The server is back, with new segments and without the old ones.
fn restarted(server: &Server, old: &HashSet<i32>) -> Result<()> {
    let left: Vec<i32> = server.segment_ids()?.intersection(old).copied().collect();
    ensure!(left.is_empty(), "of {old:?} there are still {left:?}");
    balanced(server)?;
    server.count_attachments().map(|_| ())
}

/// PostgreSQL takes a killed backend as a sign of damaged memory: it makes new segments and recovers.
fn kill_backend(server: &Server) -> Result<String> {
    let old = server.segment_ids()?;
    let mut victim = server.psql("SELECT pg_sleep(600)").spawn()?;
    let find = "SELECT pid FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)'";
    let pid = until("a backend that sleeps", 10, || Ok(server.sql(find)?.parse::<u32>().ok()))?;
    signal("KILL", &[pid])?;
    victim.wait()?;
    until("recovery", 30, || Ok(server.sql("SELECT 1").is_ok().then_some(())))?;
    // In its first moments there may be an autovacuum worker with segments of its own.
    until("the old segment is gone", 10, || restarted(server, &old).map(Some))?;
    server.pgbench(&["-n", "-c", CLIENTS, "-j", "2", "-T", "2"])?;
    balanced(server)?;
    Ok(format!("{} segments replaced", old.len()))
}

/// While one process of a dead server lives, a new server would destroy its data. Only nattch tells.
fn one_survivor(server: &Server) -> Result<String> {
    let main = server.segment_id()?;
    let old = server.segment_ids()?;
    let mut client = server.psql("SELECT pg_sleep(600)").spawn()?;
    let find = "SELECT pid FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)'";
    let survivor = until("a backend that sleeps", 10, || Ok(server.sql(find)?.parse::<u32>().ok()))?;
    signal("STOP", &[survivor])?;
    let others: Vec<u32> = working_in(&server.data).into_iter().filter(|pid| *pid != survivor).collect();
    signal("KILL", &others)?;
    until("death of the others", 10, || Ok((working_in(&server.data) == [survivor]).then_some(())))?;
    let refused = output(&mut server.pg_ctl(&["start"]))?;
    let log = std::fs::read_to_string(server.log())?;
    let said = log.lines().rev().find(|line| line.contains("pre-existing shared memory block"));
    let held = server.stage.segments()?;
    signal("KILL", &[survivor])?;
    client.wait()?;
    ensure!(!refused.status.success(), "it started: {}", told(&refused));
    ensure!(said.is_some(), "it did not say why: {}", told(&refused));
    ensure!(held.iter().any(|segment| segment.id == main && segment.attachment_count == 1), "{held:?}");
    until("death of the last", 10, || Ok(working_in(&server.data).is_empty().then_some(())))?;
    server.start()?;
    restarted(server, &old)?;
    Ok(said.unwrap_or_default().split("FATAL: ").last().unwrap_or_default().trim().to_owned())
}
