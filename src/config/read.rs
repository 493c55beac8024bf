//! Reading a tree field by field: whatever is wrong is noted with its line and path, and reading goes on.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::PathBuf;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rust_decimal::Decimal;

use super::Missing;
use super::error::Problem;
use super::text::{self, Filled, did_you_mean, nearest};
use super::tree::{Node, Value};
use super::words::Words;
use crate::clock::UnixMs;
use crate::money::{Factor, Nano};

/// Amounts stay below 2^53, where stores that compute in doubles are exact.
pub(super) const AMOUNT_MAX: u64 = (1 << 53) - 1;

/// What reading has found so far.
pub(super) struct Notes<'a> {
    pub file: &'a str,
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Where days begin; UTC until the file has said.
    pub timezone: RefCell<TimeZone>,
    pub problems: RefCell<Vec<Problem>>,
    pub warnings: RefCell<Vec<Problem>>,
    pub missing: RefCell<Vec<Missing>>,
    /// Every other file that was read, or was to be.
    pub files: RefCell<BTreeSet<PathBuf>>,
}

/// A value and the path to it.
#[derive(Clone)]
pub(super) struct Field<'a> {
    pub notes: &'a Notes<'a>,
    pub path: String,
    pub line: u32,
    node: &'a Node,
}

impl<'a> Field<'a> {
    /// The whole file.
    pub fn root(notes: &'a Notes<'a>, node: &'a Node) -> Self {
        Field {
            notes,
            path: String::new(),
            line: node.line,
            node,
        }
    }

    /// A problem here, from its message.
    pub fn at(&self) -> impl Fn(String) -> Problem {
        |message| Problem {
            file: self.notes.file.to_owned(),
            line: self.line,
            field: self.path.clone(),
            message,
        }
    }

    /// Notes what is wrong here; always `None`, to be returned.
    pub fn problem<T>(&self, message: impl Into<String>) -> Option<T> {
        self.notes
            .problems
            .borrow_mut()
            .push(self.at()(message.into()));
        None
    }

    /// Notes what looks unwise here.
    pub fn warn(&self, message: impl Into<String>) {
        self.notes
            .warnings
            .borrow_mut()
            .push(self.at()(message.into()));
    }

