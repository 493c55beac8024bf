//! The metered services: their paths, which models are served where, and what counts in each.

use std::fmt;

use crate::price::Category;
use crate::usage::Meter;

/// A metered service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Chat completions.
    Chat,
    /// Completions of plain text.
    Completions,
    /// OpenAI's Responses.
    Responses,
    /// How many tokens a response's input has.
    ResponseTokens,
    /// Anthropic's Messages.
    Messages,
    /// How many tokens a message's input has.
    MessageTokens,
    /// Vectors for texts.
    Embeddings,
    /// Documents in the order of their relevance to a query.
    Rerank,
    /// Whether texts and images are harmful.
    Moderations,
    /// Images made or edited.
    Images,
    /// Images edited, by a form or JSON.
    ImageEdits,
    /// Images varied, by a form.
    ImageVariations,
    /// Speech from text.
    Speech,
    /// Text from speech, in its language.
    Transcriptions,
    /// Text from speech, in English.
    Translations,
    /// What the operator prices by the request, at a path of its own.
    Priced,
}

/// What an answer of a service comes to, where nothing is said of it otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts {
    /// Input and output tokens.
    Text,
    /// Input tokens only: nothing is written.
    Input,
    /// Images, and tokens where the model's row prices them.
    Images,
    /// Characters of the request, or tokens where the model's row prices them.
    Characters,
    /// Seconds of the recording, or tokens where the model's row prices them.
    Seconds,
    /// One request, whatever it asks.
    Requests,
    /// Nothing: it is free.
    Nothing,
}

/// How a request of a service consumes less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Smaller {
    /// What the request pays for, as people call it.
    pub part: &'static str,
    /// The field that decides.
    pub param: &'static str,
    /// What to do with it.
    pub advice: &'static str,
}

/// The paths at which a category is served, to be read by people.
pub struct Paths(pub Category);

impl Service {
    /// Every service that has a path of its own.
    pub const ALL: [Service; 15] = [
        Service::Chat,
        Service::Completions,
        Service::Responses,
        Service::ResponseTokens,
        Service::Messages,
        Service::MessageTokens,
        Service::Embeddings,
        Service::Rerank,
        Service::Moderations,
        Service::Images,
        Service::ImageEdits,
        Service::ImageVariations,
        Service::Speech,
        Service::Transcriptions,
        Service::Translations,
    ];

