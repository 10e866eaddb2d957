//! `cargo xtask guard`: the tests of the write guard, on a CPU that has memory protection keys. QEMU emulates one on
//! any machine; in it run Debian's kernel, busybox and the tests, nothing else.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::build;
use crate::programs::packages;
use crate::run::{output, run, told};

/// A kernel without the drivers of real machines, under whatever version is current.
const KERNEL: &str = "linux-image-cloud-amd64";
const SHELL: &str = "busybox-static";
/// Seconds that the machine may run; it takes about a third of that.
const PATIENCE: &str = "180";

/// The first process of the machine.
const INIT: &str = "#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mkdir /dev/shm
/bin/busybox mount -t tmpfs shm /dev/shm
echo
echo machine: begins
export COSEG_GUARD_MUST=1
# Whoever traces and whoever is traced take turns, which is slow between two emulated CPUs.
/guard --nocapture --skip killed:: && /bin/busybox taskset 1 /guard --nocapture killed::
echo machine: exit $?
/bin/busybox poweroff -f
";

pub(crate) fn command(mut words: lexopt::Parser) -> Result<()> {
    if let Some(word) = words.next()? {
        return Err(word.unexpected().into());
    }
    packages::install(&["qemu-system-x86", "cpio"])?;
    let directory = build::directory()?.join("guard");
    fs::create_dir_all(&directory)?;
    let kernel = kernel(&directory)?;
    let root = root(&directory)?;
    let mut machine = Command::new("timeout");
    machine.args([PATIENCE, "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2"]);
    machine.args(["-m", "512", "-nographic", "-nic", "none", "-no-reboot"]);
    // What the kernel does not know it hands on as the environment.
    let long = if std::env::var_os("COSEG_LONG").is_some() { " COSEG_LONG=1" } else { "" };
    machine.arg("-append").arg(format!("console=ttyS0 quiet panic=-1{long}"));
    machine.arg("-kernel").arg(kernel).arg("-initrd").arg(root);
    let ended = output(&mut machine)?;
    let said = String::from_utf8_lossy(&ended.stdout).replace('\r', "");
    let Some((_, results)) = said.split_once("machine: begins\n") else {
        anyhow::bail!("the machine did not come up: {}", told(&ended));
    };
    print!("{results}");
    ensure!(results.contains("machine: exit 0\n"), "the write guard failed on a CPU with protection keys");
    Ok(())
}

/// The kernel's image, fetched once.
fn kernel(directory: &Path) -> Result<PathBuf> {
    let depends = |word: &str| {
        let listed = run(Command::new("apt-cache").args(["depends", word]))?;
        let name = listed.lines().find_map(|line| line.trim().strip_prefix("Depends: linux-image-"));
        name.map(|version| format!("linux-image-{version}"))
            .with_context(|| format!("{word} depends on no image"))
    };
    let name = depends(KERNEL).or_else(|_| {
        run(Command::new("apt-get").arg("update"))?;
        depends(KERNEL)
    })?;
    let version = name.trim_start_matches("linux-image-").to_owned();
    unpacked(directory, &name, Path::new("boot").join(format!("vmlinuz-{version}")).as_ref())
}

/// A file out of a package that is not installed.
fn unpacked(directory: &Path, package: &str, file: &Path) -> Result<PathBuf> {
    let kept = directory.join(file.file_name().context("a file has a name")?);
    if kept.exists() {
        return Ok(kept);
    }
    eprintln!("xtask: fetching {package}");
    let scratch = tempfile::tempdir_in(directory)?;
    run(Command::new("apt-get").args(["download", package]).current_dir(&scratch))?;
    let mut files = fs::read_dir(&scratch)?.filter_map(|entry| Some(entry.ok()?.path()));
    let fetched =
        files.find(|path| path.extension() == Some(OsStr::new("deb"))).context("nothing was fetched")?;
    run(Command::new("dpkg-deb").arg("-x").arg(fetched).arg(scratch.path()))?;
    fs::rename(scratch.path().join(file), &kept)?;
    Ok(kept)
}

/// All files of the machine, in the form that a kernel takes them.
fn root(directory: &Path) -> Result<PathBuf> {
    let scratch = tempfile::tempdir_in(directory)?;
    let put = |from: &Path, to: &str| fs::copy(from, scratch.path().join(to));
    for name in ["bin", "proc", "dev", "tmp"] {
        fs::create_dir(scratch.path().join(name))?;
    }
    put(&unpacked(directory, SHELL, "bin/busybox".as_ref())?, "bin/busybox")?;
    put(&tests()?, "guard")?;
    let init = directory.join("init");
    fs::write(&init, INIT)?;
    run(Command::new("chmod").arg("+x").arg(&init))?;
    put(&init, "init")?;
    let archive = directory.join("root.cpio");
    let mut pack = Command::new("sh");
    pack.args(["-c", "find . | cpio -o -H newc --quiet > \"$1\"", "sh"]).arg(&archive);
    run(pack.current_dir(scratch.path()))?;
    Ok(archive)
}

/// The tests as a program that needs no other file.
fn tests() -> Result<PathBuf> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["test", "--release", "--package", "coseg", "--test", "guard", "--no-run"]);
    cargo.args(["--target", "x86_64-unknown-linux-gnu", "--message-format", "json"]);
    cargo.env("RUSTFLAGS", "-C target-feature=+crt-static");
    let messages = run(&mut cargo)?;
    let path = messages.lines().filter(|line| line.contains(r#""name":"guard""#)).find_map(|line| {
        let (_, path) = line.split_once(r#""executable":""#)?;
        Some(path.split_once('"')?.0.to_owned())
    });
    Ok(path.context("cargo named no program of the tests")?.into())
}
