//! What is wrong with a config, where, and what was likely meant.

use std::fmt;
use std::path::PathBuf;

/// One problem: `file:line: field: what is wrong; likely intent`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// The line, from 1; 0 where no line is to blame.
    pub line: u32,
    /// The field, such as `models[2].prices[0].input`; empty where no field is to blame.
    pub field: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        if self.line > 0 {
            write!(f, "{}:", self.line)?;
        }
        if !self.field.is_empty() {
            write!(f, " {}:", self.field)?;
        }
        write!(f, " {}", self.message)
    }
}

/// Why a config is refused: every problem that was found, by line. One a line when displayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<Problem>,
    files: Vec<PathBuf>,
}

impl ConfigError {
    /// Every problem, by line; never empty.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The files that were read, or that the config names: when one changes, reading again may help.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The same error, of these files too.
    pub(super) fn of_files(mut self, files: impl IntoIterator<Item = PathBuf>) -> Self {
        self.files.extend(files);
        self
    }

    /// An error if there is a problem.
    ///
    /// # Errors
    /// The problems, sorted by line.
    pub fn unless_empty(mut problems: Vec<Problem>) -> Result<(), ConfigError> {
        if problems.is_empty() {
            return Ok(());
        }
        problems.sort_by_key(|problem| problem.line);
        Err(ConfigError {
            problems,
            files: Vec::new(),
        })
    }

    /// The error of one problem.
    pub fn of(problem: Problem) -> Self {
        ConfigError {
            problems: vec![problem],
            files: Vec::new(),
        }
    }

    /// The error of a file as a whole.
    pub(super) fn of_file(file: &str, message: String) -> Self {
        ConfigError::of(Problem {
            file: file.to_owned(),
            line: 0,
            field: String::new(),
            message,
        })
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let newline = if index > 0 { "\n" } else { "" };
            write!(f, "{newline}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
