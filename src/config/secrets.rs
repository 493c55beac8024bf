//! Reading a secret: from the text itself, from the environment, or from a file that the text names.

use std::path::{Path, PathBuf};

use super::read::{Field, is_missing};
use super::text::{self, Filled};
use super::{Missing, Owner};
use crate::secret::Secret;
use crate::secret::file::{self, FileError};

impl Field<'_> {
    /// A secret; `None` and a note in [`Notes::missing`](super::read::Notes::missing) where its variable is not set
    /// or its file cannot be read.
    pub fn secret(&self, owner: Owner) -> Option<Secret> {
        let text = match text::fill(self.raw()?, self.notes.env) {
            Filled::Whole(text) => Secret::new(text),
            Filled::Malformed(message) => return self.problem(message),
            Filled::Missing(variable) => {
                let message = is_missing(&variable);
                return self.missing(variable, owner, message);
            }
        };
        let Some(path) = file::named(text.expose(), self.folder()) else {
            return self.printable(text, "");
        };
        self.notes.files.borrow_mut().insert(path.clone());
        let shown = format!("the file {}", path.display());
        match file::read(&path) {
            Ok(secret) => self.printable(secret, &format!("{shown} ")),
            Err(error @ FileError::Unreadable(_)) => {
                let message = format!("{shown} {error}; write the secret into it");
                self.missing(path.display().to_string(), owner, message)
            }
            Err(error) => self.problem(format!("{shown} {error}")),
        }
    }

    /// A secret that goes into a header.
    pub fn header_secret(&self, owner: Owner) -> Option<Secret> {
        let secret = self.secret(owner)?;
        match secret.expose().is_ascii() {
            true => Some(secret),
            false => self.problem("has a character that is not ASCII, which no header can carry"),
        }
    }

    /// A file beside this one; it counts as one that was read.
    pub fn path(&self) -> Option<PathBuf> {
        let path = self.folder().join(self.text()?);
        self.notes.files.borrow_mut().insert(path.clone());
        Some(path)
    }

    /// Where relative paths of files that belong to the config begin: the folder of the config.
    fn folder(&self) -> &Path {
        Path::new(self.notes.file).parent().unwrap_or(Path::new(""))
    }

    fn printable(&self, secret: Secret, whose: &str) -> Option<Secret> {
        let text = secret.expose();
        if text.is_empty() || text.trim() != text || text.chars().any(char::is_control) {
            return self.problem(format!(
                "{whose}must be printable characters, with no space at either end"
            ));
        }
        Some(secret)
    }

    fn missing<T>(&self, what: String, owner: Owner, message: String) -> Option<T> {
        let problem = self.at()(message);
        self.notes.missing.borrow_mut().push(Missing {
            what,
            owner,
            problem,
        });
        None
    }
}
