//! What a body does next: send, wait, break off. The order of steps is pure; [`super::body`] carries them out.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;

use super::bodies::Usage;
use super::texts::ModelTexts;

/// One move of a body.
pub enum Step {
    Send(Bytes),
    /// This long after the previous wait's end, so that a pace does not drift.
    Pace(Duration),
    /// Wait until the socket has taken everything.
    Flush,
    /// Break the connection off, once all that was sent before has been taken.
    Cut,
    /// Say nothing more until the client leaves.
    Hang,
}

/// Where the steps come from.
pub enum Script {
    Whole(Option<Bytes>),
    Steps(VecDeque<Step>),
    Stream(Box<StreamScript>),
}

/// The steps of a stream: a role chunk, paced bursts of tokens, then the tail.
pub struct StreamScript {
    pub texts: Rc<ModelTexts>,
    pub asked_usage: bool,
    /// Repeat the usage so far in every chunk.
    pub running_usage: Option<Usage>,
    pub chunks: u64,
    pub reasoning: u64,
    pub burst: u64,
    pub pace: Duration,
    /// What follows the tokens.
    pub tail: VecDeque<Step>,
    state: StreamState,
}

#[derive(Default)]
struct StreamState {
    opened: bool,
    sent: u64,
    /// Tokens sent since the last wait.
    in_burst: u64,
}

// === impl Script ===

impl Script {
    pub fn next(&mut self) -> Option<Step> {
        match self {
            Script::Whole(bytes) => bytes.take().map(Step::Send),
            Script::Steps(steps) => steps.pop_front(),
            Script::Stream(stream) => stream.next(),
        }
    }

    pub fn is_empty(&self) -> bool {
        match self {
            Script::Whole(bytes) => bytes.is_none(),
            Script::Steps(steps) => steps.is_empty(),
            Script::Stream(stream) => stream.state.sent == stream.chunks && stream.tail.is_empty(),
        }
    }
}

// === impl StreamScript ===

impl StreamScript {
    pub fn new(texts: Rc<ModelTexts>, chunks: u64) -> StreamScript {
        StreamScript {
            texts,
            asked_usage: false,
            running_usage: None,
            chunks,
            reasoning: 0,
            burst: 1,
            pace: Duration::ZERO,
            tail: VecDeque::new(),
            state: StreamState::default(),
        }
    }

    fn next(&mut self) -> Option<Step> {
        let state = &mut self.state;
        if !state.opened {
            state.opened = true;
            return Some(Step::Send(self.texts.frames(self.asked_usage).role.clone()));
        }
        if state.in_burst == self.burst {
            state.in_burst = 0;
            return Some(if self.pace.is_zero() {
                Step::Flush
            } else {
                Step::Pace(self.pace)
            });
        }
        if state.sent < self.chunks {
            let index = state.sent;
            state.sent += 1;
            state.in_burst += 1;
            return Some(Step::Send(self.token(index)));
        }
        self.tail.pop_front()
    }

    fn token(&self, index: u64) -> Bytes {
        match self.running_usage {
            None => self
                .texts
                .frames(self.asked_usage)
                .token(index, self.reasoning),
            Some(usage) => {
                let usage = Usage {
                    completion: index as i64 + 1,
                    ..usage
                };
                self.texts.content_with_usage(index, &usage)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::texts::TextCache;
    use super::*;

    fn shape(mut script: StreamScript) -> String {
        let mut shape = String::new();
        while let Some(step) = script.next() {
            shape.push(match step {
                Step::Send(_) => 's',
                Step::Pace(_) => 'p',
                Step::Flush => 'f',
                Step::Cut => 'c',
                Step::Hang => 'h',
            });
        }
        shape
    }

    fn script(chunks: u64, burst: u64) -> StreamScript {
        let mut script = StreamScript::new(TextCache::default().of("m"), chunks);
        script.burst = burst;
        script.tail.push_back(Step::Cut);
        script
    }

    #[test]
    fn a_burst_is_followed_by_one_wait() {
        assert_eq!(shape(script(5, 2)), "sssfssfsc");
        assert_eq!(shape(script(4, 2)), "sssfssfc");
        assert_eq!(shape(script(3, 50)), "ssssc");
        assert_eq!(shape(script(0, 1)), "sc");
    }

    #[test]
    fn a_pace_replaces_the_flush() {
        let mut script = script(2, 1);
        script.pace = Duration::from_millis(5);
        assert_eq!(shape(script), "sspspc");
    }
}