    /// The text as it is written, variables not put in.
    pub fn raw(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::Text(text) => Some(text),
            Value::Null => self.problem("is empty; write a value or remove the field"),
            Value::List(_) => self.problem("is a list; one value is expected here"),
            Value::Map(_) => self.problem("is a map; one value is expected here"),
        }
    }

    /// The text, variables put in.
    pub fn text(&self) -> Option<String> {
        match text::fill(self.raw()?, self.notes.env) {
            Filled::Whole(text) => Some(text),
            Filled::Missing(variable) => self.problem(is_missing(&variable)),
            Filled::Malformed(message) => self.problem(message),
        }
    }

    /// What `read` makes of the text; its error is noted after the text *as written*, which shows no variable's value.
    pub fn read<T>(&self, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let text = self.text()?;
        match read(&text) {
            Ok(value) => Some(value),
            Err(message) => self.problem(format!("\"{}\" {message}", self.raw()?)),
        }
    }

    /// One of the words of `W`.
    pub fn word<W: Words>(&self) -> Option<W> {
        self.read(|text| {
            W::of(text).ok_or_else(|| {
                let words = || W::WORDS.iter().map(|(word, _)| *word);
                let all = words().collect::<Vec<_>>().join(", ");
                format!(
                    "is not one of: {all}{}",
                    did_you_mean(nearest(text, words()))
                )
            })
        })
    }

    /// A whole number within bounds.
    pub fn integer(&self, least: u64, most: u64) -> Option<u64> {
        self.read(|text| within(text::whole(text, false), least, most, ""))
    }

    /// A number of bytes, such as `65536` or `64 KiB`.
    pub fn size(&self, least: u64, most: u64) -> Option<u64> {
        self.read(|text| {
            within(
                text::whole(text, true),
                least,
                most,
                ", such as 65536 or 64 KiB",
            )
        })
    }

    /// `true` or `false`.
    pub fn flag(&self) -> Option<bool> {
        self.read(|text| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("is neither true nor false".to_owned()),
        })
    }

    /// A decimal of 0 or more.
    pub fn decimal(&self) -> Option<Decimal> {
        self.read(text::decimal)
    }

    /// What prices are multiplied by.
    pub fn factor(&self) -> Option<Factor> {
        self.read(|text| {
            text::decimal(text)?;
            text.parse().map_err(|_| {
                "is no factor: 0 to 1000, with at most 4 digits after the point".to_owned()
            })
        })
    }

    /// An amount of money of 0 or more, below 2^53 nano.
    pub fn money(&self) -> Option<Nano> {
        self.read(|text| {
            text::decimal(text)?;
            let nano: Nano = text.parse().map_err(|error: crate::money::MoneyError| {
                let message = error.to_string();
                message
                    .split_once("` ")
                    .map_or(message.clone(), |(_, what)| what.to_owned())
            })?;
            match u64::try_from(nano.get()) {
                Ok(amount) if amount <= AMOUNT_MAX => Ok(nano),
                _ => Err(format!("is too large; the most is {}", Nano::new(1 << 53))),
            }
        })
    }

    /// An amount of money of more than 0, in nano units.
    pub fn positive_money(&self) -> Option<u64> {
        let amount = self.money()?;
        match u64::try_from(amount.get()) {
            Ok(nano) if nano > 0 => Some(nano),
            _ => self.problem("is 0; it must be more, or be removed"),
        }
    }

    /// A point in time with an offset.
    pub fn time(&self) -> Option<UnixMs> {
        self.read(|text| {
            text.parse::<Timestamp>()
                .map(|time| UnixMs(time.as_millisecond()))
                .map_err(|_| {
                    let wrong =
                        "is not a point in time with an offset, such as 2025-03-31T00:00:00+08:00";
                    match self.likely_time(text) {
                        Some(likely) => format!("{wrong}; did you mean {likely}?"),
                        None => wrong.to_owned(),
                    }
                })
        })
    }

    /// The time without its offset, read in the server's time zone.
    fn likely_time(&self, text: &str) -> Option<String> {
        let local: jiff::civil::DateTime = text.parse().ok()?;
        let zoned = local.to_zoned(self.notes.timezone.borrow().clone()).ok()?;
        Some(zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string())
    }

    /// A short name of a thing.
    pub fn name(&self) -> Option<String> {
        self.read(|text| match text::is_name(text) {
            true => Ok(text.to_owned()),
            false => Err("is no name: 1 to 64 of the characters A-Z a-z 0-9 _ . : -".to_owned()),
        })
    }

    /// The items of a list.
    pub fn list(&self) -> Vec<Field<'a>> {
        let Value::List(items) = &self.node.value else {
            self.problem::<()>("is not a list; write its items as `- ...`, or in [ ]");
            return Vec::new();
        };
        let item = |(index, node): (usize, &'a Node)| Field {
            notes: self.notes,
            path: format!("{}[{index}]", self.path),
            line: node.line,
            node,
        };
        items.iter().enumerate().map(item).collect()
    }

    /// Whether this is a list.
    pub fn is_list(&self) -> bool {
        matches!(self.node.value, Value::List(_))
    }

    /// Whether this is a map.
    pub fn is_map(&self) -> bool {
        matches!(self.node.value, Value::Map(_))
    }

    /// The fields of a map, with their names.
    pub fn entries(&self) -> Vec<(&'a str, Field<'a>)> {
        let Value::Map(entries) = &self.node.value else {
            self.problem::<()>("is not a map of fields; write `name: value` lines below it");
            return Vec::new();
        };
        let dot = if self.path.is_empty() { "" } else { "." };
        let field = |entry: &'a super::tree::Entry| {
            let path = format!("{}{dot}{}", self.path, entry.name);
            let field = Field {
                notes: self.notes,
                path,
                line: entry.line,
                node: &entry.node,
            };
            (entry.name.as_str(), field)
        };
        entries.iter().map(field).collect()
    }
}

/// What is said of a variable that is not set.
pub(super) fn is_missing(variable: &str) -> String {
    format!(
        "the environment variable {variable} is not set; set it, or write ${{{variable}:-default}}"
    )
}

fn within(number: Option<u64>, least: u64, most: u64, example: &str) -> Result<u64, String> {
    let wrong = || format!("is not a whole number from {least} to {most}{example}");
    number
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(wrong)
}
