//! Running other programs.

use std::process::{Command, Output};

use anyhow::{Context, Result, bail};

/// Runs it to its end; its standard output if it exits with 0, else an error with all it said.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let output = output(command)?;
    if !output.status.success() {
        bail!("{command:?}: {}", told(&output));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs it to its end, whatever that is.
pub(crate) fn output(command: &mut Command) -> Result<Output> {
    command.output().with_context(|| format!("{command:?}"))
}

/// Exit status and output as text, from its end if it is long.
pub(crate) fn told(output: &Output) -> String {
    let text =
        [&output.stdout[..], &output.stderr[..]].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let text = text.concat();
    let lines: Vec<_> = text.lines().collect();
    let end = &lines[lines.len().saturating_sub(40)..];
    format!("{}\n{}", output.status, end.join("\n"))
}