    /// The path below `/v1`, here and upstream; of what is priced by path, the word for all of them.
    pub const fn path(self) -> &'static str {
        match self {
            Service::Chat => "/chat/completions",
            Service::Completions => "/completions",
            Service::Responses => "/responses",
            Service::ResponseTokens => "/responses/input_tokens",
            Service::Messages => "/messages",
            Service::MessageTokens => "/messages/count_tokens",
            Service::Embeddings => "/embeddings",
            Service::Rerank => "/rerank",
            Service::Moderations => "/moderations",
            Service::Images => "/images/generations",
            Service::ImageEdits => "/images/edits",
            Service::ImageVariations => "/images/variations",
            Service::Speech => "/audio/speech",
            Service::Transcriptions => "/audio/transcriptions",
            Service::Translations => "/audio/translations",
            Service::Priced => "/{path}",
        }
    }

    /// The service at a path, which begins with `/v1`.
    pub fn at(path: &str) -> Option<Service> {
        let path = path.strip_prefix("/v1")?;
        Service::ALL.into_iter().find(|each| each.path() == path)
    }

    /// What an answer comes to.
    pub const fn counts(self) -> Counts {
        match self {
            Service::Chat | Service::Completions | Service::Responses | Service::Messages => {
                Counts::Text
            }
            Service::Embeddings | Service::Rerank | Service::Moderations => Counts::Input,
            Service::Images | Service::ImageEdits | Service::ImageVariations => Counts::Images,
            Service::Speech => Counts::Characters,
            Service::Transcriptions | Service::Translations => Counts::Seconds,
            Service::ResponseTokens | Service::MessageTokens => Counts::Nothing,
            Service::Priced => Counts::Requests,
        }
    }

    /// Whether models of a category are served here.
    pub const fn serves(self, category: Category) -> bool {
        match self {
            Service::Chat
            | Service::Completions
            | Service::Responses
            | Service::ResponseTokens
            | Service::Messages
            | Service::MessageTokens => matches!(category, Category::Chat),
            Service::Embeddings => matches!(category, Category::Embedding),
            Service::Rerank => matches!(category, Category::Rerank),
            Service::Moderations => matches!(category, Category::Moderation),
            Service::Images | Service::ImageEdits | Service::ImageVariations => category.is_image(),
            Service::Priced => matches!(category, Category::Path),
            Service::Speech => matches!(category, Category::Speech),
            Service::Transcriptions | Service::Translations => {
                matches!(category, Category::Transcription)
            }
        }
    }

    /// Whether a stream tells its usage only where `stream_options` asks for it.
    pub const fn has_stream_options(self) -> bool {
        matches!(self, Service::Chat | Service::Completions)
    }

    /// Whether it is of Anthropic's API, whose errors and request ids have a shape of their own.
    pub const fn is_anthropic(self) -> bool {
        matches!(self, Service::Messages | Service::MessageTokens)
    }

    /// Whether its answers may be event streams.
    pub const fn streams(self) -> bool {
        !matches!(self.counts(), Counts::Input | Counts::Nothing)
    }

    /// How a request consumes less of a meter; `None` where no field of it decides that.
    pub const fn smaller(self, meter: Meter) -> Option<Smaller> {
        let output = meter.is_output() || matches!(meter, Meter::Images);
        // Of these, documents are the only ones that can come to several.
        if matches!(meter, Meter::Requests) && !matches!(self, Service::Rerank) {
            return None;
        }
        let (part, param, advice) = match (self, output) {
            (Service::Chat | Service::Completions, true) => {
                ("output", "max_tokens", "lower `max_tokens` or `n`")
            }
            (Service::Responses, true) => {
                ("output", "max_output_tokens", "lower `max_output_tokens`")
            }
            (Service::Messages, true) => ("output", "max_tokens", "lower `max_tokens`"),
            (Service::Chat | Service::Messages | Service::MessageTokens, false) => {
                ("input", "messages", "shorten the messages")
            }
            (Service::Completions, false) => ("input", "prompt", "shorten the prompt"),
            (Service::Responses | Service::ResponseTokens, false) => {
                ("input", "input", "shorten the input")
            }
            (Service::Embeddings | Service::Moderations, _) => {
                ("input", "input", "send less input at once")
            }
            (Service::Rerank, _) => ("input", "documents", "send fewer documents at once"),
            (Service::Images | Service::ImageEdits | Service::ImageVariations, true) => {
                ("images", "n", "lower `n`")
            }
            (Service::Images | Service::ImageEdits | Service::ImageVariations, false) => (
                "input",
                "prompt",
                "shorten the prompt, or send fewer images",
            ),
            (Service::Speech, _) => ("input", "input", "shorten the input"),
            // How long a recording is cannot be told from its bytes.
            (Service::Transcriptions | Service::Translations, _) => return None,
            (Service::Priced, _) => return None,
            // What is free has nothing to save.
            (Service::ResponseTokens | Service::MessageTokens, true) => return None,
        };
        Some(Smaller {
            part,
            param,
            advice,
        })
    }

    /// All paths, as a refusal of any other names them.
    pub fn list() -> String {
        let mut list = String::new();
        for service in Service::ALL {
            list.push_str(", `POST /v1");
            list.push_str(service.path());
            list.push('`');
        }
        list.split_off(2)
    }
}

impl fmt::Display for Paths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut and = "";
        for service in Service::ALL.iter().filter(|each| each.serves(self.0)) {
            write!(f, "{and}POST /v1{}", service.path())?;
            and = " and ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Words;

    #[test]
    fn every_category_is_served_somewhere_and_every_path_is_found() {
        for (word, category) in Category::WORDS {
            let mut all = Service::ALL.into_iter().chain([Service::Priced]);
            let served = all.any(|each| each.serves(*category));
            assert!(served, "{word}");
        }
        for service in Service::ALL {
            let path = format!("/v1{}", service.path());
            assert_eq!(Service::at(&path), Some(service));
        }
        for path in ["", "/v1", "/v1/", "/completions", "/v1/completions/"] {
            assert_eq!(Service::at(path), None, "{path}");
        }
    }

    #[test]
    fn a_category_names_all_of_its_paths() {
        assert_eq!(
            Paths(Category::Chat).to_string(),
            "POST /v1/chat/completions and POST /v1/completions and POST /v1/responses and \
             POST /v1/responses/input_tokens and POST /v1/messages and POST /v1/messages/count_tokens"
        );
        assert_eq!(
            Paths(Category::Embedding).to_string(),
            "POST /v1/embeddings"
        );
    }

    #[test]
    fn the_readme_names_every_path() {
        let readme = include_str!("../../README.md");
        for service in Service::ALL {
            let row = format!("| `POST /v1{}` |", service.path());
            assert!(readme.contains(&row), "{row}");
        }
    }
}
