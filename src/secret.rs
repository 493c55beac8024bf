//! Text that must not be seen: wiped when dropped, redacted wherever it could be printed.

pub mod file;

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// A secret text, such as an upstream's key.
///
/// It has no `Serialize`; its `Debug` and `Display` print `<redacted>`. A comparison takes the same time
/// whatever the two have in common, but for their lengths.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Takes the text over.
    pub fn new(text: String) -> Self {
        Secret(text)
    }

    /// The text, for the one place that must have it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Secret) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret {}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::new("sk-canary".to_owned());
        assert_eq!(
            format!("{secret} {secret:?} {secret:#?}"),
            "<redacted> <redacted> <redacted>"
        );
        assert_eq!(secret.expose(), "sk-canary");
    }

    #[test]
    fn secrets_are_equal_where_their_texts_are() {
        let secret = |text: &str| Secret::new(text.to_owned());
        assert!(secret("sk-1") == secret("sk-1"));
        assert!(secret("sk-1") != secret("sk-2") && secret("sk-1") != secret("sk-11"));
    }
}
