//! `cargo xtask mutants [NAME…]`: known mistakes, put into the code one at a time; a test must fail for each.

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
    /// `--lib`, or the name of a test file of coseg-sysv.
    target: &'static str,
    test: &'static str,
}

/// More than any of the tests takes. A test that does not end has failed.
const LIMIT_S: &str = "200";

const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "clear the log before its steps are done",
        file: "crates/sysv/src/user/section.rs",
        find: "        for step in log.steps() {
            self.take_step(step)?;
        }
        let (at, bytes) = Log::cleared();
        Ok(file::pwrite(self.fd, &bytes, at)?)",
        replace: "        let (at, bytes) = Log::cleared();
        file::pwrite(self.fd, &bytes, at)?;
        for step in log.steps() {
            self.take_step(step)?;
        }
        Ok(())",
        target: "killed",
        test: "create_private",
    },
    // Only a kill of the recovery itself finds this one.
    Mutant {
        name: "recovery clears the log before it does the steps",
        file: "crates/sysv/src/user/section.rs",
        find: "                            section.settle(&log)?;",
        replace: "                            let (at, bytes) = Log::cleared();
                            file::pwrite(fd, &bytes, at)?;
                            section.settle(&log)?;",
        target: "killed",
        test: "create_in_a_chain",
    },
    Mutant {
        name: "create makes its file without publishing the undo",
        file: "crates/sysv/src/user/get.rs",
        find: "        self.begin(&undo(id))?;
        let mut made = ",
        replace: "        let mut made = ",
        target: "killed",
        test: "create_private",
    },
    Mutant {
        name: "destroy unlinks before it publishes",
        file: "crates/sysv/src/user/reap.rs",
        find: "        let index = record.index();
        let unchain = self.unchain(record)?;",
        replace: "        let index = record.index();
        let unchain = self.unchain(record)?;
        let _ = file::unlink(&self.namespace.data_path(record.id));",
        target: "killed",
        test: "remove_a_segment",
    },
    Mutant {
        name: "the registry's lock is not taken",
        file: "crates/sysv/src/user/section.rs",
        find: "            if file::try_lock_file(fd)? {",
        replace: "            if fd >= 0 {",
        target: "attacks",
        test: "processes::creators_at_once",
    },
    Mutant {
        name: "attach takes no slot",
        file: "crates/sysv/src/user/attach.rs",
        find: "pins::take(&fd, writable, record.times.slot_hint, record.times.slot_top)?",
        replace: "(0_u32, record.times.slot_top.max(1))",
        target: "user",
        test: "a_segment_lives_its_life",
    },
    Mutant {
        name: "a fork's child takes no slot",
        file: "crates/sysv/src/user/process.rs",
        find: "        fork::register_attachments();",
        replace: "        let _ = fork::register_attachments;",
        target: "attacks",
        test: "processes::a_child_that_becomes_another_user",
    },
    Mutant {
        name: "the sequence of ids is not raised",
        file: "crates/sysv/src/user/get.rs",
        find: "            self.header.sequence += 1;",
        replace: "",
        target: "user",
        test: "ids_go_round_as_the_kernels_do",
    },
    Mutant {
        name: "a log's sum is not checked",
        file: "crates/sysv/src/user/layout.rs",
        find: "if get_u64(header, LOG_AT + 8) != checksum(salt, &header[LOG_ENTRIES_AT..end]) ^ u64::from(count) {",
        replace: "if false {",
        target: "--lib",
        test: "user::layout::tests::a_log_comes_back_and_fits",
    },
    Mutant {
        name: "a kept descriptor is not looked at",
        file: "crates/sysv/src/user/process.rs",
        find: "        (self.is(&meta) && meta.link_count > 0).then_some(fd)",
        replace: "        (meta.size_bytes < u64::MAX).then_some(fd)",
        target: "attacks",
        test: "processes::numbers_taken_by_the_program_stay_the_programs",
    },
    Mutant {
        name: "a data file is taken by its name",
        file: "crates/sysv/src/user/data.rs",
        find: "    if is_of(namespace, record, &meta) {",
        replace: "    if is_of(namespace, record, &meta) || meta.is_file() {",
        target: "attacks",
        test: "data::no_change_of_mode_or_owner_goes_through_a_link",
    },
    Mutant {
        name: "a mapping is taken by its file's inode",
        file: "crates/sysv/src/user/attach.rs",
        find: "vma.device == device ||",
        replace: "device != 0 ||",
        target: "attacks",
        test: "processes::namesakes_on_two_filesystems",
    },
    Mutant {
        name: "a record's numbers are believed",
        file: "crates/sysv/src/user/layout.rs",
        find: "        if in_range || state == State::Free {",
        replace: "        if in_range || get_u64(bytes, 88) != 0 {",
        target: "attacks",
        test: "damage::forged_records_of_what_is_attached",
    },
    Mutant {
        name: "a change of one's own gives no rights",
        file: "crates/sysv/src/user/section.rs",
        find: "                        section.finishes_anothers = false;",
        replace: "",
        target: "attacks",
        test: "members::the_file_follows_its_segment",
    },
    Mutant {
        name: "a found log opens files",
        file: "crates/sysv/src/user/section.rs",
        find: "                            finishes_anothers: true,",
        replace: "                            finishes_anothers: false,",
        target: "attacks",
        test: "members::a_forged_change_opens_no_file",
    },
    Mutant {
        name: "a record follows no file",
        file: "crates/sysv/src/user/section.rs",
        find: "                if data::is_owners(self.namespace, &record)? {",
        replace: "                if true {",
        target: "killed",
        test: "give_away_in_a_shared_namespace",
    },
    Mutant {
        name: "a group's directory need not be sticky",
        file: "crates/sysv/src/user/namespace.rs",
        find: "if (group_writes || others_write) && !sticky {",
        replace: "if others_write && !sticky {",
        target: "attacks",
        test: "directory::a_directory_that_others_write_must_be_sticky",
    },
    Mutant {
        name: "another's default directory is shared",
        file: "crates/sysv/src/user/namespace.rs",
        find: "absolute != default_directory()",
        replace: "!absolute.as_os_str().is_empty() || default_directory().is_relative()",
        target: "attacks",
        test: "directory::the_default_directory_is_never_a_groups",
    },
    Mutant {
        name: "permissions are not checked",
        file: "crates/sysv/src/user/permission.rs",
        find: "    if wanted & !granted == 0 || ",
        replace: "    if wanted & !granted < 8 || ",
        target: "attacks",
        test: "members::modes_hold_between_users",
    },
];

