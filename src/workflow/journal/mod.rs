//! The journal of durable executions: what lies in the store of a run, and whose the run is.
//!
//! A run belongs to one process at a time. Who [claims](claim) it gets a *fence*, a record that is
//! written at each change of hands; every later commit depends on that record being the same. So
//! one who lost the run cannot write any more, however late its commits arrive. Who holds a run
//! renews its *lease*; one whose process is gone, or whose lease has run out, may be claimed.
//!
//! At each boundary of an execution, what came of it is queued as [entries](Entry) and committed,
//! synced, in one batch. `codec.rs` says how records look, `layout.rs` under which keys they lie.

mod entry;
mod plain;
mod recorded;

pub use entry::{Boundary, Child, Entry, StepEnd};
pub use plain::Plain;
pub use recorded::{Ending, Head, Options, Over, Owner, Progress, Recorded, Step};
