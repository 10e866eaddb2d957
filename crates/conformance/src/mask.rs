//! Where the user backend may differ from the kernel, by row and field: the one place that says so.
//!
//! An event in a sequence makes fields of the segments it touched uncertain, and a later call that writes the
//! field makes it certain again. What is uncertain is compared all the same; a difference is counted under its
//! row instead of failing.

/// A field of what is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// The number of attaches, beyond whether there are any.
    Nattch,
    /// Who called last.
    Lpid,
    /// When the last attach was.
    Atime,
    /// When the last detach was.
    Dtime,
    /// `errno`, the kernel's and the other's, 0 for success. The two worlds differ from then on: the rest of
    /// the sequence is not compared.
    Errno(i32, i32),
}

/// What happens in a sequence that the user backend sees late, or in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// `munmap` or `mremap` took an attach.
    Unmapped,
    /// `mmap` with `MAP_FIXED` took one.
    MappedOver,
    /// `shmat` with `SHM_REMAP` took one.
    Replaced,
    /// `munmap`, `mmap` or `shmat` in the middle left two pieces.
    Holed,
    /// `mprotect` or `madvise` of a part left several.
    Split,
    /// `mremap` of a part left several.
    Torn,
    /// A process ended.
    Death,
    /// A process executed a program.
    Exec,
    /// A process that became another user forked.
    ForkedAsOther,
    /// `IPC_SET` by a process without privilege that gives a segment away.
    GivenAway,
}

/// One permitted difference.
#[derive(Clone, Copy, Debug)]
pub struct Mask {
    /// The row that says so.
    pub row: u16,
    /// What makes the field uncertain.
    pub after: Event,
    /// The field.
    pub field: Field,
    /// Why it cannot be known.
    pub reason: &'static str,
}

const fn mask(row: u16, after: Event, field: Field, reason: &'static str) -> Mask {
    Mask { row, after, field, reason }
}

const UNSEEN: &str = "no code of ours runs in munmap, mremap and mmap";
const LATE: &str = "nobody runs at a death or an exec to note it";
const PIECES: &str = "a lock stands for the attach, however many mappings are left of it";

const ROWS_OF_MAPPINGS: &str =
    "since Linux 6.17 mremap moves several mappings of plain files, and still not of segments";
const FILES: &str =
    "a shared directory's files carry owner and mode, and a plain user may not give a file away";

const CLOSED: &str = "a child that may no longer open the file shares its parent's lock until both are gone";

/// All permitted differences.
pub const MASKS: &[Mask] = &[
    mask(50, Event::Replaced, Field::Dtime, UNSEEN),
    mask(50, Event::Replaced, Field::Lpid, UNSEEN),
    mask(76, Event::Unmapped, Field::Dtime, UNSEEN),
    mask(76, Event::Unmapped, Field::Lpid, UNSEEN),
    mask(87, Event::MappedOver, Field::Dtime, UNSEEN),
    mask(87, Event::MappedOver, Field::Lpid, UNSEEN),
    mask(78, Event::Holed, Field::Nattch, PIECES),
    mask(78, Event::Holed, Field::Atime, PIECES),
    mask(80, Event::Split, Field::Nattch, PIECES),
    mask(80, Event::Split, Field::Atime, PIECES),
    mask(80, Event::Split, Field::Lpid, PIECES),
    mask(84, Event::Torn, Field::Errno(libc::EFAULT, 0), ROWS_OF_MAPPINGS),
    mask(86, Event::Torn, Field::Nattch, PIECES),
    mask(86, Event::Torn, Field::Atime, PIECES),
    mask(97, Event::GivenAway, Field::Errno(0, libc::EPERM), FILES),
    mask(123, Event::ForkedAsOther, Field::Nattch, CLOSED),
    mask(123, Event::ForkedAsOther, Field::Atime, CLOSED),
    mask(123, Event::ForkedAsOther, Field::Lpid, CLOSED),
    mask(120, Event::Death, Field::Dtime, LATE),
    mask(120, Event::Death, Field::Lpid, LATE),
    mask(121, Event::Exec, Field::Dtime, LATE),
    mask(121, Event::Exec, Field::Lpid, LATE),
];
