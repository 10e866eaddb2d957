//! The tools that list segments: ours against `ipcs`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Outcome;
use crate::report::{Row, Table};
use crate::sample::{Operation, Plan, compare};

/// Times both tools on the kernel's segments, and ours on ours; each must list all of `present_count`.
pub(super) fn table(plan: &Plan, directory: &Path, present_count: usize) -> Table {
    let coseg = |backend: &str| -> Outcome<Command> {
        let mut command = Command::new(built()?);
        command.args(["ls", "--no-who"]).env("COSEG_BACKEND", backend).env("COSEG_DIR", directory);
        Ok(command)
    };
    let mut ipcs = Command::new("ipcs");
    ipcs.arg("-m");

    let tools = [Ok(ipcs), coseg("kernel"), coseg("user")];
    let contenders = tools.into_iter().map(|tool| contender(tool?, present_count)).collect();
    let columns = vec!["`ipcs -m`", "`coseg ls --no-who`, kernel", "`coseg ls --no-who`, user"];
    let row =
        Row::new(format!("list {present_count} segments"), compare(&plan.of_processes(), contenders), None);
    Table { title: "Tool".to_owned(), columns, rows: vec![row] }
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
