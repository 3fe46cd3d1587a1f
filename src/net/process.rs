//! What all Lua states of one process share: threads, connections, looked-up names.

use super::agents::Agents;
use super::flight::Errands;
use super::http::Exchange;
use super::names::Names;
use super::reader::Reader;
use super::workers::{PerProcess, Pool};

/// Requests that wait for the head of their answer at the same time; more of them queue.
const CALLS: usize = 256;

/// Name lookups at the same time; a stuck one cannot be stopped.
const LOOKUPS: usize = 8;

pub(super) struct Process {
    pub calls: Pool<Exchange>,
    pub lookups: Errands,
    /// Of root certificates; apart, so that stuck lookups do not hold it up.
    pub loading: Errands,
    pub names: Names,
    pub agents: Agents,
    pub reader: Reader,
}

/// This process's own; made at first use, and again after a fork.
pub(super) fn process() -> &'static Process {
    static PROCESS: PerProcess<Process> = PerProcess::empty();
    PROCESS.get(|| Process {
        calls: Pool::new("zigllms-call", CALLS),
        lookups: Errands::new("zigllms-lookup", LOOKUPS),
        loading: Errands::new("zigllms-roots", 1),
        names: Names::default(),
        agents: Agents::default(),
        reader: Reader::default(),
    })
}
