//! The shipped config against the operator's published list, row by row: the text of the list is
//! read here, and every cost is computed a second time in plain integers.

#[path = "price_list/published.rs"]
mod published;

use std::collections::BTreeSet;
use std::sync::Arc;

use published::{ChatRow, ImageRow, List};
use tollgate::clock::UnixMs;
use tollgate::config::{Category, Config, GrantUnit as Given, Per, PriceField};
use tollgate::ledger::book::Book;
use tollgate::ledger::credit::{Entry, EntryKind};
use tollgate::ledger::grant::{Grant, GrantUnit, ModelSet};
use tollgate::ledger::hold::{Charge, Quote};
use tollgate::ledger::id::{KeyDigest, RequestId};
use tollgate::ledger::key::{Key, OnDisconnect, OnShort};
use tollgate::ledger::receipt::{Detail, Receipt};
use tollgate::ledger::wallet::NewWallet;
use tollgate::money::{Factor, Nano};
use tollgate::price::{ImageShape, Model, PriceBook, WorstCase};
use tollgate::usage::{Counted, Usage};

const CHAT_ROWS: usize = 14;
const IMAGE_ROWS: usize = 8;
const OPENING: i64 = 1_000_000_000_000;

fn shipped() -> (Config, PriceBook) {
    let text = include_str!("../config.yaml");
    let config =
        Config::parse(text, "config.yaml", &|_| None).expect("the shipped config is valid");
    let book = PriceBook::new(&config).expect("and has a price book");
    (config, book)
}

/// A wallet with the shipped free quotas and 1000 CNY, and what it takes to send requests from it.
struct Customer {
    prices: PriceBook,
    book: Book,
    now: UnixMs,
}

impl Customer {
    fn at(now: UnixMs) -> Self {
        let (config, prices) = shipped();
        let wallet = "customer".parse().expect("a wallet id");
        let opening = Entry {
            id: "opening".parse().expect("an entry id"),
            wallet: "customer".parse().expect("a wallet id"),
            kind: EntryKind::Opening,
            amount: Nano::new(OPENING),
            reason: String::new(),
            actor: String::new(),
            at: now,
        };
        let grants = config.grants.iter().map(|row| Grant {
            name: row.name.parse().expect("a grant name"),
            unit: match row.unit {
                Given::Tokens => GrantUnit::Tokens,
                Given::Images => GrantUnit::Images,
                Given::Requests | Given::Money => panic!("the list gives tokens and images only"),
            },
            amount: row.amount,
            models: row.models.as_ref().map_or(ModelSet::All, |models| {
                ModelSet::Only(models.iter().map(|model| model.as_str().into()).collect())
            }),
            expires_at: row.expires,
        });
        let new = NewWallet {
            id: wallet,
            credit_line: Nano::ZERO,
            opening: Some(opening),
            grants: grants.collect(),
        };
        let key = Key {
            id: "key".parse().expect("a key id"),
            wallet: "customer".parse().expect("a wallet id"),
            name: "key".to_owned(),
            revision: 0,
            enabled: true,
            expires_at: None,
            models: ModelSet::All,
            allowed_ips: Vec::new(),
            limits: Vec::new(),
            on_short: OnShort::Refuse,
            on_disconnect: OnDisconnect::Drain,
            offline_allowance: Nano::ZERO,
            multiplier: Factor::ONE,
            created_at: now,
        };
        let mut book = Book::new();
        book.open_wallet(now, new, &mut Vec::new())
            .expect("a new wallet");
        book.put_key(key, KeyDigest([7; 32]), &mut Vec::new())
            .expect("a new key");
        Customer { prices, book, now }
    }

