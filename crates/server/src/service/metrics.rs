//! Counters, in the text format of Prometheus.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use crate::store::Ceremony;

/// What is counted since the start.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    /// By class of status: 1xx to 5xx.
    responses: [AtomicU64; 5],
    limited: AtomicU64,
    /// Refused, accepted without UV, accepted with UV.
    registrations: [AtomicU64; 3],
    authentications: [AtomicU64; 3],
    recoveries: [AtomicU64; 2],
}

impl Metrics {
    /// A ceremony was accepted, with the UV flag or without, or refused.
    pub(super) fn ceremony(&self, ceremony: Ceremony, accepted: Option<bool>) {
        let counters = match ceremony {
            Ceremony::Registration => &self.registrations,
            Ceremony::Authentication => &self.authentications,
        };
        let index = match accepted {
            None => 0,
            Some(false) => 1,
            Some(true) => 2,
        };
        counters[index].fetch_add(1, Ordering::Relaxed);
    }

    /// A recovery code was taken or refused.
    pub(super) fn recovery(&self, accepted: bool) {
        self.recoveries[usize::from(accepted)].fetch_add(1, Ordering::Relaxed);
    }

    /// The exposition.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let mut family = |name: &str, help: &str, lines: &[(&str, &AtomicU64)]| {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter");
            for (labels, counter) in lines {
                let value = counter.load(Ordering::Relaxed);
                let _ = writeln!(text, "{name}{labels} {value}");
            }
        };
        let [_, ok, redirected, wrong, failed] = &self.responses;
        family(
            "pinward_http_responses_total",
            "Responses by class of status.",
            &[
                ("{status=\"2xx\"}", ok),
                ("{status=\"3xx\"}", redirected),
                ("{status=\"4xx\"}", wrong),
                ("{status=\"5xx\"}", failed),
            ],
        );
        family(
            "pinward_rate_limited_total",
            "Requests refused by a rate limit.",
            &[("", &self.limited)],
        );
        let [r_refused, r_without, r_with] = &self.registrations;
        let [a_refused, a_without, a_with] = &self.authentications;
        let [c_refused, c_accepted] = &self.recoveries;
        family(
            "pinward_ceremonies_total",
            "Ceremonies concluded, by outcome and whether the user was verified.",
            &[
                ("{ceremony=\"registration\",outcome=\"refused\"}", r_refused),
                (
                    "{ceremony=\"registration\",outcome=\"accepted\",user_verified=\"false\"}",
                    r_without,
                ),
                (
                    "{ceremony=\"registration\",outcome=\"accepted\",user_verified=\"true\"}",
                    r_with,
                ),
                (
                    "{ceremony=\"authentication\",outcome=\"refused\"}",
                    a_refused,
                ),
                (
                    "{ceremony=\"authentication\",outcome=\"accepted\",user_verified=\"false\"}",
                    a_without,
                ),
                (
                    "{ceremony=\"authentication\",outcome=\"accepted\",user_verified=\"true\"}",
                    a_with,
                ),
            ],
        );
        family(
            "pinward_recoveries_total",
            "Recovery codes handed in.",
            &[
                ("{outcome=\"refused\"}", c_refused),
                ("{outcome=\"accepted\"}", c_accepted),
            ],
        );
        text
    }
}

/// The middleware that counts responses.
pub(super) async fn count(
    State(metrics): State<Arc<Metrics>>,
    request: Request,
    next: Next,
) -> Response {
    let response = next.run(request).await;
    let status = response.status().as_u16();
    if let Some(counter) = metrics
        .responses
        .get(usize::from(status / 100).wrapping_sub(1))
    {
        counter.fetch_add(1, Ordering::Relaxed);
    }
    if status == 429 {
        metrics.limited.fetch_add(1, Ordering::Relaxed);
    }
    response
}
