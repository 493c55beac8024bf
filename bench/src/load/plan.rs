//! What each request is to be. Planned from the seed and the request's number alone, so that a run replays whatever
//! its timing was.

mod mix;

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue, TE};
use hyper::{HeaderMap, Method, Request};
use serde::Serialize;
use serde_json::{Value, json};

use super::options::Options;

/// The kinds of request that a mixture holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Chat,
    Stream,
    Image,
    /// The client leaves after some chunks.
    StreamLeft,
    /// The client leaves before the answer.
    ChatAbandoned,
    /// The upstream cuts the stream.
    StreamCut,
    /// The upstream answers 500.
    Refused,
    ChatNoUsage,
    StreamNoUsage,
}

/// One request to come.
#[derive(Debug)]
pub struct Plan {
    pub id: String,
    pub kind: Kind,
    /// The directions to the mock, beside its id.
    pub directions: Vec<(&'static str, String)>,
    pub include_usage: bool,
    /// Leave once so many chunks were seen.
    pub leave_after: Option<u64>,
    /// Leave if no answer has come by then.
    pub abandon_after: Option<Duration>,
    /// What the mock was asked to report; none where its default holds.
    pub prompt: Option<u64>,
    pub completion: Option<u64>,
    pub images: u64,
}

/// Plans requests and writes them out.
pub struct Plans {
    run_id: String,
    seed: u64,
    mix: bool,
    steady: Steady,
    headers: HeaderMap,
    bearers: Vec<HeaderValue>,
    path: Option<String>,
    get: bool,
    chat: Bytes,
    stream: Bytes,
    stream_with_usage: Bytes,
    image: Vec<Bytes>,
}

/// The one kind of a run that is no mixture.
struct Steady {
    kind: Kind,
    include_usage: bool,
    completion: Option<u64>,
    images: u64,
    directions: Vec<(&'static str, String)>,
}

// === impl Plans ===

impl Plans {
    pub fn new(options: &Options) -> Result<Plans, String> {
        let run_id = options.run_id.clone().unwrap_or_else(random_id);
        let steady = Steady::new(options);
        let tokens_max = if options.mix {
            mix::MAX_TOKENS
        } else {
            steady.completion.unwrap_or(16).max(1)
        };
        let chat = |more: Value| chat_body(options, tokens_max, more);
        let image_model = options.image_model.as_ref().unwrap_or(&options.model);
        let image = |n: u64| {
            let body =
                json!({"model": image_model, "prompt": "a toll gate", "n": n, "size": "1024x1024"});
            Bytes::from(body.to_string())
        };
        let images_max = if options.mix {
            mix::IMAGES_MAX
        } else {
            steady.images
        };
        Ok(Plans {
            seed: options.seed,
            mix: options.mix,
            headers: headers(options)?,
            bearers: bearers(options)?,
            path: options.path.clone(),
            get: options.get,
            chat: chat(json!({})),
            stream: chat(json!({"stream": true})),
            stream_with_usage: chat(
                json!({"stream": true, "stream_options": {"include_usage": true}}),
            ),
            image: (0..=images_max).map(image).collect(),
            steady,
            run_id,
        })
    }

    pub fn run_id(&self) -> &str {
        &self.run_id
    }

    pub fn plan(&self, index: u64) -> Plan {
        let id = format!("{}-{index}", self.run_id);
        if self.mix {
            mix::plan(id, self.seed, index)
        } else {
            self.steady.plan(id)
        }
    }

