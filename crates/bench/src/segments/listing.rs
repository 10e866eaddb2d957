//! The tools that list segments: ours against `ipcs` and `lsof`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Outcome;
use crate::report::{Goal, Row, Table};
use crate::sample::{Operation, Plan, compare};

/// Times both tools on the kernel's segments, and ours on ours; each must list all of `present_count`.
pub(super) fn table(plan: &Plan, directory: &Path, present_count: usize) -> Table {
    let mut ipcs = Command::new("ipcs");
    ipcs.arg("-m");
    let tools =
        [Ok(ipcs), coseg("kernel", directory, &["--no-who"]), coseg("user", directory, &["--no-who"])];
    let columns = vec!["`ipcs -m`", "`coseg ls --no-who`, kernel", "`coseg ls --no-who`, user"];
    let rows = vec![row(plan, format!("list {present_count} segments"), tools, present_count, None)];
    Table { title: "Tool".to_owned(), columns, rows }
}

/// Times the tools that tell who is attached: ours against `lsof`.
pub(super) fn table_of_who(
    plan: &Plan,
    directory: &Path,
    present_count: usize,
    process_count: usize,
) -> Table {
    let mut lsof = Command::new("lsof");
    // Neither names of hosts nor of ports.
    lsof.args(["-n", "-P"]);
    let tools = [Ok(lsof), coseg("kernel", directory, &[]), coseg("user", directory, &[])];
    let columns = vec!["`lsof`", "`coseg ls`, kernel", "`coseg ls`, user"];
    let operation =
        format!("list {present_count} segments and the {process_count} processes attached to them");
    let rows = vec![row(plan, operation, tools, present_count, Some(Goal::Ratio(0.5)))];
    Table { title: "Who".to_owned(), columns, rows }
}

fn coseg(backend: &str, directory: &Path, args: &[&str]) -> Outcome<Command> {
    let mut command = Command::new(built()?);
    command.arg("ls").args(args).env("COSEG_BACKEND", backend).env("COSEG_DIR", directory);
    Ok(command)
}

fn row(
    plan: &Plan,
    operation: String,
    tools: [Outcome<Command>; 3],
    present_count: usize,
    goal: Option<Goal>,
) -> Row {
    let contenders = tools.into_iter().map(|tool| contender(tool?, present_count)).collect();
    Row::new(operation, compare(&plan.of_processes(), contenders), goal)
}

fn contender(mut tool: Command, present_count: usize) -> Outcome<Operation<'static>> {
    tool.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = tool.output()?;
    let line_count = String::from_utf8_lossy(&output.stdout).lines().count();
    if !output.status.success() || line_count < present_count {
        let complaint = String::from_utf8_lossy(&output.stderr);
        let complaint = complaint.lines().next().unwrap_or("no complaint");
        return Err(format!(
            "{line_count} lines for {present_count} segments, {}: {complaint}",
            output.status
        )
        .into());
    }
    tool.stdout(Stdio::null());
    Ok(Box::new(
        move || if tool.status()?.success() { Ok(()) } else { Err("failed while it was timed".into()) },
    ))
}

/// The tool, which cargo puts beside this program.
fn built() -> Outcome<PathBuf> {
    let tool = std::env::current_exe()?.with_file_name("coseg");
    if tool.exists() { Ok(tool) } else { Err("no `coseg` beside this program: cargo build --release".into()) }
}
