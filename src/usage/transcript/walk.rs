//! The lexical walk over one JSON text: which members are text of the model, and which tell what the text is.

use memchr::memchr2;

use super::Transcript;

/// What a walk over one JSON text met on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Text of the model.
    pub text: bool,
    /// A `usage` member that is an object, at the top or in a choice.
    pub usage: bool,
    /// A top-level `error` that is not null, or a top-level `"type": "error"`.
    pub error: bool,
    /// A `finish_reason` or a `stop_reason` that is a string.
    pub finish: bool,
    /// What the top-level `type` says.
    pub typed: Typed,
    /// A top-level `url` or `b64_json`: a picture.
    pub picture: bool,
    /// The top-level `sequence_number`.
    pub sequence: Option<u64>,
}

/// What the `type` of an event says of the stream that it is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Typed {
    /// There is none, or it says nothing that matters.
    #[default]
    Plain,
    /// It tells again what came before, or tells of its frame.
    Repeats,
    /// It is the last event.
    Ends,
    /// It is the last event, and the answer failed.
    Fails,
    /// It brings one picture of several.
    Picture,
    /// It is the last event, and may bring a picture.
    PicturesEnd,
    /// It tells of one picture that failed.
    PictureFails,
}

impl Typed {
    fn of(value: &[u8]) -> Typed {
        match value {
            b"response.completed"
            | b"response.incomplete"
            | b"message_stop"
            | b"transcript.text.done"
            | b"speech.audio.done" => Typed::Ends,
            b"response.failed" => Typed::Fails,
            b"image_generation.completed" | b"image_edit.completed" => Typed::PicturesEnd,
            b"image_generation.partial_succeeded" => Typed::Picture,
            b"image_generation.partial_failed" => Typed::PictureFails,
            b"transcript.text.segment" => Typed::Repeats,
            _ if value.starts_with(b"response.") => {
                let is_sound = value.ends_with(b"audio.delta");
                match value.ends_with(b".delta") && !is_sound {
                    true => Typed::Plain,
                    false => Typed::Repeats,
                }
            }
            _ => Typed::Plain,
        }
    }
}

/// How a walk stands between two members. It follows from the bytes that it went over, and from nothing else.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stand {
    depth: u32,
    /// The depth at which the container that is passed over began.
    passing_over: Option<u32>,
    /// What was met so far.
    pub seen: Seen,
}

/// A walk over one JSON text.
pub(super) struct Walk<'a> {
    json: &'a [u8],
    /// How it stands now.
    pub stand: Stand,
    /// The last reasoning text and its member's name: some upstreams send it under two names.
    reasoning: Option<(&'a [u8], &'a [u8])>,
    /// Where the first member with text is, and how the walk stood there.
    pub begun: Option<(usize, Stand)>,
}

impl<'a> Walk<'a> {
    /// A walk that stands like this where it goes on.
    pub fn new(json: &'a [u8], stand: Stand) -> Self {
        Walk {
            json,
            stand,
            reasoning: None,
            begun: None,
        }
    }

    /// Goes from there to the end; the text of the model is added to the transcript.
    pub fn run(&mut self, mut at: usize, transcript: &mut Transcript) {
        while let Some(&byte) = self.json.get(at) {
            at += 1;
            match byte {
                b'{' | b'[' => self.stand.depth = self.stand.depth.saturating_add(1),
                b'}' | b']' => self.close(),
                b'"' => match self.string(at, transcript) {
                    Some(next) => at = next,
                    None => return,
                },
                _ => {}
            }
        }
    }

    fn close(&mut self) {
        let stand = &mut self.stand;
        stand.depth = stand.depth.saturating_sub(1);
        if stand.passing_over == Some(stand.depth) {
            stand.passing_over = None;
        }
    }

