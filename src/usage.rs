//! What one request consumed, and how that is read from what an upstream sent.
//!
//! [`Usage`] is the one shape all vendors' reports become: disjoint meters that can be
//! priced one by one and summed.

pub mod answer;
pub mod choices;
mod elements;
mod lenient;
pub mod recording;
pub mod report;
pub mod skeleton;
mod skim;
pub mod sse;
pub mod stream;
pub mod tokenizer;
pub mod transcript;

use std::fmt;

use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A disjoint quantity that has a price.
///
/// The order is the order in which grants are burned and charges are itemised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Meter {
    /// Input tokens that the upstream read from its cache.
    CachedInput,
    /// Input tokens that the upstream wrote to its cache, for the usual time.
    CacheWrite,
    /// Input tokens that the upstream wrote to its cache for an hour, where it tells them apart.
    #[serde(rename = "cache_write_1h")]
    CacheWriteHour,
    /// All other input tokens.
    Input,
    /// Audio tokens of the input.
    AudioInput,
    /// Image tokens of the input.
    ImageInput,
    /// Output tokens spent on reasoning.
    Reasoning,
    /// All other output tokens.
    Output,
    /// Audio tokens of the output.
    AudioOutput,
    /// Image tokens of the output.
    ImageOutput,
    /// Images delivered.
    Images,
    /// Seconds of audio.
    Seconds,
    /// Characters of text to be spoken.
    Characters,
    /// Whole requests.
    Requests,
}

/// What a meter counts; grants and limits are written in these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Tokens of any kind.
    Tokens,
    /// Images.
    Images,
    /// Seconds.
    Seconds,
    /// Characters.
    Characters,
    /// Requests.
    Requests,
}

impl Meter {
    /// Every meter, in burn order.
    pub const ALL: [Meter; 14] = [
        Meter::CachedInput,
        Meter::CacheWrite,
        Meter::CacheWriteHour,
        Meter::Input,
        Meter::AudioInput,
        Meter::ImageInput,
        Meter::Reasoning,
        Meter::Output,
        Meter::AudioOutput,
        Meter::ImageOutput,
        Meter::Images,
        Meter::Seconds,
        Meter::Characters,
        Meter::Requests,
    ];

    /// The meter's name in config, receipts and headers.
    pub const fn name(self) -> &'static str {
        match self {
            Meter::CachedInput => "cached_input",
            Meter::CacheWrite => "cache_write",
            Meter::CacheWriteHour => "cache_write_1h",
            Meter::Input => "input",
            Meter::AudioInput => "audio_input",
            Meter::ImageInput => "image_input",
            Meter::Reasoning => "reasoning",
            Meter::Output => "output",
            Meter::AudioOutput => "audio_output",
            Meter::ImageOutput => "image_output",
            Meter::Images => "images",
            Meter::Seconds => "seconds",
            Meter::Characters => "characters",
            Meter::Requests => "requests",
        }
    }

    /// What the meter counts.
    pub const fn unit(self) -> Unit {
        match self {
            Meter::Images => Unit::Images,
            Meter::Seconds => Unit::Seconds,
            Meter::Characters => Unit::Characters,
            Meter::Requests => Unit::Requests,
            _ => Unit::Tokens,
        }
    }

    /// Whether the meter counts tokens that the model wrote.
    pub const fn is_output(self) -> bool {
        matches!(
            self,
            Meter::Reasoning | Meter::Output | Meter::AudioOutput | Meter::ImageOutput
        )
    }
}

/// What one request consumed: a count for every [`Meter`].
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Usage {
    counts: [u64; Meter::ALL.len()],
}

impl Usage {
    /// Nothing consumed.
    pub const NONE: Usage = Usage {
        counts: [0; Meter::ALL.len()],
    };

    /// Plain input and output tokens.
    pub fn tokens(input: u64, output: u64) -> Self {
        Usage::NONE
            .with(Meter::Input, input)
            .with(Meter::Output, output)
    }

    /// `count` images.
    pub fn images(count: u64) -> Self {
        Usage::NONE.with(Meter::Images, count)
    }

    /// The same usage with one meter set.
    #[must_use]
    pub fn with(mut self, meter: Meter, count: u64) -> Self {
        self.counts[meter as usize] = count;
        self
    }

    /// The count of one meter.
    pub fn get(&self, meter: Meter) -> u64 {
        self.counts[meter as usize]
    }

    /// Every meter with a count, in burn order.
    pub fn iter(&self) -> impl Iterator<Item = (Meter, u64)> + '_ {
        Meter::ALL
            .into_iter()
            .map(|meter| (meter, self.get(meter)))
            .filter(|(_, count)| *count > 0)
    }

    /// Writes a structured-field dictionary (RFC 9651) of the meters with a count: `input=41, output=7`.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_to(&self, out: &mut impl fmt::Write) -> fmt::Result {
        let mut comma = "";
        for (meter, count) in self.iter() {
            out.write_str(comma)?;
            out.write_str(meter.name())?;
            out.write_str("=")?;
            out.write_str(itoa::Buffer::new().format(count))?;
            comma = ", ";
        }
        Ok(())
    }

    /// The sum over all meters of one unit, saturating.
    pub fn total(&self, unit: Unit) -> u64 {
        self.iter()
            .filter(|(meter, _)| meter.unit() == unit)
            .fold(0_u64, |sum, (_, count)| sum.saturating_add(count))
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_to(f)
    }
}

impl fmt::Debug for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Usage({self})")
    }
}

impl Serialize for Usage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (meter, count) in self.iter() {
            map.serialize_entry(meter.name(), &count)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Usage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = std::collections::BTreeMap::<Meter, u64>::deserialize(deserializer)?;
        Ok(map.into_iter().fold(Usage::NONE, |usage, (meter, count)| {
            usage.with(meter, count)
        }))
    }
}

/// Who counted, and how well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// The upstream reported it (or the thing counted is the delivery itself, as with images).
    Exact,
    /// Counted here, because the upstream's report was missing or not to be believed.
    Estimated,
    /// Counted here, of an answer that did not reach its end.
    Partial,
}

impl Counted {
    /// The word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Counted::Exact => "exact",
            Counted::Estimated => "estimated",
            Counted::Partial => "partial",
        }
    }
}
