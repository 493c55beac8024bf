//! The published list, read from its own text.

use tollgate::clock::UnixMs;
use tollgate::config::{Category, Words as _};

/// The two tables and what their headings say.
pub struct List {
    pub chat: Vec<ChatRow>,
    pub image: Vec<ImageRow>,
    /// When chat is charged from: the first instant of that day in Shanghai.
    pub chat_from: UnixMs,
    pub image_from: UnixMs,
    /// Free tokens over all chat models.
    pub chat_free: u64,
}

/// A row of the first table.
pub struct ChatRow {
    pub model: String,
    pub input: String,
    pub output: String,
    /// Tokens that the prices are for.
    pub per: i64,
}

/// A row of the second table.
pub struct ImageRow {
    pub name: String,
    pub id: String,
    pub price: String,
    pub category: Category,
    pub free: u64,
}

impl List {
    pub fn read() -> Self {
        let text = include_str!("../data/price_list.md");
        let chat = text.find("## Chat models").expect("the first heading");
        let image = text.find("## Image models").expect("the second heading");
        let (chat, image) = (&text[chat..image], &text[image..]);
        List {
            chat: rows(chat).map(chat_row).collect(),
            image: rows(image).map(image_row).collect(),
            chat_from: charged_from(chat),
            image_from: charged_from(image),
            chat_free: after(chat, "Free quota: ")
                .replace(',', "")
                .parse()
                .expect("a count"),
        }
    }

    pub fn ids(&self) -> impl Iterator<Item = &str> {
        let chat = self.chat.iter().map(|row| row.model.as_str());
        chat.chain(self.image.iter().map(|row| row.id.as_str()))
    }
}

impl ChatRow {
    /// Nano units of one input token.
    pub fn input_nano(&self) -> i64 {
        nano(&self.input, self.per)
    }

    /// Nano units of one output token.
    pub fn output_nano(&self) -> i64 {
        nano(&self.output, self.per)
    }
}

impl ImageRow {
    /// Nano units of one image.
    pub fn price_nano(&self) -> i64 {
        nano(&self.price, 1)
    }
}

/// A printed price of `per` units, in nano units of one; every price of the list is whole in them.
fn nano(price: &str, per: i64) -> i64 {
    let (whole, fraction) = price.split_once('.').unwrap_or((price, ""));
    let digits: i64 = format!("{whole}{fraction:0<9}").parse().expect("digits");
    assert_eq!(digits % per, 0, "{price} per {per}");
    digits / per
}

/// The cells of a table's rows, without its head and the line below it.
fn rows(section: &str) -> impl Iterator<Item = Vec<&str>> {
    let lines = section.lines().filter(|line| line.starts_with('|')).skip(2);
    lines.map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
}

fn chat_row(cells: Vec<&str>) -> ChatRow {
    let [model, input, output, per] = cells[..] else {
        panic!("four cells: {cells:?}")
    };
    let per = per.trim_matches('*');
    ChatRow {
        model: model.to_owned(),
        input: input.to_owned(),
        output: output.to_owned(),
        per: match per.split(',').next() {
            Some("1M tokens") => 1_000_000,
            Some("1K tokens") => 1_000,
            _ => panic!("no unit: {per}"),
        },
    }
}

fn image_row(cells: Vec<&str>) -> ImageRow {
    let [name, id, price, category, free] = cells[..] else {
        panic!("five cells: {cells:?}")
    };
    let category = category
        .split(" (")
        .next()
        .unwrap_or(category)
        .replace(' ', "-");
    ImageRow {
        name: name.to_owned(),
        id: id.to_owned(),
        price: price.to_owned(),
        category: Category::of(&category).expect("a category"),
        free: free.parse().expect("a count"),
    }
}

/// The word after some text of a heading.
fn after<'a>(section: &'a str, text: &str) -> &'a str {
    let (_, rest) = section.split_once(text).expect(text);
    rest.split([' ', '\n'])
        .next()
        .unwrap_or(rest)
        .trim_end_matches(['.', ','])
}

fn charged_from(section: &str) -> UnixMs {
    let day: jiff::civil::Date = after(section, "charged from ").parse().expect("a day");
    let midnight = day.in_tz("Asia/Shanghai").expect("a time zone");
    UnixMs(midnight.timestamp().as_millisecond())
}
