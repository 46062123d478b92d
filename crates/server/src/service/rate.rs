//! Rate limits: requests of one address, ceremonies for one user name.
//!
//! Both are the generic cell rate algorithm: one instant for each caller, up to which their requests
//! are "paid for". The database has them, for all nodes together; in front of it each node counts in
//! memory too, so that a flood is refused without asking the database.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Context;
use crate::listen::Peer;
use crate::problem::{Problem, TOO_MANY_REQUESTS};
use crate::store::{Metered, Store};

/// Callers that are remembered; then those who have paid are forgotten, and if none has, all are.
const MOST_CALLERS: usize = 100_000;

/// So many at once, and so many a minute in the long run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    burst: u32,
    interval: Duration,
}

impl Rate {
    /// `burst` at once, `per_minute` in the long run; both at least 1.
    #[must_use]
    pub fn new(burst: u32, per_minute: u32) -> Self {
        Self {
            burst: burst.max(1),
            interval: Duration::from_secs(60) / per_minute.max(1),
        }
    }
}

/// The meter of one kind of caller.
struct Meter<K> {
    rate: Rate,
    paid_until: Mutex<HashMap<K, Instant>>,
}

impl<K: Hash + Eq> Meter<K> {
    fn new(rate: Rate) -> Self {
        Self {
            rate,
            paid_until: Mutex::default(),
        }
    }

    /// Counts one request; `Err` says how long to wait.
    fn count(&self, caller: K, now: Instant) -> Result<(), Duration> {
        let mut callers = self
            .paid_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if callers.len() >= MOST_CALLERS && !callers.contains_key(&caller) {
            callers.retain(|_, paid| *paid > now);
            if callers.len() >= MOST_CALLERS {
                callers.clear();
            }
        }
        let paid = callers.get(&caller).map_or(now, |paid| (*paid).max(now));
        let credit = self.rate.interval * (self.rate.burst - 1);
        match (paid - now).checked_sub(credit) {
            None | Some(Duration::ZERO) => {
                callers.insert(caller, paid + self.rate.interval);
                Ok(())
            }
            Some(wait) => Err(wait),
        }
    }
}

/// All meters.
pub(super) struct Rates {
    store: Store,
    addresses: Meter<IpAddr>,
    accounts: Meter<String>,
    trusted_proxies: Vec<IpAddr>,
}

impl Rates {
    pub(super) fn new(
        store: Store,
        address: Rate,
        account: Rate,
        trusted_proxies: Vec<IpAddr>,
    ) -> Self {
        Self {
            store,
            addresses: Meter::new(address),
            accounts: Meter::new(account),
            trusted_proxies,
        }
    }

    /// Counts a ceremony for a user name, whether there is such a user or not.
    pub(super) async fn account(&self, name: &str) -> Result<(), Problem> {
        let local = self.accounts.count(name.to_owned(), Instant::now());
        let hash = digest(&SHA256, name.as_bytes());
        self.shared(local, Metered::Account, hash.as_ref(), self.accounts.rate)
            .await?
            .map_err(|wait| too_many("Too many attempts for this user name.", wait))
    }

    /// Counts a request from an address.
    async fn address(&self, caller: IpAddr) -> Result<(), Problem> {
        let local = self.addresses.count(caller, Instant::now());
        let bytes = match caller {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        };
        self.shared(local, Metered::Address, &bytes, self.addresses.rate)
            .await?
            .map_err(|wait| too_many("Too many requests from this address.", wait))
    }

    /// What all nodes together say, unless this one knows already.
    async fn shared(
        &self,
        local: Result<(), Duration>,
        metered: Metered,
        caller: &[u8],
        rate: Rate,
    ) -> Result<Result<(), Duration>, Problem> {
        if local.is_err() {
            return Ok(local);
        }
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        self.store
            .charge(metered, caller, (rate.burst, rate.interval), now)
            .await
    }

