//! The refusal of a request's body, before it is a response.

/// Why a request's body is refused. The fields are those of OpenAI's error body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRequest {
    /// 400, or 413 for what is too large.
    pub status: u16,
    /// What is wrong, and what to do. Holds text of the client: escape it.
    pub message: String,
    /// The field: `n`, `messages[2].content[0].type`.
    pub param: Option<String>,
    /// A word for programs.
    pub code: &'static str,
}

impl BadRequest {
    /// The code of every refusal of this module.
    pub const CODE: &'static str = "invalid_request_error";

    /// A refusal of the body as a whole.
    pub fn whole(message: impl Into<String>) -> Self {
        BadRequest {
            status: 400,
            message: message.into(),
            param: None,
            code: Self::CODE,
        }
    }

    /// A refusal of one field.
    pub fn at(param: impl Into<String>, message: impl Into<String>) -> Self {
        BadRequest {
            param: Some(param.into()),
            ..Self::whole(message)
        }
    }

    /// A refusal of a body for its size.
    pub fn too_large(message: impl Into<String>) -> Self {
        BadRequest {
            status: 413,
            ..Self::whole(message)
        }
    }
}
