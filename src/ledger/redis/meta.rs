//! What a store is: its schema, its currency, and the secret that its key digests are keyed with.

use std::collections::HashMap;
use std::fmt;

use zeroize::Zeroize;

use super::error::OpenError;
use super::link::Link;
use super::link::text::{integer, list, text};
use crate::clock::UnixMs;

/// The layout of keys and values that this program writes.
pub const SCHEMA: u32 = 1;

/// What a store is.
#[derive(Clone)]
pub struct Meta {
    /// The currency of all its amounts.
    pub currency: String,
    /// When it was made, by the clock of Redis.
    pub opened_at: UnixMs,
    pepper: [u8; 32],
}

impl Meta {
    /// What key digests are keyed with. Never to be shown.
    pub fn pepper(&self) -> &[u8; 32] {
        &self.pepper
    }
}

impl Drop for Meta {
    fn drop(&mut self) {
        self.pepper.zeroize();
    }
}

impl fmt::Debug for Meta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meta")
            .field("currency", &self.currency)
            .field("opened_at", &self.opened_at)
            .finish_non_exhaustive()
    }
}

/// Opens the store under the link's prefix, making it where nothing is there. Of two that make it at once, both get
/// what the first of them wrote.
///
/// # Errors
/// If it keeps another currency, is of a newer schema or damaged, or if Redis fails.
pub async fn open(link: &Link, currency: &str) -> Result<Meta, OpenError> {
    let key = format!("{}:meta", link.options().prefix);
    let found = read(link, &key).await?;
    // Nothing is written into a store that another version of the program understands better.
    fit(link, &key, &found, currency)?;
    // It is written last: where it stands, the others must.
    if found.contains_key("schema") {
        return whole(&key, &found);
    }
    create(link, &key, currency).await?;
    let found = read(link, &key).await?;
    fit(link, &key, &found, currency)?;
    whole(&key, &found)
}

async fn create(link: &Link, key: &str, currency: &str) -> Result<(), OpenError> {
    let mut pepper = [0; 32];
    getrandom::fill(&mut pepper).map_err(|error| OpenError::Randomness(error.to_string()))?;
    let time = redis::cmd("TIME");
    let now = list(link.batch(vec![time]).await?.swap_remove(0));
    let part = |at: usize| now.get(at).and_then(integer).unwrap_or_default();
    let now = part(0)
        .saturating_mul(1_000)
        .saturating_add(part(1) / 1_000);
    let field = |name: &str, value: &str| {
        let mut command = redis::cmd("HSETNX");
        command.arg(key).arg(name).arg(value);
        command
    };
    let commands = vec![
        field("pepper", &hex(&pepper)),
        field("currency", currency),
        field("opened_at", &now.to_string()),
        field("schema", &SCHEMA.to_string()),
    ];
    pepper.zeroize();
    link.batch(commands).await?;
    Ok(())
}

async fn read(link: &Link, key: &str) -> Result<HashMap<String, String>, OpenError> {
    let mut command = redis::cmd("HGETALL");
    command.arg(key);
    let answer = link.batch(vec![command]).await?.swap_remove(0);
    let items: Vec<String> = list(answer)
        .iter()
        .map(|item| text(item).unwrap_or_default())
        .collect();
    let pairs = items.chunks_exact(2);
    Ok(pairs
        .map(|pair| (pair[0].clone(), pair[1].clone()))
        .collect())
}

/// Whether what is there already is for this program and this config.
fn fit(
    link: &Link,
    key: &str,
    found: &HashMap<String, String>,
    currency: &str,
) -> Result<(), OpenError> {
    let place = || format!("{}, key {key}", link.options().place());
    if let Some(schema) = found.get("schema") {
        let known: u32 = schema.parse().map_err(|_| damaged(key, "schema"))?;
        if known > SCHEMA {
            return Err(OpenError::Schema {
                place: place(),
                found: schema.clone(),
                known: SCHEMA,
            });
        }
    }
    match found.get("currency") {
        Some(kept) if kept != currency => Err(OpenError::Currency {
            place: place(),
            kept: kept.clone(),
            asked: currency.to_owned(),
        }),
        _ => Ok(()),
    }
}

fn whole(key: &str, found: &HashMap<String, String>) -> Result<Meta, OpenError> {
    let field = |name| found.get(name).ok_or_else(|| damaged(key, name));
    field("schema")?;
    let opened_at = field("opened_at")?
        .parse()
        .map_err(|_| damaged(key, "opened_at"))?;
    Ok(Meta {
        currency: field("currency")?.clone(),
        opened_at: UnixMs(opened_at),
        pepper: bytes(field("pepper")?).ok_or_else(|| damaged(key, "pepper"))?,
    })
}

fn damaged(key: &str, field: &str) -> OpenError {
    OpenError::Unfit(format!(
        "the field `{field}` of its key {key} is missing or no value of Tollgate's; restore it from a copy, or set \
         another ledger.prefix for a new ledger"
    ))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).ok()?;
    }
    Some(bytes)
}
