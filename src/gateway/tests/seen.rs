//! How often something came up: a property says nothing of what hardly does.

use std::collections::BTreeMap;

use super::SERVICES;
use crate::gateway::service::Service;

#[derive(Default)]
pub struct Seen(BTreeMap<(String, &'static str), u32>);

impl Seen {
    pub fn note(&mut self, service: Service, what: &'static str) {
        *self.0.entry((format!("{service:?}"), what)).or_default() += 1;
    }

    /// Fails where so many cases brought up too little of anything.
    pub fn covers(&self, cases: u32) {
        use Service::{
            Chat, Completions, Embeddings, ImageEdits, Images, Messages, Moderations, Rerank,
            Responses, Speech, Transcriptions,
        };
        let texts = [Chat, Completions, Responses, Messages];
        let reported = [
            Chat,
            Completions,
            Responses,
            Messages,
            Embeddings,
            Rerank,
            Moderations,
            Images,
            ImageEdits,
            Transcriptions,
        ];
        let streamed = [
            Chat,
            Completions,
            Responses,
            Messages,
            Images,
            ImageEdits,
            Speech,
            Transcriptions,
        ];
        let read = [Chat, Completions, Responses, Messages, Embeddings];
        let sights = [Chat, Responses, Messages, Images, ImageEdits, Moderations];
        let asked: [(&[Service], &'static str, u32); 10] = [
            (&SERVICES, "held", 30),
            (&SERVICES, "counted here", 400),
            (&SERVICES, "in a tier", 400),
            (&SERVICES, "charged to the last nano", 1_000),
            (&reported, "reported", 100),
            (&streamed, "reported in a stream", 500),
            (&texts, "clamped", 1_000),
            (&read, "abandoned", 1_000),
            (&sights, "with pictures", 500),
            (&[Rerank], "in several units", 2_500),
        ];
        for (services, what, once_in) in asked {
            for service in services {
                let key = (format!("{service:?}"), what);
                let count = self.0.get(&key).copied().unwrap_or(0);
                assert!(
                    count >= cases / once_in,
                    "{service:?} {what}: {count} of {cases}"
                );
            }
        }
    }
}
