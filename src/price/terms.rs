//! What one request is priced by, fixed at its hold.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::WorstCase;
use super::images::ImageShape;
use super::version::PriceVersion;
use crate::clock::UnixMs;
use crate::money::{Factor, Scale};

/// The prices of one request and the most that it can consume. Nothing that happens after its hold
/// changes them: neither another price book, nor the hour, nor an edit of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    pub(super) version: Arc<PriceVersion>,
    pub(super) worst: WorstCase,
    pub(super) hours: Factor,
    pub(super) multiplier: Factor,
}

/// Which of several prices a request was charged by. What is plain is left out: the lowest tier, a factor of 1, an
/// image of a model with one price.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Applied {
    /// The threshold of the tier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above_input_tokens: Option<u64>,
    /// The factor of the hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<Factor>,
    /// The factor of the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multiplier: Option<Factor>,
    /// The images' size and quality.
    #[serde(flatten)]
    pub image: ImageShape,
}

impl PriceVersion {
    /// What a request is priced by that can consume `worst` at most and is held at `at`, by a key
    /// with this multiplier.
    pub fn terms(self: &Arc<Self>, at: UnixMs, multiplier: Factor, worst: WorstCase) -> Terms {
        Terms {
            hours: self.hours.factor(at),
            version: Arc::clone(self),
            worst,
            multiplier,
        }
    }
}

impl Terms {
    /// The prices that were in force.
    pub fn version(&self) -> &Arc<PriceVersion> {
        &self.version
    }

    /// What the key's prices are multiplied by.
    pub fn multiplier(&self) -> Factor {
        self.multiplier
    }

    /// The most that the request can consume.
    pub fn worst_case(&self) -> &WorstCase {
        &self.worst
    }

    /// What every price is multiplied by.
    pub(super) fn scale(&self) -> Scale {
        Scale::of(self.hours, self.multiplier)
    }

    /// Whether nothing can cost anything, by the version or by a factor.
    pub(super) fn is_free(&self) -> bool {
        self.version.free || self.scale().is_zero()
    }

    /// The factors, as a receipt tells of them.
    pub(super) fn factors(&self) -> Applied {
        let told = |factor: Factor| Some(factor).filter(|factor| !factor.is_one());
        Applied {
            hours: told(self.hours),
            multiplier: told(self.multiplier),
            ..Applied::default()
        }
    }
}

impl Applied {
    /// Whether there is nothing to tell.
    pub fn is_plain(&self) -> bool {
        *self == Applied::default()
    }
}
