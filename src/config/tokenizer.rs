//! The `tokenizer` of a model: one of those that are built in, or a file.

use super::read::Field;
use super::section::Section;
use crate::vocabulary::disk::Disk;
use crate::vocabulary::{Encoding, Vocabulary};

/// What the model's tokens are counted with. Without a word on it, the model's name decides.
pub(super) fn vocabulary(section: &Section<'_>, model: &str) -> Vocabulary {
    let by_name = || Vocabulary::Encoding(Encoding::of_model(model));
    let Some(field) = section.get("tokenizer") else {
        return by_name();
    };
    let read = match field.is_map() {
        true => from_disk(&field),
        false => field.word().map(Vocabulary::Encoding),
    };
    read.unwrap_or_else(by_name)
}

fn from_disk(field: &Field<'_>) -> Option<Vocabulary> {
    let section = field.section();
    let file = section.need("file", "/etc/tollgate/qwen3/tokenizer.json");
    section.finish();
    let file = file?;
    let path = file.path()?;
    match Disk::load(&path) {
        Ok(disk) => Some(Vocabulary::Disk(disk)),
        Err(message) => file.problem(format!("the file {} {message}", path.display())),
    }
}
