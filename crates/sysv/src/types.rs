//! Ids, modes, flags, and what the calls report: plain values, the same for every backend.

use std::fmt;
use std::ops::BitOr;

use crate::Key;

/// A segment's id: what `shmget` returns. Zero is a valid id. An id holds an index and a sequence number, so
/// that the id of a removed segment is refused instead of meaning its successor.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShmId(i32);

impl ShmId {
    /// The id of this number.
    pub const fn new(number: i32) -> ShmId {
        ShmId(number)
    }

    /// The number C programs use.
    pub const fn raw(self) -> i32 {
        self.0
    }
}

impl fmt::Display for ShmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for ShmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ShmId({})", self.0)
    }
}

/// Nine permission bits, `rwxrwxrwx` for owner, group and others. They are not subject to the umask.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mode(u16);

impl Mode {
    /// 0600: the owner alone reads and writes. The default everywhere in this crate.
    pub const PRIVATE: Mode = Mode(0o600);

    /// The low nine of these bits.
    pub const fn new(bits: u32) -> Mode {
        #[allow(clippy::cast_possible_truncation, reason = "nine bits fit")]
        Mode((bits & 0o777) as u16)
    }

    /// The nine bits.
    pub const fn bits(self) -> u32 {
        self.0 as u32
    }
}

impl Default for Mode {
    fn default() -> Self {
        Mode::PRIVATE
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl fmt::Debug for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mode({self})")
    }
}

macro_rules! flags {
    ($(#[$doc:meta])* $name:ident { $($(#[$bit_doc:meta])* $bit:ident = $value:expr;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub struct $name(i32);

        impl $name {
            /// No flag.
            pub const NONE: $name = $name(0);
            $($(#[$bit_doc])* pub const $bit: $name = $name($value);)*

            /// Any bits at all, as C passes them: unknown ones are ignored by every backend.
            pub const fn from_raw(bits: i32) -> $name {
                $name(bits)
            }

            /// The bits as C passes them.
            pub const fn raw(self) -> i32 {
                self.0
            }

            /// Whether every bit of `other` is set.
            pub const fn contains(self, other: $name) -> bool {
                self.0 & other.0 == other.0
            }
        }

        impl BitOr for $name {
            type Output = $name;
            fn bitor(self, other: $name) -> $name {
                $name(self.0 | other.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:#o})"), self.0)
            }
        }
    };
}

flags! {
    /// What `shmget` takes beside key and size: flags, and the mode in the low nine bits.
    GetFlags {
        /// `IPC_CREAT`: create the segment if the key has none.
        CREATE = libc::IPC_CREAT;
        /// `IPC_EXCL`: with [`GetFlags::CREATE`], fail if the key has one.
        EXCLUSIVE = libc::IPC_EXCL;
        /// `SHM_HUGETLB`: back it with huge pages.
        HUGE_PAGES = libc::SHM_HUGETLB;
        /// `SHM_NORESERVE`: promise no memory for it.
        NO_RESERVE = libc::SHM_NORESERVE;
    }
}

impl GetFlags {
    /// The same flags with these permission bits.
    #[must_use]
    pub const fn with_mode(self, mode: Mode) -> GetFlags {
        GetFlags(self.0 & !0o777 | mode.0 as i32)
    }

    /// The same flags asking for huge pages of `2^log2_bytes` bytes: `SHM_HUGETLB | log2 << SHM_HUGE_SHIFT`.
    #[must_use]
    pub const fn with_huge_page_log2(self, log2_bytes: u8) -> GetFlags {
        GetFlags(self.0 | libc::SHM_HUGETLB | ((log2_bytes as i32) & 0x3f) << libc::MAP_HUGE_SHIFT)
    }

    /// The permission bits.
    pub const fn mode(self) -> Mode {
        Mode::new(self.0.cast_unsigned())
    }
}

flags! {
    /// How `shmat` maps a segment.
    AttachFlags {
        /// `SHM_RDONLY`: without write permission, for the life of the attachment.
        READ_ONLY = libc::SHM_RDONLY;
        /// `SHM_RND`: round the address down to a page.
        ROUND = libc::SHM_RND;
        /// `SHM_REMAP`: replace whatever is mapped there.
        REMAP = libc::SHM_REMAP;
        /// `SHM_EXEC`: executable.
        EXECUTE = libc::SHM_EXEC;
    }
}

/// What is known of a segment: C's `struct shmid_ds`. Times are whole seconds since 1970, zero for never; pids
/// are thread-group ids, zero for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The key, [`Key::PRIVATE`] once removed.
    pub key: Key,
    /// The id.
    pub id: ShmId,
    /// The sequence number inside the id: `shm_perm.__seq`.
    pub sequence: u16,
    /// Owner's user id.
    pub uid: u32,
    /// Owner's group id.
    pub gid: u32,
    /// Creator's user id.
    pub creator_uid: u32,
    /// Creator's group id.
    pub creator_gid: u32,
    /// Permission bits.
    pub mode: Mode,
    /// Removed, and destroyed at the last detach: `SHM_DEST`.
    pub removed: bool,
    /// Kept in memory: `SHM_LOCKED`.
    pub locked: bool,
    /// Size as asked for, in bytes; mapped in whole pages.
    pub size_bytes: usize,
    /// Attachments, of which one process may have several.
    pub attachment_count: u64,
    /// When last attached.
    pub attach_time: i64,
    /// When last detached.
    pub detach_time: i64,
    /// When created or last changed by [`Backend::set`](crate::Backend::set).
    pub change_time: i64,
    /// Process that created it.
    pub creator_pid: i32,
    /// Process that last attached or detached.
    pub last_pid: i32,
}

/// What [`Backend::set`](crate::Backend::set) writes: C's `IPC_SET`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// New owner's user id.
    pub uid: u32,
    /// New owner's group id.
    pub gid: u32,
    /// New permission bits.
    pub mode: Mode,
}

/// The limits in force: C's `struct shminfo`, and the highest index in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest size of one segment: `shmmax`.
    pub max_size_bytes: u64,
    /// Most segments: `shmmni`.
    pub max_segment_count: u64,
    /// Most pages of all segments together: `shmall`.
    pub max_total_pages: u64,
    /// Highest index in use, zero also where none is.
    pub highest_index: i32,
}

/// What all segments together use: C's `struct shm_info`, and the highest index in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Usage {
    /// Segments, removed ones that are still attached included.
    pub segment_count: u32,
    /// Their pages.
    pub total_pages: u64,
    /// Those in memory.
    pub resident_pages: u64,
    /// Those swapped out.
    pub swapped_pages: u64,
    /// Highest index in use, zero also where none is.
    pub highest_index: i32,
}

/// A line of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// What is known of the segment.
    pub stat: Stat,
    /// Bytes of it in memory.
    pub resident_bytes: u64,
    /// Bytes of it swapped out.
    pub swapped_bytes: u64,
}
