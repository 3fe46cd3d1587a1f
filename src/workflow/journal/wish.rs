//! What others wish of a run that they do not have.

use super::claim::is_unknown;
use super::held::ending_of;
use super::layout;
use super::read::{head, lease, named};
use super::{Ending, Head, Over, Plain};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::step::{Stop, stopped};
use crate::store::{Change, Committed, Durability, Expected, Space, Store, UnixMs, Write};
use crate::workflow::Status;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    Pause,
    /// Not to pause after all.
    Resume,
    Cancel(Option<String>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wished {
    /// The owner will hear of it.
    Told,
    /// There is no owner, and it is done.
    Done,
    /// There is no owner: who wants something of it may claim it.
    Free(Status),
    /// Nothing of it will run any more.
    Over(Status),
}

const ATTEMPTS: u32 = 100;

/// Tells the owner of a run, or cancels one that nobody has. A wish ends with the lease, so that
/// nobody hears of it who has the run later.
pub fn send(
    store: &mut dyn Store,
    run: &str,
    wish: &Wish,
    keep_ms: u64,
    clock: &Clock,
) -> Result<Wished> {
    for _ in 0..ATTEMPTS {
        let now = clock.unix_ms();
        let Some((head, fence)) = head(store, run, now)? else {
            return Err(Error::not_found("run", run));
        };
        if head.is_over() {
            return Ok(Wished::Over(head.status));
        }
        let owned = lease(store, run, now)?.is_some_and(|(lease, _)| !lease.owner.is_gone());
        let (writes, wished) = match wish {
            _ if owned => (vec![told(run, wish)], Wished::Told),
            Wish::Cancel(reason) => {
                (cancelled(store, head, fence, reason, keep_ms, clock)?, Wished::Done)
            }
            _ => return Ok(Wished::Free(head.status)),
        };
        let unchanged = Write {
            only_if: Some(Expected::Version(fence)),
            ..layout::write(layout::head(run), Change::Keep)
        };
        let all: Vec<Write> = [unchanged].into_iter().chain(writes).collect();
        match store.commit(&all, Durability::Sync, now) {
            Ok(Committed::Done(_)) => return Ok(wished),
            Ok(Committed::Conflict(_)) => {}
            Err(error) if is_unknown(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::state(format!("{}: others change it all the time", named(run))))
}

fn told(run: &str, wish: &Wish) -> Write {
    layout::put(layout::wish(run), None, |key| wish.seal(key))
}

/// The lease may still lie there, of one who is gone: it must not come to life again.
fn cancelled(
    store: &mut dyn Store,
    head: Head,
    fence: u64,
    reason: &Option<String>,
    keep_ms: u64,
    clock: &Clock,
) -> Result<Vec<Write>> {
    let now: UnixMs = clock.unix_ms();
    let key = layout::input(&head.run);
    let input = store.get(Space::Journal, &key, now)?;
    let input = input.ok_or_else(|| super::codec::corrupt(&key))?.bytes;
    let error = stopped(&Stop::Cancelled(reason.clone()), "the workflow");
    let ending = Ending { over: Over::Cancelled, result: Plain::default(), error: Some(error) };
    Ok(ending_of(&head, fence, &input, &ending, keep_ms, clock))
}
