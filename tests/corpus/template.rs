//! Bytes with marks in them: what passes, what the proxy takes out, and what it puts in. One text tells what one side
//! sends and what the other gets.
//!
//! | mark | what it says |
//! |---|---|
//! | `⟦-text⟧` | the proxy takes this out |
//! | `⟦+text⟧` | the proxy puts this in |
//! | `⟦receipt⟧` | the proxy puts the receipt's comment in |
//! | `⟦cost⟧` | the proxy puts the cost into the usage chunk |
//! | `⟦error⟧` | the proxy puts an error event in |
//! | `⟦CR⟧`, `⟦BOM⟧` | a carriage return, a byte order mark |
//! | `⟦x*1000⟧` | this letter, so many times |
//! | `⟦hex 89504e47⟧`, `⟦hex ff*1000⟧` | these bytes, so many times |
//! | `⟦wav 2500⟧` | a recording of so many milliseconds, with nothing to hear |
//! | `⟦pause 50⟧` | the upstream waits for so many milliseconds |
//! | `⟦end⟧` | the body ends here, without the line's end |
//! | `⟦cut⟧` | the connection ends here |
//! | `⟦silence⟧` | nothing more comes |

use std::time::Duration;

use serde_json::Value;

use crate::support::Ending;

const OPEN: char = '⟦';
const CLOSE: char = '⟧';

/// A text whose marks were read.
#[derive(Clone, Debug, Default)]
pub struct Template {
    /// What is sent.
    pub sent: Vec<u8>,
    /// What arrives.
    pub got: Vec<Piece>,
    /// Where the sender waits.
    pub pauses: Vec<(usize, Duration)>,
    /// What comes after the last byte.
    pub ending: Option<Ending>,
}

/// A part of what arrives.
#[derive(Clone, Debug)]
pub enum Piece {
    Bytes(Vec<u8>),
    Receipt,
    Cost,
    Error,
}

/// Who has a text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Both,
    Sent,
    Got,
}

impl Template {
    /// Reads the marks of a text.
    pub fn read(text: &str) -> Template {
        let mut template = Template::default();
        let rest = template.part(text, Side::Both);
        assert!(rest.is_empty() || template.ending.is_some(), "`⟧` too much");
        template
    }

    /// Reads up to the end, or to the `⟧` that closes a part; answers what follows.
    fn part<'t>(&mut self, mut text: &'t str, side: Side) -> &'t str {
        loop {
            let Some(at) = text.find([OPEN, CLOSE]) else {
                self.add(text.as_bytes(), side);
                return "";
            };
            self.add(&text.as_bytes()[..at], side);
            text = &text[at..];
            if let Some(rest) = text.strip_prefix(CLOSE) {
                return rest;
            }
            text = &text[OPEN.len_utf8()..];
            if let Some(rest) = text.strip_prefix('-') {
                text = self.part(rest, Side::Sent);
            } else if let Some(rest) = text.strip_prefix('+') {
                text = self.part(rest, Side::Got);
            } else {
                let (mark, rest) = text.split_once(CLOSE).expect("a mark that ends");
                self.mark(mark, side);
                if self.ending.is_some() {
                    return rest;
                }
                text = rest;
            }
        }
    }

    fn mark(&mut self, mark: &str, side: Side) {
        match mark {
            "receipt" => self.got.push(Piece::Receipt),
            "cost" => self.got.push(Piece::Cost),
            "error" => self.got.push(Piece::Error),
            "CR" => self.add(b"\r", side),
            "BOM" => self.add(b"\xEF\xBB\xBF", side),
            "end" => self.ending = Some(Ending::Whole),
            "cut" => self.ending = Some(Ending::Cut),
            "silence" => self.ending = Some(Ending::Silent),
            _ => {
                if let Some(time) = mark.strip_prefix("pause ") {
                    let time = Duration::from_millis(time.parse().expect("milliseconds"));
                    self.pauses.push((self.sent.len(), time));
                } else {
                    self.add(&bytes_of(mark), side);
                }
            }
        }
    }

    fn add(&mut self, bytes: &[u8], side: Side) {
        if side != Side::Got {
            self.sent.extend_from_slice(bytes);
        }
        if side == Side::Sent || bytes.is_empty() {
            return;
        }
        match self.got.last_mut() {
            Some(Piece::Bytes(last)) => last.extend_from_slice(bytes),
            _ => self.got.push(Piece::Bytes(bytes.to_vec())),
        }
    }

    /// Compares what arrived; answers the receipt that stood in it, or what differs.
    pub fn compare(&self, body: &[u8], cost: &str) -> Result<Option<Value>, String> {
        let (mut rest, mut receipt) = (body, None);
        for piece in &self.got {
            let expected = match piece {
                Piece::Bytes(bytes) => bytes.clone(),
                Piece::Cost => format!(",\"cost\":\"{cost}\"").into_bytes(),
                Piece::Receipt | Piece::Error => {
                    // APIs whose events have names have one for their errors too.
                    rest = match piece {
                        Piece::Error => rest.strip_prefix(b"event: error\n").unwrap_or(rest),
                        _ => rest,
                    };
                    let (name, event) = match piece {
                        Piece::Receipt => (": tollgate ", event(rest)),
                        _ => ("data: ", event(rest)),
                    };
                    let (event, after) =
                        event.ok_or_else(|| format!("no event in {}", shown(rest)))?;
                    let json = event.strip_prefix(name.as_bytes());
                    let json = json.ok_or_else(|| format!("no {name:?} in {}", shown(rest)))?;
                    let value: Value = serde_json::from_slice(json).map_err(|e| e.to_string())?;
                    match piece {
                        Piece::Receipt => receipt = Some(value),
                        _ => told(&value)?,
                    }
                    rest = after;
                    continue;
                }
            };
            let after = rest.strip_prefix(&*expected).ok_or_else(|| {
                let same = expected.iter().zip(rest).take_while(|(a, b)| a == b);
                let same = same.count();
                format!(
                    "expected {}, got {}",
                    shown(&expected[same..]),
                    shown(&rest[same..])
                )
            })?;
            rest = after;
        }
        match rest {
            [] => Ok(receipt),
            more => Err(format!("more came: {}", shown(more))),
        }
    }
}

