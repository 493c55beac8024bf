//! Which paths reach stored objects, and by which methods.

use http::Method;

/// What is asked of a stored object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectCall {
    /// A stored response, or what stands below it.
    Response {
        /// Its id.
        id: String,
        /// What is asked.
        what: OfResponse,
    },
    /// A new file.
    Upload,
    /// The wallet's files.
    Files,
    /// A file, or its content.
    File {
        /// Its id.
        id: String,
        /// What is asked.
        what: OfFile,
    },
}

/// What is asked of a stored response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfResponse {
    /// Itself.
    Get,
    /// The items of its input.
    Items,
    /// That it goes.
    Delete,
    /// That it is not written on.
    Cancel,
}

/// What is asked of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfFile {
    /// What it is.
    Get,
    /// What is in it.
    Content,
    /// That it goes.
    Delete,
}

impl ObjectCall {
    /// The call of a method at a path, which begins with `/v1`.
    pub fn at(method: &Method, path: &str) -> Option<ObjectCall> {
        let path = path.strip_prefix("/v1/")?;
        let mut parts = path.split('/');
        let (kind, id, rest) = (parts.next()?, parts.next(), parts.next());
        if parts.next().is_some() {
            return None;
        }
        match (kind, id) {
            ("responses", Some(id)) => {
                let what = match (method, rest) {
                    (&Method::GET, None) => OfResponse::Get,
                    (&Method::GET, Some("input_items")) => OfResponse::Items,
                    (&Method::DELETE, None) => OfResponse::Delete,
                    (&Method::POST, Some("cancel")) => OfResponse::Cancel,
                    _ => return None,
                };
                let id = plain(id)?;
                Some(ObjectCall::Response { id, what })
            }
            ("files", None) => match *method {
                Method::POST => Some(ObjectCall::Upload),
                Method::GET => Some(ObjectCall::Files),
                _ => None,
            },
            ("files", Some(id)) => {
                let what = match (method, rest) {
                    (&Method::GET, None) => OfFile::Get,
                    (&Method::GET, Some("content")) => OfFile::Content,
                    (&Method::DELETE, None) => OfFile::Delete,
                    _ => return None,
                };
                let id = plain(id)?;
                Some(ObjectCall::File { id, what })
            }
            _ => None,
        }
    }

    /// Its path in metrics and logs, without the id.
    pub fn endpoint(&self) -> &'static str {
        match self {
            ObjectCall::Response { .. } => "/responses/{id}",
            ObjectCall::Upload | ObjectCall::Files => "/files",
            ObjectCall::File { .. } => "/files/{id}",
        }
    }
}

/// An id that stands in a path as it is: what would have to be escaped is none.
fn plain(id: &str) -> Option<String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~:".contains(&byte);
    let is_plain = !id.is_empty() && id.bytes().all(fits) && !id.bytes().all(|byte| byte == b'.');
    is_plain.then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_objects_are_told_by_method() {
        let at = |method: Method, path: &str| ObjectCall::at(&method, path);
        let response = |what| {
            let id = "resp_1".to_owned();
            Some(ObjectCall::Response { id, what })
        };
        assert_eq!(
            at(Method::GET, "/v1/responses/resp_1"),
            response(OfResponse::Get)
        );
        assert_eq!(
            at(Method::DELETE, "/v1/responses/resp_1"),
            response(OfResponse::Delete)
        );
        assert_eq!(
            at(Method::POST, "/v1/responses/resp_1/cancel"),
            response(OfResponse::Cancel)
        );
        assert_eq!(
            at(Method::GET, "/v1/responses/resp_1/input_items"),
            response(OfResponse::Items)
        );
        assert_eq!(at(Method::POST, "/v1/files"), Some(ObjectCall::Upload));
        assert_eq!(at(Method::GET, "/v1/files"), Some(ObjectCall::Files));
        for (method, path) in [
            (Method::POST, "/v1/responses"),
            (Method::POST, "/v1/responses/resp_1"),
            (Method::GET, "/v1/responses"),
            (Method::GET, "/v1/responses/"),
            (Method::GET, "/v1/responses/.."),
            (Method::GET, "/v1/responses/a%2Fb"),
            (Method::GET, "/v1/responses/a/b"),
            (Method::GET, "/v1/responses/a/input_items/b"),
            (Method::PUT, "/v1/files/file-1"),
            (Method::GET, "/v1/filess"),
        ] {
            assert_eq!(at(method.clone(), path), None, "{method} {path}");
        }
    }
}
