//! The prices of a model as customers see them, in one unit each.

use serde_json::{Map, Value, json};

use crate::money::UnitPrice;
use crate::price::{HourRule, ImagePrice, PriceVersion, Tier};
use crate::usage::{Meter, Unit};

/// Every price of a version; tiers, images and hours where there are any.
pub(super) fn object(price: &PriceVersion, currency: &str) -> Value {
    let mut object = json!({
        "currency": currency,
        "free": price.free,
        "effective_from": price.effective_from.map(|from| from.to_string()),
        "meters": meters(|meter| price.own_rate(meter)),
    });
    let mut list = |name: &str, items: Vec<Value>| {
        if !items.is_empty() {
            object[name] = Value::Array(items);
        }
    };
    list("tiers", price.tiers().iter().map(tier).collect());
    list(
        "images",
        price.images().entries().iter().map(image).collect(),
    );
    list("hours", price.hours().rules().iter().map(hours).collect());
    let default = price.images().default_shape();
    if !default.is_open() {
        object["default_image"] = json!(default);
    }
    object
}

fn meters(rate: impl Fn(Meter) -> Option<UnitPrice>) -> Map<String, Value> {
    let meter = |meter: Meter| {
        let rate = rate(meter)?;
        let (per, units) = match meter.unit() {
            Unit::Tokens => ("1M tokens", 1_000_000),
            Unit::Images => ("image", 1),
            // A price per minute may have no exact one per second.
            Unit::Seconds => ("minute", 60),
            Unit::Characters => ("1M characters", 1_000_000),
            Unit::Requests => ("request", 1),
        };
        let cost = rate.times(units)?;
        let price = json!({ "price": cost.to_string(), "per": per });
        Some((meter.name().to_owned(), price))
    };
    Meter::ALL.into_iter().filter_map(meter).collect()
}

fn tier(tier: &Tier) -> Value {
    json!({
        "above_input_tokens": tier.above_input_tokens,
        "meters": meters(|meter| tier.own_rate(meter)),
    })
}

fn image(image: &ImagePrice) -> Value {
    let mut object = json!(image.shape);
    object["price"] = json!(image.price.to_string());
    object
}

fn hours(rule: &HourRule) -> Value {
    json!({
        "from": HourRule::clock(rule.from),
        "to": HourRule::clock(rule.to),
        "times": rule.times,
    })
}
