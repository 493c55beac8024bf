//! A stream cut anywhere: all bytes come out, and the same events, whatever the chunks.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tollgate_fuzz::usage::sse::{Event, PENDING_BYTES_MAX, Scanner};
use tollgate_fuzz::usage::stream::{StreamFacts, StreamMeter, splice_cost};

fuzz_target!(|stream: &[u8]| {
    let whole = read(&[stream]);
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(whole, read(&bytes), "cut at every byte");
    assert_eq!(whole, read(&cut(stream)), "cut here and there");
    for event in scan(&[stream]).0 {
        costs(&event);
    }
    if stream.first() == Some(&b'>') {
        overflow(stream);
    }
});

/// Name and data of the events that have any, and what they told. Which event has the line feed of a blank line that
/// ends with both may differ.
fn read(chunks: &[&[u8]]) -> (Vec<Fields>, StreamFacts) {
    let (events, facts) = scan(chunks);
    let fields = events.iter().filter(|event| !event.is_comment_only());
    let fields = fields.map(|event| {
        let name = event.event_name().map(<[u8]>::to_vec);
        (name, event.data().into_owned())
    });
    (fields.collect(), facts)
}

type Fields = (Option<Vec<u8>>, Vec<u8>);

/// The events of a stream that came in these chunks.
fn scan(chunks: &[&[u8]]) -> (Vec<Event>, StreamFacts) {
    let mut scanner = Scanner::new();
    let mut meter = StreamMeter::new();
    let mut events = Vec::new();
    for chunk in chunks {
        scanner.push(Bytes::copy_from_slice(chunk));
        while let Some(event) = scanner.next() {
            meter.event(&event);
            events.push(event);
        }
        assert_eq!(scanner.overflow(), None);
    }
    if let Some(rest) = scanner.finish() {
        meter.event(&rest);
        events.push(rest);
    }
    assert_eq!(scanner.pending_len(), 0);
    let out = events.iter().flat_map(|event| event.bytes.iter());
    assert!(out.eq(chunks.iter().copied().flatten()), "bytes were lost");
    (events, meter.finish())
}

/// Chunks whose lengths follow from what is in them.
fn cut(stream: &[u8]) -> Vec<&[u8]> {
    let mut chunks = Vec::new();
    let mut rest = stream;
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    while !rest.is_empty() {
        state = (state ^ u64::from(rest[0])).wrapping_mul(0x100_0000_01b3);
        let len = usize::try_from(state >> 60).unwrap_or(0).min(rest.len());
        chunks.push(&rest[..len]);
        rest = &rest[len..];
    }
    chunks
}

/// A cost is put into an event by an insertion, and the event stays one.
fn costs(event: &Event) {
    let members = r#","cost":"1""#;
    if let Some(spliced) = splice_cost(event, members) {
        let added = spliced.len() - event.bytes.len();
        let same = spliced.iter().zip(&event.bytes).take_while(|(a, b)| a == b);
        let at = same.count();
        assert_eq!(spliced[at + added..], event.bytes[at..]);
        assert_eq!(scan(&[&spliced]).0.len(), 1);
    }
}

/// An event that is too long to wait for flows, and its end is told as such.
fn overflow(stream: &[u8]) {
    let mut long = b"data: {\"a\":\"".to_vec();
    long.resize(PENDING_BYTES_MAX + 9, b'x');
    let mut scanner = Scanner::new();
    let mut meter = StreamMeter::new();
    let mut out = Vec::new();
    for chunk in [&long].into_iter().map(Vec::as_slice).chain(cut(stream)) {
        scanner.push(Bytes::copy_from_slice(chunk));
        while let Some(event) = scanner.next() {
            meter.event(&event);
            out.extend_from_slice(&event.bytes);
        }
        if let Some(fragment) = scanner.overflow() {
            meter.fragment(&fragment);
            out.extend_from_slice(&fragment);
        }
        assert!(scanner.pending_len() <= PENDING_BYTES_MAX);
    }
    if let Some(rest) = scanner.finish() {
        meter.event(&rest);
        out.extend_from_slice(&rest.bytes);
    }
    let _facts = meter.finish();
    assert_eq!(out, [&long, stream].concat(), "bytes were lost");
}
