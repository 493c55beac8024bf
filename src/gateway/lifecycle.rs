//! The life of a request, as one function: identify, read, find the price, hold, forward, meter, settle.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName};
use http::{Method, Response, request};
use sha2::{Digest, Sha256};

use super::Gateway;
use super::answer::{deliver, stopped};
use super::asked::Asked;
use super::body;
use super::budget::Reserved;
use super::catalog::{Catalog, Pinned};
use super::client_body::ClientBody;
use super::conclude::abandon;
use super::forward::{Request, forward};
use super::headers;
use super::identify::identify;
use super::job::Job;
use super::kept;
use super::long_context;
use super::observe::Record;
use super::refusal::Refused;
use super::refuse::{Context, refuse};
use super::request_body::RequestBody;
use super::reservation::Reservation;
use super::service::Service;
use super::signal::Signal;
use super::window::Demand;
use crate::ledger::hold::{IdempotencyClaim, Quote, Refusal};
use crate::ledger::key::{Freshness, Key};
use crate::price::Model;
use crate::upstream::Endpoint;
use crate::workers::{LONG_BYTES, apart};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;
/// A quote is made again when the key or the calendar moved on under it: once should do.
const QUOTES_MAX: u32 = 3;

/// A request, identified and read.
struct Read {
    record: Arc<Record>,
    peer: IpAddr,
    key: Arc<Key>,
    headers: HeaderMap,
    body: Bytes,
    memory: Reserved,
}

/// A request for a model, from its head to the head of its answer. Once it holds money it must
/// run to its end, whether the client stays or not: see [`super::detach`].
pub async fn serve(
    gateway: Arc<Gateway>,
    record: Arc<Record>,
    service: Service,
    peer: IpAddr,
    parts: request::Parts,
    body: RequestBody,
    gone: Arc<Signal>,
) -> Result<Response<ClientBody>, Refused> {
    let path = parts.uri.path().to_owned();
    let key = identify(&*gateway.ledger, &parts.headers, peer, Freshness::Any).await?;
    record.identified(&key);
    let bounds = gateway.caps.request_body;
    let (body, memory) = body::read(&parts.headers, body, bounds, &gateway.request_memory).await?;
    record.read();
    let read = Read {
        record,
        peer,
        key,
        headers: parts.headers,
        body,
        memory,
    };
    // Who waits on the same thread does not wait for a long body to be read.
    match read.body.len() > LONG_BYTES {
        true => apart(Box::pin(answer(gateway, service, path, read, gone))).await,
        false => answer(gateway, service, path, read, gone).await,
    }
}

/// From the body to the head of the answer.
async fn answer(
    gateway: Arc<Gateway>,
    service: Service,
    path: String,
    mut read: Read,
    gone: Arc<Signal>,
) -> Result<Response<ClientBody>, Refused> {
    // A second handle on the same bytes: what was read of them borrows from it.
    let body = read.body.clone();
    let kind = headers::content_types(&read.headers);
    let asked = match service {
        Service::Priced => Asked::at(path.strip_prefix("/v1").unwrap_or_default()),
        _ => Asked::read(service, &kind, &body, gateway.caps.json_depth)?,
    };
    let catalog = gateway.catalog();
    let model = find_model(&catalog, &asked)?;
    read.record.found(&model.id);
    let place = kept::place(&*gateway.ledger, &read.key.wallet, asked.objects()).await?;
    let route = route(&catalog, &model, &asked, place.as_ref())?;
    if gone.is_raised() || gateway.stop.is_raised() {
        return Err(Refused::unawaited(&gateway.stop));
    }
    let reservation = hold(&gateway, &mut read, &asked, catalog, model).await?;
    exchange(&gateway, read, &asked, route, reservation, &gone).await
}

/// The endpoints to be tried: those of the model, but only where what the request names is kept.
fn route(
    catalog: &Catalog,
    model: &Model,
    asked: &Asked<'_>,
    place: Option<&Arc<str>>,
) -> Result<Vec<Arc<Endpoint>>, Refused> {
    let Some(place) = place else {
        return Ok(catalog.upstreams.route(&model.id));
    };
    let route = catalog.upstreams.route_at(&model.id, place);
    let Some(named) = asked.objects().first().filter(|_| route.is_empty()) else {
        return Ok(route);
    };
    let message = format!(
        "`{}` is kept by a provider that does not serve the model `{}`: send the content itself.",
        named.id, model.id
    );
    Err(Refused::bad_request(message).param(named.param.as_str()))
}

/// The row of the model that was asked for; what has no row has no price, and is refused.
fn find_model(catalog: &Catalog, asked: &Asked<'_>) -> Result<Arc<Model>, Refused> {
    let name = asked.model();
    let model = catalog
        .find_model(name)
        .ok_or_else(|| Refused::unknown_model(name))?;
    asked.fits(&model)?;
    Ok(model)
}