    /// One request through quote, hold, charge and settle.
    fn sends(&mut self, model: &str, worst: WorstCase, usage: Usage) -> Arc<Receipt> {
        let model: &Arc<Model> = self.prices.find(model).expect("the model has a price");
        let version = model.at(self.now).expect("which is in force");
        let key = self.book.key(&KeyDigest([7; 32])).expect("the key");
        let terms = version.terms(self.now, key.multiplier, worst);
        let quote = Quote {
            request: RequestId::new(),
            wallet: key.wallet.clone(),
            key: key.id.clone(),
            key_revision: key.revision,
            model: Arc::clone(&model.id),
            aliases: [].into(),
            price_version: Arc::clone(self.prices.version()),
            segments: terms.quote().expect("within exact arithmetic"),
            counters: Vec::new(),
            lease_ms: 60_000,
            idempotency: None,
        };
        let hold = self.book.hold(self.now, quote).expect("enough funds");
        let priced = terms
            .charge(&usage, &hold.taken_units(), &ImageShape::default())
            .expect("in range");
        let charge = Charge {
            usage,
            counted: Counted::Exact,
            priced: priced.priced,
            free: priced.free,
            counters: Vec::new(),
            detail: Detail::default(),
        };
        let settled = self
            .book
            .settle(self.now, &hold.id, charge, &mut Vec::new());
        let receipt = settled.expect("the hold is live").receipt;
        assert_eq!(receipt.shortfall, Nano::ZERO, "nothing is beyond its hold");
        receipt
    }

    fn chats(&mut self, model: &str, input: u64, output: u64) -> Arc<Receipt> {
        let worst = WorstCase {
            input_tokens: input + 766,
            output_tokens: output + 433,
            output_tokens_min: output + 433,
            ..WorstCase::default()
        };
        self.sends(model, worst, Usage::tokens(input, output))
    }

    /// Asks for one image more than it gets.
    fn draws(&mut self, model: &str, images: u64) -> Arc<Receipt> {
        let worst = WorstCase {
            images: images + 1,
            ..WorstCase::default()
        };
        self.sends(model, worst, Usage::images(images))
    }

    /// Burns this much of a quota, exactly.
    fn burns_tokens(&mut self, model: &str, tokens: u64) {
        let worst = WorstCase {
            input_tokens: tokens,
            ..WorstCase::default()
        };
        let receipt = self.sends(model, worst, Usage::tokens(tokens, 0));
        assert_eq!(
            (receipt.charged, receipt.free.tokens),
            (Nano::ZERO, tokens),
            "{model}"
        );
    }

    fn burns_images(&mut self, model: &str, images: u64) {
        let worst = WorstCase {
            images,
            ..WorstCase::default()
        };
        let receipt = self.sends(model, worst, Usage::images(images));
        assert_eq!(
            (receipt.charged, receipt.free.images),
            (Nano::ZERO, images),
            "{model}"
        );
    }

    fn balance(&self) -> i64 {
        let wallet = "customer".parse().expect("a wallet id");
        self.book
            .wallet(self.now, &wallet)
            .expect("the wallet")
            .balance
            .get()
    }
}

/// What a receipt says: nano units charged, tokens free, images free.
fn said(receipt: &Receipt) -> (i64, u64, u64) {
    assert_eq!(receipt.priced, receipt.charged);
    (
        receipt.charged.get(),
        receipt.free.tokens,
        receipt.free.images,
    )
}

fn before(time: UnixMs) -> UnixMs {
    UnixMs(time.0 - 1)
}

#[test]
fn the_config_has_exactly_the_rows_of_the_list() {
    let list = List::read();
    assert_eq!((list.chat.len(), list.image.len()), (CHAT_ROWS, IMAGE_ROWS));
    let published: BTreeSet<&str> = list.ids().collect();
    assert_eq!(published.len(), CHAT_ROWS + IMAGE_ROWS);
    let (config, _) = shipped();
    let ids: Vec<&str> = config
        .models
        .iter()
        .map(|model| model.id.as_str())
        .collect();
    assert_eq!(ids.len(), published.len());
    assert_eq!(ids.into_iter().collect::<BTreeSet<_>>(), published);
    for model in &config.models {
        let routes: Vec<_> = model
            .routes
            .iter()
            .map(|route| (route.upstream.as_str(), route.model.as_str()))
            .collect();
        assert_eq!(routes, [("modelverse", model.id.as_str())]);
        let dates: Vec<_> = model
            .prices
            .iter()
            .map(|price| (price.effective_from, price.free))
            .collect();
        let from = if model.category == Category::Chat {
            list.chat_from
        } else {
            list.image_from
        };
        assert_eq!(dates, [(None, true), (Some(from), false)], "{}", model.id);
    }
}

