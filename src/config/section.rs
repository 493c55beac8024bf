//! Reading a map: fields by name, defaults for absent ones, and a word on unknown ones.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::error::Problem;
use super::read::{Field, Notes};
use super::text::{did_you_mean, nearest};
use super::words::Words;

/// A map whose fields are read by name; what was never asked for is unknown.
pub(super) struct Section<'a> {
    pub notes: &'a Notes<'a>,
    pub path: String,
    pub line: u32,
    fields: BTreeMap<&'a str, Field<'a>>,
    known: RefCell<Vec<&'static str>>,
}

impl<'a> Field<'a> {
    /// The value as a map whose fields are known.
    pub fn section(&self) -> Section<'a> {
        Section {
            notes: self.notes,
            path: self.path.clone(),
            line: self.line,
            fields: self.entries().into_iter().collect(),
            known: RefCell::default(),
        }
    }
}

impl<'a> Section<'a> {
    /// A section that the file does not have: every field is absent.
    pub fn absent(notes: &'a Notes<'a>, path: &str) -> Self {
        Section {
            notes,
            path: path.to_owned(),
            line: 0,
            fields: BTreeMap::new(),
            known: RefCell::default(),
        }
    }

    /// The field with this name, if the file has it.
    pub fn get(&self, name: &'static str) -> Option<Field<'a>> {
        self.known.borrow_mut().push(name);
        self.fields.get(name).cloned()
    }

    /// The field with this name, which has a meaning only where the section's `kind` is `owner`.
    pub fn of_kind<W: Words>(&self, name: &'static str, kind: W, owner: W) -> Option<Field<'a>> {
        let field = self.get(name)?;
        if kind == owner {
            return Some(field);
        }
        let (kind, owner) = (kind.name(), owner.name());
        field.problem(format!(
            "belongs to `kind: {owner}`, but the kind here is {kind}; write `kind: {owner}`, or remove the field"
        ))
    }

    /// The field with this name, which must be there.
    pub fn need(&self, name: &'static str, example: &str) -> Option<Field<'a>> {
        let found = self.get(name);
        if found.is_none() {
            self.problem(format!(
                "has no `{name}`; write one, such as `{name}: {example}`"
            ));
        }
        found
    }

    /// Notes what is wrong with the section.
    pub fn problem(&self, message: impl Into<String>) {
        self.notes.problems.borrow_mut().push(Problem {
            file: self.notes.file.to_owned(),
            line: self.line,
            field: self.path.clone(),
            message: message.into(),
        });
    }

    /// A whole number within bounds, or the default.
    pub fn integer(&self, name: &'static str, default: u64, least: u64, most: u64) -> u64 {
        self.get(name)
            .and_then(|field| field.integer(least, most))
            .unwrap_or(default)
    }

    /// A number of bytes, or the default.
    pub fn size(&self, name: &'static str, default: u64) -> u64 {
        self.get(name)
            .and_then(|field| field.size(1024, 1 << 40))
            .unwrap_or(default)
    }

    /// A word, or the default.
    pub fn word<W: Words>(&self, name: &'static str, default: W) -> W {
        self.get(name)
            .and_then(|field| field.word())
            .unwrap_or(default)
    }

    /// Notes every field that was never asked for.
    pub fn finish(&self) {
        let known = self.known.borrow();
        for (name, field) in &self.fields {
            if !known.contains(name) {
                let likely = did_you_mean(nearest(name, known.iter().copied()));
                let mut all = known.clone();
                all.sort_unstable();
                let likely = if likely.is_empty() {
                    format!("; known here: {}", all.join(", "))
                } else {
                    likely
                };
                field.problem::<()>(format!("is no known field{likely}"));
            }
        }
    }
}
