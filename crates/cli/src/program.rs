//! Whether the drop-in library can reach a program: it cannot where the dynamic linker is not asked, or asked
//! not to listen.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The file that exec would take for this name, as execvp looks for it.
pub(crate) fn find(name: &OsStr) -> Option<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return Some(PathBuf::from(name));
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|file| fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.mode() & 0o111 != 0))
}

/// Why the library will have no effect in this program; none where it will, or where nothing can be said.
pub(crate) fn out_of_reach(program: &Path) -> Option<String> {
    // Linux follows scripts to their interpreter at most four times.
    let mut file = program.to_owned();
    for _ in 0..4 {
        match interpreter_of_script(&file) {
            Some(interpreter) => file = interpreter,
            None => break,
        }
    }
    let reason = raised_privilege(&file).or_else(|| unlinked(&file))?;
    Some(format!("{}: {reason}", file.display()))
}

fn interpreter_of_script(file: &Path) -> Option<PathBuf> {
    let mut start = [0; 256];
    let length = File::open(file).ok()?.read(&mut start).ok()?;
    let line = start[..length].strip_prefix(b"#!")?.split(|&byte| byte == b'\n').next()?;
    let mut words = line.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
    let interpreter = Path::new(OsStr::from_bytes(words.next()?));
    // `#!/usr/bin/env python3` runs python3.
    match (interpreter.file_name(), words.next()) {
        (Some(name), Some(argument)) if name == "env" && !argument.starts_with(b"-") => {
            find(OsStr::from_bytes(argument))
        }
        _ => Some(interpreter.to_owned()),
    }
}

fn raised_privilege(file: &Path) -> Option<&'static str> {
    let mode = fs::metadata(file).ok()?.mode();
    if mode & 0o4000 != 0 {
        return Some("it is setuid, so the dynamic linker ignores LD_PRELOAD");
    }
    if mode & 0o2010 == 0o2010 {
        return Some("it is setgid, so the dynamic linker ignores LD_PRELOAD");
    }
    let mut capabilities = [0_u8; 64];
    let has =
        rustix::fs::getxattr(file, "security.capability", &mut capabilities).is_ok_and(|length| length > 0);
    has.then_some("it has file capabilities, so the dynamic linker ignores LD_PRELOAD")
}

fn unlinked(file: &Path) -> Option<&'static str> {
    // Program headers follow the file header in every linker's output; a page holds them.
    let mut bytes = Vec::new();
    File::open(file).ok()?.take(64 * 1024).read_to_end(&mut bytes).ok()?;
    let elf = Elf::parse(&bytes)?;
    if !elf.is_native() {
        return Some("it is for another processor or word size than this coseg");
    }
    (elf.has_interpreter() == Some(false))
        .then_some("it is statically linked, so it makes its system calls itself")
}

/// As much of an ELF file as tells how it is linked.
struct Elf<'a> {
    bytes: &'a [u8],
    is_64_bit: bool,
    is_little_endian: bool,
}

const PT_INTERP: u64 = 3;
const EM_NATIVE: Option<u64> = match std::env::consts::ARCH.as_bytes() {
    b"x86_64" => Some(62),
    b"aarch64" => Some(183),
    _ => None,
};

impl<'a> Elf<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Elf<'a>> {
        if !bytes.starts_with(b"\x7fELF") {
            return None;
        }
        Some(Elf { bytes, is_64_bit: *bytes.get(4)? == 2, is_little_endian: *bytes.get(5)? == 1 })
    }

    fn number(&self, offset: usize, size: usize) -> Option<u64> {
        let bytes = self.bytes.get(offset..offset.checked_add(size)?)?;
        let join = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Some(if self.is_little_endian {
            bytes.iter().rev().fold(0, join)
        } else {
            bytes.iter().fold(0, join)
        })
    }

    fn is_native(&self) -> bool {
        let machine = self.number(18, 2);
        self.is_64_bit == (usize::BITS == 64)
            && self.is_little_endian == cfg!(target_endian = "little")
            && (EM_NATIVE.is_none() || machine == EM_NATIVE)
    }

    /// Whether a program header names a dynamic linker; none where the headers are out of sight.
    fn has_interpreter(&self) -> Option<bool> {
        let (offset, entry_size, count) = if self.is_64_bit {
            (self.number(32, 8)?, self.number(54, 2)?, self.number(56, 2)?)
        } else {
            (self.number(28, 4)?, self.number(42, 2)?, self.number(44, 2)?)
        };
        for index in 0..count {
            let start = usize::try_from(offset.checked_add(index * entry_size)?).ok()?;
            if self.number(start, 4)? == PT_INTERP {
                return Some(true);
            }
        }
        Some(false)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A 64-bit file of this machine with one program header of this type.
    fn elf(header_type: u8) -> Vec<u8> {
        let mut bytes = vec![0; 64 + 56];
        bytes[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1]);
        bytes[18] = u8::try_from(EM_NATIVE.unwrap_or(0)).unwrap();
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = 1;
        bytes[64] = header_type;
        bytes
    }

    fn file(directory: &Path, name: &str, bytes: &[u8], mode: u32) -> PathBuf {
        let path = directory.join(name);
        File::create(&path).unwrap().write_all(bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn a_dynamic_program_is_reached() {
        let program = find(OsStr::new("env")).unwrap();
        assert_eq!(out_of_reach(&program), None);
    }

    #[test]
    fn static_setuid_and_scripts_of_them_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let dynamic = file(directory.path(), "dynamic", &elf(3), 0o755);
        let fixed = file(directory.path(), "fixed", &elf(1), 0o755);
        let raised = file(directory.path(), "raised", &elf(3), 0o4755);
        let script = file(directory.path(), "script", format!("#!{}\n", fixed.display()).as_bytes(), 0o755);
        assert_eq!(out_of_reach(&dynamic), None);
        assert!(out_of_reach(&fixed).unwrap().contains("statically"));
        assert!(out_of_reach(&raised).unwrap().contains("setuid"));
        assert!(out_of_reach(&script).unwrap().contains("fixed: it is statically"));
    }

    #[test]
    fn damaged_files_say_nothing() {
        let directory = tempfile::tempdir().unwrap();
        for length in 0..64 {
            let stump = file(directory.path(), "stump", &elf(1)[..length], 0o755);
            let _ = out_of_reach(&stump);
        }
        assert_eq!(out_of_reach(Path::new("/no/such/file")), None);
    }
}
