//! The names that matter in one kind of object, and what becomes of each.

/// What becomes of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// It is read.
    Read,
    /// It passes, but only under exactly this name.
    Guard,
    /// It passes, but makes the input's tokens impossible to tell from its bytes.
    Unbounded,
    /// It names an object that the upstream keeps: whose it is has to be looked up. Its tokens are not in the body.
    Object,
    /// It is refused unless null or false.
    Refuse(Why),
}

/// Why a member is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// It would lead the request, or the upstream's credentials, elsewhere.
    Redirect,
    /// It would have another model answer than the one that is paid for.
    OtherModel,
    /// It reaches objects stored at the upstream, which all customers of this proxy share.
    Shared,
    /// The answer would come outside of the metered one.
    Background,
    /// A search or a built-in tool costs something that usage does not show.
    Builtin,
    /// Sound has no price here.
    Audio,
    /// Another name of a maximum.
    Maximum,
    /// Another name of `n`.
    Count,
    /// Another place for `prompt`.
    Prompt,
    /// Another place for `input`.
    Input,
    /// Another place for `documents`.
    Documents,
    /// It changes the price in a way that no row has.
    Dearer,
}

impl Why {
    /// The end of a sentence that begins with the member's name.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Why::Redirect => {
                "is not accepted: where a request goes is set by the proxy, not by its body. Remove it."
            }
            Why::OtherModel => {
                "is not accepted: only the model named in `model` answers. Remove it."
            }
            Why::Shared => {
                "is not accepted: stored objects of the upstream cannot be used through this proxy. Send the content itself."
            }
            Why::Background => {
                "is not accepted: background answers cannot be metered here. Remove it."
            }
            Why::Builtin => {
                "is not accepted: built-in search and tools have no price here. Remove it."
            }
            Why::Audio => "is not accepted: audio has no price here. Ask for text.",
            Why::Maximum => {
                "is not accepted: it is read by some upstreams instead of `max_tokens`. Use `max_tokens`."
            }
            Why::Count => "is not accepted: it is read by some upstreams instead of `n`. Use `n`.",
            Why::Prompt => {
                "is not accepted: it is read by some upstreams instead of `prompt`. Use `prompt`."
            }
            Why::Input => {
                "is not accepted: it is read by some upstreams instead of `input`. Use `input`."
            }
            Why::Documents => {
                "is not accepted: it is read by some upstreams instead of `documents`. Use `documents`."
            }
            Why::Dearer => "is not accepted: what it asks for has no price here. Remove it.",
        }
    }
}

/// What leads a request elsewhere, with some upstream that is a proxy itself.
pub(super) const REDIRECTS: &[&str] = &[
    "api_base",
    "api_host",
    "api_key",
    "api_type",
    "api_version",
    "aws_access_key_id",
    "aws_bedrock_runtime_endpoint",
    "aws_secret_access_key",
    "aws_session_token",
    "aws_sts_endpoint",
    "azure_endpoint",
    "base_url",
    "bootstrap_host",
    "bootstrap_port",
    "bootstrap_room",
    "callback_url",
    "custom_llm_provider",
    "endpoint",
    "extra_body",
    "extra_headers",
    "extra_query",
    "headers",
    "kv_transfer_params",
    "litellm_params",
    "organization",
    "proxy",
    "server_url",
    "user_config",
    "vertex_credentials",
    "vertex_project",
    "webhook_url",
];

/// What lets a model answer that is not the one named.
pub(super) const OTHER_MODELS: &[&str] = &[
    "deployment_id",
    "fallbacks",
    "model_list",
    "models",
    "preset",
    "provider",
    "route",
];

/// What names an object stored at the upstream.
pub(super) const SHARED: &[&str] = &[
    "assistant_id",
    "cached_content",
    "container",
    "conversation",
    "file_id",
    "file_ids",
    "session_params",
    "thread_id",
    "vector_store_ids",
];

/// What adds a search or a tool of the upstream's own.
pub(super) const BUILTINS: &[&str] = &[
    "data_sources",
    "enable_search",
    "enable_web_search",
    "mcp_servers",
    "plugins",
    "search_options",
    "search_parameters",
    "server_tools",
    "web_search",
    "web_search_options",
];

/// What makes a prompt longer than the body, or adds to it what is not in the body.
pub(super) const UNBOUNDED: &[&str] = &[
    "chat_template",
    "mm_processor_kwargs",
    "media_io_kwargs",
    "attachments",
    "files",
    "image",
    "images",
    "video",
    "videos",
];

