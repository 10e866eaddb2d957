//! Connections, bounded in number, size and patience; and their end.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::header::{CONNECTION, RETRY_AFTER};
use axum::http::{HeaderName, StatusCode};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::failure::{Failure, Result};

/// At one time.
const CONNECTIONS_MAX: usize = 64;
/// Those beyond them that are told so at one time; others are closed without a word.
const REFUSALS_MAX: usize = 16;
/// Who has not said what he wants by then is sent away; so is who says nothing between two requests.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);
const HEADER_BYTES_MAX: usize = 16 << 10;
const HEADERS_MAX: usize = 64;
/// What answers are given to end in.
const END_WITHIN: Duration = Duration::from_millis(500);

/// The signals that end it.
pub(super) struct Signals([Signal; 3]);

pub(super) fn signals() -> Result<Signals> {
    let listen = |kind| signal(kind).map_err(|error| Failure::io("serve: listen for Ctrl-C", &error));
    Ok(Signals([
        listen(SignalKind::interrupt())?,
        listen(SignalKind::terminate())?,
        listen(SignalKind::hangup())?,
    ]))
}

impl Signals {
    pub(super) async fn next(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

/// What every request is answered by one connection too many.
async fn refuse() -> (StatusCode, [(HeaderName, &'static str); 2], String) {
    let head = [(RETRY_AFTER, "10"), (CONNECTION, "close")];
    let text = format!("coseg serve has {CONNECTIONS_MAX} connections, and takes no more: close some\n");
    (StatusCode::SERVICE_UNAVAILABLE, head, text)
}

/// Until `ended` is set, and the connections have had their time to end.
pub(super) async fn serve(listener: TcpListener, router: Router, mut ended: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let refusals = Arc::new(Semaphore::new(REFUSALS_MAX));
    let refusing = Router::new().fallback(refuse);
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            _ = ended.changed() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let has = |places: &Arc<Semaphore>| Arc::clone(places).try_acquire_owned().ok();
                // Told at once: who waits in line would not know what for.
                let place = has(&places).map(|place| (place, &router));
                if let Some((place, router)) = place.or_else(|| Some((has(&refusals)?, &refusing))) {
                    let connection = converse(stream, router.clone(), ended.clone());
                    connections.spawn(async move {
                        connection.await;
                        drop(place);
                    });
                }
            }
            // Out of descriptors, say: it may pass, but not by trying again at once.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    // Those who do not read their answers are left.
    let _ = tokio::time::timeout(END_WITHIN, all).await;
}

async fn converse(stream: TcpStream, router: Router, mut ended: watch::Receiver<bool>) {
    // An event is small and should not wait for the next.
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(HEADER_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    let _: Result<(), Infallible> = tokio::select! {
        // Its errors are the other side's: closed, too slow, no HTTP.
        _ = &mut connection => return,
        _ = ended.changed() => Ok(()),
    };
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}
