//! Traces on their way to an OpenTelemetry collector, by OTLP over HTTP.
//!
//! They start where `OTEL_EXPORTER_OTLP_ENDPOINT` (or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`) names a collector, by
//! `http://`: one runs beside the proxy. The other standard variables hold too: `OTEL_SERVICE_NAME`,
//! `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_SAMPLER`, `OTEL_BSP_*`, `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_SDK_DISABLED`.

use std::sync::OnceLock;
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
];

static STARTED: OnceLock<(SdkTracerProvider, SdkTracer)> = OnceLock::new();

/// Starts sending traces, where the environment says so. Later calls change nothing.
///
/// # Errors
/// Where the environment names a collector that none can be.
pub fn start() -> Result<(), ExporterBuildError> {
    let set = |name: &str| std::env::var(name).is_ok_and(|value| !value.is_empty());
    let disabled = std::env::var("OTEL_SDK_DISABLED");
    let disabled = disabled.is_ok_and(|value| value.eq_ignore_ascii_case("true"));
    if disabled || !ENDPOINTS.into_iter().any(set) {
        return Ok(());
    }
    let exporter = SpanExporter::builder().with_http().build()?;
    let resource = match set("OTEL_SERVICE_NAME") {
        true => Resource::builder(),
        false => Resource::builder().with_service_name("tollgate"),
    };
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource.build())
        .build();
    let tracer = provider.tracer("tollgate");
    // An error means that it was started before, which is as well.
    STARTED.set((provider, tracer)).unwrap_or_default();
    Ok(())
}

/// What makes spans; `None` where no traces are sent.
pub fn tracer() -> Option<&'static SdkTracer> {
    STARTED.get().map(|(_, tracer)| tracer)
}

/// Sends what is left, and ends.
pub(super) fn end(patience: Duration) {
    if let Some((provider, _)) = STARTED.get()
        && let Err(error) = provider.shutdown_with_timeout(patience)
    {
        tracing::warn!(%error, "the last traces were not sent");
    }
}
