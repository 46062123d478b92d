//! What machines ask: is it alive, what has it counted, what can it do.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::Context;

/// Every route, its bodies and its answers.
const OPENAPI: &str = include_str!("../../openapi.json");

/// `GET /health`: 200 if the database answers, else 503.
pub(super) async fn health(State(context): State<Context>) -> Response {
    if context.base.store.is_alive().await {
        axum::Json(json!({ "status": "ok" })).into_response()
    } else {
        let body = axum::Json(json!({ "status": "database-unreachable" }));
        (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
    }
}

/// `GET /metrics`
pub(super) async fn metrics(State(context): State<Context>) -> Response {
    let media_type = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (media_type, context.metrics.text()).into_response()
}

/// `GET /openapi.json`
pub(super) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}
