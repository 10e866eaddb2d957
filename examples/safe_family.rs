//! A struct between parent and child, and four ints between strangers, as typed regions.
//!
//! ```text
//! safe-family private
//! safe-family write 1 2 3 4
//! safe-family read
//! safe-family remove
//! ```
//!
//! The compiler lays the struct out, the region says how, and a program with another idea of it is refused. Four
//! ints written together are read together.

use std::fmt;
use std::io::Write;
use std::process::{Command, ExitCode};
use std::sync::Arc;

use coseg::{Key, Region, Shared};
use coseg_examples::cli::{Advised, Args, Outcome, run};
use coseg_sysv::{Backend, Errno};

const USAGE: &str = "usage: safe-family [--backend kernel|user] private | safe-family […] child KEY | \
                     safe-family […] write A B C D | safe-family […] read | safe-family […] remove";

const INTS_KEY: Key = Key::new(1235);

/// The family's own keys start here, one for each process id.
const FAMILY_KEYS: i32 = 0x4600_0000;

/// C's `struct Data { int a; double b; char x; }`.
#[derive(Shared, Clone, Copy, Debug, PartialEq)]
#[repr(C)]
struct Data {
    a: i32,
    b: f64,
    x: u8,
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a={} b={:.2} x={}", self.a, self.b, char::from(self.x))
    }
}

fn main() -> ExitCode {
    run(USAGE, &[], program)
}

fn program(args: &Args) -> Outcome {
    let backend = args.backend()?;
    let ints = Region::<[i32; 4]>::at(INTS_KEY).backend(&backend).name("four ints");
    let absent = Advised::of("`safe-family write` makes it");
    match args.words()[..] {
        ["private"] => parent(&backend)?,
        ["child", key] => child(&backend, Key::new(key.parse()?))?,
        ["write", a, b, c, d] => {
            let [a, b, c, d] =
                [a, b, c, d].map(|text| text.parse().map_err(|error| format!("`{text}`: {error}")));
            let values: [i32; 4] = [a?, b?, c?, d?];
            ints.open_or_create(|| values)?.set(values)?;
        }
        ["read"] => {
            let [a, b, c, d] = ints.observe().map_err(absent)?.read();
            writeln!(std::io::stdout(), "{a} {b} {c} {d}")?;
        }
        ["remove"] => ints.open().map_err(absent)?.remove()?,
        _ => return args.misused(),
    }
    Ok(())
}

/// A region for this family alone. The child finds it by its key, which nobody else has.
fn fresh(backend: &Arc<dyn Backend>, data: Data) -> coseg::Result<(Key, Region<Data>)> {
    let mut number = FAMILY_KEYS + i32::try_from(std::process::id() & 0x3f_ffff).unwrap_or(0);
    loop {
        let key = Key::new(number);
        match Region::<Data>::at(key).backend(backend).name("family").participant("parent").create(|| data) {
            // A parent that was killed may have had this pid.
            Err(error) if error.segment_error().is_some_and(|cause| cause.errno() == Errno::EEXIST) => {
                number += 1
            }
            made => return Ok((key, made?)),
        }
    }
}

fn parent(backend: &Arc<dyn Backend>) -> Outcome {
    let before = Data { a: 1, b: 2.5, x: b'p' };
    let (key, data) = fresh(backend, before)?;
    writeln!(std::io::stdout(), "parent wrote {before}")?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["child", &key.raw().to_string()]).env("COSEG_BACKEND", backend.name());
    let status = command.status();
    data.remove()?;
    if !status.as_ref().is_ok_and(|status| status.success()) {
        return Err(format!("child: {status:?}").into());
    }
    writeln!(std::io::stdout(), "parent reads {}", data.read())?;
    Ok(())
}

fn child(backend: &Arc<dyn Backend>, key: Key) -> Outcome {
    let data = Region::<Data>::at(key).backend(backend).participant("child").open()?;
    writeln!(std::io::stdout(), "child read {}", data.read())?;
    data.update(|data| {
        data.a = data.a.wrapping_add(1);
        data.b *= 2.0;
        data.x = b'c';
    })?;
    Ok(())
}
