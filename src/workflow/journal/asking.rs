//! What can be asked of runs that are not ours.

use super::asked::Asked;
use super::wish as wishes;
use super::{Filter, Listed, Recorded, Wish, Wished, read};
use crate::error::Result;
use crate::runtime::Runtime;
use crate::step::Token;

/// Everything that is recorded of a run; none: there is no such run.
pub fn load(runtime: &mut Runtime, me: Token, run: &str) -> Result<Asked<Option<Recorded>>> {
    let run = run.to_owned();
    Asked::of(runtime, me, move |store, clock| read::load(store, &run, clock))
}

/// The heads of runs, the oldest first.
pub fn runs(runtime: &mut Runtime, me: Token, filter: Filter) -> Result<Asked<Listed>> {
    Asked::of(runtime, me, move |store, clock| read::runs(store, &filter, clock))
}

/// Tells the owner of a run, whoever that is.
pub fn wish(runtime: &mut Runtime, me: Token, run: &str, wanted: Wish) -> Result<Asked<Wished>> {
    let (run, keep_ms) = (run.to_owned(), runtime.config.journal_keep_ms);
    Asked::of(runtime, me, move |store, clock| wishes::send(store, &run, &wanted, keep_ms, clock))
}
