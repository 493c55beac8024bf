//! The tap on a body that is no stream, but too large or too slow to be held back whole.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::gateway::conclude::Facts;
use crate::gateway::facts::facts;
use crate::gateway::service::Service;
use crate::usage::skeleton::Skeleton;

/// Keeps a skeleton of the body to read at its end, and the last bytes until it is charged.
pub struct DocumentTap {
    /// `None` for what is no text: only how much came matters then.
    skeleton: Option<Skeleton>,
    passed: bool,
    held: VecDeque<Bytes>,
    held_bytes: usize,
    tail_bytes: usize,
    service: Service,
}

impl DocumentTap {
    /// A tap on a service's answer, which holds the last `tail_bytes` back.
    pub fn new(service: Service, tail_bytes: usize) -> Self {
        DocumentTap {
            skeleton: Some(Skeleton::new()),
            ..DocumentTap::opaque(service, tail_bytes)
        }
    }

    /// The same on an answer that nothing can be read from.
    pub fn opaque(service: Service, tail_bytes: usize) -> Self {
        DocumentTap {
            skeleton: None,
            passed: false,
            held: VecDeque::new(),
            held_bytes: 0,
            tail_bytes,
            service,
        }
    }

    /// Takes a chunk; lets go what is further than the tail from the end.
    pub fn push(&mut self, chunk: Bytes, out: &mut VecDeque<Bytes>) {
        self.passed |= !chunk.is_empty();
        if let Some(skeleton) = &mut self.skeleton {
            skeleton.push(&chunk);
        }
        self.held_bytes += chunk.len();
        self.held.push_back(chunk);
        while self.held_bytes > self.tail_bytes {
            let Some(mut first) = self.held.pop_front() else {
                break;
            };
            let over = self.held_bytes - self.tail_bytes;
            if first.len() > over {
                out.push_back(first.split_to(over));
                self.held.push_front(first);
                self.held_bytes = self.tail_bytes;
            } else {
                self.held_bytes -= first.len();
                out.push_back(first);
            }
        }
    }

    /// What the body says.
    pub fn facts(&mut self) -> Facts {
        let skeleton = self.skeleton.take();
        let body = skeleton.map(Skeleton::into_json).unwrap_or_default();
        let mut facts = facts(&body, self.service);
        if self.passed && body.is_empty() {
            facts.items = Some(1);
            return facts;
        }
        if body.trim_ascii().is_empty() {
            // Blanks that kept the connection alive: nothing came that could be missed.
            facts.items = Some(0);
        }
        facts
    }

    /// The bytes that were held back.
    pub fn tail(self) -> VecDeque<Bytes> {
        self.held
    }
}
