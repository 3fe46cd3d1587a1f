//! Events of other processes, and ours for them: links to streams of the store.

mod flush;
mod link;
mod message;
mod opening;
mod origin;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::Clock;
use crate::error::Result;
use crate::step::Token;
use crate::tasks::Tasks;
use crate::value::Ref;

pub use flush::flush;
pub use link::{Arrival, Barrier, Link, Plan};
pub use opening::Opening;

use origin::Origin;

/// How long the end of a Lua state waits until what was emitted has left.
const AT_CLOSE: Duration = Duration::from_secs(5);

/// All links of one instance.
#[derive(Default)]
pub struct Links {
    last: u64,
    all: BTreeMap<u64, Link>,
    origin: Origin,
}

impl Links {
    pub fn id(number: u64) -> String {
        format!("bridge_{number}")
    }

    /// The number of the one with that id.
    pub fn find(&self, id: &str) -> Option<u64> {
        let number = id.strip_prefix("bridge_")?.parse().ok()?;
        (self.all.contains_key(&number) && Links::id(number) == id).then_some(number)
    }

    /// One that is not open yet.
    pub fn insert(&mut self, plan: Plan, tasks: &mut Tasks) -> Result<u64> {
        let token = tasks.token();
        let waker = tasks.waker(token)?;
        self.last += 1;
        self.all.insert(self.last, Link::new(self.last, plan, token, waker));
        tasks.stand(self.all.values().map(Link::token).collect());
        Ok(self.last)
    }

    /// Connects it; what becomes of that is asked of the link.
    pub fn open(&mut self, number: u64, clock: &Clock) -> Result<()> {
        let origin = self.origin.name();
        self.all.get_mut(&number).map_or(Ok(()), |link| link.open(&origin, clock))
    }

    pub fn get_mut(&mut self, number: u64) -> Option<&mut Link> {
        self.all.get_mut(&number)
    }

    pub fn has(&self, number: u64) -> bool {
        self.all.contains_key(&number)
    }

    /// Ends it. What was emitted before still leaves.
    pub fn remove(&mut self, number: u64) -> bool {
        let Some(mut link) = self.all.remove(&number) else { return false };
        link.end();
        true
    }

    pub fn clear(&mut self) {
        std::mem::take(&mut self.all).into_values().for_each(|mut link| link.end());
    }

    /// Whether an event of that name is published.
    pub fn hear(&self, name: &str) -> bool {
        self.all.values().any(|link| link.publishes(name))
    }

    /// The next one that nobody serves yet, and the token that calls for service.
    pub fn unserved(&mut self) -> Option<(u64, Token)> {
        let (number, link) = self.all.iter_mut().find(|(_, link)| !link.served)?;
        link.served = true;
        Some((*number, link.token()))
    }

    /// Sends an event to each stream once, whichever of its links mean it.
    pub fn publish(&mut self, name: &str, event: Ref<'_>) {
        let bytes = message::encode(event);
        let mut streams: Vec<String> = Vec::new();
        for link in self.all.values().filter(|link| link.publishes(name)) {
            let stream = link.stream();
            if !streams.contains(&stream) {
                link.send(bytes.clone());
                streams.push(stream);
            }
        }
    }

    /// The next event that a link brought and that it means.
    pub fn receive(&mut self, number: u64) -> Option<Arrival> {
        self.all.get_mut(&number)?.receive()
    }

    /// In a forked child: links of its own, in place of those that its parent goes on with.
    pub fn settle_here(&mut self, tasks: &mut Tasks, clock: &Clock) -> Result<()> {
        if self.all.values().all(Link::is_here) {
            return Ok(());
        }
        let origin = self.origin.name();
        for link in self.all.values_mut().filter(|link| !link.is_here()) {
            let waker = tasks.waker(link.token())?;
            link.open_again(&origin, waker, clock)?;
        }
        Ok(())
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        self.all.values_mut().for_each(Link::close);
        let clock = Clock::default();
        let until = clock.now().after(AT_CLOSE);
        self.all.values().for_each(|link| link.settle(clock.now().until(until)));
    }
}
