//! The one dump that a process looks at instead of a backend's segments: `coseg open`.

use std::sync::OnceLock;

use coseg_sysv::{Key, Stat, User};

/// A dump as the only segment of a private namespace.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The file's name, for messages.
    pub(crate) name: String,
    /// The backend that its segment was on.
    pub(crate) backend: &'static str,
    pub(crate) user: User,
}

/// Set at most once, before the command that looks: it works on one backend from its beginning to its end.
static OPENED: OnceLock<Opened> = OnceLock::new();

pub(crate) fn set(opened: Opened) {
    // Nobody sets it twice.
    let _ = OPENED.set(opened);
}

pub(crate) fn get() -> Option<&'static Opened> {
    OPENED.get()
}

impl Opened {
    /// `notes.dump (key 0x00004242, id 3)`
    pub(crate) fn title(&self, stat: &Stat) -> String {
        let key = |key: Key| if key.is_private() { String::new() } else { format!("key {key}, ") };
        format!("{} ({}id {})", self.name, key(stat.key), stat.id)
    }
}
