//! The table of outcomes.

use std::time::Instant;

use anyhow::{Result, bail};

use super::stage::BackendName;

pub(crate) struct Steps {
    backend: BackendName,
    pub(crate) program: &'static str,
    passed: usize,
    failed: Vec<String>,
}

impl Steps {
    pub(crate) fn new(backend: BackendName) -> Steps {
        println!(
            "{:<7} {:<11} {:<28} {:<7} {:>8}  DETAIL",
            "BACKEND", "PROGRAM", "STEP", "OUTCOME", "SECONDS"
        );
        Steps { backend, program: "", passed: 0, failed: Vec::new() }
    }

    /// Takes one step, which tells what it saw, and prints its line.
    pub(crate) fn step(&mut self, name: &str, step: impl FnOnce() -> Result<String>) -> Result<()> {
        let start = Instant::now();
        let result = step();
        let seconds = start.elapsed().as_secs_f64();
        let (outcome, detail) = match &result {
            Ok(seen) => ("ok", seen.clone()),
            Err(error) => ("FAILED", format!("{error:#}").replace('\n', "\n    ")),
        };
        let (backend, program) = (self.backend, self.program);
        println!("{backend:<7} {program:<11} {name:<28} {outcome:<7} {seconds:>8.2}  {detail}");
        match result {
            Ok(_) => {
                self.passed += 1;
                Ok(())
            }
            Err(error) => {
                self.failed.push(format!("{program}: {name}"));
                Err(error)
            }
        }
    }

    /// An error if any step failed, or none was taken.
    pub(crate) fn finish(self) -> Result<()> {
        println!("{} passed, {} failed", self.passed, self.failed.len());
        if self.passed == 0 || !self.failed.is_empty() {
            bail!("failed on the {} backend: {}", self.backend, self.failed.join("; "));
        }
        Ok(())
    }
}
