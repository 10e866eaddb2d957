//! The word that opens the door.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;

use crate::failure::{Failure, Result};

const BYTES: usize = 32;
/// A token from a file has at least this many characters.
const LENGTH_MIN: usize = 16;
const LENGTH_MAX: usize = 256;

/// Printed where it is meant to be, and nowhere else.
pub(super) struct Token(String);

impl Token {
    /// One that nobody can guess.
    pub(super) fn new() -> Result<Token> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes)
            .map_err(|error| Failure::error(format!("serve: make a token: {error}")))?;
        Ok(Token(URL_SAFE_NO_PAD.encode(bytes)))
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// Takes as long whatever the first difference is.
    pub(super) fn is(&self, word: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(word).into()
    }
}

/// From a file that nobody else may read.
pub(super) fn read(path: &Path) -> Result<Token> {
    let whose = path.display();
    let failed = |error: std::io::Error| Failure::io(format!("serve: read {whose}"), &error);
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.mode() & 0o077 != 0 {
        let text = format!("serve: {whose}: other users may read or write it");
        return Err(Failure::error(text).hint(format!("chmod 600 {whose}")));
    }
    let mut text = String::new();
    file.take(LENGTH_MAX as u64 + 2).read_to_string(&mut text).map_err(failed)?;
    let word = text.trim_ascii();
    let is_sound = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    if !(LENGTH_MIN..=LENGTH_MAX).contains(&word.len()) || !word.bytes().all(is_sound) {
        return Err(Failure::error(format!(
            "serve: {whose}: a token has {LENGTH_MIN} to {LENGTH_MAX} letters, digits, or `-_.~`"
        ))
        .hint(format!("(umask 077; head -c 32 /dev/urandom | basenc --base64url > {whose})")));
    }
    Ok(Token(word.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_token_is_itself_only() {
        let (token, other) = (Token::new().unwrap(), Token::new().unwrap());
        assert!(token.is(token.text().as_bytes()) && token.text().len() == 43);
        for wrong in [other.text(), "", &token.text()[1..], &format!("{}x", token.text())] {
            assert!(!token.is(wrong.as_bytes()), "{wrong}");
        }
    }

    #[test]
    fn a_file_that_others_may_read_holds_no_token() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let refusal = |text: &str, mode: u32| {
            std::fs::write(file.path(), text).unwrap();
            std::fs::set_permissions(file.path(), PermissionsExt::from_mode(mode)).unwrap();
            read(file.path()).map(|token| token.0).map_err(|failure| failure.to_string())
        };
        assert_eq!(refusal("0123456789abcdef\n", 0o600), Ok("0123456789abcdef".to_owned()));
        assert!(refusal("0123456789abcdef", 0o640).unwrap_err().contains("chmod 600"));
        for wrong in ["short", "0123456789 abcdef", "0123456789äbcdefg", &"x".repeat(300)] {
            assert!(refusal(wrong, 0o600).unwrap_err().contains("a token has 16 to 256"), "{wrong}");
        }
    }
}
