//! The management API: keys, wallets, credits, receipts, prices and audits, for operators.
//!
//! It has a listener of its own and one bearer token; where none is set, it refuses everything. Nothing
//! but the token decides who may call: not the address, not the `Host` header. Health and metrics are
//! beside it, without a token.

mod declare;
pub mod error;
mod extract;
pub mod keys;
pub mod prices;
mod receipts;
mod server;
pub mod terms;
pub mod token;
pub mod view;
pub mod wallets;
mod watch;

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::Mutex;

use crate::gateway::Gateway;
use crate::gateway::catalog::{Catalog, Current};
use crate::ledger::{AuditReport, Ledger};
use error::ApiError;
use token::AdminToken;

pub use declare::{Declaration, DeclareError, check, declare};

const BODY_BYTES_MAX: usize = 1 << 20;
const LABEL_CHARS_MAX: usize = 200;

/// What the handlers share; cheap to clone.
#[derive(Clone)]
pub struct Admin {
    ledger: Arc<dyn Ledger>,
    current: Arc<Current>,
    currency: Arc<str>,
    zone: TimeZone,
    token: Option<AdminToken>,
    gateway: Arc<Gateway>,
    /// Held from the look whether a key's name is free until it is taken.
    naming: Arc<Mutex<()>>,
}

/// How the server is.
#[derive(Debug, Serialize, Deserialize)]
pub struct Health {
    /// Always `ok`.
    pub status: String,
    /// Tollgate's version.
    pub version: String,
    /// The price book in use.
    pub price_version: Arc<str>,
    /// The ledger's currency.
    pub currency: String,
}

impl Admin {
    /// The API of a gateway, for whoever shows `token`; without one, for nobody.
    pub fn new(gateway: Arc<Gateway>, token: Option<AdminToken>) -> Self {
        Admin {
            zone: gateway.zone.clone(),
            currency: Arc::clone(&gateway.currency),
            ledger: Arc::clone(&gateway.ledger),
            current: Arc::clone(&gateway.current),
            token,
            gateway,
            naming: Arc::default(),
        }
    }

    /// What is offered now.
    fn catalog(&self) -> Arc<Catalog> {
        self.current.get()
    }

    /// Answers requests on `listener` until `shutdown` is done, then gives those in flight 5 s.
    ///
    /// **Cancellation**: dropping the future cuts every connection; what a handler had asked of the
    /// ledger may or may not have happened.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        server::serve(self.router(), listener, shutdown).await;
    }

    fn router(self) -> Router {
        let watch = watch::router(Arc::clone(&self.gateway));
        let api = Router::new()
            .route("/admin/healthz", get(health))
            .route("/admin/keys", get(keys::list).post(keys::create))
            .route(
                "/admin/keys/{id}",
                get(keys::show).patch(keys::edit::edit).delete(keys::revoke),
            )
            .route("/admin/wallets", get(wallets::list))
            .route(
                "/admin/wallets/{id}",
                get(wallets::show).patch(wallets::change::edit),
            )
            .route("/admin/wallets/{id}/grants", post(wallets::change::grant))
            .route("/admin/wallets/{id}/credits", post(wallets::credit))
            .route("/admin/receipts", get(receipts::list))
            .route("/admin/receipts/{id}", get(receipts::show))
            .route("/admin/usage", get(receipts::usage))
            .route("/admin/prices", get(prices::list))
            .route("/admin/prices/lint", get(prices::lint))
            .route("/admin/audit", post(audit))
            .fallback(unknown_path)
            .method_not_allowed_fallback(unknown_method)
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            // Last, and so outermost: nothing of the API is routed, read or refused before the token was seen.
            .layer(middleware::from_fn_with_state(self.clone(), authorize))
            .with_state(self);
        api.merge(watch)
    }
}

async fn authorize(
    State(admin): State<Admin>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let mut values = request.headers().get_all(header::AUTHORIZATION).iter();
    let shown = match (values.next(), values.next()) {
        (Some(value), None) => bearer(value.as_bytes()),
        _ => None,
    };
    let Some(token) = &admin.token else {
        return Err(ApiError::off());
    };
    if shown.is_some_and(|shown| token.is(shown)) {
        Ok(next.run(request).await)
    } else {
        Err(ApiError::unauthorized())
    }
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
}

async fn health(State(admin): State<Admin>) -> Json<Health> {
    Json(Health {
        status: "ok".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        price_version: Arc::clone(admin.catalog().prices.version()),
        currency: admin.currency.to_string(),
    })
}

async fn audit(State(admin): State<Admin>) -> Result<Json<AuditReport>, ApiError> {
    Ok(Json(admin.ledger.audit().await?))
}

async fn unknown_path() -> ApiError {
    ApiError::not_found("no such path in the management API")
}

async fn unknown_method() -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "this path takes other methods",
    )
}

/// Checks a text that people will read in tables and logs.
fn label(param: &str, text: &str) -> Result<(), ApiError> {
    if text.chars().count() > LABEL_CHARS_MAX {
        return Err(ApiError::invalid(
            param,
            format!("has more than {LABEL_CHARS_MAX} characters"),
        ));
    }
    if text.chars().any(char::is_control) {
        return Err(ApiError::invalid(param, "has control characters"));
    }
    Ok(())
}