#[test]
fn every_chat_row_is_as_printed() {
    let list = List::read();
    let (config, book) = shipped();
    for row in &list.chat {
        let model = config
            .models
            .iter()
            .find(|model| model.id == row.model)
            .expect(&row.model);
        assert_eq!(model.category, Category::Chat, "{}", row.model);
        let price = &model.prices[1];
        let printed = |price: Option<rust_decimal::Decimal>| price.map(|price| price.to_string());
        assert_eq!(
            printed(price.rates.get(PriceField::Input)).as_ref(),
            Some(&row.input),
            "{}",
            row.model
        );
        assert_eq!(
            printed(price.rates.get(PriceField::Output)).as_ref(),
            Some(&row.output),
            "{}",
            row.model
        );
        let per = if row.per == 1_000 {
            Per::ThousandTokens
        } else {
            Per::MillionTokens
        };
        assert_eq!(price.per, per, "{}", row.model);
        assert_eq!(price.rates.iter().count(), 2, "{}", row.model);
        let short = row.model.rsplit('/').next().expect("a part");
        for name in [row.model.as_str(), short] {
            assert_eq!(
                book.find(name).map(|model| &*model.id),
                Some(row.model.as_str())
            );
        }
    }
}

#[test]
fn every_image_row_is_as_printed() {
    let list = List::read();
    let (config, book) = shipped();
    for row in &list.image {
        let model = config
            .models
            .iter()
            .find(|model| model.id == row.id)
            .expect(&row.id);
        assert_eq!(model.category, row.category, "{}", row.id);
        let price = &model.prices[1];
        assert_eq!(
            price
                .rates
                .get(PriceField::Image)
                .map(|price| price.to_string())
                .as_ref(),
            Some(&row.price),
            "{}",
            row.id
        );
        assert_eq!(price.rates.iter().count(), 1, "{}", row.id);
        for name in [row.id.as_str(), row.name.as_str()] {
            assert_eq!(
                book.find(name).map(|model| &*model.id),
                Some(row.id.as_str()),
                "{name}"
            );
        }
    }
}

#[test]
fn the_free_quotas_are_those_of_the_list() {
    let list = List::read();
    let (config, _) = shipped();
    let mut images = Vec::new();
    let mut tokens = Vec::new();
    for grant in &config.grants {
        let models = grant.models.clone().expect("every quota names its models");
        match grant.unit {
            Given::Tokens => {
                tokens.push((models.into_iter().collect::<BTreeSet<_>>(), grant.amount))
            }
            Given::Images => images.push((models, grant.amount)),
            other => panic!("the list gives no {other:?}"),
        }
        assert_eq!(grant.expires, None);
    }
    let chat = list.chat.iter().map(|row| row.model.clone()).collect();
    assert_eq!(tokens, [(chat, list.chat_free)]);
    let given = list.image.iter().filter(|row| row.free > 0);
    let mut given: Vec<_> = given.map(|row| (vec![row.id.clone()], row.free)).collect();
    given.sort();
    images.sort();
    assert_eq!(images, given);
}

const INPUT: u64 = 1_234;
const OUTPUT: u64 = 567;

/// Nano units for so many paid tokens of a row.
fn chat_cost(row: &ChatRow, input: u64, output: u64) -> i64 {
    let nano = u64::try_from(row.input_nano()).expect("a price") * input
        + u64::try_from(row.output_nano()).expect("a price") * output;
    i64::try_from(nano).expect("a cost")
}

