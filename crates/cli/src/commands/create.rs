//! `coseg create`: makes a segment and prints its id.

use std::process::ExitCode;

use clap::{ArgGroup, Args};
use coseg_sysv::{Backend, Errno, Error, Key, Mode, Segment};
use schemars::JsonSchema;
use serde::Serialize;

use crate::args::Global;
use crate::backend::Facility;
use crate::failure::{Failure, Result};
use crate::output;
use crate::record::{Origin, Record};
use crate::view::View;
use crate::{selector, size};

const EXAMPLES: &str = "\
Examples:
  coseg create --key 0x4242 --size 1024              0600: you alone read and write
  coseg create --key ftok:/etc/app.conf:A --size 1M --mode 660
  coseg create --private --size 64K                  no key finds it, only its id
  coseg create --key 5678 --size 27 --exclusive      fail if the key is taken
  coseg create --key 1 --size 1GiB --huge=2M         on huge pages of 2 MiB
  id=$(coseg create --private --size 4K)             its id is all that is printed";

/// Make a segment, and print its id
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, group = ArgGroup::new("name").required(true))]
pub(crate) struct Create {
    /// Key of the segment: 0x162e, 5678 or ftok:PATH:PROJ
    #[arg(long, value_parser = selector::parse_key, group = "name", allow_hyphen_values = true)]
    key: Option<Key>,
    /// No key: only the id leads to it
    #[arg(long, group = "name")]
    private: bool,
    /// Size: 4096, 4K, 1M, 1GiB
    #[arg(long, value_parser = size::parse_usize)]
    size: usize,
    /// Permission bits, in octal; letters as in chmod(1) are not taken
    #[arg(long, default_value = "600", value_parser = parse_mode)]
    mode: Mode,
    /// Fail if the key has a segment already
    #[arg(long)]
    exclusive: bool,
    /// Back it with huge pages, of the system's default size or of this one
    #[arg(long, value_name = "SIZE", require_equals = true, num_args = 0..=1, value_parser = parse_huge)]
    huge: Option<Option<u8>>,
    /// Promise no memory for it: a first touch may find none
    #[arg(long)]
    no_reserve: bool,
    /// Take its memory now (user backend)
    #[arg(long, conflicts_with = "no_reserve")]
    reserve: bool,
}

#[derive(Debug, JsonSchema, Serialize)]
pub(crate) struct Document {
    #[serde(flatten)]
    origin: Origin,
    created: bool,
    segment: Record,
}

pub(crate) fn parse_mode(text: &str) -> Result<Mode, String> {
    match u32::from_str_radix(text.strip_prefix("0o").unwrap_or(text), 8) {
        Ok(bits) if bits <= 0o777 => Ok(Mode::new(bits)),
        _ if text.contains(['+', '-', '=', ',']) => {
            Err(format!("`{text}` is symbolic, and only octal modes are taken: write 600, 640, 660 or 666"))
        }
        _ => Err(format!("`{text}` is no octal mode: write three octal digits, such as 600 or 660")),
    }
}

fn parse_huge(text: &str) -> Result<u8, String> {
    let bytes = size::parse(text)?;
    match u8::try_from(bytes.checked_ilog2().unwrap_or(0)) {
        Ok(log2) if bytes.is_power_of_two() && log2 > 0 => Ok(log2),
        _ => Err(format!("`{text}` is no size of a page: write 2M or 1G")),
    }
}

pub(crate) fn run(args: &Create, global: &Global) -> Result<ExitCode> {
    let key = args.key.unwrap_or(Key::PRIVATE);
    if key.is_private() && !args.private {
        return Err(
            Failure::error("create: key 0 is IPC_PRIVATE, which no key finds again").hint("--private")
        );
    }
    let facility = Facility::open(global)?;
    let facility = if args.reserve { facility.reserving()? } else { facility };
    let (segment, created) = make(args, key, &facility)?;
    if !created {
        say_it_existed(&segment, key);
    }
    if global.json {
        let view = View::of(facility)?;
        let listed = view.again(&view.facility.backend.stat(segment.id())?)?;
        let document =
            Document { origin: Origin::of(&view.facility), created, segment: view.record(&listed)? };
        output::print_json(&document)?;
    } else {
        let id = segment.id();
        output::print(&format!("{id}\n")).map_err(|failure| match created {
            true => failure.hint(format!("coseg rm id:{id}, which was made all the same")),
            false => failure,
        })?;
    }
    Ok(ExitCode::SUCCESS)
}

fn make(args: &Create, key: Key, facility: &Facility) -> Result<(Segment, bool)> {
    let mut options = Segment::options(key).size(args.size).mode(args.mode);
    if let Some(log2_bytes) = args.huge {
        options = options.huge_pages(log2_bytes);
    }
    if args.no_reserve {
        options = options.no_reserve();
    }
    match options.create(&facility.backend) {
        Ok(segment) => Ok((segment, true)),
        Err(error) if error.errno() == Errno::EEXIST && !args.exclusive => {
            Ok((options.open_or_create(&facility.backend)?, false))
        }
        Err(error) if args.size == 0 && error.errno() == Errno::EINVAL => {
            Err(Failure::from(error).hint("--size 4K; only a segment that exists already is found with 0"))
        }
        Err(error) if args.huge.is_some() => Err(huge_pages_failed(error)),
        Err(error) => Err(error.into()),
    }
}

/// Huge pages are set aside by hand, so their absence has remedies of its own.
fn huge_pages_failed(error: Error) -> Failure {
    let hint = match error.errno() {
        Errno::ENOMEM => "sysctl vm.nr_hugepages, which sets them aside; or without --huge",
        Errno::EPERM => "as root, or in the group of sysctl vm.hugetlb_shm_group; or without --huge",
        Errno::EINVAL => "--huge with a size of /sys/kernel/mm/hugepages",
        _ => return error.into(),
    };
    Failure::from(error).hint(hint)
}

/// shmget succeeds silently on what somebody else made, with other modes and sizes than asked for.
fn say_it_existed(segment: &Segment, key: Key) {
    let backend: &dyn Backend = &**segment.backend();
    let all = backend.list().unwrap_or_default();
    let Some(found) = all.iter().find(|listed| listed.stat.id == segment.id()) else { return };
    let stat = &found.stat;
    output::note(&format!(
        "key {key} had segment {} already, {}, mode {}, owner uid {}; nothing was made",
        stat.id,
        size::sentence(stat.size_bytes as u64),
        stat.mode,
        stat.uid
    ));
}
