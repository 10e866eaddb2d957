//! What is asked for by which path.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::header::{self, HeaderName};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use coseg_sysv::ShmId;
use serde::Serialize;
use tokio::sync::watch;

use super::gate::{self, Gate};
use super::looker::{Handle, json};
use super::removal::Wish;
use super::{assets, metrics, stream};

/// A wish to remove something is shorter.
const BODY_BYTES_MAX: usize = 4 << 10;
const BODY_WITHIN: Duration = Duration::from_secs(5);

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// With every answer. Nothing is loaded from elsewhere, nothing of ours is shown elsewhere, nothing is kept.
const ALWAYS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
         frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// What every answer is made from.
pub(super) struct Site {
    gate: Gate,
    looker: Handle,
    ended: watch::Receiver<bool>,
}

#[derive(Serialize)]
struct Trouble<'a> {
    error: &'a str,
}

type Shared = State<Arc<Site>>;

impl Site {
    pub(super) fn new(gate: Gate, looker: Handle, ended: watch::Receiver<bool>) -> Site {
        Site { gate, looker, ended }
    }
}

pub(super) fn router(site: Site) -> Router {
    let site = Arc::new(site);
    let mut router = Router::new()
        .route("/api/scene", get(scene))
        .route("/api/segment/{id}", get(segment))
        .route("/api/remove", post(remove))
        .route("/events", get(events))
        .route("/events/{id}", get(events_of))
        .route("/metrics", get(numbers));
    for asset in assets::ALL {
        let page = || async { text(StatusCode::OK, asset.content_type, asset.text) };
        router = router.route(asset.path, get(page));
    }
    router
        .fallback(|| async { plain(StatusCode::NOT_FOUND, "there is nothing at this path") })
        .with_state(Arc::clone(&site))
        .layer(middleware::from_fn_with_state(site, guard))
}

/// Every request passes here, and every answer.
async fn guard(State(site): Shared, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let room = gate::room(&parts.method, parts.uri.path());
    let mut response = match site.gate.check(&parts, room) {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(refusal) => {
            let mut response = plain(refusal.status, refusal.why);
            if refusal.status == StatusCode::UNAUTHORIZED {
                let scheme = HeaderValue::from_static("Bearer realm=\"coseg\"");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
            }
            response
        }
    };
    for (name, value) in ALWAYS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn scene(State(site): Shared) -> Response {
    match site.looker.scene().await {
        Ok(look) => text(StatusCode::OK, JSON, look.json.to_string()),
        Err(error) => trouble(&error),
    }
}

async fn segment(State(site): Shared, Path(id): Path<i32>) -> Response {
    match site.looker.details(ShmId::new(id)).await {
        Ok(Some(details)) => text(StatusCode::OK, JSON, details.to_string()),
        Ok(None) => {
            let error = json(&Trouble { error: &format!("there is no segment with id {id}") });
            text(StatusCode::NOT_FOUND, JSON, error.to_string())
        }
        Err(error) => trouble(&error),
    }
}

async fn events(State(site): Shared) -> Response {
    stream::respond(site.looker.clone(), site.ended.clone(), None, site.gate.is_read_only)
}

async fn events_of(State(site): Shared, Path(id): Path<i32>) -> Response {
    let segment = Some(ShmId::new(id));
    stream::respond(site.looker.clone(), site.ended.clone(), segment, site.gate.is_read_only)
}

async fn numbers(State(site): Shared) -> Response {
    match site.looker.scene().await {
        Ok(look) => text(StatusCode::OK, metrics::CONTENT_TYPE, metrics::of(look)),
        Err(error) => trouble(&error),
    }
}

async fn remove(State(site): Shared, headers: HeaderMap, body: Body) -> Response {
    // What a form of another page may send has another type.
    if headers.get(header::CONTENT_TYPE).is_none_or(|value| value.as_bytes() != JSON.as_bytes()) {
        return plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, "this wants Content-Type: application/json");
    }
    let body = match tokio::time::timeout(BODY_WITHIN, to_bytes(body, BODY_BYTES_MAX)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return plain(StatusCode::PAYLOAD_TOO_LARGE, "the request is too long, or broke off"),
        Err(_) => return plain(StatusCode::REQUEST_TIMEOUT, "the request did not come to its end"),
    };
    let wish: Wish = match serde_json::from_slice(&body) {
        Ok(wish) => wish,
        Err(error) => return plain(StatusCode::BAD_REQUEST, &format!("which segment: {error}")),
    };
    match site.looker.remove(wish).await {
        Ok(removal) => text(removal.status, JSON, json(&removal).to_string()),
        Err(error) => trouble(&error),
    }
}

fn trouble(error: &str) -> Response {
    text(StatusCode::INTERNAL_SERVER_ERROR, JSON, json(&Trouble { error }).to_string())
}

fn plain(status: StatusCode, why: &str) -> Response {
    text(status, TEXT, format!("{why}\n"))
}

fn text(status: StatusCode, content_type: &'static str, text: impl Into<Body>) -> Response {
    (status, [(header::CONTENT_TYPE, content_type)], text.into()).into_response()
}
