//! One request's life at the mock: read it, open its ticket, plan the answer, hand it over.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Method, Request, Response};

use super::body::AnswerBody;
use super::book::{Book, Ticket};
use super::control;
use super::directive::{Directive, Fault};
use super::exchange::Exchange;
use super::record::Record;
use super::request::Asked;
use super::texts::TextCache;
use super::wire::Wire;

const COMPLETION_DEFAULT: u64 = 16;
/// Where the one file is, which is never lost.
const FILES: &str = "/v1/files";

/// What all connections share.
pub struct Mock {
    pub book: Rc<RefCell<Book>>,
    texts: RefCell<TextCache>,
}

/// What the connection's service gives back; an error closes the connection without a byte.
pub type Answer = io::Result<Response<AnswerBody>>;

// === impl Mock ===

impl Mock {
    pub fn new(keep: usize, print: bool) -> Rc<Mock> {
        Rc::new(Mock {
            book: Book::new(keep, print),
            texts: RefCell::default(),
        })
    }

    pub async fn answer(self: Rc<Self>, wire: Rc<Wire>, request: Request<Incoming>) -> Answer {
        wire.begin(false);
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        if !path.starts_with("/v1/") {
            return Ok(control::answer(&self.book, &head.method, path, wire));
        }
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let directive = Directive::read(&head.headers);
        let asked = if head.method == Method::POST && path != FILES {
            Asked::read(&body)
        } else {
            Ok(Asked::default())
        };
        self.book.borrow_mut().last = (head.headers, body.clone());
        let (directive, asked) = match (directive, asked) {
            (Ok(directive), Ok(asked)) => (directive, asked),
            (Err(fault), _) | (_, Err(fault)) => return Ok(self.refuse(wire, path, &fault)),
        };
        let ticket = Ticket::open(&self.book, record(path, &directive, &asked, body.len()));
        let exchange = Exchange {
            ticket,
            directive,
            wire,
        };
        exchange.wait().await;
        if exchange.directive.fault == Fault::CutBefore {
            return Err(exchange.cut());
        }
        Ok(exchange.broken_or(|exchange| self.whole(exchange, &head.method, path, &asked)))
    }

    fn whole(
        &self,
        exchange: Exchange,
        method: &Method,
        path: &str,
        asked: &Asked<'_>,
    ) -> Response<AnswerBody> {
        match (method, path) {
            (&Method::POST, "/v1/chat/completions") => {
                let texts = self.texts.borrow_mut().of(&asked.model);
                let json = !asked.streamed() || exchange.directive.fault == Fault::JsonForStream;
                if json {
                    exchange.completion(&texts)
                } else {
                    exchange.stream(texts, asked.include_usage())
                }
            }
            (&Method::POST, "/v1/images/generations") => exchange.images(),
            (&Method::GET, "/v1/models") => exchange.models(),
            (&Method::POST, FILES) => exchange.file(),
            (&Method::GET, path) if path.starts_with(FILES) => exchange.file(),
            _ => exchange.error(404, "no such path at the mock", "not_found"),
        }
    }

    /// A request that nobody can have meant.
    fn refuse(&self, wire: Rc<Wire>, path: &str, fault: &str) -> Response<AnswerBody> {
        let ticket = Ticket::open(
            &self.book,
            Record {
                path: path.to_owned(),
                ..Record::default()
            },
        );
        Exchange {
            ticket,
            directive: Directive::default(),
            wire,
        }
        .error(400, fault, "bad_mock_request")
    }
}

/// What is known of a request at its arrival, with the true counts of the answer that it is to get.
fn record(path: &str, directive: &Directive, asked: &Asked<'_>, body_bytes: usize) -> Record {
    let chat = path.ends_with("/chat/completions");
    let images = path.ends_with("/images/generations");
    let mut completion = match directive.completion {
        Some(tokens) => tokens,
        None if chat => COMPLETION_DEFAULT.min(asked.completion_max().unwrap_or(u64::MAX)),
        None => 0,
    };
    if directive.obey {
        completion = completion.min(asked.completion_max().unwrap_or(u64::MAX));
    }
    let prompt = directive
        .prompt
        .unwrap_or(if chat { body_bytes as u64 / 4 + 1 } else { 0 });
    let entries = if images {
        directive.images.unwrap_or(asked.n.unwrap_or(1))
    } else {
        0
    };
    let image_errors = directive.image_errors.min(entries);
    Record {
        id: directive.id.clone(),
        path: path.to_owned(),
        model: asked.model.clone().into_owned(),
        prompt_tokens: prompt,
        completion_tokens: completion,
        cached_tokens: directive.cached.min(prompt),
        reasoning_tokens: directive.reasoning.min(completion),
        images: entries - image_errors,
        image_errors,
        fault: directive.fault_text.clone(),
        stream_options: asked.stream_options.clone(),
        max_tokens: asked.max_tokens,
        max_completion_tokens: asked.max_completion_tokens,
        n: asked.n,
        ..Record::default()
    }
}
