//! The endpoints outside of `/v1`: what the mock counted, and what it was sent last.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Method, Response, StatusCode};
use serde_json::{Map, Value};

use super::body::AnswerBody;
use super::book::Book;
use super::wire::Wire;

/// Answers a control request; these are never counted.
pub fn answer(
    book: &Rc<RefCell<Book>>,
    method: &Method,
    path: &str,
    wire: Rc<Wire>,
) -> Response<AnswerBody> {
    let (status, content_type, body) = match (method, path) {
        (&Method::GET, "/totals") => (200, "application/json", json(&book.borrow().totals())),
        (&Method::GET, "/requests") => (200, "application/x-ndjson", requests(&book.borrow())),
        (&Method::GET, "/headers") => (
            200,
            "application/json",
            json(&headers(&book.borrow().last.0)),
        ),
        (&Method::GET, "/body") => (
            200,
            "application/octet-stream",
            book.borrow().last.1.clone(),
        ),
        (&Method::POST, "/reset") => {
            book.borrow_mut().reset();
            (200, "application/json", Bytes::from_static(b"{}"))
        }
        _ => (
            404,
            "application/json",
            Bytes::from_static(br#"{"error":"no such control endpoint"}"#),
        ),
    };
    let mut response = Response::new(AnswerBody::whole(body, None, wire));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn json(value: &impl serde::Serialize) -> Bytes {
    serde_json::to_vec(value)
        .map(Bytes::from)
        .unwrap_or_default()
}

fn requests(book: &Book) -> Bytes {
    let mut lines = Vec::with_capacity(book.records.len() * 400);
    for record in &book.records {
        if serde_json::to_writer(&mut lines, record).is_ok() {
            lines.push(b'\n');
        }
    }
    Bytes::from(lines)
}

/// A name that was sent once has a string, one that was sent again has all its values.
fn headers(headers: &HeaderMap) -> Map<String, Value> {
    let mut shown = Map::new();
    for name in headers.keys() {
        let values = headers.get_all(name).iter();
        let mut values: Vec<Value> = values
            .map(|value| {
                String::from_utf8_lossy(value.as_bytes())
                    .into_owned()
                    .into()
            })
            .collect();
        let value = if values.len() == 1 {
            values.remove(0)
        } else {
            Value::Array(values)
        };
        shown.insert(name.as_str().to_owned(), value);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_headers_are_all_shown() {
        let mut map = HeaderMap::new();
        map.append("a", HeaderValue::from_static("1"));
        map.append("b", HeaderValue::from_static("2"));
        map.append("b", HeaderValue::from_static("3"));
        assert_eq!(
            Value::Object(headers(&map)).to_string(),
            r#"{"a":"1","b":["2","3"]}"#
        );
    }
}
