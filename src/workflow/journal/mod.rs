//! The journal of durable executions: what lies in the store of a run, and whose the run is.
//!
//! A run belongs to one process at a time. Who [claims](claim) it gets a *fence*, a record that is
//! written at each change of hands; every later commit depends on that record being the same. So
//! one who lost the run cannot write any more, however late its commits arrive. Who holds a run
//! renews its *lease*; one whose process is gone, or whose lease has run out, may be claimed.
//!
//! At each boundary of an execution, what came of it is queued as [entries](Entry) and committed,
//! synced, in one batch. `codec.rs` says how records look, `layout.rs` under which keys they lie.

mod abandoned;
mod asked;
mod asking;
mod beat;
mod claim;
mod codec;
mod entry;
mod held;
mod keeper;
mod layout;
mod owned;
mod owner;
mod plain;
mod read;
mod recorded;
mod records;
#[cfg(test)]
mod tests;
mod wish;

pub use asked::Asked;
pub use asking::{load, runs, wish};
pub use claim::Claim;
pub use entry::{Boundary, Child, Entry, StepEnd};
pub use layout::check_run;
pub use owned::{Claimed, Claiming, Committing, Journal};
pub use plain::Plain;
pub use read::{Filter, Listed};
pub use recorded::{Ending, Head, Options, Over, Owner, Progress, Recorded, Step};
pub use wish::{Wish, Wished};
