//! Gives the library its name for the dynamic linker, and keeps it loaded.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libcoseg_preload.so.1");
    // Fork handlers and attachments outlive a dlclose, and would then lead into unmapped code.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    // A symbol bound at its first call is bound inside whichever signal handler calls first.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,now");
}
