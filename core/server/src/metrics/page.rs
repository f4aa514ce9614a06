//! `GET /metrics`, and nothing else.

use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use froben_engine::EngineHandle;
use http_body_util::Full;
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::sync::Semaphore;

/// Connections at once. Whoever comes later waits.
const CONNECTIONS: usize = 8;
/// How long a connection may take. Whoever reads the page asks again on a new one.
const PATIENCE: Duration = Duration::from_secs(30);
const FORMAT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Shows the figures of `engine` to whoever asks on `listener`, for as long as it is polled. Returns only
/// if the listener cannot be used.
pub async fn serve(listener: TcpListener, engine: EngineHandle) -> std::io::Error {
    let listener = listener
        .set_nonblocking(true)
        .and_then(|()| tokio::net::TcpListener::from_std(listener));
    let listener = match listener {
        Ok(listener) => listener,
        Err(error) => return error,
    };
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let place = places.clone().acquire_owned().await;
        let place = place.expect("invariant: the places are not closed");
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection for metrics");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let engine = engine.clone();
        tokio::spawn(async move {
            let _place = place;
            let answer = service_fn(move |request| answer(engine.clone(), request));
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answer);
            // A reader that went away or was too slow is its own affair.
            let _ = tokio::time::timeout(PATIENCE, connection).await;
        });
    }
}

async fn answer<B>(
    engine: EngineHandle,
    request: Request<B>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let get = matches!(*request.method(), Method::GET | Method::HEAD);
    let (status, format, body) = match (get, request.uri().path()) {
        (false, _) => plain(StatusCode::METHOD_NOT_ALLOWED, "only GET\n"),
        (true, "/metrics") => match engine.machines().await {
            Err(busy) => plain(StatusCode::SERVICE_UNAVAILABLE, &format!("{busy}\n")),
            Ok(machines) => match super::text(engine.figures(), machines) {
                Ok(text) => (StatusCode::OK, FORMAT, text),
                Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "it cannot be written\n"),
            },
        },
        (true, _) => plain(StatusCode::NOT_FOUND, "there is only /metrics\n"),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let format = hyper::header::HeaderValue::from_static(format);
    response.headers_mut().insert(CONTENT_TYPE, format);
    Ok(response)
}

fn plain(status: StatusCode, text: &str) -> (StatusCode, &'static str, String) {
    (status, "text/plain; charset=utf-8", text.to_owned())
}
