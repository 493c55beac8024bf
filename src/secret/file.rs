//! Secrets that stand in a file of their own, as container platforms and systemd hand them out.

use std::path::{Path, PathBuf};

use super::Secret;
use crate::file::{self, ReadError};

/// What begins a text that names a file instead of being the secret itself.
const SCHEME: &str = "file:";
/// No secret is larger; what is was likely named by mistake.
const BYTES_MAX: usize = 64 * 1024;

/// Why a file holds no secret. No message shows its content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// It is not there, or not for this user. The reason is the operating system's.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// It is a pipe, a device or a folder.
    #[error("is no regular file (a pipe, a device or a folder); write the secret into one")]
    Irregular,
    /// It holds nothing but line ends.
    #[error("is empty; write the secret into it")]
    Empty,
    /// It is not text.
    #[error("is not UTF-8 text; a secret is")]
    NotText,
    /// It is larger than any secret.
    #[error("is larger than 64 KiB; a secret is one short text")]
    TooLarge,
}

/// The file that `text` names, if it does (`file:/run/secrets/openai`). A relative one begins at `folder`.
pub fn named(text: &str, folder: &Path) -> Option<PathBuf> {
    text.strip_prefix(SCHEME).map(|path| folder.join(path))
}

/// The secret in a file: its content without the line ends after it.
///
/// # Errors
/// If the file cannot be read, is no regular file, is empty, is not UTF-8, or is larger than 64 KiB.
pub fn read(path: &Path) -> Result<Secret, FileError> {
    let bytes = file::read(path, BYTES_MAX).map_err(|error| match error {
        ReadError::Io(error) => FileError::Unreadable(error.to_string()),
        ReadError::Irregular => FileError::Irregular,
        ReadError::TooLarge(_) => FileError::TooLarge,
    })?;
    let text = std::str::from_utf8(&bytes).map_err(|_| FileError::NotText)?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(FileError::Empty),
        secret => Ok(Secret::new(secret.to_owned())),
    }
}

/// The secret that a text is, or that is in the file that it names.
///
/// # Errors
/// The file and what is wrong with it.
pub fn resolve(text: String, folder: &Path) -> Result<Secret, (PathBuf, FileError)> {
    match named(&text, folder) {
        None => Ok(Secret::new(text)),
        Some(path) => read(&path).map_err(|error| (path, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read from a file with this content.
    fn holding(name: &str, content: &[u8]) -> Result<String, FileError> {
        let path = std::env::temp_dir().join(format!("tollgate-{}-{name}", std::process::id()));
        std::fs::write(&path, content).expect("a file");
        let secret = read(&path);
        std::fs::remove_file(&path).expect("it was there");
        secret.map(|secret| secret.expose().to_owned())
    }

    #[test]
    fn a_secret_is_its_files_content_without_the_last_line_ends() {
        for content in ["sk-1", "sk-1\n", "sk-1\r\n", "sk-1\n\n"] {
            assert_eq!(holding("plain", content.as_bytes()), Ok("sk-1".to_owned()));
        }
    }

    #[test]
    fn a_file_that_holds_no_secret_is_refused_with_the_reason() {
        assert_eq!(holding("empty", b"\r\n"), Err(FileError::Empty));
        assert_eq!(holding("binary", b"sk-\xff"), Err(FileError::NotText));
        let full = vec![b'x'; BYTES_MAX];
        assert!(holding("full", &full).is_ok());
        let large = vec![b'x'; BYTES_MAX + 1];
        assert_eq!(holding("large", &large), Err(FileError::TooLarge));
        assert_eq!(
            read(Path::new("/dev/null")).err(),
            Some(FileError::Irregular)
        );
        let missing = read(Path::new("/nowhere/secret")).expect_err("no file");
        assert!(missing.to_string().contains("No such file"), "{missing}");
    }

    #[test]
    fn only_a_text_that_begins_with_file_names_one() {
        let folder = Path::new("/etc/tollgate");
        let path = |text| named(text, folder).map(|path| path.display().to_string());
        assert_eq!(
            path("file:/run/secrets/a").as_deref(),
            Some("/run/secrets/a")
        );
        assert_eq!(path("file:a").as_deref(), Some("/etc/tollgate/a"));
        assert_eq!(path("sk-file:a"), None);
    }
}
