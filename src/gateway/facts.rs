//! What is known of an answer that is no stream, from its bytes.

use super::conclude::{Facts, Written};
use super::service::{Counts, Service};
use crate::price::ImageShape;
use crate::usage::answer::{AnswerFacts, read_answer};
use crate::usage::transcript::Transcript;

/// What an answer to so many `choices` says of which all is at hand; `None` where it cannot be metered.
pub fn whole(body: &[u8], service: Service, choices: u64) -> Option<Facts> {
    let mut facts = facts(body, service);
    let is_known = facts.items.is_some()
        || match service.counts() {
            Counts::Text
            | Counts::Nothing
            | Counts::Characters
            | Counts::Seconds
            | Counts::Requests => true,
            Counts::Input => facts.usage.is_some(),
            Counts::Images => false,
        };
    if service == Service::Chat && choices > 1 {
        facts.choices.get_or_insert_default().feed(body);
    }
    is_known.then_some(facts)
}

/// What a JSON answer says; of anything else, only its text is known.
pub fn facts(body: &[u8], service: Service) -> Facts {
    let Ok(answer) = read_answer(body) else {
        return Facts {
            usage: None,
            // A text of any kind is one; where there is not even that, nothing came.
            items: (service.counts() == Counts::Seconds && body.is_empty()).then_some(0),
            text: Transcript::of(body),
            choices: None,
            seconds: None,
            search_units: None,
            object: None,
            image: ImageShape::default(),
            client_gone: false,
        };
    };
    let (usage, items) = match service.counts() {
        Counts::Input => (answer.input_usage(), answer.results),
        _ => (answer.usage, answer.images),
    };
    Facts {
        usage,
        items: match service.counts() {
            // Lists of a transcript may well be empty.
            Counts::Seconds => answer.error.then_some(0),
            _ => (items > 0 || answer.is_short).then_some(items),
        },
        text: transcript(&answer, service),
        choices: None,
        seconds: match service.counts() {
            Counts::Seconds => answer.seconds(),
            _ => None,
        },
        search_units: (service == Service::Rerank)
            .then(|| answer.search_units())
            .flatten(),
        object: (service == Service::Responses)
            .then(|| written(&answer))
            .flatten(),
        image: ImageShape::read(answer.image.size, answer.image.quality),
        client_gone: false,
    }
}

/// What is stored of a response.
fn written(answer: &AnswerFacts<'_>) -> Option<Written> {
    Some(Written {
        id: answer.id?.to_owned(),
        is_unfinished: answer.is_unfinished(),
    })
}

/// Only read where it may be needed: it walks the whole body again.
fn transcript(answer: &AnswerFacts<'_>, service: Service) -> Transcript {
    match answer.usage {
        _ if matches!(service.counts(), Counts::Input | Counts::Nothing) => Transcript::default(),
        Some(Ok(reported)) if reported.has_input && reported.has_output => Transcript::default(),
        _ => answer.transcript(),
    }
}
