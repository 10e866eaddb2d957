//! What a region says of itself, as errors show it: cut short, for anybody may have written it.

use std::fmt::{self, Display, Write};

/// Most things that are listed.
pub(crate) const LISTED_MAX: usize = 16;
/// Longest name, path or type in bytes; of a longer one the beginning is shown.
const SHOWN_MAX: usize = 120;

/// The beginning of a text, which need never be there as a whole.
pub(crate) fn shown(text: impl Display) -> String {
    struct Beginning(String);

    impl Write for Beginning {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let room = SHOWN_MAX - self.0.len();
            self.0.push_str(&text[..text.floor_char_boundary(room)]);
            if text.len() <= room { Ok(()) } else { Err(fmt::Error) }
        }
    }

    let mut beginning = Beginning(String::new());
    if write!(beginning, "{text}").is_err() {
        beginning.0.push('…');
    }
    beginning.0
}

/// The first of some names.
pub(crate) fn listed<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = names.len().saturating_sub(LISTED_MAX);
    let mut list = names.take(LISTED_MAX).map(shown).collect::<Vec<_>>().join(", ");
    if more > 0 {
        let _ = write!(list, " and {more} more");
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_long_is_cut() {
        assert_eq!(shown("x".repeat(SHOWN_MAX)), "x".repeat(SHOWN_MAX));
        assert_eq!(shown(format_args!("a{}b", "ü".repeat(SHOWN_MAX))), format!("a{}…", "ü".repeat(59)));
        assert_eq!(listed(["a", "b"].into_iter()), "a, b");
        assert!(listed(["a"; 20].into_iter()).ends_with("a, a and 4 more"));
    }
}