    /// Reads the string that starts at `start`, and its value if it is a member's name and the value is
    /// a string. Returns where to go on, or `None` if the text ends before the string does.
    fn string(&mut self, start: usize, transcript: &mut Transcript) -> Option<usize> {
        let end = string_end(self.json, start)?;
        let colon = self.after_blanks(end + 1);
        if self.json.get(colon) != Some(&b':') {
            return Some(end + 1);
        }
        let name = &self.json[start..end];
        let at = self.after_blanks(colon + 1);
        match self.json.get(at)? {
            b'"' => {
                let before = self.stand;
                // A value that the answer's end cut off was delivered as far as it goes.
                let end = string_end(self.json, at + 1);
                let value = &self.json[at + 1..end.unwrap_or(self.json.len())];
                if self.text_member(name, value, transcript) && self.begun.is_none() {
                    self.begun = Some((start - 1, before));
                }
                Some(end? + 1)
            }
            _ => {
                if name == b"sequence_number" && self.stand.depth == 1 {
                    self.stand.seen.sequence = number(&self.json[at..]);
                }
                self.other_member(name, at);
                Some(at)
            }
        }
    }

    /// Whether it is text of the model, which is kept.
    fn text_member(
        &mut self,
        name: &'a [u8],
        value: &'a [u8],
        transcript: &mut Transcript,
    ) -> bool {
        let Stand {
            depth,
            passing_over,
            seen,
        } = &mut self.stand;
        let at_top = *depth == 1;
        let is_text = match name {
            _ if passing_over.is_some() || value.is_empty() => false,
            b"delta" => at_top,
            b"reasoning" | b"reasoning_content" => {
                let same = |(other, text)| other != name && text == value;
                !self.reasoning.replace((name, value)).is_some_and(same)
            }
            b"content" | b"refusal" | b"arguments" | b"name" | b"text" | b"input" | b"thinking"
            | b"partial_json" => true,
            _ => {
                match name {
                    b"finish_reason" | b"stop_reason" => seen.finish = true,
                    b"error" if at_top => seen.error = true,
                    b"type" if at_top && value == b"error" => seen.error = true,
                    b"type" if at_top => seen.typed = Typed::of(value),
                    b"url" | b"b64_json" if at_top => seen.picture = true,
                    _ => {}
                }
                false
            }
        };
        if is_text {
            seen.text = true;
            transcript.append(value);
        }
        is_text
    }

    /// Any member but a string, whose value begins at `at`.
    fn other_member(&mut self, name: &[u8], at: usize) {
        let first = self.json[at];
        let is_container = matches!(first, b'{' | b'[');
        let within = self.json.get(self.after_blanks(at + 1));
        let is_empty = is_container && matches!(within, Some(b'}' | b']'));
        let says_something = !is_empty && !matches!(first, b'n' | b'f');
        let stand = &mut self.stand;
        match name {
            b"usage" if stand.depth <= 3 && first == b'{' => stand.seen.usage = true,
            b"error" if stand.depth == 1 && says_something => stand.seen.error = true,
            _ => {}
        }
        // What these hold is not text of the model, or a second copy of it.
        let is_passed_over = matches!(
            name,
            b"usage"
                | b"error"
                | b"logprobs"
                | b"reasoning_details"
                | b"annotations"
                | b"tools"
                | b"tool_choice"
                | b"metadata"
                // How the text is to be, in a response that repeats what was asked for; and its prompts.
                | b"format"
                | b"instructions"
                | b"prompt"
        );
        if is_container && is_passed_over && stand.passing_over.is_none() {
            stand.passing_over = Some(stand.depth);
        }
    }

    fn after_blanks(&self, from: usize) -> usize {
        let rest = self.json.get(from..).unwrap_or_default();
        from + rest.len() - rest.trim_ascii_start().len()
    }
}

/// The digits that `json` begins with.
fn number(json: &[u8]) -> Option<u64> {
    let end = json.iter().position(|byte| !byte.is_ascii_digit());
    let digits = &json[..end.unwrap_or(json.len())];
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Where the string whose first byte is at `start` has its closing quote.
fn string_end(json: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        at += memchr2(b'"', b'\\', json.get(at..)?)?;
        if json[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}