#[test]
fn every_chat_row_costs_what_the_list_says_to_the_nano() {
    let list = List::read();
    for row in &list.chat {
        let model = row.model.as_str();
        let cost = |input, output| chat_cost(row, input, output);

        let mut early = Customer::at(before(list.chat_from));
        assert_eq!(
            said(&early.chats(model, INPUT, OUTPUT)),
            (0, 0, 0),
            "{model} before its date"
        );
        assert_eq!(early.balance(), OPENING);

        let mut inside = Customer::at(list.chat_from);
        assert_eq!(
            said(&inside.chats(model, INPUT, OUTPUT)),
            (0, INPUT + OUTPUT, 0),
            "{model} inside"
        );

        let mut outside = Customer::at(list.chat_from);
        outside.burns_tokens(model, list.chat_free);
        assert_eq!(
            said(&outside.chats(model, INPUT, OUTPUT)),
            (cost(INPUT, OUTPUT), 0, 0),
            "{model} outside"
        );
        assert_eq!(outside.balance(), OPENING - cost(INPUT, OUTPUT));

        // The quota ends within the input, then within the output: input is burned first.
        for (left, paid) in [
            (1_000, cost(INPUT - 1_000, OUTPUT)),
            (1_500, cost(0, INPUT + OUTPUT - 1_500)),
        ] {
            let mut astride = Customer::at(list.chat_from);
            astride.burns_tokens(model, list.chat_free - left);
            assert_eq!(
                said(&astride.chats(model, INPUT, OUTPUT)),
                (paid, left, 0),
                "{model} astride {left}"
            );
            assert_eq!(
                said(&astride.chats(model, INPUT, OUTPUT)),
                (cost(INPUT, OUTPUT), 0, 0),
                "{model} after"
            );
        }
    }
}

#[test]
fn the_chat_quota_is_one_for_all_chat_models() {
    let list = List::read();
    let share = list.chat_free / CHAT_ROWS as u64;
    let mut customer = Customer::at(list.chat_from);
    for row in &list.chat {
        customer.burns_tokens(&row.model, share);
    }
    let left = list.chat_free - share * CHAT_ROWS as u64;
    let row = list.chat.last().expect("a row");
    let receipt = customer.chats(&row.model, INPUT, OUTPUT);
    assert_eq!(
        said(&receipt),
        (chat_cost(row, INPUT - left, OUTPUT), left, 0)
    );
}

fn image_cost(row: &ImageRow, images: u64) -> i64 {
    row.price_nano() * i64::try_from(images).expect("a count")
}

#[test]
fn every_image_row_costs_what_the_list_says_to_the_nano() {
    let list = List::read();
    for row in &list.image {
        let model = row.name.as_str();
        let cost = |images| image_cost(row, images);

        let mut early = Customer::at(before(list.image_from));
        assert_eq!(
            said(&early.draws(model, 2)),
            (0, 0, 0),
            "{model} before its date"
        );
        assert_eq!(early.balance(), OPENING);

        let mut outside = Customer::at(list.image_from);
        if row.free > 0 {
            outside.burns_images(model, row.free);
        }
        assert_eq!(
            said(&outside.draws(model, 2)),
            (cost(2), 0, 0),
            "{model} outside"
        );
        assert_eq!(outside.balance(), OPENING - cost(2));

        if row.free == 0 {
            continue;
        }
        let mut inside = Customer::at(list.image_from);
        assert_eq!(said(&inside.draws(model, 2)), (0, 0, 2), "{model} inside");

        let mut astride = Customer::at(list.image_from);
        astride.burns_images(model, row.free - 1);
        assert_eq!(
            said(&astride.draws(model, 3)),
            (cost(2), 0, 1),
            "{model} astride"
        );
    }
}
