//! `cargo xtask fuzz` and `cargo xtask asan`: regions under instruments that the usual build does without.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::build;

/// What libFuzzer wants to be told of the code it runs: each edge, and what is compared with what.
const COVERAGE: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
    "--cfg=fuzzing",
];

/// Longest input, and the most that one may take.
const LIMITS: &[&str] = &["-max_len=4096", "-timeout=10", "-rss_limit_mb=2048"];

/// `cargo xtask fuzz [--seconds N] [INPUT…]`: arbitrary bytes as a region, or inputs that were found before.
pub(crate) fn fuzz(mut words: lexopt::Parser) -> Result<()> {
    let (mut seconds, mut inputs) = (60_u64, Vec::new());
    while let Some(word) = words.next()? {
        match word {
            lexopt::Arg::Long("seconds") => seconds = words.value()?.to_string_lossy().parse()?,
            lexopt::Arg::Value(input) => inputs.push(PathBuf::from(input)),
            other => return Err(other.unexpected().into()),
        }
    }
    let place = Place::new("fuzz")?;
    let mut cargo = place.cargo("build", COVERAGE);
    cargo.args(["--quiet", "--release", "--manifest-path", "fuzz/Cargo.toml"]);
    succeed(&mut cargo)?;

    let found = place.directory.join("found");
    let corpus = place.directory.join("corpus");
    for directory in [&found, &corpus] {
        std::fs::create_dir_all(directory)?;
    }
    let mut fuzzer = Command::new(place.directory.join(&place.triple).join("release/region"));
    let segments = tempfile::Builder::new().prefix("coseg-fuzz-").tempdir_in("/dev/shm")?;
    fuzzer.args(LIMITS).env("TMPDIR", segments.path());
    if inputs.is_empty() {
        fuzzer.arg(format!("-max_total_time={seconds}")).arg("-print_final_stats=1");
        fuzzer.arg(format!("-artifact_prefix={}/", found.display())).arg(corpus);
    } else {
        fuzzer.args(inputs);
    }
    succeed(&mut fuzzer)
        .with_context(|| format!("run it again with `cargo xtask fuzz {}/…`", found.display()))
}

/// `cargo xtask asan [TEST…]`: the hostile peer's tests under AddressSanitizer.
pub(crate) fn asan(mut words: lexopt::Parser) -> Result<()> {
    let tests: Vec<_> = words.raw_args()?.collect();
    let place = Place::new("asan")?;
    let mut cargo = place.cargo("test", &["-Zsanitizer=address"]);
    // The stable toolchain has the sanitizers' libraries, and this is how it is told to use them.
    cargo.env("RUSTC_BOOTSTRAP", "1");
    // Some tests leak on purpose, and one measures memory.
    cargo.env("ASAN_OPTIONS", "detect_leaks=0:quarantine_size_mb=16:abort_on_error=1");
    cargo.args(["--package", "coseg", "--test", "hostile", "--"]).args(tests);
    succeed(&mut cargo)
}

/// Where instrumented artifacts go, apart from the others.
struct Place {
    directory: PathBuf,
    triple: String,
}

impl Place {
    fn new(name: &str) -> Result<Place> {
        let release = build::directory()?;
        let target = release.parent().context("a profile's directory is in the target directory")?;
        Ok(Place {
            directory: target.join(name),
            triple: format!("{}-unknown-linux-gnu", std::env::consts::ARCH),
        })
    }

    /// With a target named, build scripts and macros are not instrumented.
    fn cargo(&self, command: &str, flags: &[&str]) -> Command {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.env("RUSTFLAGS", flags.join(" ")).env_remove("CARGO_ENCODED_RUSTFLAGS");
        cargo.args([command, "--target", &self.triple, "--target-dir"]).arg(&self.directory);
        cargo
    }
}

fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{command:?}"))?;
    if !status.success() {
        bail!("{command:?}: {status}");
    }
    Ok(())
}
