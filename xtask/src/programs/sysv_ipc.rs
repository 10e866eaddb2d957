//! The Python package sysv_ipc: the shared memory tests of its own source distribution.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::stage::Stage;
use super::steps::Steps;
use crate::run::{output, run, told};

const VERSION: &str = "1.2.0";

fn run_tests(stage: &Stage, python: &Path, source: &Path, name: &str) -> Result<String> {
    let mut command = stage.command(python);
    let output = output(command.args(["-m", "unittest", name]).current_dir(source))?;
    let text = told(&output);
    ensure!(output.status.success(), "{text}");
    let line = text.lines().find(|line| line.starts_with("Ran ")).with_context(|| text.clone())?;
    ensure!(!line.starts_with("Ran 0 ") && !text.contains("skipped"), "{text}");
    Ok(line.to_owned())
}

pub(crate) fn check(stage: &Stage, steps: &mut Steps) -> Result<()> {
    // Kept between runs, unlike the stage.
    let home = crate::build::directory()?.join("xtask-programs");
    let python = home.join("venv/bin/python");
    let source = home.join(format!("sysv_ipc-{VERSION}"));
    steps.step("fetched and built", || {
        if !source.join("built").exists() {
            std::fs::create_dir_all(&home)?;
            run(Command::new("/usr/bin/python3").args(["-m", "venv", "--clear"]).arg(home.join("venv")))?;
            let mut pip = Command::new(&python);
            pip.args(["-m", "pip", "--quiet", "download", "--no-deps", "--no-binary", ":all:", "--dest"])
                .arg(&home);
            run(pip.arg(format!("sysv_ipc=={VERSION}")))?;
            let archive = source.with_added_extension("tar.gz");
            run(Command::new("tar")
                .arg("--extract")
                .arg("--file")
                .arg(archive)
                .arg("--directory")
                .arg(&home))?;
            run(Command::new(&python).args(["-m", "pip", "--quiet", "install"]).arg(&source))?;
            std::fs::write(source.join("built"), "")?;
        }
        Ok(VERSION.to_owned())
    })?;
    for name in ["test_memory", "test_module"] {
        steps.step(name, || run_tests(stage, &python, &source, &format!("tests.{name}")))?;
    }
    Ok(())
}
