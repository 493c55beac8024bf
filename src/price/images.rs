//! Prices of an image by its size and quality.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::WorstCase;
use crate::config::image_word;
use crate::money::UnitPrice;

/// What is known of an image's size and quality.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct ImageShape {
    /// The size, such as `1024x1024`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Arc<str>>,
    /// The quality, such as `hd`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<Arc<str>>,
}

impl ImageShape {
    /// As a request or an answer has it; `auto` says nothing.
    pub fn read(size: Option<&str>, quality: Option<&str>) -> Self {
        let word = |text: Option<&str>| text.and_then(image_word).map(Arc::from);
        ImageShape {
            size: word(size),
            quality: word(quality),
        }
    }

    /// Whether nothing is known.
    pub fn is_open(&self) -> bool {
        self.size.is_none() && self.quality.is_none()
    }

    /// This, and what `other` knows beyond it.
    pub(super) fn or(&self, other: &ImageShape) -> ImageShape {
        ImageShape {
            size: self.size.clone().or_else(|| other.size.clone()),
            quality: self.quality.clone().or_else(|| other.quality.clone()),
        }
    }
}

/// The price of one image of a size and a quality.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImagePrice {
    /// Of which; what is open may be any.
    pub shape: ImageShape,
    /// The price.
    pub price: UnitPrice,
}

/// The prices of a version's images.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ImageTable {
    /// By size and quality.
    pub(super) entries: Vec<ImagePrice>,
    /// Of what is not listed.
    pub(super) others: Option<UnitPrice>,
    /// What the upstream takes where the request does not say.
    pub(super) default: ImageShape,
}

/// Which of a request's words has no price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unlisted {
    pub(super) param: &'static str,
    pub(super) asked: Arc<str>,
    pub(super) known: Vec<Arc<str>>,
}

impl ImageTable {
    /// Prices by size and quality, in canonical order.
    pub fn entries(&self) -> &[ImagePrice] {
        &self.entries
    }

    /// What an image has where the request does not say.
    pub fn default_shape(&self) -> &ImageShape {
        &self.default
    }

    /// Whether there is no price at all.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.others.is_none()
    }

    /// The price of an image that has exactly these words, `None` being one that is not listed: the
    /// entry that names most of them, the dearest of several, else the price of others.
    fn exact(&self, size: Option<&str>, quality: Option<&str>) -> Option<UnitPrice> {
        let names = |entry: &Option<Arc<str>>, word: Option<&str>| match entry {
            None => Some(0),
            Some(named) => (Some(&**named) == word).then_some(1_u8),
        };
        let ranked = self.entries.iter().filter_map(|entry| {
            let shape = &entry.shape;
            let rank = names(&shape.size, size)? + names(&shape.quality, quality)?;
            Some((rank, entry.price))
        });
        ranked.max().map(|(_, price)| price).or(self.others)
    }

    /// The dearest that an image can turn out to be of which this is known; `None` if nothing that it
    /// can be has a price.
    pub(super) fn dearest(&self, known: &ImageShape) -> Option<UnitPrice> {
        let sizes = words(&known.size, self.listed(|shape| &shape.size));
        let qualities = words(&known.quality, self.listed(|shape| &shape.quality));
        let pairs = sizes
            .iter()
            .flat_map(|size| qualities.iter().map(move |quality| (size, quality)));
        pairs
            .filter_map(|(size, quality)| self.exact(size.as_deref(), quality.as_deref()))
            .max()
    }

    /// What a request can turn out to be, as far as that is known.
    pub(super) fn asked(&self, worst: &WorstCase) -> ImageShape {
        let mut asked = worst.shape.or(&self.default);
        if worst.any_size {
            asked.size = None;
        }
        asked
    }

    /// The price of an image by what the answer states, else by what was [asked](ImageTable::asked) for, else the
    /// dearest that fits; and what it went by.
    pub(super) fn charged(
        &self,
        asked: ImageShape,
        stated: &ImageShape,
    ) -> Option<(UnitPrice, ImageShape)> {
        let both = stated.or(&asked);
        [both, asked, ImageShape::default()]
            .into_iter()
            .find_map(|shape| Some((self.dearest(&shape)?, shape)))
    }

    /// Why nothing that was [asked](ImageTable::asked) for has a price.
    pub(super) fn unlisted(&self, asked: &ImageShape) -> Unlisted {
        let of_size = |size: &Option<Arc<str>>| {
            let quality = None;
            self.dearest(&ImageShape {
                size: size.clone(),
                quality,
            })
        };
        match (&asked.size, &asked.quality) {
            (Some(size), _) if of_size(&asked.size).is_none() => Unlisted {
                param: "size",
                asked: Arc::clone(size),
                known: self.listed(|shape| &shape.size),
            },
            (size, quality) => {
                let fits = |word: &Arc<str>| {
                    let quality = Some(Arc::clone(word));
                    let size = size.clone();
                    self.dearest(&ImageShape { size, quality }).is_some()
                };
                let mut known = self.listed(|shape| &shape.quality);
                known.retain(fits);
                Unlisted {
                    param: "quality",
                    asked: quality.clone().unwrap_or_else(|| "auto".into()),
                    known,
                }
            }
        }
    }

    /// Every word of the entries, once, in their order.
    fn listed(&self, of: fn(&ImageShape) -> &Option<Arc<str>>) -> Vec<Arc<str>> {
        let mut words: Vec<Arc<str>> = Vec::new();
        for word in self
            .entries
            .iter()
            .filter_map(|entry| of(&entry.shape).as_ref())
        {
            if !words.contains(word) {
                words.push(Arc::clone(word));
            }
        }
        words
    }
}

/// What a word can be: itself where it is known, else any that is listed, or one that is not.
fn words(known: &Option<Arc<str>>, listed: Vec<Arc<str>>) -> Vec<Option<Arc<str>>> {
    match known {
        Some(word) => vec![Some(Arc::clone(word))],
        None => listed.into_iter().map(Some).chain([None]).collect(),
    }
}
