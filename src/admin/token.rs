//! The admin token: what a caller of the management API must show.

use std::path::Path;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::secret::Secret;
use crate::secret::file::{self, FileError};

/// The environment variable that holds it, or names its file as `file:/run/secrets/admin`.
pub const TOKEN_ENV: &str = "TOLLGATE_ADMIN_TOKEN";

/// The fewest characters of a token.
pub const TOKEN_CHARS_MIN: usize = 16;

/// A token that is strong enough to be used. Only its hash is kept.
#[derive(Clone)]
pub struct AdminToken([u8; 32]);

/// Why a text is no admin token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// There is none.
    #[error("no admin token: set {TOKEN_ENV}, for example to the output of `openssl rand -hex 32`")]
    Missing,
    /// It could be guessed.
    #[error(
        "{TOKEN_ENV} has {0} characters and must have at least {TOKEN_CHARS_MIN}: \
         set it, for example, to the output of `openssl rand -hex 32`"
    )]
    Short(usize),
    /// It cannot be sent in a header.
    #[error(
        "{TOKEN_ENV} has a blank or a character that is not printable ASCII: a header cannot carry it"
    )]
    Unprintable,
    /// Its file holds none.
    #[error("the admin token: the file {0}, which {TOKEN_ENV} names, {1}")]
    File(String, FileError),
}

/// The token's text as the environment has it, by itself or in a file; empty where it is not set. A relative
/// file begins where the process was started.
///
/// # Errors
/// If there is no token in the file.
pub fn of_environment() -> Result<Secret, TokenError> {
    let text = std::env::var(TOKEN_ENV).unwrap_or_default();
    file::resolve(text, Path::new(""))
        .map_err(|(path, error)| TokenError::File(path.display().to_string(), error))
}

impl AdminToken {
    /// Accepts a token of at least [`TOKEN_CHARS_MIN`] printable ASCII characters.
    pub fn new(text: &str) -> Result<Self, TokenError> {
        if text.is_empty() {
            return Err(TokenError::Missing);
        }
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(TokenError::Unprintable);
        }
        if text.len() < TOKEN_CHARS_MIN {
            return Err(TokenError::Short(text.len()));
        }
        Ok(AdminToken(Sha256::digest(text).into()))
    }

    /// Whether `shown` is the token. Takes the same time whatever `shown` has in common with it.
    pub fn is(&self, shown: &[u8]) -> bool {
        let shown: [u8; 32] = Sha256::digest(shown).into();
        self.0.ct_eq(&shown).into()
    }
}

impl std::fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AdminToken(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_tokens_are_refused_with_the_reason() {
        assert_eq!(AdminToken::new("").err(), Some(TokenError::Missing));
        assert_eq!(
            AdminToken::new("fifteen-chars-x").err(),
            Some(TokenError::Short(15))
        );
        assert_eq!(
            AdminToken::new("sixteen chars and a blank").err(),
            Some(TokenError::Unprintable)
        );
        assert!(AdminToken::new("sixteen-chars-xx").is_ok());
    }

    #[test]
    fn only_the_whole_token_matches() {
        let token = AdminToken::new("sixteen-chars-xx").expect("strong enough");
        assert!(token.is(b"sixteen-chars-xx"));
        for wrong in [
            &b""[..],
            b"sixteen-chars-x",
            b"sixteen-chars-xx ",
            b"Sixteen-chars-xx",
        ] {
            assert!(!token.is(wrong));
        }
    }
}
