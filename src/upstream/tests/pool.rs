//! Connections that are kept: who gets them, and who must not.

use super::*;

const OVERLONG: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwrong";
const UNFINISHED: &str = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nok";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
const ENDLESS: &str = "HTTP/1.0 200 OK\r\n\r\nok";
const EMPTY: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

fn connections(origin: &Origin) -> Vec<usize> {
    origin.requests().iter().map(|seen| seen.0).collect()
}

#[tokio::test]
async fn connections_that_close_while_they_rest_are_left_and_the_request_arrives_once() {
    let origin = Origin::start(&[Reply::Later(OK)]).await;
    let upstreams = at(&origin, "");
    let three = futures_util::future::join_all((0..3).map(|_| send(&upstreams))).await;
    for answer in three {
        assert_eq!(text(answer.expect("an answer")).await, "ok");
    }
    tokio::time::sleep(2 * LATER).await;
    let sent = tokio::time::timeout(Duration::from_secs(5), send(&upstreams)).await;
    let answer = sent.expect("no wait").expect("an answer");
    assert_eq!(text(answer).await, "ok");
    let mut connections = connections(&origin);
    connections.sort_unstable();
    assert_eq!(connections, [0, 1, 2, 3]);
}

#[tokio::test]
async fn what_comes_after_an_answer_reaches_no_other_request() {
    let origin = Origin::start(&[Reply::Keep(OVERLONG), Reply::Keep(OK)]).await;
    let upstreams = at(&origin, "");
    assert_eq!(text(send(&upstreams).await.expect("an answer")).await, "ok");
    assert_eq!(text(send(&upstreams).await.expect("an answer")).await, "ok");
    assert_eq!(connections(&origin), [0, 1]);
}

/// The connections of two requests, of which the first was left when its first piece had come.
async fn left_after_the_first_piece(origin: &Origin) -> Vec<usize> {
    let upstreams = at(origin, "");
    let mut answer = send(&upstreams).await.expect("an answer");
    let first = answer.body_mut().frame().await;
    let first = first.expect("a frame").expect("data");
    assert_eq!(first.into_data().expect("data"), "ok");
    drop(answer);
    assert_eq!(text(send(&upstreams).await.expect("an answer")).await, "ok");
    connections(origin)
}

#[tokio::test]
async fn an_answer_that_is_left_before_its_end_takes_its_connection_along() {
    let origin = Origin::start(&[Reply::Keep(UNFINISHED), Reply::Keep(OK)]).await;
    assert_eq!(left_after_the_first_piece(&origin).await, [0, 1]);
}

#[tokio::test]
async fn an_answer_whose_end_is_here_leaves_its_connection_though_nobody_read_that() {
    let origin = Origin::start(&[Reply::Keep(CHUNKED), Reply::Keep(OK)]).await;
    assert_eq!(left_after_the_first_piece(&origin).await, [0, 0]);
}

#[tokio::test]
async fn answers_that_end_with_their_connection_are_whole_and_it_is_not_used_again() {
    for (answer, body) in [(ENDLESS, "ok"), (EMPTY, "")] {
        let script: &'static [Reply] = match answer {
            ENDLESS => &[Reply::Close(ENDLESS)],
            _ => &[Reply::Close(EMPTY)],
        };
        let origin = Origin::start(script).await;
        let upstreams = at(&origin, "");
        for _ in 0..2 {
            assert_eq!(text(send(&upstreams).await.expect("an answer")).await, body);
        }
        assert_eq!(connections(&origin), [0, 1]);
    }
}
