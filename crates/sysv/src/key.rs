//! Keys: the numbers by which unrelated programs find one segment.

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::{Errno, Error, Op, Result, Target};

/// A key: any 32-bit number. Zero, [`Key::PRIVATE`], names no segment and always creates one.
///
/// ```
/// use coseg_sysv::Key;
///
/// assert_eq!(Key::new(5678).to_string(), "0x0000162e");
/// assert_eq!(Key::new(-1).to_string(), "0xffffffff");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(i32);

impl Key {
    /// `IPC_PRIVATE`: a new segment that no key finds.
    pub const PRIVATE: Key = Key(0);

    /// The key of this number.
    pub const fn new(number: i32) -> Key {
        Key(number)
    }

    /// The number, signed as C's `key_t` is.
    pub const fn raw(self) -> i32 {
        self.0
    }

    /// The number's 32 bits, as tools print them.
    pub const fn bits(self) -> u32 {
        self.0.cast_unsigned()
    }

    /// Whether this is `IPC_PRIVATE`.
    pub const fn is_private(self) -> bool {
        self.0 == 0
    }

    /// The key that `ftok` makes of an existing file and a project byte. Only 8 bits of the device and 16 of
    /// the inode enter it, so two files may give one key; symbolic links are followed.
    ///
    /// # Errors
    /// Those of `stat(2)`, with the path.
    ///
    /// # Source
    /// ftok(3)
    pub fn ftok(path: impl AsRef<Path>, project: u8) -> Result<Key> {
        let path = path.as_ref();
        let meta = std::fs::metadata(path).map_err(|error| {
            let errno = Errno::from_raw(error.raw_os_error().unwrap_or(libc::EINVAL));
            Error::new(Op::Ftok, Target::None, errno).because(path.display().to_string())
        })?;
        Ok(Key::from_parts(meta.dev(), meta.ino(), project))
    }

    /// The same from a device and an inode number already known.
    pub const fn from_parts(device: u64, inode: u64, project: u8) -> Key {
        let bits = (inode & 0xffff) | (device & 0xff) << 16 | (project as u64) << 24;
        // The three parts fill 32 bits exactly.
        #[allow(clippy::cast_possible_truncation, reason = "the masks above leave 32 bits")]
        Key((bits as u32).cast_signed())
    }

    /// What `ftok` would have put in: inode's low 16 bits, device's low 8 bits, project byte.
    pub const fn parts(self) -> (u16, u8, u8) {
        let [inode_low, inode_high, device, project] = self.0.to_le_bytes();
        (u16::from_le_bytes([inode_low, inode_high]), device, project)
    }
}

impl From<i32> for Key {
    fn from(number: i32) -> Self {
        Key(number)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ftok_agrees_with_the_c_library() {
        let path = std::env::current_exe().unwrap();
        let meta = std::fs::metadata(&path).unwrap();
        let key = Key::ftok(&path, b'x').unwrap();
        assert_eq!(key, Key::from_parts(meta.dev(), meta.ino(), b'x'));
        let (inode, device, project) = key.parts();
        assert_eq!(u64::from(inode), meta.ino() & 0xffff);
        assert_eq!(u64::from(device), meta.dev() & 0xff);
        assert_eq!(project, b'x');
    }

    #[test]
    fn ftok_of_nothing_names_the_path() {
        let error = Key::ftok("/no/such/file", 1).unwrap_err();
        assert_eq!(error.errno(), Errno::ENOENT);
        assert!(error.to_string().contains("/no/such/file"), "{error}");
    }
}