/// The first event of a stream without its blank line, and what follows.
fn event(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.windows(2).position(|two| two == b"\n\n")?;
    Some((&bytes[..at], &bytes[at + 2..]))
}

/// The error event that the proxy adds is complete in its API's shape.
fn told(event: &Value) -> Result<(), String> {
    let (error, names) = match event.get("type") {
        // Of Responses, where the event is the error.
        Some(_) if event.get("error").is_none() => (
            event,
            &["type", "message", "param", "code", "sequence_number"][..],
        ),
        _ => (&event["error"], &["message", "type", "param", "code"][..]),
    };
    let is_whole = names.iter().all(|name| error.get(name).is_some());
    match is_whole && error["code"] == "upstream_unavailable" {
        true => Ok(()),
        false => Err(format!("not the proxy's error: {event}")),
    }
}

/// What a mark that stands for bytes stands for.
fn bytes_of(mark: &str) -> Vec<u8> {
    if let Some(milliseconds) = mark.strip_prefix("wav ") {
        return silence(milliseconds.parse().expect("milliseconds"));
    }
    let (what, times) = mark.rsplit_once('*').unwrap_or((mark, "1"));
    let times = times.parse().expect("how often");
    match what.strip_prefix("hex ") {
        Some(digits) => {
            let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("two digits");
            let bytes: Vec<u8> = (0..digits.len()).step_by(2).map(byte).collect();
            bytes.repeat(times)
        }
        None if mark.contains('*') => what.repeat(times).into_bytes(),
        None => panic!("no mark: {mark}"),
    }
}

/// A WAV file of 8,000 samples a second, one byte each.
fn silence(milliseconds: u32) -> Vec<u8> {
    let samples = milliseconds * 8;
    let words = |words: [u16; 2]| words.map(u16::to_le_bytes).concat();
    let length = |length: u32| length.to_le_bytes().to_vec();
    let head = [
        b"RIFF".to_vec(),
        length(36 + samples),
        b"WAVEfmt ".to_vec(),
        length(16),
        // PCM, one channel.
        words([1, 1]),
        // Samples, and bytes, a second.
        length(8_000),
        length(8_000),
        // Bytes of a sample over all channels, and its bits.
        words([1, 8]),
        b"data".to_vec(),
        length(samples),
    ];
    [head.concat(), vec![128; samples as usize]].concat()
}

fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    format!("{:?}", text.chars().take(120).collect::<String>())
}

#[test]
fn marks_are_read() {
    let text = "a⟦-b⟦CR⟧⟧c⟦+d⟧⟦x*3⟧⟦hex 00ff*2⟧⟦receipt⟧e⟦cost⟧⟦pause 5⟧f⟦end⟧\n\n";
    let template = Template::read(text);
    assert_eq!(template.sent, b"ab\rcxxx\x00\xff\x00\xffef");
    assert_eq!(template.pauses, [(12, Duration::from_millis(5))]);
    assert_eq!(template.ending, Some(Ending::Whole));
    let body = b"acdxxx\x00\xff\x00\xff: tollgate {\"cost\":\"1\"}\n\ne,\"cost\":\"1\"f";
    let receipt = template.compare(body, "1").expect("the same");
    assert_eq!(receipt.expect("a receipt")["cost"], "1");
    for (body, cost) in [
        (&body[..body.len() - 1], "1"),
        (&body[1..], "1"),
        (body, "2"),
    ] {
        assert!(template.compare(body, cost).is_err());
    }
    assert!(template.compare(&[&body[..], b"\n"].concat(), "1").is_err());
}
