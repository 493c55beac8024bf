//! What is to come of an exchange: its last section.

use serde_json::Value;

/// What comes of it.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// A charge, and these fields of its receipt.
    Receipt(Vec<(String, String)>),
    /// The answer passes, and nothing is charged.
    Free,
    /// The client gets a refusal with this status and code, and nothing is charged.
    Refused(u16, String),
}

/// How the first line ends where the headers of an answer that is no stream leave before the charge.
pub const LATE: &str = " afterwards";

impl Outcome {
    /// Reads the section. Whether its receipt comes in the headers is the exchange's to know.
    pub fn read(section: &str) -> Outcome {
        let (line, fields) = section.split_once('\n').unwrap_or((section, ""));
        let field = |line: &str| {
            let (name, value) = line.split_once(':').expect("a field");
            (name.to_owned(), value.trim().to_owned())
        };
        let line = line.strip_suffix(LATE).unwrap_or(line);
        match line.split_once(' ') {
            None if line == "receipt" => {
                let fields = fields.lines().filter(|line| !line.is_empty());
                Outcome::Receipt(fields.map(field).collect())
            }
            None if line == "free" => Outcome::Free,
            Some(("refused", rest)) => {
                let (status, code) = rest.split_once(' ').expect("status and code");
                Outcome::Refused(status.parse().expect("a status"), code.trim().to_owned())
            }
            _ => panic!("no outcome: {line}"),
        }
    }

    /// What differs between these fields and a receipt's.
    pub fn compare(&self, receipt: &Value) -> Result<(), String> {
        let Outcome::Receipt(fields) = self else {
            return Err(format!("nothing was to be charged: {receipt}"));
        };
        let no_flags = ("flags".to_owned(), String::new());
        let has_flags = fields.iter().any(|(name, _)| name == "flags");
        for (name, expected) in fields.iter().chain((!has_flags).then_some(&no_flags)) {
            let found = &receipt[name.as_str()];
            let found = match found {
                Value::String(text) => text.clone(),
                Value::Array(items) => {
                    let items = items.iter().filter_map(Value::as_str);
                    items.collect::<Vec<_>>().join(", ")
                }
                Value::Object(members) => sorted(members.iter().map(|(name, value)| {
                    let plain = value.as_str().map(str::to_owned);
                    format!("{name}={}", plain.unwrap_or_else(|| value.to_string()))
                })),
                other => other.to_string(),
            };
            let expected = match name.as_str() {
                "usage" | "pricing" => sorted(expected.split(", ").map(str::to_owned)),
                _ => expected.clone(),
            };
            if found != expected {
                return Err(format!("{name} is {found}, not {expected}: {receipt}"));
            }
        }
        Ok(())
    }
}

fn sorted(items: impl Iterator<Item = String>) -> String {
    let mut items: Vec<String> = items.filter(|item| !item.is_empty()).collect();
    items.sort_unstable();
    items.join(", ")
}
