//! The structures `shmctl` fills in, read out of the bytes it wrote.

/// `struct shmid_ds` as Linux lays it out on 64-bit machines, [`Stat::SIZE`] bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of struct shmid_ds")]
pub struct Stat {
    pub key: i32,
    pub uid: u32,
    pub gid: u32,
    pub cuid: u32,
    pub cgid: u32,
    pub mode: u32,
    pub seq: u16,
    pub size: u64,
    pub atime: i64,
    pub dtime: i64,
    pub ctime: i64,
    pub cpid: i32,
    pub lpid: i32,
    pub nattch: u64,
    /// Whether every byte that carries no field is zero.
    pub pads_zero: bool,
}

/// `mode` of a segment that goes at its last detach.
pub const SHM_DEST: u32 = 0o1000;
/// `mode` of a segment locked into memory.
pub const SHM_LOCKED: u32 = 0o2000;

fn word<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

impl Stat {
    /// Size of the structure in bytes.
    pub const SIZE: usize = 112;

    /// Reads the fields out of what `IPC_STAT` wrote.
    #[must_use]
    pub fn parse(b: &[u8]) -> Self {
        let int = |at| i32::from_ne_bytes(word(b, at));
        let uint = |at| u32::from_ne_bytes(word(b, at));
        let long = |at| i64::from_ne_bytes(word(b, at));
        let ulong = |at| u64::from_ne_bytes(word(b, at));
        Self {
            key: int(0),
            uid: uint(4),
            gid: uint(8),
            cuid: uint(12),
            cgid: uint(16),
            mode: uint(20),
            seq: u16::from_ne_bytes(word(b, 24)),
            size: ulong(48),
            atime: long(56),
            dtime: long(64),
            ctime: long(72),
            cpid: int(80),
            lpid: int(84),
            nattch: ulong(88),
            pads_zero: b[26..48].iter().chain(&b[96..112]).all(|&byte| byte == 0),
        }
    }

    /// The bytes `IPC_SET` reads: owner and mode as given, noise in every field it ignores.
    #[must_use]
    pub fn for_set(uid: u32, gid: u32, mode: u32) -> Vec<u8> {
        let mut bytes = vec![0x5A; Self::SIZE];
        bytes[4..8].copy_from_slice(&uid.to_ne_bytes());
        bytes[8..12].copy_from_slice(&gid.to_ne_bytes());
        bytes[20..24].copy_from_slice(&mode.to_ne_bytes());
        bytes
    }
}

/// `struct shminfo`, which `IPC_INFO` fills in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of struct shminfo")]
pub struct Limits {
    pub shmmax: u64,
    pub shmmin: u64,
    pub shmmni: u64,
    pub shmseg: u64,
    pub shmall: u64,
}

impl Limits {
    /// Size of the structure in bytes, with its four reserved words.
    pub const SIZE: usize = 72;

    /// Reads the fields out of what `IPC_INFO` wrote.
    #[must_use]
    pub fn parse(b: &[u8]) -> Self {
        let ulong = |at| u64::from_ne_bytes(word(b, at));
        Self { shmmax: ulong(0), shmmin: ulong(8), shmmni: ulong(16), shmseg: ulong(24), shmall: ulong(32) }
    }
}

/// `struct shm_info`, which `SHM_INFO` fills in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of struct shm_info")]
pub struct Usage {
    pub used_ids: i32,
    pub shm_tot: u64,
    pub shm_rss: u64,
    pub shm_swp: u64,
    pub swap_attempts: u64,
    pub swap_successes: u64,
}

impl Usage {
    /// Size of the structure in bytes.
    pub const SIZE: usize = 48;

    /// Reads the fields out of what `SHM_INFO` wrote.
    #[must_use]
    pub fn parse(b: &[u8]) -> Self {
        let ulong = |at| u64::from_ne_bytes(word(b, at));
        Self {
            used_ids: i32::from_ne_bytes(word(b, 0)),
            shm_tot: ulong(8),
            shm_rss: ulong(16),
            shm_swp: ulong(24),
            swap_attempts: ulong(32),
            swap_successes: ulong(40),
        }
    }
}
