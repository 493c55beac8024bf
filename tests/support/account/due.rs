//! What is due for what the upstream says that it sent, and what the ledger says of it.

use std::sync::OnceLock;

use serde_json::Value;

use super::super::crowd::money;
use super::super::prices::{self, IMAGE};

/// The load generator's prompt, which is the same in all its chats.
const PROMPT_BYTES: usize = 256;
const PROMPT: &str = "The quick brown fox jumps over the lazy dog. ";

/// What a request comes to: by the upstream's account, or by the ledger's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    pub counted: String,
    pub input: i64,
    pub output: i64,
    pub images: i64,
    /// In nano units.
    pub priced: i64,
}

pub fn count(value: &Value, field: &str) -> i64 {
    value[field]
        .as_i64()
        .unwrap_or_else(|| panic!("no {field} in {value}"))
}

/// What has to be booked; `None` for nothing at all. Of a killed process the upstream may say that it left.
pub fn due(record: Option<&Value>, may_be_lost: bool) -> Result<Option<Item>, String> {
    let Some(record) = record else {
        return Ok(None);
    };
    let chat = |counted: &str, input: i64, output: i64| Item {
        counted: counted.to_owned(),
        input,
        output,
        images: 0,
        priced: prices::chat(input, output),
    };
    let (images, sent) = (
        count(record, "images"),
        count(record, "completion_tokens_sent"),
    );
    let due = match record["outcome"].as_str().expect("an outcome") {
        "complete" if images > 0 => Item {
            counted: "exact".to_owned(),
            input: 0,
            output: 0,
            images,
            priced: images * IMAGE,
        },
        "complete" if record["had_usage"] == true => {
            let tokens = |field| count(record, field);
            chat(
                "exact",
                tokens("prompt_tokens"),
                tokens("completion_tokens"),
            )
        }
        // Nobody told: the prompt was counted here, and the answer, whose words are a token each.
        "complete" => chat("estimated", prompt_tokens(), sent),
        "cut" if sent > 0 => chat("partial", prompt_tokens(), sent),
        "cut" | "error" => return Ok(None),
        "client_gone" if may_be_lost => return Ok(None),
        other => return Err(format!("{other} cannot be under `drain`: {record}")),
    };
    Ok(Some(due))
}

impl Item {
    /// What a receipt says; its money must add up.
    pub fn booked(receipt: &Value) -> Result<Item, String> {
        let meter = |name: &str| receipt["usage"][name].as_i64().unwrap_or(0);
        let priced = money(receipt, "priced");
        if priced != money(receipt, "cost") + money(receipt, "shortfall") {
            return Err(format!("a receipt that does not add up: {receipt}"));
        }
        Ok(Item {
            counted: receipt["counted"].as_str().expect("a word").to_owned(),
            input: meter("input"),
            output: meter("output"),
            images: meter("images"),
            priced,
        })
    }
}

/// The prompt as OpenAI's format frames it: 3 and the role's and text's tokens for the message, and 3.
fn prompt_tokens() -> i64 {
    static TOKENS: OnceLock<i64> = OnceLock::new();
    *TOKENS.get_or_init(|| {
        let mut prompt = PROMPT.repeat(PROMPT_BYTES / PROMPT.len() + 1);
        prompt.truncate(PROMPT_BYTES);
        let vocabulary = tiktoken_rs::o200k_base_singleton();
        let tokens = |text: &str| vocabulary.encode_ordinary(text).len() as i64;
        3 + 3 + tokens("user") + tokens(&prompt)
    })
}
