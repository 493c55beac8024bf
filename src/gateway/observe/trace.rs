//! OpenTelemetry spans: one of each request, whose parent is the client's; and below it one of each attempt at an
//! upstream, whose context goes upstream (W3C Trace Context). Attributes follow the semantic conventions of HTTP and
//! GenAI as far as these go. Nothing in them was written by a client.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanBuilder, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::propagation::TraceContextPropagator;

use super::{OTHER, Observed, Outcome};
use crate::telemetry::traces;
use crate::usage::{Unit, Usage};

/// The span of a request; empty where no traces are sent.
pub struct Trace(Option<Context>);

/// The span of an attempt.
pub struct AttemptTrace(Option<Context>);

impl Trace {
    /// Begins below the span that the client's headers name, if they do.
    pub fn begin(headers: &HeaderMap) -> Self {
        let Some(tracer) = traces::tracer() else {
            return Trace(None);
        };
        let parent =
            TraceContextPropagator::new().extract_with_context(&Context::new(), &Read(headers));
        let span = SpanBuilder::from_name("request").with_kind(SpanKind::Server);
        let span = tracer.build_with_context(span, &parent);
        Trace(Some(parent.with_span(span)))
    }

    /// Begins an attempt, and puts its context into the headers that go upstream.
    pub fn attempt(&self, upstream: &str, headers: &mut HeaderMap) -> AttemptTrace {
        let Some((tracer, parent)) = traces::tracer().zip(self.0.as_ref()) else {
            return AttemptTrace(None);
        };
        let span =
            SpanBuilder::from_name(format!("upstream {upstream}")).with_kind(SpanKind::Client);
        let span = parent.with_span(tracer.build_with_context(span, parent));
        span.span()
            .set_attribute(KeyValue::new("tollgate.upstream", upstream.to_owned()));
        TraceContextPropagator::new().inject_context(&span, &mut Written(headers));
        AttemptTrace(Some(span))
    }

    /// Ends with all that was noted of the request.
    pub fn end(&self, request: &Observed) {
        let Some(context) = &self.0 else { return };
        let span = context.span();
        if span.is_recording() {
            let route = match request.endpoint {
                OTHER => OTHER.to_owned(),
                endpoint => format!("/v1{endpoint}"),
            };
            span.update_name(format!("{} {route}", request.method));
            span.set_attributes(attributes(request, route));
            if request.status >= 500 {
                let code = request.code.map_or("", |code| code.word());
                span.set_status(Status::error(code));
            }
        }
        span.end();
    }
}

impl AttemptTrace {
    /// Ends with what became of it.
    pub fn end(&self, outcome: Outcome) {
        let Some(context) = &self.0 else { return };
        let span = context.span();
        let word = Outcome::WORDS[outcome.index()];
        match outcome {
            Outcome::Answered(status) | Outcome::OperatorFault(status) => {
                span.set_attribute(KeyValue::new(
                    "http.response.status_code",
                    i64::from(status),
                ));
                if status >= 400 {
                    span.set_attribute(KeyValue::new("error.type", status.to_string()));
                    span.set_status(Status::error(word));
                }
            }
            Outcome::Failed(_) | Outcome::Abandoned => {
                span.set_attribute(KeyValue::new("error.type", word));
                span.set_status(Status::error(word));
            }
        }
        span.end();
    }
}

fn attributes(request: &Observed, route: String) -> Vec<KeyValue> {
    let mut all = vec![
        KeyValue::new("http.request.method", request.method),
        KeyValue::new("http.route", route),
        KeyValue::new("http.response.status_code", i64::from(request.status)),
        KeyValue::new("client.address", request.client.to_canonical().to_string()),
        KeyValue::new("tollgate.request_id", request.request.to_string()),
    ];
    let mut put = |name: &'static str, value: Option<Value>| {
        all.extend(value.map(|value| KeyValue::new(name, value)));
    };
    put("error.type", request.code.map(|code| code.word().into()));
    put(
        "gen_ai.operation.name",
        operation(request.endpoint).map(Value::from),
    );
    put(
        "gen_ai.request.model",
        request
            .model
            .as_deref()
            .map(|model| model.to_owned().into()),
    );
    let key = request.key.as_ref();
    put("tollgate.key", key.map(|key| key.id.to_string().into()));
    put(
        "tollgate.wallet",
        key.map(|key| key.wallet.to_string().into()),
    );
    if let Some((receipt, _)) = &request.settled {
        put(
            "gen_ai.usage.input_tokens",
            Some(tokens(&receipt.usage, false)),
        );
        put(
            "gen_ai.usage.output_tokens",
            Some(tokens(&receipt.usage, true)),
        );
        put("tollgate.usage", Some(receipt.usage.to_string().into()));
        put("tollgate.cost", Some(receipt.charged.to_string().into()));
        put("tollgate.counted", Some(receipt.counted.name().into()));
    }
    all
}

fn operation(endpoint: &str) -> Option<&'static str> {
    match endpoint {
        "/chat/completions" => Some("chat"),
        "/completions" => Some("text_completion"),
        "/embeddings" => Some("embeddings"),
        "/images/generations" => Some("generate_content"),
        _ => None,
    }
}

fn tokens(usage: &Usage, output: bool) -> Value {
    let side = usage
        .iter()
        .filter(|(meter, _)| meter.unit() == Unit::Tokens && meter.is_output() == output);
    let sum = side.fold(0_u64, |sum, (_, count)| sum.saturating_add(count));
    i64::try_from(sum).unwrap_or(i64::MAX).into()
}

/// A client's headers.
struct Read<'h>(&'h HeaderMap);

impl Extractor for Read<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

/// The headers that go upstream.
struct Written<'h>(&'h mut HeaderMap);

impl Injector for Written<'_> {
    fn set(&mut self, name: &str, value: String) {
        let Ok(name) = HeaderName::try_from(name) else {
            return;
        };
        match HeaderValue::try_from(value) {
            Ok(value) if !value.is_empty() => drop(self.0.insert(name, value)),
            _ => drop(self.0.remove(name)),
        }
    }
}
