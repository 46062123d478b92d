//! The routes of the service, once: the router is made from this table, and a test holds it against
//! the OpenAPI document.

use axum::Router;
use axum::extract::Request;
use axum::http::Method;
use axum::middleware::{from_fn_with_state, map_response};
use axum::routing::{MethodRouter, delete, get, patch, post};

use super::{
    Context, admin, authentication, credentials, monitor, rate, recovery, registration, session,
};
use crate::visitor::{self, Welcome};
use crate::{guard, page};

/// One operation.
pub(super) struct Route {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    handler: MethodRouter<Context>,
}

/// Every operation.
pub(super) fn table() -> Vec<Route> {
    let route = |method, path, handler| Route {
        method,
        path,
        handler,
    };
    vec![
        route(
            "POST",
            "/api/registration/options",
            post(registration::options),
        ),
        route(
            "POST",
            "/api/registration/verification",
            post(registration::verification),
        ),
        route(
            "POST",
            "/api/authentication/options",
            post(authentication::options),
        ),
        route(
            "POST",
            "/api/authentication/verification",
            post(authentication::verification),
        ),
        route("GET", "/api/session", get(session::show)),
        route("DELETE", "/api/session", delete(session::sign_out)),
        route("GET", "/api/credentials", get(credentials::list)),
        route("PATCH", "/api/credentials/{id}", patch(credentials::label)),
        route(
            "DELETE",
            "/api/credentials/{id}",
            delete(credentials::remove),
        ),
        route("POST", "/api/recovery-codes", post(recovery::make)),
        route("POST", "/api/recovery", post(recovery::redeem)),
        route("GET", "/api/admin/users", get(admin::users)),
        route("GET", "/api/admin/users/{id}", get(admin::user)),
        route(
            "DELETE",
            "/api/admin/users/{id}",
            delete(admin::remove_user),
        ),
        route("GET", "/api/admin/audit", get(admin::audit)),
        route("GET", "/api/admin/models", get(admin::models)),
        route("GET", "/api/admin/policies", get(admin::policies)),
        route("GET", "/health", get(monitor::health)),
        route("GET", "/metrics", get(monitor::metrics)),
        route("GET", "/openapi.json", get(monitor::openapi)),
        route("GET", "/problems", get(page::problems_alone)),
    ]
}

/// The table as a router, inside the checks.
pub(super) fn router(context: Context) -> Router {
    let base = context.base.clone();
    table()
        .into_iter()
        .fold(Router::new(), |router, route| {
            router.route(route.path, route.handler)
        })
        .fallback(crate::not_found)
        .method_not_allowed_fallback(crate::method_not_allowed)
        .layer(from_fn_with_state(
            (base.clone(), beginners as Welcome),
            visitor::recognise,
        ))
        .layer(from_fn_with_state(context.clone(), rate::by_address))
        .layer(from_fn_with_state(base, guard::guard))
        .layer(map_response(crate::plain_errors))
        .layer(from_fn_with_state(
            context.metrics.clone(),
            super::metrics::count,
        ))
        .with_state(context)
}

/// Who begins something gets a cookie, to which the challenge is tied.
fn beginners(request: &Request) -> bool {
    let path = request.uri().path();
    *request.method() == Method::POST && (path.ends_with("/options") || path == "/api/recovery")
}