/// What some server or other reads in the place of `max_tokens`.
pub(super) const MAXIMA: &[&str] = &[
    "n_predict",
    "num_predict",
    "max_new_tokens",
    "max_gen_tokens",
    "max_gen_len",
    "max_length",
    "max_decode_tokens",
    "max_tokens_to_sample",
];

/// What some server or other reads in the place of `n`.
pub(super) const COUNTS: &[&str] = &[
    "n_cmpl",
    "num_return_sequences",
    "num_completions",
    "num_generations",
    "candidate_count",
];

/// What a key is to a [`Table`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The name at this index.
    Exact(usize),
    /// A key that lenient parsers take for the name at this index.
    Lookalike(usize),
    /// Nothing that matters.
    Unknown,
}

/// The names that matter in one kind of object.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<(&'static str, Rule)>,
    /// Folded names with the index of their row, sorted.
    folded: Vec<(Folded, usize)>,
}

/// The most names in one table: their places are the bits of a `u128`.
const ROWS_MAX: usize = 128;

/// The longest folded name.
const FOLDED_MAX: usize = 40;

/// A name without what lenient parsers ignore, padded with zeros.
type Folded = [u8; FOLDED_MAX];

impl Table {
    /// A table of groups of names that share a rule.
    pub(super) fn new(groups: &[(Rule, &[&'static str])]) -> Self {
        let rows: Vec<_> = groups
            .iter()
            .flat_map(|(rule, names)| names.iter().map(|name| (*name, *rule)))
            .collect();
        debug_assert!(rows.len() <= ROWS_MAX);
        let mut folded: Vec<_> = rows
            .iter()
            .enumerate()
            .filter_map(|(index, (name, _))| Some((fold(name)?, index)))
            .collect();
        folded.sort_unstable();
        debug_assert!(folded.len() == rows.len(), "a name is too long");
        debug_assert!(
            folded.windows(2).all(|pair| pair[0].0 != pair[1].0),
            "two names fold alike"
        );
        Table { rows, folded }
    }

    /// What `key` is.
    pub(super) fn find(&self, key: &str) -> Found {
        let Some(folded) = fold(key) else {
            return Found::Unknown;
        };
        match self.folded.binary_search_by(|(name, _)| name.cmp(&folded)) {
            Ok(place) => {
                let index = self.folded[place].1;
                if self.rows[index].0 == key {
                    Found::Exact(index)
                } else {
                    Found::Lookalike(index)
                }
            }
            Err(_) => Found::Unknown,
        }
    }

    /// The name and rule at an index that [`Table::find`] gave.
    pub(super) fn row(&self, index: usize) -> (&'static str, Rule) {
        self.rows[index]
    }
}

/// The key as the most lenient parser sees it: without case (Go matches by Unicode's simple folding, Java by way of the
/// upper case) and without what tells `max_tokens` from `maxTokens` (protobuf's JSON reads both). `None` for keys that
/// cannot be a name of any table.
fn fold(key: &str) -> Option<Folded> {
    let mut folded = [0; FOLDED_MAX];
    let mut len = 0;
    for letter in key.chars() {
        let byte = match letter {
            '_' | '-' => continue,
            '\u{17f}' => b's',
            '\u{212a}' => b'k',
            '\u{130}' | '\u{131}' => b'i',
            '\u{1}'..='\u{7f}' => (letter as u8).to_ascii_lowercase(),
            _ => return None,
        };
        *folded.get_mut(len)? = byte;
        len += 1;
    }
    (len > 0).then_some(folded)
}

#[cfg(test)]
mod tests {
    use super::{Found, Rule, Table, Why};

    #[test]
    fn names_are_found_as_the_most_lenient_parser_sees_them() {
        let table = Table::new(&[
            (Rule::Read, &["max_tokens", "stream", "task", "n"]),
            (Rule::Refuse(Why::Builtin), &["plugins"]),
        ]);
        assert_eq!(table.find("max_tokens"), Found::Exact(0));
        assert_eq!(table.row(4), ("plugins", Rule::Refuse(Why::Builtin)));
        for key in ["Max_Tokens", "maxTokens", "MAX-TOKENS", "max_to\u{212a}ens"] {
            assert_eq!(table.find(key), Found::Lookalike(0), "{key}");
        }
        assert_eq!(table.find("\u{17f}tream"), Found::Lookalike(1));
        assert_eq!(table.find("plug\u{131}ns"), Found::Lookalike(4));
        for key in ["", "_", "n\0", "n ", "nn", "ñ", &"n".repeat(41)] {
            assert_eq!(table.find(key), Found::Unknown, "{key}");
        }
    }
}
