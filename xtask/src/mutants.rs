//! `cargo xtask mutants [NAME|FILE…]`: known mistakes, put into the code one at a time; a test must fail for each.

mod coseg;
mod sysv;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::build;
use crate::run::{output, run, told};

/// One mistake, and the test that finds it.
struct Mutant {
    name: &'static str,
    file: &'static str,
    /// Stands in the file exactly once.
    find: &'static str,
    replace: &'static str,
    /// `--lib`, `--loom` for the same under the model checker, or the name of a test file of the file's package.
    target: &'static str,
    test: &'static str,
}

/// More than any of the tests takes. A test that does not end has failed.
const LIMIT_S: &str = "200";

pub(crate) fn command(mut words: lexopt::Parser) -> Result<()> {
    let names = words.raw_args()?.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>();
    let wanted = |mutant: &&Mutant| {
        let is_meant = |name: &String| mutant.name.contains(name) || mutant.file.starts_with(name);
        names.is_empty() || names.iter().any(is_meant)
    };
    let all = sysv::MUTANTS.iter().chain(coseg::MUTANTS);
    let mutants: Vec<&Mutant> = all.filter(wanted).collect();
    ensure!(!mutants.is_empty(), "no mutant is called {}", names.join(" or "));

    let place = build::directory()?.parent().context("a profile is in a target directory")?.join("mutants");
    let house = House { tree: place.join("tree"), target: place.join("build") };
    house.copy()?;
    for mutant in &mutants {
        mutant.apply(&house.original(mutant)?)?;
    }
    house.check_whole(&mutants)?;

    let mut survivors = 0;
    println!("{:55} {:68} time", "mutant", "caught by");
    for mutant in mutants {
        let start = Instant::now();
        let verdict = match house.outcome(mutant)? {
            Outcome::Caught => format!("{}: {}", mutant.target.trim_start_matches('-'), mutant.test),
            Outcome::Survived => {
                survivors += 1;
                format!("NOT by {}: {}", mutant.target.trim_start_matches('-'), mutant.test)
            }
        };
        println!("{:55} {verdict:68} {:4.0} s", mutant.name, start.elapsed().as_secs_f64());
    }
    ensure!(survivors == 0, "{survivors} survived: a test that should fail does not");
    Ok(())
}

enum Outcome {
    Caught,
    Survived,
}

impl Mutant {
    fn package(&self) -> &'static str {
        if self.file.starts_with("crates/coseg/") { "coseg" } else { "coseg-sysv" }
    }

    fn apply(&self, original: &str) -> Result<String> {
        let count = original.matches(self.find).count();
        ensure!(count == 1, "{}: its text stands {count} times in {}", self.name, self.file);
        Ok(original.replacen(self.find, self.replace, 1))
    }
}

/// A copy of the sources to put mistakes in. One for all of them: crates of another path would all be built anew.
struct House {
    tree: PathBuf,
    target: PathBuf,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

impl House {
    /// Brings the copy up to date. What is the same already is left alone, and need not be built again.
    fn copy(&self) -> Result<()> {
        let mut git = Command::new("git");
        git.current_dir(root()).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let names = run(&mut git)?;
        let names: Vec<&str> =
            names.split_terminator('\0').filter(|name| root().join(name).is_file()).collect();
        for name in &names {
            write_if_other(&self.tree.join(name), &fs::read(root().join(name))?)?;
        }
        let mut find = Command::new("find");
        find.current_dir(&self.tree).args([".", "-type", "f", "-printf", "%P\\0"]);
        for name in run(&mut find)?.split_terminator('\0').filter(|name| !names.contains(name)) {
            fs::remove_file(self.tree.join(name))?;
        }
        Ok(())
    }

    fn original(&self, mutant: &Mutant) -> Result<String> {
        fs::read_to_string(root().join(mutant.file)).with_context(|| mutant.file.to_owned())
    }

    fn test(&self, package: &str, target: &str, words: &[&str]) -> Result<Output> {
        let mut cargo = Command::new("timeout");
        cargo.arg(LIMIT_S).arg(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(&self.tree).env("CARGO_TARGET_DIR", &self.target);
        cargo.args(["test", "--package", package]);
        match target {
            "--loom" => {
                cargo.env("CARGO_TARGET_DIR", self.target.with_file_name("build-loom"));
                cargo.env("RUSTFLAGS", "--cfg coseg_model").args(["--lib", "--release"])
            }
            "--lib" => cargo.arg(target),
            _ => cargo.args(["--test", target]),
        };
        output(cargo.args(words))
    }

    /// A test that fails anyway, or that does not exist, proves nothing.
    fn check_whole(&self, mutants: &[&Mutant]) -> Result<()> {
        let mut targets: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
        for mutant in mutants {
            targets.entry((mutant.package(), mutant.target)).or_default().push(mutant.test);
        }
        for ((package, target), tests) in targets {
            let told_by = self.test(package, target, &[&["--", "--exact"], &tests[..]].concat())?;
            ensure!(told_by.status.success(), "without any mutant: {}", told(&told_by));
            let text = String::from_utf8_lossy(&told_by.stdout);
            for test in tests {
                ensure!(text.contains(&format!("test {test} ... ok")), "{target} has no test {test}");
            }
        }
        Ok(())
    }

    fn outcome(&self, mutant: &Mutant) -> Result<Outcome> {
        let original = self.original(mutant)?;
        let file = self.tree.join(mutant.file);
        fs::write(&file, mutant.apply(&original)?)?;
        let outcome = self.outcome_of_test(mutant);
        fs::write(&file, original)?;
        outcome
    }

    fn outcome_of_test(&self, mutant: &Mutant) -> Result<Outcome> {
        let built = self.test(mutant.package(), mutant.target, &["--no-run"])?;
        if !built.status.success() {
            bail!("{}: does not build: {}", mutant.name, told(&built));
        }
        let tested = self.test(mutant.package(), mutant.target, &["--", "--exact", mutant.test])?;
        Ok(if tested.status.success() { Outcome::Survived } else { Outcome::Caught })
    }
}

fn write_if_other(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|now| now == bytes) {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, bytes).with_context(|| path.display().to_string())
}
