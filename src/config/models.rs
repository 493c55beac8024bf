//! The `models` section: ids, routes and bounds; prices are read beside it.

use std::collections::BTreeMap;

use super::read::{AMOUNT_MAX, Field};
use super::section::Section;
use super::text::{did_you_mean, nearest};
use super::{Bounds, Category, MaxTokensField, ModelRow, Route, Upstream, prices, tokenizer};

/// Token bounds stay where their sums and products cannot leave the range of integers.
const TOKENS_MAX: u64 = 1 << 32;

/// Every model, in the file's order.
pub(super) fn models(field: &Field<'_>, upstreams: &BTreeMap<String, Upstream>) -> Vec<ModelRow> {
    let rows = field.list();
    if field.is_list() && rows.is_empty() {
        field.problem::<()>("is empty; without a model, nothing can be served");
    }
    let mut taken = BTreeMap::new();
    rows.iter()
        .map(|row| model(row, upstreams, &mut taken))
        .collect()
}

/// The canonical id of every id and alias.
pub(super) fn names(models: &[ModelRow]) -> BTreeMap<String, String> {
    let of = |model: &ModelRow| {
        let id = model.id.clone();
        let names = std::iter::once(&model.id).chain(&model.aliases).cloned();
        names
            .map(move |name| (name, id.clone()))
            .collect::<Vec<_>>()
    };
    models.iter().flat_map(of).collect()
}

/// The canonical ids of a list of models; `None` where the field is absent, which means all.
pub(super) fn set(section: &Section<'_>, names: &BTreeMap<String, String>) -> Option<Vec<String>> {
    let field = section.get("models")?;
    let items = field.list();
    if field.is_list() && items.is_empty() {
        field.problem::<()>("names no model; remove the field to mean all models");
    }
    let id = |field: &Field<'_>| {
        field.read(|name| {
            names.get(name).cloned().ok_or_else(|| {
                let likely = nearest(name, names.keys().map(String::as_str));
                format!("is no model of this file{}", did_you_mean(likely))
            })
        })
    };
    let mut ids: Vec<String> = items.iter().filter_map(id).collect();
    ids.sort_unstable();
    ids.dedup();
    Some(ids)
}

fn model(
    field: &Field<'_>,
    upstreams: &BTreeMap<String, Upstream>,
    taken: &mut BTreeMap<String, String>,
) -> ModelRow {
    let section = field.section();
    let category = section.word("category", Category::Chat);
    let mut claim = |field: &Field<'_>| {
        let name = match category {
            Category::Path => field.read(path_name),
            _ => field.read(model_name),
        }?;
        if let Some(path) = taken.insert(name.clone(), field.path.clone()) {
            return field.problem(format!(
                "\"{name}\" already is {path}; a name reaches one model only"
            ));
        }
        Some(name)
    };
    let id = section
        .need("id", "my-model")
        .and_then(|field| claim(&field))
        .unwrap_or_default();
    let aliases = section
        .get("aliases")
        .map(|field| field.list())
        .unwrap_or_default();
    let aliases = aliases.iter().filter_map(claim).collect();
    let bounds = bounds(&section);
    let upstream_model = section.get("upstream_model").and_then(|field| field.text());
    let routes = routes(
        &section,
        upstream_model.as_deref().unwrap_or(&id),
        upstreams,
    );
    let row = ModelRow {
        routes,
        prices: prices::prices(&section, category, &bounds),
        bounds,
        tokenizer: tokenizer::vocabulary(&section, &id),
        id,
        aliases,
        category,
        line: section.line,
    };
    section.finish();
    row
}

/// Paths below `/v1` that have a meter of their own, or are answered by the proxy itself, by their first part.
const SERVED: [&str; 15] = [
    "audio",
    "balance",
    "chat",
    "completions",
    "dashboard",
    "embeddings",
    "files",
    "images",
    "messages",
    "models",
    "moderations",
    "receipts",
    "rerank",
    "responses",
    "usage",
];

