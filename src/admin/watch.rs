//! What monitors and load balancers read: `/healthz`, `/readyz`, `/metrics`. No token is asked for, since one that
//! can read metrics could also make money; in turn, nothing here names a key, a wallet or a secret.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use crate::gateway::Gateway;
use crate::gateway::metrics::{CONTENT_TYPE, Metrics};
use crate::ledger::{Description, JournalStats};

/// The pages of one gateway.
pub(super) fn router(gateway: Arc<Gateway>) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(gateway)
}

/// Whether to send requests here, and what the ledger is.
#[derive(Serialize)]
struct Readiness {
    ready: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    ledger: Description,
    #[serde(skip_serializing_if = "Option::is_none")]
    journal: Option<JournalStats>,
}

async fn ready(State(gateway): State<Arc<Gateway>>) -> Response {
    let reason = gateway.ready().err().map(|why| why.to_string());
    let status = match reason {
        None => StatusCode::OK,
        Some(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let readiness = Readiness {
        ready: reason.is_none(),
        reason,
        ledger: gateway.ledger.describe(),
        journal: gateway.ledger.stats().journal,
    };
    (status, Json(readiness)).into_response()
}

async fn metrics(State(gateway): State<Arc<Gateway>>) -> Response {
    match Metrics::page(&gateway) {
        Ok(page) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], page).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
