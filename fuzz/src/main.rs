//! Any bytes as a region: looked into whole, changed by path, and used by a program whose types it may have.
//!
//! What must not happen is a panic, a crash, memory without bound, or an answer that does not come.
#![no_main]

mod forge;
mod input;
mod office;
mod paths;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use coseg::{Inspection, Region, Value};
use coseg_sysv::{Attachment, Backend, Key, Segment, User};
use libfuzzer_sys::fuzz_target;

use crate::forge::Forge;
use crate::input::Input;
use crate::office::Office;

/// How long a lock is waited for that a live owner is forged into.
const MOMENT: Duration = Duration::from_micros(100);
/// Odd ones too: the last word of a schema may lie across the end.
const SIZES: [usize; 4] = [1003, 2044, 8192, 131_072];

/// A segment that is written anew for each input.
struct Stand {
    segment: Segment,
    attachment: Attachment,
}

struct Ground {
    stands: Vec<Stand>,
    backend: Arc<dyn Backend>,
    /// The bytes of a region made honestly.
    office: Vec<u8>,
    _directory: tempfile::TempDir,
}

const OFFICE: Key = Key::new(0x4558);
const FIRST: Key = Key::new(0x1000);

fn ground() -> &'static Ground {
    static GROUND: OnceLock<Ground> = OnceLock::new();
    GROUND.get_or_init(|| {
        // A fuzzer does not end by returning: whoever starts it removes what is in TMPDIR.
        let directory = tempfile::tempdir().expect("a directory");
        let backend: Arc<dyn Backend> = Arc::new(User::at(directory.path()).expect("a namespace"));
        let region = Region::<Office>::at(OFFICE)
            .backend(&backend)
            .participants(4)
            .create(office::initial)
            .expect("a region");
        let attachment = region.segment().attach().expect("attached");
        let mut bytes = vec![0; attachment.size_bytes()];
        attachment.read(0, &mut bytes).expect("read");
        let sizes = SIZES.into_iter().chain([bytes.len()]);
        let stands = sizes.enumerate().map(|(index, size)| {
            let key = Key::new(FIRST.raw() + i32::try_from(index).expect("few"));
            let segment = Segment::options(key).size(size).create(&backend).expect("a segment");
            let attachment = segment.attach().expect("attached");
            Stand { segment, attachment }
        });
        Ground { stands: stands.collect(), office: bytes, backend, _directory: directory }
    })
}

fuzz_target!(|data: &[u8]| {
    let ground = ground();
    let mut input = Input::new(data);
    let mode = input.byte();
    let stand = match mode & 3 {
        3 => ground.stands.last().expect("one"),
        _ => &ground.stands[usize::from(mode >> 2 & 3)],
    };
    let mut forge = Forge::new(stand.attachment.size_bytes());
    let mut uses = Input::new(&[]);
    match mode & 3 {
        0 => {
            let half = data.len() / 2;
            uses = Input::new(input.bytes(half));
            forge.put(0, input.all());
            if mode & 16 != 0 {
                forge.sign();
            }
        }
        1 | 2 => {
            forge.sign();
            forge.lay_out(&mut input);
        }
        _ => forge.put(0, &ground.office),
    }
    if mode & 32 != 0 {
        forge.spoil(&mut input);
    }
    // Half of the time the sums are made right after everything else.
    if mode & 3 != 3 || mode & 16 != 0 {
        forge.sum_up();
    }
    stand.attachment.write(0, &forge.bytes).expect("it fits");
    if !input.is_empty() {
        uses = input;
    }
    use_it(&stand.segment, &ground.backend, &mut uses, mode & 64 != 0);
});

fn use_it(segment: &Segment, backend: &Arc<dyn Backend>, input: &mut Input<'_>, changes: bool) {
    let look = match Inspection::of(segment) {
        Ok(look) => look,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    for part in 0..=look.schema().parts.len() {
        if let Ok(Some(value)) = look.part(part) {
            assert!(!value.to_string().is_empty());
        }
    }
    let _ = (look.name(), look.created_unix_ns(), look.participants_max(), look.participants());
    let locks = look.locks();
    for channel in look.channels() {
        if let Ok(messages) = look.messages(&channel.name) {
            assert!(messages.take(100).all(|message| !message.to_string().is_empty()));
        }
    }
    for _ in 0..4 {
        let path = paths::path(look.schema(), input);
        let _ = look.get(&path).map(|value| value.to_string());
        let _ = look.check(&path, &paths::text(input));
    }
    // A forged owner who lives stalls whoever takes the lock: that is allowed, and not waited for here.
    let free = locks.iter().all(|lock| lock.holder.as_ref().is_none_or(|holder| holder.orphaned));
    if changes && let Ok(joined) = Inspection::join(segment) {
        for _ in 0..4 {
            let path = paths::path(joined.schema(), input);
            let _ = joined.set(&path, &paths::text(input), MOMENT);
        }
        let _ = joined.take_recoveries();
        for channel in joined.channels() {
            let Ok(channel) = joined.channel(&channel.name) else { continue };
            let message = match channel.receiver().map(|mut end| end.receive(Some(MOMENT), &|| false)) {
                Ok(Ok(message)) => message,
                _ => Value::Bytes(b"Dear Ada".to_vec()),
            };
            let _ = channel.sender().map(|mut end| end.send(&message, Some(MOMENT), &|| false));
        }
    }
    office::use_it(segment.key(), backend, if changes && free { Some(MOMENT) } else { None });
}