/// The name of what is served at a path: the path, below `/v1`.
fn path_name(text: &str) -> Result<String, String> {
    let plain = |part: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        !part.is_empty() && part.bytes().all(fits) && !part.bytes().all(|byte| byte == b'.')
    };
    let parts = text.strip_prefix('/').map(|path| path.split('/'));
    let Some(mut parts) = parts.filter(|parts| parts.clone().all(plain)) else {
        return Err(
            "is no path such as /videos: what is of the category path has the path below /v1 as its id".to_owned(),
        );
    };
    match parts.next().filter(|first| SERVED.contains(first)) {
        Some(first) => Err(format!(
            "begins with /{first}, which has a meter of its own"
        )),
        None => model_name(text),
    }
}

/// Model names go into headers and addresses: printable, and nothing at either end that gets trimmed away.
fn model_name(text: &str) -> Result<String, String> {
    let fine = !text.is_empty()
        && text.len() <= 256
        && text.trim() == text
        && text.bytes().all(|b| (b' '..=b'~').contains(&b));
    match fine {
        true => Ok(text.to_owned()),
        false => Err(
            "is no model name: 1 to 256 printable ASCII characters, no space at either end"
                .to_owned(),
        ),
    }
}

fn bounds(section: &Section<'_>) -> Bounds {
    let tokens = |name, default, least| section.integer(name, default, least, TOKENS_MAX);
    Bounds {
        context_tokens: tokens("context_tokens", 131_072, 1),
        max_output_tokens: tokens("max_output_tokens", 32_768, 1),
        reasoning_tokens_max: tokens("reasoning_tokens_max", 0, 0),
        image_tokens_max: tokens("image_tokens_max", 16_384, 0),
        overhead_tokens: tokens("overhead_tokens", 512, 0),
        images_max: section.integer("images_max", 4, 1, 1_000),
        seconds_max: section.integer("seconds_max", Bounds::SECONDS_MAX, 1, 1_000_000),
        characters_max: section.integer("characters_max", Bounds::CHARACTERS_MAX, 1, 1 << 24),
        max_tokens_field: section.word("max_tokens_field", MaxTokensField::default()),
    }
}

fn routes(
    section: &Section<'_>,
    model: &str,
    upstreams: &BTreeMap<String, Upstream>,
) -> Vec<Route> {
    let Some(field) = section.need(
        "upstream",
        upstreams.keys().next().map_or("demo", String::as_str),
    ) else {
        return Vec::new();
    };
    let known = |field: Field<'_>| field.read(|name| upstream_name(name, upstreams));
    if !field.is_list() {
        let route = |upstream| Route {
            upstream,
            model: model.to_owned(),
            weight: 1,
            priority: 0,
        };
        return known(field).map(route).into_iter().collect();
    }
    let items = field.list();
    if items.is_empty() {
        field.problem::<()>("is an empty list; a model needs an upstream");
    }
    let route = |item: &Field<'_>| {
        let section = item.section();
        let upstream = section.need("upstream", "demo").and_then(known);
        let named = section.get("model").and_then(|field| field.text());
        let weight = section.integer("weight", 1, 1, 1_000_000);
        let priority = section.integer("priority", 0, 0, 1_000);
        section.finish();
        Some(Route {
            upstream: upstream?,
            model: named.unwrap_or_else(|| model.to_owned()),
            weight: u32::try_from(weight).ok()?,
            priority: u32::try_from(priority).ok()?,
        })
    };
    items.iter().filter_map(route).collect()
}

fn upstream_name(name: &str, upstreams: &BTreeMap<String, Upstream>) -> Result<String, String> {
    if upstreams.contains_key(name) {
        return Ok(name.to_owned());
    }
    let likely = nearest(name, upstreams.keys().map(String::as_str));
    Err(format!(
        "is no upstream of this file{}",
        did_you_mean(likely)
    ))
}

const _: () = assert!(TOKENS_MAX < AMOUNT_MAX);
