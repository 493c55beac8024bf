//! The metered services: their paths, and which models are served where.

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
    /// Vectors for texts.
    Embeddings,
    /// Images made or edited.
    Images,
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
    /// Every service.
    pub const ALL: [Service; 4] = [
        Service::Chat,
        Service::Completions,
        Service::Embeddings,
        Service::Images,
    ];

    /// The path below `/v1`, here and upstream.
    pub const fn path(self) -> &'static str {
        match self {
            Service::Chat => "/chat/completions",
            Service::Completions => "/completions",
            Service::Embeddings => "/embeddings",
            Service::Images => "/images/generations",
        }
    }

    /// The service at a path, which begins with `/v1`.
    pub fn at(path: &str) -> Option<Service> {
        let path = path.strip_prefix("/v1")?;
        Service::ALL.into_iter().find(|each| each.path() == path)
    }

    /// Whether models of a category are served here.
    pub const fn serves(self, category: Category) -> bool {
        match self {
            Service::Chat | Service::Completions => matches!(category, Category::Chat),
            Service::Embeddings => matches!(category, Category::Embedding),
            Service::Images => category.is_image(),
        }
    }

    /// Whether its answers may be event streams.
    pub const fn streams(self) -> bool {
        matches!(self, Service::Chat | Service::Completions)
    }

    /// How a request consumes less of a meter; `None` where no field of it decides that.
    pub const fn smaller(self, meter: Meter) -> Option<Smaller> {
        let output = meter.is_output() || matches!(meter, Meter::Images);
        if matches!(meter, Meter::Requests) {
            return None;
        }
        let (part, param, advice) = match (self, output) {
            (Service::Chat | Service::Completions, true) => {
                ("output", "max_tokens", "lower `max_tokens` or `n`")
            }
            (Service::Chat, false) => ("input", "messages", "shorten the messages"),
            (Service::Completions, false) => ("input", "prompt", "shorten the prompt"),
            (Service::Embeddings, _) => ("input", "input", "send less input at once"),
            (Service::Images, true) => ("images", "n", "lower `n`"),
            (Service::Images, false) => (
                "input",
                "prompt",
                "shorten the prompt, or send fewer images",
            ),
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
            let served = Service::ALL.iter().any(|each| each.serves(*category));
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
            "POST /v1/chat/completions and POST /v1/completions"
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
