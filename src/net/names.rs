//! From host names to addresses: cached, one lookup per host at a time, left behind on cancel.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::ctl::Ctl;
use super::flight::{Flight, join};
use super::process::process;
use super::{Failure, lock};
use crate::clock::{Clock, Moment};

/// How long a found address is used again.
const FRESH: Duration = Duration::from_secs(30);
/// As many as ureq's fixed array holds.
const MOST: usize = 16;

type Found = Result<Vec<IpAddr>, String>;

#[derive(Default)]
pub(super) struct Names(Mutex<Book>);

#[derive(Default)]
struct Book {
    known: HashMap<String, (Moment, Vec<IpAddr>)>,
    asked: HashMap<String, Arc<Flight<Found>>>,
}

impl Names {
    /// Waits for the addresses of `host` as part of the call.
    fn find(&'static self, host: &str, ctl: &Arc<Ctl>) -> Result<Vec<IpAddr>, ureq::Error> {
        let (flight, first) = {
            // All instances share the book: their own clocks may show other times.
            let real = Clock::default();
            let mut book = lock(&self.0);
            book.known.retain(|_, (until, _)| *until > real.now());
            if let Some((_, found)) = book.known.get(host) {
                return Ok(found.clone());
            }
            join(&mut book.asked, host.to_owned())
        };
        if first {
            let (host, until) = (host.to_owned(), Clock::default().now().after(FRESH));
            let landing = flight.clone();
            process().lookups.send(move || self.look_up(&host, until, &landing));
        }
        let dns = |why| Failure::Dns(format!("{host}: {why}"));
        Ok(flight.wait(ctl)?.map_err(dns)?)
    }

    fn look_up(&self, host: &str, until: Moment, flight: &Flight<Found>) {
        let found = look_up(host).map_err(|error| error.to_string());
        let mut book = lock(&self.0);
        book.asked.remove(host);
        if let Ok(addresses) = &found {
            book.known.insert(host.to_owned(), (until, addresses.clone()));
        }
        drop(book);
        flight.land(found);
    }

    /// Its addresses were of no use: ask again next time.
    pub fn forget(&self, host: &str) {
        lock(&self.0).known.remove(host);
    }
}

fn look_up(host: &str) -> io::Result<Vec<IpAddr>> {
    #[cfg(test)]
    if let Some(found) = super::testing::look_up(host) {
        return found;
    }
    let mut found: Vec<IpAddr> = Vec::new();
    for address in std::net::ToSocketAddrs::to_socket_addrs(&(host, 0))? {
        if !found.contains(&address.ip()) {
            found.push(address.ip());
        }
    }
    if found.is_empty() { Err(io::Error::other("no addresses")) } else { Ok(found) }
}

/// The host of a URL, an IPv6 address without its brackets.
pub(super) fn host(uri: &Uri) -> &str {
    uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
}

pub(super) fn port(uri: &Uri) -> u16 {
    uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 })
}

/// What ureq asks for addresses.
pub(super) struct Lookup;

impl Resolver for Lookup {
    fn resolve(
        &self,
        uri: &Uri,
        _: &Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let (ctl, _) = Ctl::current()?;
        let host = host(uri);
        let found = match host.parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) => process().names.find(&host.to_ascii_lowercase(), &ctl)?,
        };
        let found = ctl.admitted(host, found)?;
        let mut addresses = self.empty();
        for ip in found.into_iter().take(MOST) {
            addresses.push(SocketAddr::new(ip, port(uri)));
        }
        Ok(addresses)
    }
}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lookup")
    }
}
