//! A C struct between parent and child, and four ints between strangers.
//!
//! ```text
//! family private
//! family write 1 2 3 4
//! family read
//! family remove
//! ```

use std::fmt;
use std::io::Write;
use std::mem::offset_of;
use std::process::{Command, ExitCode};
use std::sync::Arc;

use coseg_examples::bytes::{double_at, int_at, put_double, put_int};
use coseg_examples::cli::{Args, Outcome, run};
use coseg_sysv::{Attachment, Backend, Key, Result, Segment, ShmId};

const USAGE: &str = "usage: family [--backend kernel|user] private [--child PROGRAM] | family […] child ID | \
                     family […] write A B C D | family […] read | family […] remove";

const INTS_KEY: Key = Key::new(1234);
const INT_COUNT: usize = 4;
const INTS_SIZE_BYTES: usize = INT_COUNT * size_of::<i32>();

/// C's `struct Data { int a; double b; char x; }`.
#[repr(C)]
struct Data {
    a: i32,
    b: f64,
    x: u8,
}

const _: () = assert!(offset_of!(Data, b) == 8 && offset_of!(Data, x) == 16 && size_of::<Data>() == 24);

impl Data {
    fn read(memory: &Attachment) -> Result<Data> {
        let mut bytes = [0; size_of::<Data>()];
        memory.read(0, &mut bytes)?;
        Ok(Data {
            a: int_at(&bytes, offset_of!(Data, a)),
            b: double_at(&bytes, offset_of!(Data, b)),
            x: bytes[offset_of!(Data, x)],
        })
    }

    fn write(&self, memory: &Attachment) -> Result<()> {
        let mut bytes = [0; size_of::<Data>()];
        put_int(&mut bytes, offset_of!(Data, a), self.a);
        put_double(&mut bytes, offset_of!(Data, b), self.b);
        bytes[offset_of!(Data, x)] = self.x;
        memory.write(0, &bytes)
    }
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a={} b={:.2} x={}", self.a, self.b, char::from(self.x))
    }
}

fn main() -> ExitCode {
    run(USAGE, &["child"], program)
}

fn program(args: &Args) -> Outcome {
    let backend = args.backend()?;
    let ints = Segment::options(INTS_KEY).size(INTS_SIZE_BYTES);
    match args.words()[..] {
        ["private"] => parent(&backend, args.option("child"))?,
        ["child", id] => child(&Segment::of_id(&backend, ShmId::new(id.parse()?)))?,
        ["write", a, b, c, d] => write_ints(&ints.open_or_create(&backend)?.attach()?, [a, b, c, d])?,
        ["read"] => print_ints(&ints.open(&backend)?.attach_read_only()?)?,
        ["remove"] => ints.open(&backend)?.remove()?,
        _ => return args.misused(),
    }
    Ok(())
}

/// A child finds the segment by its id, so any program that knows the struct can be the child.
fn parent(backend: &Arc<dyn Backend>, child: Option<&str>) -> Outcome {
    let segment = Segment::options(Key::PRIVATE).size(size_of::<Data>()).create(backend)?;
    let memory = segment.attach()?;
    let before = Data { a: 1, b: 2.5, x: b'p' };
    before.write(&memory)?;
    writeln!(std::io::stdout(), "parent wrote {before}")?;

    let program = child.map_or_else(std::env::current_exe, |path| Ok(path.into()))?;
    let mut command = Command::new(program);
    command.args(["child", &segment.id().to_string()]).env("COSEG_BACKEND", backend.name());
    let status = command.status();
    segment.remove()?;
    if !status.as_ref().is_ok_and(|status| status.success()) {
        return Err(format!("child: {status:?}").into());
    }
    writeln!(std::io::stdout(), "parent reads {}", Data::read(&memory)?)?;
    Ok(())
}

fn child(segment: &Segment) -> Outcome {
    let memory = segment.attach()?;
    let before = Data::read(&memory)?;
    writeln!(std::io::stdout(), "child read {before}")?;
    let after = Data { a: before.a.wrapping_add(1), b: before.b * 2.0, x: b'c' };
    after.write(&memory)?;
    Ok(())
}

fn write_ints(memory: &Attachment, texts: [&str; INT_COUNT]) -> Outcome {
    let mut bytes = [0; INTS_SIZE_BYTES];
    for (index, text) in texts.iter().enumerate() {
        let value = text.parse().map_err(|error| format!("`{text}`: {error}"))?;
        put_int(&mut bytes, index * size_of::<i32>(), value);
    }
    memory.write(0, &bytes)?;
    Ok(())
}

fn print_ints(memory: &Attachment) -> Outcome {
    let mut bytes = [0; INTS_SIZE_BYTES];
    memory.read(0, &mut bytes)?;
    let [a, b, c, d] = [0, 4, 8, 12].map(|offset| int_at(&bytes, offset));
    writeln!(std::io::stdout(), "{a} {b} {c} {d}")?;
    Ok(())
}
