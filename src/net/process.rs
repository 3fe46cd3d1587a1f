//! What all Lua states of one process share: threads, connections, looked-up names.

use super::agents::Agents;
use super::flight::Errands;
use super::http::Exchange;
use super::names::Names;
use super::reader::Reader;
use super::workers::{PerProcess, Pool};

/// Requests that wait for the head of their answer at the same time; more of them queue.
const CALLS: usize = 256;

pub(super) struct Process {
    pub calls: Pool<Exchange>,
    pub errands: Errands,
    pub names: Names,
    pub agents: Agents,
    pub reader: Reader,
}

/// This process's own; made at first use, and again after a fork.
pub(super) fn process() -> &'static Process {
    static PROCESS: PerProcess<Process> = PerProcess::new();
    PROCESS.get(|| Process {
        calls: Pool::new("zigllms-call", CALLS),
        errands: Errands::new(),
        names: Names::default(),
        agents: Agents::default(),
        reader: Reader::default(),
    })
}