pub(crate) fn command(mut words: lexopt::Parser) -> Result<()> {
    let names = words.raw_args()?.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>();
    let wanted = |mutant: &&Mutant| names.is_empty() || names.iter().any(|name| mutant.name.contains(name));
    let mutants: Vec<&Mutant> = MUTANTS.iter().filter(wanted).collect();
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

    fn test(&self, target: &str, words: &[&str]) -> Result<Output> {
        let mut cargo = Command::new("timeout");
        cargo.arg(LIMIT_S).arg(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(&self.tree).env("CARGO_TARGET_DIR", &self.target);
        cargo.args(["test", "--package", "coseg-sysv"]);
        if target.starts_with('-') {
            cargo.arg(target)
        } else {
            cargo.args(["--test", target])
        };
        output(cargo.args(words))
    }

    /// A test that fails anyway, or that does not exist, proves nothing.
    fn check_whole(&self, mutants: &[&Mutant]) -> Result<()> {
        let mut targets: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for mutant in mutants {
            targets.entry(mutant.target).or_default().push(mutant.test);
        }
        for (target, tests) in targets {
            let told_by = self.test(target, &[&["--", "--exact"], &tests[..]].concat())?;
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
        let built = self.test(mutant.target, &["--no-run"])?;
        if !built.status.success() {
            bail!("{}: does not build: {}", mutant.name, told(&built));
        }
        let tested = self.test(mutant.target, &["--", "--exact", mutant.test])?;
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
