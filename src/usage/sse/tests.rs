use super::*;
use proptest::prelude::*;

fn scan(chunks: &[&[u8]]) -> (Vec<Event>, Vec<u8>) {
    let mut scanner = Scanner::new();
    let mut events = Vec::new();
    for chunk in chunks {
        scanner.push(Bytes::copy_from_slice(chunk));
        while let Some(event) = scanner.next() {
            events.push(event);
        }
    }
    events.extend(scanner.finish());
    let all = events
        .iter()
        .flat_map(|event| event.bytes.to_vec())
        .collect();
    (events, all)
}

/// The data of all events that have some.
fn data(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
    let (events, _) = scan(chunks);
    let data = events.iter().map(|event| event.data().into_owned());
    data.filter(|data| !data.is_empty()).collect()
}

const CORPUS: &[&str] = &[
    "data: {\"a\":1}\n\ndata: [DONE]\n\n",
    "data:{\"a\":1}\r\n\r\ndata:b\r\n\r\n",
    "data: a\r\rdata: b\r\r",
    "\u{feff}data: a\n\n: keep-alive\n\n\n\n\nevent: x\ndata: b\nid: 3\n\n",
    "data: a\r\n\rdata: b\n\r\ndata: c\r\n\ndata: d\n\n\r\n\r\r\n\n",
    "data: a\ndata: b\ndata\ndata:  c\n\n",
    "event: error\ndata: {\"error\":{}}\n\n",
    "data: no end",
    "data: no blank line\n",
    "\r\n\r\n: only\r\n\r\n",
    "",
    "\n",
    "\r",
    "data: \u{4f60}\u{597d}\r\n\r\n\r",
];

#[test]
fn fields_are_read_in_every_spelling() {
    assert_eq!(
        data(&[CORPUS[0].as_bytes()]),
        [&b"{\"a\":1}"[..], b"[DONE]"]
    );
    assert_eq!(data(&[CORPUS[1].as_bytes()]), [&b"{\"a\":1}"[..], b"b"]);
    assert_eq!(data(&[CORPUS[2].as_bytes()]), [b"a", b"b"]);
    assert_eq!(data(&[CORPUS[3].as_bytes()]), [b"a", b"b"]);
    assert_eq!(data(&[CORPUS[4].as_bytes()]), [b"a", b"b", b"c", b"d"]);
    assert_eq!(data(&[CORPUS[5].as_bytes()]), [b"a\nb\n\n c"]);
    assert_eq!(data(&[CORPUS[7].as_bytes()]), [b"no end"]);
    let (events, _) = scan(&[CORPUS[6].as_bytes()]);
    assert_eq!(events[0].event_name(), Some(&b"error"[..]));
    let (events, _) = scan(&[b"data: [DONE]\n\n:c\n\n\n\r\n"]);
    assert!(events[0].is_done() && !events[0].is_comment_only());
    assert!(
        events[1..]
            .iter()
            .all(|event| event.is_comment_only() && !event.is_done())
    );
}

#[test]
fn an_event_within_a_chunk_is_not_copied() {
    let chunk = Bytes::from_static(b"data: a\n\ndata: b\n\ndata: c");
    let mut scanner = Scanner::new();
    scanner.push(chunk.clone());
    let first = scanner.next().unwrap();
    let second = scanner.next().unwrap();
    assert_eq!(first.bytes.as_ptr(), chunk.as_ptr());
    assert_eq!(second.bytes.as_ptr(), chunk[9..].as_ptr());
    assert!(matches!(second.data(), Cow::Borrowed(b"b")));
    assert_eq!((scanner.next(), scanner.pending_len()), (None, 7));
}

#[test]
fn an_event_is_handed_out_as_soon_as_its_blank_line_is_there() {
    let mut scanner = Scanner::new();
    scanner.push(Bytes::from_static(b"data: a\n\n"));
    assert_eq!(scanner.next().unwrap().bytes.as_ref(), b"data: a\n\n");
    scanner.push(Bytes::from_static(b"data: b\r\n\r\nda"));
    assert_eq!(scanner.next().unwrap().bytes.as_ref(), b"data: b\r\n\r\n");
    assert_eq!(scanner.next(), None);
}

