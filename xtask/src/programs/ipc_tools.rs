//! util-linux: `ipcmk`, `ipcs` and `ipcrm`.

use anyhow::{Context, Result, ensure};

use super::stage::Stage;
use super::steps::Steps;
use crate::run::{output, run, told};

fn tool(stage: &Stage, words: &[&str]) -> Result<String> {
    run(stage.command(words[0]).args(&words[1..]))
}

fn make(stage: &Stage, size: &str) -> Result<String> {
    let text = tool(stage, &["ipcmk", "-M", size, "-p", "0640"])?;
    Ok(text.trim().strip_prefix("Shared memory id: ").with_context(|| text.clone())?.to_owned())
}

pub(crate) fn check(stage: &Stage, steps: &mut Steps) -> Result<()> {
    let mut ids = Vec::new();
    let mut key = String::new();
    steps.step("ipcmk -M", || {
        stage.check_empty()?;
        for size in ["5000", "1048576", "1"] {
            ids.push(make(stage, size)?);
        }
        Ok(format!("ids {}", ids.join(" ")))
    })?;
    steps.step("ipcs -m", || {
        let lines = stage.expect_segments(3)?;
        let sizes: Vec<_> = lines.iter().map(|line| line.size_bytes).collect();
        ensure!(sizes == [5000, 1_048_576, 1], "{lines:?}");
        ensure!(lines.iter().all(|line| line.attachment_count == 0), "{lines:?}");
        ensure!(lines.iter().zip(&ids).all(|(line, id)| line.id.to_string() == *id), "{lines:?}");
        key.clone_from(&lines[1].key);
        let one = tool(stage, &["ipcs", "-m", "-i", &ids[0]])?;
        ensure!(one.contains("bytes=5000") && one.contains("mode=0640"), "{one}");
        for more in ["-c", "-t", "-p", "-b", "--human"] {
            let text = tool(stage, &["ipcs", "-m", more])?;
            ensure!(text.contains(&ids[0]), "{text}");
        }
        Ok("-c -t -p -b --human -i".to_owned())
    })?;
    steps.step("ipcs -l, -u", || {
        let usage = tool(stage, &["ipcs", "-u"])?;
        ensure!(usage.contains("segments allocated 3\npages allocated 259\n"), "{usage}");
        let limits = tool(stage, &["ipcs", "-l"])?;
        ensure!(limits.contains("max number of segments = "), "{limits}");
        Ok(String::new())
    })?;
    steps.step("ipcrm -m, -M, --all", || {
        tool(stage, &["ipcrm", "-m", &ids[0]])?;
        let again = output(stage.command("ipcrm").args(["-m", &ids[0]]))?;
        ensure!(!again.status.success(), "{}", told(&again));
        tool(stage, &["ipcrm", "-M", &key])?;
        stage.expect_segments(1)?;
        tool(stage, &["ipcrm", "--all=shm"])?;
        stage.check_empty()
    })
}
