//! Signs of life, and what others wish.

use super::*;
use crate::store::{Change, Durability, Expected, Space};
use crate::workflow::Status;

on_every_engine! {
    a_lease_is_renewed_until_the_run_is_lost
    a_wish_is_heard_once
    what_nobody_has_is_cancelled_at_once
}

fn lease_until(store: &mut dyn Store, run: &str) -> i64 {
    let key = layout::lease(run);
    let record = store.get(Space::Journal, &key, clock().unix_ms()).unwrap();
    record.and_then(|record| record.expires_at).unwrap_or_default()
}

fn a_lease_is_renewed_until_the_run_is_lost(place: &Place) {
    let store = &mut *place();
    let (held, _) = take(store, &claim("r"), &dead()).unwrap();
    let before = lease_until(store, "r");
    crate::net::testing::sleep_ms(20);
    held.renew(store, &clock()).unwrap();
    assert!(lease_until(store, "r") > before);
    let (other, _) = take(&mut *place(), &claim("r"), &Owner::here()).unwrap();
    let theirs = lease_until(store, "r");
    assert_eq!(reason(&held.renew(store, &clock()).unwrap_err()), "lease_lost");
    assert!(held.is_over() && reason(&held.lost().unwrap()) == "lease_lost");
    assert_eq!(lease_until(store, "r"), theirs);
    other.leave(store, &ending(Over::Paused), KEEP_MS, &clock()).unwrap();
    other.renew(store, &clock()).unwrap();
    assert_eq!(lease_until(store, "r"), 0, "a run that was left is nobody's");
}

fn send(store: &mut dyn Store, run: &str, wish: Wish) -> Result<Wished> {
    super::super::wish::send(store, run, &wish, KEEP_MS, &clock())
}

fn a_wish_is_heard_once(place: &Place) {
    let (store, other) = (&mut *place(), &mut *place());
    let (held, _) = take(store, &claim("r"), &Owner::here()).unwrap();
    let cancel = Wish::Cancel(Some("enough".into()));
    assert_eq!(held.hear(store, clock().unix_ms()).unwrap(), None);
    for wish in [Wish::Pause, Wish::Resume, cancel] {
        assert_eq!(send(other, "r", wish.clone()).unwrap(), Wished::Told);
        assert_eq!(held.hear(store, clock().unix_ms()).unwrap(), Some(wish));
        assert_eq!(held.hear(store, clock().unix_ms()).unwrap(), None);
    }
    send(other, "r", Wish::Pause).unwrap();
    held.leave(store, &ending(Over::Paused), KEEP_MS, &clock()).unwrap();
    let (next, _) = take(store, &claim("r"), &Owner::here()).unwrap();
    assert_eq!(next.hear(store, clock().unix_ms()).unwrap(), None, "it was another's");
}

fn what_nobody_has_is_cancelled_at_once(place: &Place) {
    let store = &mut *place();
    assert_eq!(send(store, "r", Wish::Pause).unwrap_err().code(), Code::NotFound);
    let (held, _) = take(store, &claim("r"), &dead()).unwrap();
    held.queue("", ended("a", json!(1)));
    flush(&held, store).unwrap();
    assert_eq!(send(store, "r", Wish::Pause).unwrap(), Wished::Free(Status::Running));
    assert_eq!(send(store, "r", Wish::Cancel(Some("no".into()))).unwrap(), Wished::Done);
    assert_eq!(send(store, "r", Wish::Pause).unwrap(), Wished::Over(Status::Cancelled));
    let recorded = load(store, "r");
    let error = recorded.ending.unwrap().error.unwrap();
    assert_eq!((error.code(), reason(&error).as_str()), (Code::Cancelled, "no"));
    held.queue("", ended("b", json!(1)));
    assert_eq!(reason(&flush(&held, store).unwrap_err()), "lease_lost");
}

/// The clocks of two machines differ by more than a lease: the run changes hands, and nothing of the
/// one that believes to have it is written.
#[test]
fn a_clock_that_is_wrong_costs_the_run_and_no_record() {
    let place = memory();
    let store = &mut *place();
    let (held, _) = take(store, &claim("r"), &elsewhere()).unwrap();
    let key = layout::lease("r");
    let record = store.get(Space::Journal, &key, clock().unix_ms()).unwrap().unwrap();
    let expired = Change::Put { bytes: record.bytes, expires_at: Some(1) };
    let only_if = Some(Expected::Version(record.version));
    let write = crate::store::Write { only_if, ..layout::write(key, expired) };
    store.commit(&[write], Durability::Sync, clock().unix_ms()).unwrap();
    take(store, &claim("r"), &Owner::here()).unwrap();
    held.queue("", ended("a", json!(1)));
    assert_eq!(reason(&flush(&held, store).unwrap_err()), "lease_lost");
}