#[test]
fn a_line_feed_stays_with_its_carriage_return() {
    for after in ["\n", ""] {
        let mut scanner = Scanner::new();
        scanner.push(Bytes::from_static(b"data: a\r\n\r"));
        assert_eq!(scanner.next(), None);
        assert_eq!(scanner.next(), None);
        let rest = format!("{after}data: b\n\n");
        scanner.push(Bytes::copy_from_slice(rest.as_bytes()));
        let first = format!("data: a\r\n\r{after}");
        assert_eq!(scanner.next().unwrap().bytes.as_ref(), first.as_bytes());
        assert_eq!(scanner.next().unwrap().bytes.as_ref(), b"data: b\n\n");
        assert_eq!(scanner.next(), None);
    }
    let mut scanner = Scanner::new();
    scanner.push(Bytes::from_static(b"data: a\r\n\r"));
    assert_eq!(scanner.next(), None);
    assert_eq!(scanner.finish().unwrap().bytes.as_ref(), b"data: a\r\n\r");
    assert_eq!(scanner.finish(), None);
}

#[test]
fn two_pushes_in_a_row_lose_nothing() {
    let mut scanner = Scanner::new();
    scanner.push(Bytes::from_static(b"data: a\n\nda"));
    scanner.push(Bytes::from_static(b"ta: b\n\n"));
    assert_eq!(scanner.next().unwrap().bytes.as_ref(), b"data: a\n\n");
    assert_eq!(scanner.next().unwrap().bytes.as_ref(), b"data: b\n\n");
}

#[test]
fn an_oversized_event_flows_and_the_next_one_is_found() {
    let mut scanner = Scanner::new();
    let part = Bytes::from(vec![b'x'; PENDING_BYTES_MAX / 2 + 1]);
    scanner.push(Bytes::from_static(b"data: "));
    assert_eq!((scanner.next(), scanner.overflow()), (None, None));
    scanner.push(part.clone());
    assert_eq!((scanner.next(), scanner.overflow()), (None, None));
    scanner.push(part.clone());
    assert_eq!(scanner.next(), None);
    assert_eq!(scanner.overflow().unwrap().len(), 6 + 2 * part.len());
    assert_eq!(scanner.pending_len(), 0);
    scanner.push(Bytes::from_static(b"data: y\r\n\r\ndata: z\n\n"));
    let tail = scanner.next().unwrap();
    assert!(tail.is_tail && tail.data().is_empty() && !tail.is_comment_only());
    assert_eq!(tail.bytes.as_ref(), b"data: y\r\n\r\n");
    let next = scanner.next().unwrap();
    assert!(!next.is_tail && next.data().as_ref() == b"z");
}

#[test]
fn every_two_way_split_gives_the_same_bytes_and_data() {
    for text in CORPUS {
        let whole = data(&[text.as_bytes()]);
        for at in 0..=text.len() {
            let (left, right) = text.as_bytes().split_at(at);
            assert_eq!(scan(&[left, right]).1, text.as_bytes(), "{text:?} at {at}");
            assert_eq!(data(&[left, right]), whole, "{text:?} at {at}");
        }
        let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        assert_eq!(data(&bytes), whole, "{text:?}");
        assert_eq!(scan(&bytes).1, text.as_bytes());
    }
}

proptest! {
    #[test]
    fn any_split_of_any_stream_gives_the_same_bytes_and_data(
        pieces in proptest::collection::vec(prop_oneof![
            Just("\n"), Just("\r"), Just("\r\n"), Just("data: "), Just("data:"), Just(": c"), Just("event: e"), Just("x"), Just("\u{feff}")
        ], 0..60),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let text = pieces.concat().into_bytes();
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        ends.extend([0, text.len()]);
        ends.sort_unstable();
        let chunks: Vec<&[u8]> = ends.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
        prop_assert_eq!(&scan(&chunks).1, &text);
        prop_assert_eq!(data(&chunks), data(&[&text]));
    }

    #[test]
    fn any_bytes_come_out_as_they_went_in(chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..8)) {
        let slices: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
        prop_assert_eq!(scan(&slices).1, chunks.concat());
    }
}

#[test]
fn an_event_is_whole_with_its_blank_line() {
    let event = |bytes: &'static str| Event {
        bytes: Bytes::from_static(bytes.as_bytes()),
        is_tail: false,
    };
    for whole in [
        "data: 1\n\n",
        "data: 1\r\n\r\n",
        "data: 1\r\r",
        "data: 1\n\r\n",
        "\n",
        "\r\n",
        ": c\n\n",
    ] {
        assert!(event(whole).is_whole(), "{whole:?}");
    }
    for part in [
        "",
        "data: 1",
        "data: 1\n",
        "data: 1\r\n",
        "data: 1\r",
        ": c\n",
    ] {
        assert!(!event(part).is_whole(), "{part:?}");
    }
}
