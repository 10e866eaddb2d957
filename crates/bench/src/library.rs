//! Libraries of C++: behind C functions that are compiled when they are needed.
#![allow(unsafe_code, reason = "a library that is loaded, and its functions")]

use std::ffi::{CStr, CString, c_void};
use std::mem::transmute_copy;
use std::path::Path;
use std::process::Command;

use crate::Outcome;

/// A library that stays loaded.
#[derive(Clone, Copy)]
pub(crate) struct Library(*mut c_void);

impl Library {
    /// Compiles a source, once in a run, and loads what came of it.
    pub(crate) fn compiled(directory: &Path, name: &str, source: &str) -> Outcome<Library> {
        let library = directory.join(name).with_extension("so");
        if !library.exists() {
            let source_path = library.with_extension("cc");
            std::fs::write(&source_path, source)?;
            let fresh = library.with_extension("fresh");
            let mut compiler = Command::new("c++");
            compiler.args(["-std=c++17", "-O3", "-DNDEBUG", "-shared", "-fPIC", "-pthread", "-o"]);
            let done = compiler.arg(&fresh).arg(&source_path).arg("-lrt").output();
            let done = done.map_err(|error| format!("no C++ compiler, c++: {error}"))?;
            if !done.status.success() {
                let text = String::from_utf8_lossy(&done.stderr);
                let line = text.lines().find(|line| line.contains("error")).unwrap_or_default();
                return Err(format!("c++: {line} (Debian: apt-get install libboost-dev)").into());
            }
            std::fs::rename(fresh, &library)?;
        }
        let path = CString::new(library.into_os_string().into_encoded_bytes())?;
        // SAFETY: the library is ours; nothing in it runs when it is loaded but its C++ library's beginnings.
        let loaded = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
        if loaded.is_null() { Err("dlopen failed".into()) } else { Ok(Library(loaded)) }
    }

    /// A function of it.
    ///
    /// # Safety
    /// The function is of this type.
    pub(crate) unsafe fn function<F: Copy>(self, name: &CStr) -> Outcome<F> {
        const { assert!(size_of::<F>() == size_of::<*mut c_void>()) };
        // SAFETY: a library that was loaded, and a name that ends.
        let found = unsafe { libc::dlsym(self.0, name.as_ptr()) };
        if found.is_null() {
            return Err(format!("no {name:?}").into());
        }
        // SAFETY: so the caller says.
        Ok(unsafe { transmute_copy(&found) })
    }
}
