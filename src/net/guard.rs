//! To which addresses a request may connect.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::Failure;

type Rule = dyn Fn(&str, IpAddr) -> bool + Send + Sync;

/// Asked, with the host of the URL, about the addresses that a connection is then made to: between
/// the answer and the connection no name is looked up again. A guarded request uses no pooled
/// connection, as another rule may have let it through.
#[derive(Clone, Default)]
pub struct Guard(Option<Arc<Rule>>);

impl Guard {
    pub fn new(rule: impl Fn(&str, IpAddr) -> bool + Send + Sync + 'static) -> Guard {
        Guard(Some(Arc::new(rule)))
    }

    pub fn is_set(&self) -> bool {
        self.0.is_some()
    }

    /// Those that may be connected to; if there is none, the first of the others is told.
    pub fn admitted(&self, host: &str, found: Vec<IpAddr>) -> Result<Vec<IpAddr>, Failure> {
        let Some(rule) = &self.0 else { return Ok(found) };
        let (good, bad): (Vec<_>, Vec<_>) = found.into_iter().partition(|ip| rule(host, *ip));
        match (good.is_empty(), bad.first()) {
            (true, Some(refused)) => Err(Failure::Forbidden(*refused)),
            _ => Ok(good),
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_set() { "Guard(…)" } else { "Guard" })
    }
}
