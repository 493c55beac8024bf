//! The members that requests for text share: the model, choices, maxima, streaming.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::at::At;
use super::options::stream_options;
use super::walk::Pass;
use super::{BadRequest, InputSize, N_MAX, TextRequest, scalar};
use crate::gateway::splice::{Layout, Maximum, MaximumField, Span, StreamOptions};

/// What has been read so far.
#[derive(Default)]
pub(super) struct Generation<'b> {
    pub(super) n: Option<u64>,
    pub(super) stream: bool,
    pub(super) max_tokens: Option<Maximum>,
    model: Option<(Cow<'b, str>, Span)>,
    max_completion_tokens: Option<Maximum>,
    max_output_tokens: Option<Maximum>,
    stream_options: StreamOptions,
    include_usage: Option<bool>,
}

/// How much is generated, and from what.
pub(super) struct Extent {
    pub(super) choices: u64,
    pub(super) extra_output: u64,
    pub(super) maximum: Option<MaximumField>,
    pub(super) input: InputSize,
}

impl<'b> Generation<'b> {
    /// Takes a member.
    pub(super) fn value(
        &mut self,
        pass: &Pass<'b>,
        at: At<'_>,
        name: &'static str,
        raw: &'b RawValue,
    ) -> Result<(), BadRequest> {
        let span = pass.span(raw);
        match name {
            "model" => self.model = Some((scalar::model(raw, at)?, span)),
            "n" => self.n = scalar::positive(raw, at, N_MAX)?,
            "max_tokens" => self.max_tokens = Some(maximum(raw, at, span)?),
            "max_completion_tokens" => {
                self.max_completion_tokens = Some(maximum(raw, at, span)?);
            }
            "max_output_tokens" => self.max_output_tokens = Some(maximum(raw, at, span)?),
            "stream" => self.stream = scalar::boolean(raw, at)?.unwrap_or(false),
            "stream_options" => {
                (self.stream_options, self.include_usage) = stream_options(pass, at, raw)?;
            }
            "service_tier" => scalar::service_tier(raw, at)?,
            _ => {}
        }
        Ok(())
    }

    /// Refuses a request without a model.
    pub(super) fn named(&self) -> Result<(), BadRequest> {
        let model = self.model.as_ref().map(drop);
        model.ok_or_else(scalar::no_model)
    }

    /// The request, once all of its members were read.
    pub(super) fn finish(
        self,
        pass: &Pass<'b>,
        extent: Extent,
    ) -> Result<TextRequest<'b>, BadRequest> {
        let (model, model_span) = self.model.ok_or_else(scalar::no_model)?;
        Ok(TextRequest {
            model,
            choices: extent.choices,
            stream: self.stream,
            include_usage: self.include_usage,
            input: InputSize {
                body_bytes: pass.body_bytes(),
                ..extent.input
            },
            extra_output: extent.extra_output,
            maximum: extent.maximum,
            objects: pass.objects(),
            stored: false,
            background: false,
            layout: Layout {
                first_member: pass.first_member(),
                model: model_span,
                max_tokens: self.max_tokens,
                max_completion_tokens: self.max_completion_tokens,
                max_output_tokens: self.max_output_tokens,
                stream_options: self.stream_options,
            },
        })
    }
}

fn maximum(raw: &RawValue, at: At<'_>, span: Span) -> Result<Maximum, BadRequest> {
    let tokens = scalar::positive(raw, at, u64::MAX)?;
    Ok(Maximum { span, tokens })
}
