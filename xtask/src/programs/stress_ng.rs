//! stress-ng: processes that make, attach, check and remove segments as fast as they can.

use anyhow::{Context, Result, ensure};

use super::packages;
use super::stage::Stage;
use super::steps::Steps;
use crate::run::{output, told};

pub(crate) fn check(stage: &Stage, steps: &mut Steps) -> Result<()> {
    steps.step("--shm-sysv 4 --verify", || {
        let run = || {
            let mut command = stage.command("stress-ng");
            command.args(["--shm-sysv", "4", "--timeout", "10", "--verify", "--metrics-brief"]);
            output(command.arg("--temp-path").arg(stage.path(""))).map(|output| (told(&output), output))
        };
        // Its processes try `shmget` with keys of 16 bits, and remove what they find under one: at times another's segment,
        // which that one has not attached yet.
        let is_of_its_own = |text: &str| text.contains("shmat failed on id") && text.contains("errno=22");
        let (mut text, mut output) = run()?;
        let is_again = is_of_its_own(&text);
        if is_again {
            (text, output) = run()?;
        }
        ensure!(output.status.success(), "{text}");
        ensure!(!text.contains("fail:") && !text.contains("skipped"), "{text}");
        let metrics = text.lines().find(|line| line.contains("] shm-sysv ")).with_context(|| text.clone())?;
        let after = metrics.split("] shm-sysv ").nth(1).unwrap_or_default();
        let count: u64 = after
            .split_whitespace()
            .next()
            .and_then(|word| word.parse().ok())
            .with_context(|| text.clone())?;
        ensure!(count > 0, "{text}");
        let again =
            if is_again { ", the second time: one removed another's segment in the first" } else { "" };
        Ok(format!("{} made {count} rounds{again}", packages::version("stress-ng")?))
    })
}