/// Reserves the worst case. The key's record is then the one that was held by.
async fn hold(
    gateway: &Arc<Gateway>,
    read: &mut Read,
    asked: &Asked<'_>,
    catalog: Arc<Catalog>,
    model: Arc<Model>,
) -> Result<Reservation, Refused> {
    let idempotency = idempotency(&read.headers, &read.body)?;
    let mut now = gateway.ledger.now();
    for _ in 0..QUOTES_MAX {
        let key = &read.key;
        let price = model
            .at(now)
            .ok_or_else(|| Refused::unknown_model(asked.model()))?;
        let (terms, segments) = asked.quote(&model, price, now, key)?;
        let input = terms.worst_case().input_tokens;
        long_context::refuse(&read.headers, asked.service(), &model, input)?;
        let demand = Demand::of(&segments);
        let (limits, counters) = gateway.limits.of(key, &model, demand, now);
        let quote = Quote {
            request: read.record.id(),
            wallet: key.wallet.clone(),
            key: key.id.clone(),
            key_revision: key.revision,
            model: Arc::clone(&model.id),
            aliases: Arc::clone(&model.aliases),
            price_version: Arc::clone(catalog.prices.version()),
            segments: segments.clone(),
            counters,
            lease_ms: gateway.lease_ms,
            idempotency: idempotency.clone(),
        };
        let answer = gateway.ledger.hold(quote).await.map_err(|error| {
            tracing::error!(%error, "nothing can be held");
            Refused::ledger_unavailable()
        })?;
        match answer {
            Ok(hold) => {
                let pinned = Pinned {
                    held_at: now,
                    terms,
                    catalog,
                    model,
                };
                return Ok(Reservation::new(
                    Arc::clone(gateway),
                    Arc::clone(&read.record),
                    hold,
                    segments,
                    limits,
                    pinned,
                    asked.path(),
                ));
            }
            Err(Refusal::KeyChanged) => {
                let ledger = &*gateway.ledger;
                read.key = identify(ledger, &read.headers, read.peer, Freshness::Shown).await?;
            }
            Err(Refusal::Period { now: store }) => now = store,
            Err(refusal) => {
                let context = Context {
                    service: asked.service(),
                    segments: &segments,
                    model: &model.id,
                    currency: &gateway.currency,
                    limits: &limits,
                    now,
                    no_funds: gateway.no_funds,
                };
                return Err(refuse(refusal, &context));
            }
        }
    }
    Err(Refused::ledger_unavailable())
}

fn idempotency(headers: &HeaderMap, body: &Bytes) -> Result<Option<IdempotencyClaim>, Refused> {
    let Some(value) = headers.get(&IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    let token = value
        .to_str()
        .ok()
        .filter(|token| (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&token.len()))
        .ok_or_else(|| {
            Refused::bad_request("The header Idempotency-Key must be 1 to 255 visible characters.")
        })?;
    Ok(Some(IdempotencyClaim {
        token: token.into(),
        body: Sha256::digest(body).into(),
    }))
}

/// From the hold to the head of the answer.
async fn exchange(
    gateway: &Arc<Gateway>,
    read: Read,
    asked: &Asked<'_>,
    route: Vec<Arc<Endpoint>>,
    reservation: Reservation,
    gone: &Signal,
) -> Result<Response<ClientBody>, Refused> {
    let catalog = Arc::clone(&reservation.catalog);
    let clamp = asked.clamp(&reservation);
    let strip = |endpoint: &Endpoint| asked.asks_usage_unasked() && endpoint.ask_usage();
    let trailers = headers::has_token(&read.headers, header::TE, "trailers");
    // It was read before, for the hold.
    let claim = match asked.is_background() {
        true => idempotency(&read.headers, &read.body).ok().flatten(),
        false => None,
    };
    let mut headers = read.headers;
    match asked.keeps_type() {
        true => headers::towards_upstream_as_sent(&mut headers),
        false => headers::towards_upstream(&mut headers),
    }
    let request = Request {
        method: Method::POST,
        path: asked.path(),
        headers,
        attempts_max: gateway.caps.attempts_max,
        attempts: gateway.caps.attempts,
        body: |endpoint: &Endpoint| {
            // The simulator reads faults from the name as the client wrote it.
            let renamed = endpoint.model().filter(|_| !endpoint.is_simulator());
            let model = renamed.map(|model| model.as_ref());
            asked.edited(
                &read.body,
                model,
                strip(endpoint),
                clamp,
                &reservation.model,
            )
        },
    };
    let policy = read.key.on_disconnect;
    let forwarded = tokio::select! {
        answer = forward(&catalog.upstreams, route, request, &read.record) => Some(answer),
        () = stopped(gateway, gone, policy) => None,
    };
    let idle = match &forwarded {
        Some(Ok(answer)) => answer.endpoint.idle_timeout(),
        _ => Duration::ZERO,
    };
    let job = Box::new(Job {
        service: asked.service(),
        request_body: read.body.clone(),
        request_memory: Some(read.memory),
        on_disconnect: policy,
        idle,
        trailers,
        key: read.key.id.clone(),
        streams_images: asked.streams_images(),
        choices: asked.choices(),
        recording: asked.recording(),
        names_objects: !asked.objects().is_empty(),
        stored: asked.is_stored(),
        background: asked.is_background(),
        idempotency: claim,
        so_far: None,
        claim: None,
        reservation,
    });
    match forwarded {
        None => {
            abandon(job).await;
            Err(Refused::unawaited(&gateway.stop))
        }
        Some(Err(refused)) => {
            job.reservation.void().await;
            Err(refused)
        }
        Some(Ok(answer)) => {
            let strip = strip(&answer.endpoint);
            deliver(gateway, answer, job, strip, gone).await
        }
    }
}
