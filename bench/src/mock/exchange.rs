//! What is answered to one request: whole, in its vendor's shape, or broken as directed.

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

use super::bodies::{self, Usage};
use super::body::AnswerBody;
use super::book::{Plan, Ticket};
use super::directive::{Directive, Fault};
use super::record::Outcome;
use super::script::{Script, Step, StreamScript};
use super::texts::{DONE, ModelTexts};
use super::wire::Wire;

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream; charset=utf-8";
const HTML: &str = "text/html";

const BLANKS_PACE_MS: u64 = 1_000;
/// A count that no request can have, and that still fits an i64 when summed.
const ABSURD: i64 = 900_000_000_000;

/// What a vendor adds that its customers' customers should not see.
const VENDOR_HEADERS: [(&str, &str); 4] = [
    ("openai-organization", "org-mock"),
    ("set-cookie", "__cf_bm=mock; path=/; HttpOnly"),
    ("x-ratelimit-limit-requests", "10000"),
    ("x-ratelimit-remaining-requests", "9999"),
];

/// A request in flight, and what its answer depends on.
pub struct Exchange {
    pub ticket: Ticket,
    pub directive: Directive,
    pub wire: Rc<Wire>,
}

// === impl Exchange ===

impl Exchange {
    /// The directed delay, or a silence without end. A client that leaves meanwhile drops us, ticket and all.
    pub async fn wait(&self) {
        if self.directive.delay_ms > 0 {
            tokio::time::sleep(Duration::from_millis(self.directive.delay_ms)).await;
        }
        if self.directive.fault == Fault::Hang {
            pending::<()>().await;
        }
    }

    /// No byte at all: the error makes hyper close the connection.
    pub fn cut(mut self) -> io::Error {
        self.ticket.record.outcome = Outcome::Cut;
        self.ticket.close(0);
        io::Error::other("cut, as directed")
    }

    /// An error in OpenAI's shape; nothing was generated for it.
    pub fn error(self, status: u16, message: &str, code: &str) -> Response<AnswerBody> {
        let kind = if status < 500 {
            "invalid_request_error"
        } else {
            "server_error"
        };
        self.nothing(status, JSON, bodies::error(message, kind, code))
    }

    /// An answer that holds nothing that was asked for.
    pub fn nothing(
        mut self,
        status: u16,
        content_type: &'static str,
        body: Bytes,
    ) -> Response<AnswerBody> {
        let record = &mut self.ticket.record;
        record.outcome = Outcome::Error;
        (
            record.prompt_tokens,
            record.completion_tokens,
            record.images,
        ) = (0, 0, 0);
        self.whole(status, content_type, body)
    }

    /// The faults that are the same on every path; anything else is answered by `whole`.
    pub fn broken_or(
        self,
        whole: impl FnOnce(Exchange) -> Response<AnswerBody>,
    ) -> Response<AnswerBody> {
        match self.directive.fault {
            Fault::Status(status) => {
                self.error(status, "The mock refused, as directed", "mock_fault")
            }
            Fault::Html => self.nothing(200, HTML, bodies::html()),
            Fault::Empty => self.nothing(200, JSON, Bytes::new()),
            _ => whole(self),
        }
    }

    /// A chat answer that is not a stream.
    pub fn completion(mut self, texts: &ModelTexts) -> Response<AnswerBody> {
        let usage = self.usage();
        self.ticket.record.had_usage = usage == Some(self.true_usage());
        let record = &self.ticket.record;
        let (tokens, reasoning) = (record.completion_tokens, record.reasoning_tokens);
        let nested = self.directive.fault == Fault::UsageInChoice;
        let usage = usage.map(|usage| usage.json());
        let body = texts.completion(
            tokens,
            reasoning,
            self.directive.bytes,
            usage.as_deref(),
            nested,
        );
        self.json(body)
    }

    /// An image answer; it has usage only if the request's headers name tokens.
    pub fn images(mut self) -> Response<AnswerBody> {
        let metered = self.directive.prompt.is_some() || self.directive.completion.is_some();
        let usage = if metered { self.usage() } else { None };
        self.ticket.record.had_usage = usage == Some(self.true_usage());
        let record = &self.ticket.record;
        let body = bodies::images(record.images, record.image_errors, usage);
        self.json(body)
    }

    pub fn file(self) -> Response<AnswerBody> {
        let bytes = self.directive.bytes;
        self.json(bodies::file(bytes))
    }

    pub fn models(self) -> Response<AnswerBody> {
        self.json(bodies::models())
    }