    /// Who really asks: the peer, or whom a trusted proxy names. Each proxy adds on the right whom it
    /// has seen, so the first from there that is no proxy of ours is the last one that we can believe.
    fn caller(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.trusted_proxies.contains(&peer) {
            return peer;
        }
        let named: Vec<&str> = headers
            .get_all("x-forwarded-for")
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .collect();
        let mut caller = peer;
        for text in named.iter().rev() {
            let Ok(address) = text.trim().parse::<IpAddr>() else {
                break;
            };
            caller = address.to_canonical();
            if !self.trusted_proxies.contains(&caller) {
                break;
            }
        }
        caller
    }
}

/// One subscriber has at least a /64 of IPv6.
fn subscriber(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

fn too_many(what: &str, wait: Duration) -> Problem {
    let seconds = u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
    Problem::new(
        &TOO_MANY_REQUESTS,
        format!("{what} Try again in {seconds} seconds."),
    )
    .retry_after(seconds)
}

/// The middleware that counts what may change something.
pub(super) async fn by_address(
    State(context): State<Context>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let rates = &context.rates;
        let caller = subscriber(rates.caller(peer, request.headers()));
        if let Err(problem) = rates.address(caller).await {
            return problem.into_response();
        }
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_burst_then_one_for_each_interval() {
        let meter = Meter::new(Rate::new(3, 60));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        for _ in 0..3 {
            meter.count("kim", at(0)).unwrap();
        }
        assert_eq!(meter.count("kim", at(0)), Err(Duration::from_secs(1)));
        meter.count("lee", at(0)).unwrap();
        meter.count("kim", at(1)).unwrap();
        assert_eq!(meter.count("kim", at(1)), Err(Duration::from_secs(1)));
        for _ in 0..3 {
            meter.count("kim", at(100)).unwrap();
        }
        meter.count("kim", at(100)).unwrap_err();
    }

    #[tokio::test]
    async fn only_trusted_proxies_name_the_caller() {
        let store = Store::open(&crate::Storage::Ephemeral).await.unwrap();
        let one = Rate::new(1, 1);
        let rates = Rates::new(store, one, one, vec![ip("10.0.0.1")]);
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", "6.6.6.6, 203.0.113.9".parse().unwrap());
        headers.append("x-forwarded-for", "10.0.0.1".parse().unwrap());
        let caller = |peer| rates.caller(ip(peer), &headers);
        assert_eq!(caller("10.0.0.1"), ip("203.0.113.9"));
        assert_eq!(caller("198.51.100.7"), ip("198.51.100.7"));
        assert_eq!(caller("::ffff:10.0.0.1"), ip("203.0.113.9"));
        assert_eq!(
            rates.caller(ip("10.0.0.1"), &HeaderMap::new()),
            ip("10.0.0.1")
        );
    }

    #[tokio::test]
    async fn two_nodes_share_what_a_caller_may_do() {
        let store = Store::open(&crate::Storage::Ephemeral).await.unwrap();
        let node = || Rates::new(store.clone(), Rate::new(3, 1), Rate::new(3, 1), Vec::new());
        let (first, second) = (node(), node());
        for rates in [&first, &second, &first] {
            rates.account("kim").await.unwrap();
            rates.address(ip("192.0.2.1")).await.unwrap();
        }
        // Neither has seen three by itself.
        second.account("kim").await.unwrap_err();
        second.address(ip("192.0.2.1")).await.unwrap_err();
        second.account("lee").await.unwrap();
    }

    #[tokio::test]
    async fn a_fast_meter_counts_parts_of_a_millisecond() {
        let store = Store::open(&crate::Storage::Ephemeral).await.unwrap();
        let now = Duration::from_secs(1_800_000_000);
        let rate = (10, Duration::from_micros(600));
        let count = async |now| {
            store
                .charge(Metered::Account, b"kim", rate, now)
                .await
                .unwrap()
        };
        for _ in 0..10 {
            count(now).await.unwrap();
        }
        assert_eq!(count(now).await, Err(Duration::from_micros(600)));
        count(now + Duration::from_micros(600)).await.unwrap();
    }

    #[test]
    fn a_subscriber_has_one_network() {
        assert_eq!(subscriber(ip("2001:db8:1:2:3::9")), ip("2001:db8:1:2::"));
        assert_eq!(subscriber(ip("192.0.2.1")), ip("192.0.2.1"));
    }
}
