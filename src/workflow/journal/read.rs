//! Runs as they lie in the store.

use std::collections::{BTreeMap, HashMap};

use super::layout::{self, Kind};
use super::records::{self, Lease};
use super::{Boundary, Child, Ending, Head, Progress, Recorded, Step};
use crate::clock::Clock;
use crate::error::{Error, Result, quoted};
use crate::store::{Range, Record, Space, Store, UnixMs};
use crate::workflow::Status;

/// Which runs are listed; nothing said: all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Name of the workflow.
    pub name: Option<String>,
    pub status: Option<Status>,
    /// Only those that may go on.
    pub unfinished: bool,
}

impl Filter {
    fn takes(&self, head: &Head) -> bool {
        self.name.as_ref().is_none_or(|name| *name == head.workflow)
            && self.status.is_none_or(|status| status == head.status)
            && !(self.unfinished && head.is_over())
    }
}

/// Records asked for at once.
const PAGE: usize = 500;

/// How often a run may change hands while it is read.
const ATTEMPTS: u32 = 5;

/// Calls `visit` for all records whose keys begin so.
fn each(
    store: &mut dyn Store,
    prefix: Vec<u8>,
    now: UnixMs,
    mut visit: impl FnMut(&[u8], &Record) -> Result<()>,
) -> Result<()> {
    let mut range = Range { space: Space::Journal, prefix, after: None, limit: PAGE };
    loop {
        let page = store.scan(&range, now)?;
        page.iter().try_for_each(|(key, record)| visit(key, record))?;
        range.after = range.next(&page);
        if range.after.is_none() {
            return Ok(());
        }
    }
}

/// The head of a run, with the version that is the fence.
pub fn head(store: &mut dyn Store, run: &str, now: UnixMs) -> Result<Option<(Head, u64)>> {
    let key = layout::head(run);
    let Some(record) = store.get(Space::Journal, &key, now)? else { return Ok(None) };
    Ok(Some((Head::read(run, &key, &record.bytes)?, record.version)))
}

/// The lease of a run, unless it has run out.
pub fn lease(store: &mut dyn Store, run: &str, now: UnixMs) -> Result<Option<(Lease, u64)>> {
    let key = layout::lease(run);
    let Some(record) = store.get(Space::Journal, &key, now)? else { return Ok(None) };
    Ok(Some((Lease::read(&key, &record.bytes)?, record.version)))
}

/// Everything of a run.
pub fn load(store: &mut dyn Store, run: &str, clock: &Clock) -> Result<Option<Recorded>> {
    let mut last = None;
    for _ in 0..ATTEMPTS {
        let now = clock.unix_ms();
        let Some((mut found, fence)) = head(store, run, now)? else { return Ok(None) };
        found.is_owned = lease(store, run, now)?.is_some_and(|(lease, _)| !lease.owner.is_gone());
        let recorded = contents(store, found, now);
        if head(store, run, now)?.is_some_and(|(_, version)| version == fence) {
            return recorded.map(Some);
        }
        last = Some(recorded);
    }
    last.transpose()
}

/// What belongs to a head.
pub fn contents(store: &mut dyn Store, head: Head, now: UnixMs) -> Result<Recorded> {
    let run = head.run.clone();
    let key = layout::input(&run);
    let record =
        store.get(Space::Journal, &key, now)?.ok_or_else(|| super::codec::corrupt(&key))?;
    let (input, options) = records::read_input(&key, &record.bytes)?;
    let key = layout::ending(&run);
    let ending = store.get(Space::Journal, &key, now)?;
    let ending = ending.map(|record| Ending::read(&key, &record.bytes)).transpose()?;
    let mut parts: BTreeMap<String, Progress> = BTreeMap::new();
    each(store, layout::details(&run), now, |key, record| {
        let place = layout::parse(&run, key);
        let (part, kind, path) = place.ok_or_else(|| super::codec::corrupt(key))?;
        parts.entry(part.to_owned()).or_default().note(kind, path, key, &record.bytes)
    })?;
    let own = parts.remove("").unwrap_or_default();
    Ok(Recorded { head, input, options, own, parts, ending })
}

impl Progress {
    fn note(&mut self, kind: Kind, path: String, key: &[u8], bytes: &[u8]) -> Result<()> {
        match kind {
            Kind::Step => drop(self.steps.insert(path, Step::read(key, bytes)?)),
            Kind::Decided => drop(self.decided.insert(path, records::read_value(key, bytes)?)),
            Kind::Boundary => self.boundary = Boundary::read(key, bytes)?,
            Kind::Child => drop(self.children.insert(path, Child::read(key, bytes)?)),
            Kind::Waiting => drop(self.waiting.insert(path, records::read_value(key, bytes)?)),
        }
        Ok(())
    }
}

/// What is listed. One run that cannot be read keeps nobody from the others.
#[derive(Debug, Default)]
pub struct Listed {
    /// The oldest first.
    pub heads: Vec<Head>,
    /// Runs whose heads are damaged, or of a version to come, and why.
    pub unreadable: Vec<(String, Error)>,
}

/// All runs that the filter takes; those that cannot be read, whatever it says.
pub fn runs(store: &mut dyn Store, filter: &Filter, clock: &Clock) -> Result<Listed> {
    let now = clock.unix_ms();
    let mut leases = HashMap::new();
    each(store, layout::LEASES.to_vec(), now, |key, record| {
        // Whoever claims the run is told of a lease that cannot be read.
        if let Ok(lease) = Lease::read(key, &record.bytes) {
            leases.insert(key.get(1..).unwrap_or_default().to_vec(), lease);
        }
        Ok(())
    })?;
    let mut listed = Listed::default();
    each(store, layout::HEADS.to_vec(), now, |key, record| {
        let run = layout::run_of(key).ok_or_else(|| super::codec::corrupt(key))?;
        match Head::read(run, key, &record.bytes) {
            Ok(mut head) => {
                let lease = leases.get(run.as_bytes());
                head.is_owned = lease.is_some_and(|lease| !lease.owner.is_gone());
                listed.heads.extend(Some(head).filter(|head| filter.takes(head)));
            }
            Err(error) => listed.unreadable.push((run.to_owned(), error)),
        }
        Ok(())
    })?;
    listed.heads.sort_by(|a, b| a.created_at.total_cmp(&b.created_at));
    Ok(listed)
}

/// `run "r1"`
pub fn named(run: &str) -> String {
    format!("run {}", quoted(run))
}
