//! `cargo xtask mutants [--share K/N] [NAME|FILE…]`: known mistakes, put into the code one at a time; a test must fail for
//! each.
//!
//! Those that are built alike are tried one after the other, in a copy of the sources of their own; two such copies
//! at the same time.

mod coseg;
mod sysv;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use lexopt::ValueExt as _;

use crate::build;
use crate::run::{output, run, told};

/// One mistake, and the test that finds it.
struct Mutant {
    name: &'static str,
    file: &'static str,
    /// Stands in the file exactly once.
    find: &'static str,
    replace: &'static str,
    /// `--lib`, `--model` for the same under the model checker, `--crowd` in orders at random, or the name of a test file of the file's package.
    target: &'static str,
    test: &'static str,
}

/// More than any of the tests takes. A test that does not end has failed.
const LIMIT_S: &str = "120";

pub(crate) fn command(mut words: lexopt::Parser) -> Result<()> {
    let (mut names, mut share) = (Vec::new(), Share::ALL);
    while let Some(word) = words.next()? {
        match word {
            lexopt::Arg::Long("share") => share = Share::parse(&words.value()?.string()?)?,
            lexopt::Arg::Value(name) => names.push(name.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let wanted = |mutant: &&Mutant| {
        let is_meant = |name: &String| mutant.name.contains(name) || mutant.file.starts_with(name);
        names.is_empty() || names.iter().any(is_meant)
    };
    let all = sysv::MUTANTS.iter().chain(coseg::MUTANTS);
    let mutants: Vec<&Mutant> = share.of(all.filter(wanted)).collect();
    ensure!(!mutants.is_empty(), "no mutant is called {}", names.join(" or "));

    let place = build::directory()?.parent().context("a profile is in a target directory")?.join("mutants");
    let mut lanes: BTreeMap<&str, Vec<&Mutant>> = BTreeMap::new();
    for mutant in mutants {
        mutant.apply(&mutant.original()?)?;
        lanes.entry(mutant.lane()).or_default().push(mutant);
    }
    println!("{:55} {:68} time", "mutant", "caught by");
    let start = Instant::now();
    let survivors: Result<usize> = thread::scope(|scope| {
        let runs = lanes.iter().map(|(lane, mutants)| {
            let (tree, target) = (place.join(lane).join("tree"), place.join(lane).join("build"));
            let house = House { tree, target, models: place.with_file_name("models") };
            scope.spawn(move || house.survivors(mutants))
        });
        let runs: Vec<_> = runs.collect();
        runs.into_iter().map(|run| run.join().unwrap_or_else(|panic| resume_unwind(panic))).sum()
    });
    let survivors = survivors?;
    println!("{:124} {:4.0} s", "all", start.elapsed().as_secs_f64());
    ensure!(survivors == 0, "{survivors} survived: a test that should fail does not");
    Ok(())
}

/// Every `count`th, from the `number`th on.
#[derive(Clone, Copy)]
struct Share {
    number: usize,
    count: usize,
}

impl Share {
    const ALL: Share = Share { number: 1, count: 1 };

    fn parse(text: &str) -> Result<Share> {
        let parts = text.split_once('/').and_then(|(number, count)| {
            Some(Share { number: number.parse().ok()?, count: count.parse().ok()? })
        });
        let is_one = |share: &Share| (1..=share.count).contains(&share.number);
        parts.filter(is_one).with_context(|| format!("--share {text}: which of how many, as 2/3"))
    }

    fn of<T>(self, all: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
        all.skip(self.number - 1).step_by(self.count)
    }
}

enum Outcome {
    Caught,
    Survived,
}

impl Mutant {
    fn package(&self) -> &'static str {
        if self.file.starts_with("crates/coseg/") { "coseg" } else { "coseg-sysv" }
    }

    /// Whose copy of the sources it is put into: neither waits for what the other builds.
    fn lane(&self) -> &'static str {
        if self.package() == "coseg" && flags_of(self.target).is_none() { "regions" } else { "others" }
    }

    fn original(&self) -> Result<String> {
        fs::read_to_string(root().join(self.file)).with_context(|| self.file.to_owned())
    }

    fn apply(&self, original: &str) -> Result<String> {
        let count = original.matches(self.find).count();
        ensure!(count == 1, "{}: its text stands {count} times in {}", self.name, self.file);
        Ok(original.replacen(self.find, self.replace, 1))
    }
}

/// What a target is built with.
fn flags_of(target: &str) -> Option<&'static str> {
    match target {
        "--model" => Some("--cfg coseg_model"),
        "--crowd" => Some("--cfg coseg_model --cfg coseg_crowd"),
        _ => None,
    }
}