    /// A chat answer as a stream, with usage where the fault or the request wants it.
    pub fn stream(mut self, texts: Rc<ModelTexts>, asked_usage: bool) -> Response<AnswerBody> {
        let tokens = self.ticket.record.completion_tokens;
        let (chunks, ending) = match self.directive.fault {
            Fault::CutAfter(chunks) => (chunks, Some((Outcome::Cut, vec![Step::Flush, Step::Cut]))),
            Fault::HangAfter(chunks) => (chunks, Some((Outcome::ClientGone, vec![Step::Hang]))),
            Fault::ErrorEvent(chunks) => (
                chunks,
                Some((Outcome::Error, vec![Step::Send(bodies::error_event())])),
            ),
            _ => (tokens, None),
        };
        let chunks = chunks.min(tokens);
        let mut script = StreamScript::new(Rc::clone(&texts), chunks);
        self.ticket.plan.chunks = chunks;
        self.ticket.record.streamed = true;
        match ending {
            Some((outcome, steps)) => {
                self.ticket.record.outcome = outcome;
                script.tail = steps.into();
            }
            None => {
                let (tail, usage_step) = self.tail(&texts, asked_usage);
                let event = usage_step.map(|step| 2 + chunks + step);
                self.ticket.plan = Plan {
                    chunks,
                    usage_event: event,
                };
                script.tail = tail;
            }
        }
        script.asked_usage = asked_usage;
        script.reasoning = self.ticket.record.reasoning_tokens;
        script.burst = self.directive.burst;
        script.pace = Duration::from_millis(self.directive.chunk_ms);
        script.running_usage =
            (self.directive.fault == Fault::UsageInEveryChunk).then(|| self.true_usage());
        self.wire.begin(true);
        self.reply(200, EVENTS, Script::Stream(Box::new(script)), None)
    }

    /// The events after a stream's tokens, and which of them, counted from 0, carries a true usage.
    fn tail(&self, texts: &ModelTexts, asked_usage: bool) -> (VecDeque<Step>, Option<u64>) {
        let finish = texts.frames(asked_usage).finish.clone();
        let truth = self.true_usage();
        let (events, usage_step) = match self.directive.fault {
            Fault::FinishUsage | Fault::UsageInEveryChunk => {
                (vec![texts.finish_with_usage(&truth), DONE], Some(0))
            }
            Fault::UsageInChoice => (vec![texts.finish_with_nested_usage(&truth), DONE], Some(0)),
            Fault::LateUsage => (vec![finish, DONE, texts.usage_chunk(&truth)], Some(2)),
            _ => match self.usage().filter(|_| asked_usage) {
                Some(usage) => (
                    vec![finish, texts.usage_chunk(&usage), DONE],
                    (usage == truth).then_some(1),
                ),
                None => (vec![finish, DONE], None),
            },
        };
        (events.into_iter().map(Step::Send).collect(), usage_step)
    }

    fn true_usage(&self) -> Usage {
        let record = &self.ticket.record;
        Usage {
            prompt: record.prompt_tokens as i64,
            completion: record.completion_tokens as i64,
            cached: record.cached_tokens as i64,
            reasoning: record.reasoning_tokens as i64,
        }
    }

    /// What the answer says of itself.
    fn usage(&self) -> Option<Usage> {
        let truth = self.true_usage();
        match self.directive.fault {
            Fault::NoUsage => None,
            Fault::NegativeUsage => Some(Usage {
                prompt: -5,
                completion: -7,
                ..truth
            }),
            Fault::AbsurdUsage => Some(Usage {
                prompt: ABSURD,
                completion: ABSURD,
                ..truth
            }),
            _ => Some(truth),
        }
    }

    /// A good JSON body, unless a fault breaks it off or delays it.
    fn json(mut self, body: Bytes) -> Response<AnswerBody> {
        match self.directive.fault {
            Fault::CutAfter(_) => {
                let length = Some(body.len() as u64);
                let half = body.slice(..body.len() / 2);
                self.ticket.record.outcome = Outcome::Cut;
                let steps = [Step::Send(half), Step::Flush, Step::Cut];
                self.reply(200, JSON, Script::Steps(steps.into()), length)
            }
            Fault::Blanks(blanks) => {
                let pace = Duration::from_millis(match self.directive.chunk_ms {
                    0 => BLANKS_PACE_MS,
                    milliseconds => milliseconds,
                });
                let blank = || [Step::Send(Bytes::from_static(b"\n")), Step::Pace(pace)];
                let mut steps: VecDeque<Step> = (0..blanks).flat_map(|_| blank()).collect();
                steps.push_back(Step::Send(body));
                self.reply(200, JSON, Script::Steps(steps), None)
            }
            _ => self.whole(200, JSON, body),
        }
    }

    fn whole(self, status: u16, content_type: &'static str, body: Bytes) -> Response<AnswerBody> {
        let length = Some(body.len() as u64);
        let script = Script::Whole(Some(body).filter(|body| !body.is_empty()));
        self.reply(status, content_type, script, length)
    }

    fn reply(
        mut self,
        status: u16,
        content_type: &'static str,
        script: Script,
        length: Option<u64>,
    ) -> Response<AnswerBody> {
        self.ticket.record.status = status;
        let seq = self.ticket.record.seq;
        let body = AnswerBody::new(script, length, Some(self.ticket), self.wire);
        let mut response = Response::new(body);
        *response.status_mut() =
            StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        if let Ok(id) = HeaderValue::from_str(&format!("req_mock_{seq}")) {
            headers.insert(HeaderName::from_static("x-request-id"), id);
        }
        if status == 429 {
            headers.insert(
                HeaderName::from_static("retry-after"),
                HeaderValue::from_static("1"),
            );
        }
        if self.directive.vendor {
            for (name, value) in VENDOR_HEADERS {
                headers.insert(
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                );
            }
        }
        response
    }
}
