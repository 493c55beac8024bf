//! The words that the config file has for each choice: one table per choice, used both ways.

use super::{
    AskUsage, Category, Durability, GrantUnit, LedgerKind, MaxTokensField, Measure, OnDisconnect,
    OnShort, Per, Period, PriceField, UpstreamKind,
};
use crate::vocabulary::Encoding;

/// A choice among words.
pub trait Words: Copy + PartialEq + 'static {
    /// Every choice with its word.
    const WORDS: &'static [(&'static str, Self)];

    /// The word of this choice.
    fn name(self) -> &'static str {
        Self::WORDS
            .iter()
            .find(|(_, choice)| *choice == self)
            .map_or("", |(word, _)| word)
    }

    /// The choice with this word.
    fn of(word: &str) -> Option<Self> {
        let found = Self::WORDS.iter().find(|(each, _)| *each == word);
        found.map(|(_, choice)| *choice)
    }
}

macro_rules! words {
    ($type:ident { $($word:literal => $choice:ident),+ $(,)? }) => {
        impl Words for $type {
            const WORDS: &'static [(&'static str, Self)] = &[$(($word, $type::$choice)),+];
        }
    };
}

words!(LedgerKind { "embedded" => Embedded, "redis" => Redis });
words!(Durability { "disk" => Disk, "process" => Process });
words!(UpstreamKind { "openai" => Openai, "simulator" => Simulator });
words!(AskUsage { "auto" => Auto, "never" => Never });
words!(Category {
    "chat" => Chat,
    "embedding" => Embedding,
    "rerank" => Rerank,
    "moderation" => Moderation,
    "speech" => Speech,
    "transcription" => Transcription,
    "path" => Path,
    "text-to-image" => TextToImage,
    "image-edit" => ImageEdit,
    "multi-image-edit" => MultiImageEdit,
});
words!(Encoding { "o200k_base" => O200kBase, "cl100k_base" => Cl100kBase, "o200k_harmony" => O200kHarmony });
words!(MaxTokensField {
    "max_tokens" => MaxTokens,
    "max_completion_tokens" => MaxCompletionTokens,
    "both" => Both,
});
words!(Per {
    "1M tokens" => MillionTokens,
    "1K tokens" => ThousandTokens,
    "token" => Token,
    "image" => Image,
    "request" => Request,
});
words!(PriceField {
    "input" => Input,
    "cached_input" => CachedInput,
    "cache_write" => CacheWrite,
    "cache_write_1h" => CacheWriteHour,
    "audio_input" => AudioInput,
    "image_input" => ImageInput,
    "output" => Output,
    "reasoning" => Reasoning,
    "audio_output" => AudioOutput,
    "image_output" => ImageOutput,
    "image" => Image,
    "second" => Second,
    "minute" => Minute,
    "character" => Character,
    "thousand_characters" => ThousandCharacters,
    "million_characters" => MillionCharacters,
    "request" => Request,
});
words!(GrantUnit {
    "tokens" => Tokens,
    "images" => Images,
    "requests" => Requests,
    "money" => Money,
});
words!(Measure {
    "spend" => Spend,
    "tokens" => Tokens,
    "images" => Images,
    "requests" => Requests,
    "concurrent" => Concurrent,
});
words!(Period {
    "total" => Total,
    "minute" => Minute,
    "hour" => Hour,
    "day" => Day,
    "week" => Week,
    "month" => Month,
});
words!(OnShort { "refuse" => Refuse, "clamp" => Clamp });
words!(OnDisconnect { "drain" => Drain, "cancel" => Cancel });

#[cfg(test)]
mod tests {
    use super::*;

    fn same_in_json<W: Words + serde::Serialize>() {
        for (word, choice) in W::WORDS {
            let json = serde_json::to_value(choice).expect("a word");
            assert_eq!(json, *word);
        }
    }

    #[test]
    fn what_ledgers_and_the_api_write_is_what_the_config_reads() {
        same_in_json::<GrantUnit>();
        same_in_json::<Measure>();
        same_in_json::<Period>();
        same_in_json::<OnShort>();
        same_in_json::<OnDisconnect>();
    }
}
