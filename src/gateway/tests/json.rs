//! JSON as clients write it: members in any order, blanks, escapes.

use super::dice::Dice;

#[derive(Clone, Debug)]
pub enum Json {
    /// As it is written: a number, a word.
    Raw(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(&'static str, Json)>),
}

pub fn raw(value: impl ToString) -> Json {
    Json::Raw(value.to_string())
}

pub fn text(value: impl Into<String>) -> Json {
    Json::Text(value.into())
}

/// An object without the members that are `None`.
pub fn object(members: impl IntoIterator<Item = (&'static str, Option<Json>)>) -> Json {
    let members = members.into_iter();
    Json::Object(
        members
            .filter_map(|(name, value)| Some((name, value?)))
            .collect(),
    )
}

impl Json {
    /// As a body. Most are compact, since what is written otherwise is longer, and so has more room in its hold.
    pub fn written(&self, dice: &mut Dice<'_>) -> String {
        let mut writer = Writer {
            out: String::new(),
            noise: dice.draw() << 1 | 1,
            is_compact: !dice.one_in(3),
        };
        writer.value(self);
        writer.out
    }
}

struct Writer {
    out: String,
    noise: u64,
    is_compact: bool,
}

impl Writer {
    fn value(&mut self, json: &Json) {
        self.blank();
        match json {
            Json::Raw(written) => self.out.push_str(written),
            Json::Text(text) => self.string(text),
            Json::List(items) => {
                self.out.push('[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        self.out.push(',');
                    }
                    self.value(item);
                }
                self.out.push(']');
            }
            Json::Object(members) => self.object(members),
        }
        self.blank();
    }

    fn object(&mut self, members: &[(&'static str, Json)]) {
        let mut order: Vec<usize> = (0..members.len()).collect();
        for last in (1..order.len()).rev() {
            let other = self.roll(last as u64 + 1);
            order.swap(last, usize::try_from(other).expect("an index"));
        }
        self.out.push('{');
        for (at, index) in order.into_iter().enumerate() {
            if at > 0 {
                self.out.push(',');
            }
            let (name, value) = &members[index];
            self.blank();
            self.string(name);
            self.blank();
            self.out.push(':');
            self.value(value);
        }
        self.out.push('}');
    }

    fn string(&mut self, text: &str) {
        self.out.push('"');
        for letter in text.chars() {
            if matches!(letter, '"' | '\\') {
                self.out.push('\\');
                self.out.push(letter);
            } else if letter.is_control() || (!self.is_compact && self.roll(8) == 0) {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    self.out.push_str(&format!("\\u{unit:04x}"));
                }
            } else {
                self.out.push(letter);
            }
        }
        self.out.push('"');
    }

    fn blank(&mut self) {
        if !self.is_compact {
            let blank = [" ", "", "\n", "\t", ""][usize::try_from(self.roll(5)).expect("below 5")];
            self.out.push_str(blank);
        }
    }

    /// The next of a sequence that goes on from one draw.
    fn roll(&mut self, end: u64) -> u64 {
        self.noise = self
            .noise
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.noise >> 33) % end
    }
}