    /// The request of a plan; `index` is its number, which decides the key.
    pub fn request(&self, plan: &Plan, index: u64) -> Request<Full<Bytes>> {
        let (path, body) = match plan.kind {
            Kind::Image => ("/v1/images/generations", &self.image[plan.images as usize]),
            Kind::Chat | Kind::ChatAbandoned | Kind::ChatNoUsage | Kind::Refused => {
                ("/v1/chat/completions", &self.chat)
            }
            _ if plan.include_usage => ("/v1/chat/completions", &self.stream_with_usage),
            _ => ("/v1/chat/completions", &self.stream),
        };
        let (method, body) = match self.get {
            true => (Method::GET, Bytes::new()),
            false => (Method::POST, body.clone()),
        };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        // Paths come from the command line and were checked there; a constant cannot fail.
        *request.uri_mut() = self
            .path
            .as_deref()
            .unwrap_or(path)
            .parse()
            .unwrap_or_default();
        *request.headers_mut() = self.headers.clone();
        let turn = index.checked_rem(self.bearers.len() as u64);
        if let Some(bearer) = turn.and_then(|turn| self.bearers.get(turn as usize)) {
            request.headers_mut().insert(AUTHORIZATION, bearer.clone());
        }
        let directions = plan
            .directions
            .iter()
            .map(|(name, value)| (*name, value.as_str()));
        for (name, value) in directions.chain([("x-mock-id", plan.id.as_str())]) {
            if let Ok(value) = HeaderValue::from_str(value) {
                request
                    .headers_mut()
                    .insert(HeaderName::from_static(name), value);
            }
        }
        request
    }
}

fn random_id() -> String {
    let uuid = std::fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap_or_default();
    let short: String = uuid.chars().take(8).collect();
    if short.is_empty() {
        format!("pid{}", std::process::id())
    } else {
        short
    }
}

fn headers(options: &Options) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    let host =
        HeaderValue::from_str(options.authority()?).map_err(|_| "--url is no host".to_owned())?;
    headers.insert(HOST, host);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(TE, HeaderValue::from_static("trailers"));
    if let Some(path) = &options.path
        && path
            .parse::<hyper::Uri>()
            .map_or(true, |uri| uri.path() != path)
    {
        return Err(format!("--path {path:?} is no path"));
    }
    headers.extend(options.headers.iter().cloned());
    Ok(headers)
}

fn bearers(options: &Options) -> Result<Vec<HeaderValue>, String> {
    let bearer = |key: &String| {
        let value = format!("Bearer {key}").parse();
        value.map_err(|_| "--key is not printable".to_owned())
    };
    options.keys.iter().map(bearer).collect()
}

fn chat_body(options: &Options, tokens_max: u64, more: Value) -> Bytes {
    let words = "The quick brown fox jumps over the lazy dog. ";
    let mut prompt = words.repeat(options.prompt_bytes / words.len() + 1);
    prompt.truncate(options.prompt_bytes);
    let mut body = json!({
        "model": options.model,
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": tokens_max,
    });
    if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
        body.extend(more);
    }
    Bytes::from(body.to_string())
}

// === impl Steady ===

impl Steady {
    fn new(options: &Options) -> Steady {
        let kind = match (options.images, options.stream) {
            (Some(_), _) => Kind::Image,
            (None, true) => Kind::Stream,
            (None, false) => Kind::Chat,
        };
        let completion = options
            .chunks
            .filter(|_| options.stream)
            .or(options.completion);
        let directions = [
            ("x-mock-completion", completion),
            ("x-mock-chunk-ms", options.chunk_ms),
            ("x-mock-burst", options.burst),
        ];
        let directions = directions
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?.to_string())));
        Steady {
            kind,
            include_usage: options.include_usage,
            completion,
            images: options.images.unwrap_or(0),
            directions: directions.collect(),
        }
    }

    fn plan(&self, id: String) -> Plan {
        Plan {
            id,
            kind: self.kind,
            directions: self.directions.clone(),
            include_usage: self.include_usage,
            leave_after: None,
            abandon_after: None,
            prompt: None,
            completion: self.completion,
            images: self.images,
        }
    }
}

#[cfg(test)]
pub mod tests {
    use clap::Parser;

    use super::*;

    pub fn chat(id: &str) -> Plan {
        Steady::new(&options(&[])).plan(id.to_owned())
    }

    fn options(more: &[&str]) -> Options {
        let base = ["loadgen", "--url", "http://127.0.0.1:1", "--run-id", "r"];
        Options::parse_from(base.iter().chain(more))
    }

    #[test]
    fn a_steady_request_carries_its_directions() {
        let plans = Plans::new(&options(&[
            "--stream", "--chunks", "5", "--burst", "2", "--key", "k",
        ]))
        .expect("plans");
        let request = plans.request(&plans.plan(3), 3);
        let header = |name: &str| {
            request
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        assert_eq!(request.uri().path(), "/v1/chat/completions");
        assert_eq!(header("x-mock-completion"), Some("5"));
        assert_eq!(header("x-mock-burst"), Some("2"));
        assert_eq!(header("x-mock-id"), Some("r-3"));
        assert_eq!(header("authorization"), Some("Bearer k"));
        assert_eq!(header("te"), Some("trailers"));
    }
    #[test]
    fn keys_take_turns() {
        let plans = Plans::new(&options(&["--key", "a,b"])).expect("plans");
        let bearer =
            |index| plans.request(&plans.plan(index), index).headers()[AUTHORIZATION].clone();
        assert_eq!([0, 1, 2].map(bearer), ["Bearer a", "Bearer b", "Bearer a"]);
    }
}
