//! Perl: its built-in shmget, shmread, shmwrite and shmctl, and the modules IPC::SysV and IPC::SharedMem.

use anyhow::{Result, ensure};

use super::stage::Stage;
use super::steps::Steps;
use crate::run::run;

const SCRIPTS: &[(&str, &str)] = &[
    ("built-in functions", include_str!("perl/functions.pl")),
    ("IPC::SharedMem", include_str!("perl/shared_mem.pl")),
];

pub(crate) fn check(stage: &Stage, steps: &mut Steps) -> Result<()> {
    for (name, script) in SCRIPTS {
        steps.step(name, || {
            let file = stage.path("script.pl");
            std::fs::write(&file, script)?;
            let text = run(stage.command("perl").arg(&file))?;
            let count = text.lines().filter(|line| line.starts_with("ok ")).count();
            ensure!(
                count > 0 && text.ends_with(&format!("1..{count}\n")) && !text.contains("not ok"),
                "{text}"
            );
            Ok(format!("{count} tests"))
        })?;
    }
    Ok(())
}