/// A copy of the sources to put mistakes in, one at a time: crates of another path would all be built anew.
struct House {
    tree: PathBuf,
    target: PathBuf,
    models: PathBuf,
}

fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
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

    /// How many of these mutants no test finds.
    fn survivors(&self, mutants: &[&Mutant]) -> Result<usize> {
        self.copy()?;
        self.check_whole(mutants)?;
        let mut survivors = 0;
        for mutant in mutants {
            let start = Instant::now();
            let finder = format!("{}: {}", mutant.target.trim_start_matches('-'), mutant.test);
            let verdict = match self.outcome(mutant)? {
                Outcome::Caught => finder,
                Outcome::Survived => {
                    survivors += 1;
                    format!("NOT by {finder}")
                }
            };
            println!("{:55} {verdict:68} {:4.0} s", mutant.name, start.elapsed().as_secs_f64());
        }
        Ok(survivors)
    }

    fn cargo(&self, package: &str, target: &str, words: &[&str], cargo: &mut Command) -> Result<Output> {
        cargo.current_dir(&self.tree).args(["test", "--package", package]);
        match flags_of(target) {
            Some(flags) => {
                // What the model checkers consist of is built in `.ci/run` already.
                cargo.env("CARGO_TARGET_DIR", &self.models).env("CARGO_INCREMENTAL", "1");
                cargo.env("RUSTFLAGS", flags).args(["--lib", "--release"]);
            }
            None => {
                cargo.env("CARGO_TARGET_DIR", &self.target).env("CARGO_PROFILE_DEV_DEBUG", "0");
                cargo.args(if target == "--lib" { vec![target] } else { vec!["--test", target] });
            }
        }
        output(cargo.args(words))
    }

    fn build(&self, package: &str, target: &str) -> Result<Output> {
        self.cargo(package, target, &["--no-run"], &mut Command::new(cargo()))
    }

    fn test(&self, package: &str, target: &str, tests: &[&str]) -> Result<Output> {
        let mut limited = Command::new("timeout");
        limited.arg(LIMIT_S).arg(cargo());
        self.cargo(package, target, &[&["--", "--exact"], tests].concat(), &mut limited)
    }

    /// A test that fails anyway, or that does not exist, proves nothing.
    fn check_whole(&self, mutants: &[&Mutant]) -> Result<()> {
        let mut targets: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
        for mutant in mutants {
            targets.entry((mutant.package(), mutant.target)).or_default().push(mutant.test);
        }
        for ((package, target), tests) in targets {
            self.build(package, target)?;
            let told_by = self.test(package, target, &tests)?;
            ensure!(told_by.status.success(), "without any mutant: {}", told(&told_by));
            let text = String::from_utf8_lossy(&told_by.stdout);
            for test in tests {
                ensure!(text.contains(&format!("test {test} ... ok")), "{target} has no test {test}");
            }
        }
        Ok(())
    }

    fn outcome(&self, mutant: &Mutant) -> Result<Outcome> {
        let file = self.tree.join(mutant.file);
        // Of the copy: the sources may be under way to something else.
        let original = fs::read_to_string(&file)?;
        fs::write(&file, mutant.apply(&original)?)?;
        let outcome = self.outcome_of_test(mutant);
        fs::write(&file, original)?;
        outcome
    }

    fn outcome_of_test(&self, mutant: &Mutant) -> Result<Outcome> {
        let built = self.build(mutant.package(), mutant.target)?;
        if !built.status.success() {
            bail!("{}: does not build: {}", mutant.name, told(&built));
        }
        let tested = self.test(mutant.package(), mutant.target, &[mutant.test])?;
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
