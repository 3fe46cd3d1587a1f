//! What is recorded of a run, and who may have it.

use super::*;

on_every_engine! {
    what_was_recorded_comes_back
    a_run_has_one_owner
    a_late_commit_changes_nothing
    a_run_that_is_over_runs_no_more
    a_run_that_stopped_goes_on
    another_input_or_definition_is_refused
    parts_are_apart_and_forgotten_with_their_step
    a_failed_commit_is_made_again
    a_lease_that_could_not_be_given_back_keeps_nobody_here_waiting
    runs_are_listed
}

fn what_was_recorded_comes_back(place: &Place) {
    let store = &mut *place();
    let options = Options { timeout_ms: Some(5.0), ..Options::default() };
    let (held, recorded) = take(store, &Claim { options, ..claim("r") }, &dead()).unwrap();
    assert!(recorded.is_none() && held.owned.head.fence == 1);
    let failed = Error::timeout(crate::error::Phase::Total, "slow")
        .with(|f| f.details = Some(json!({"a": [1]})));
    held.queue("", started("a"));
    held.queue("", ended("each[2].a", json!({"x": [null, 2.5]})));
    let end = StepEnd { how: How::Failed, error: Some(failed), ..end(json!(null)) };
    held.queue("", Entry::Ended { path: "b".into(), id: "b".into(), end });
    held.queue("", Entry::Decided { path: "".into(), value: json!(true) });
    let usage = crate::chat::Usage { prompt_tokens: 3, ..Default::default() };
    let variables = Plain::json(&json!({"v": 1}));
    held.queue("", Entry::Boundary(Boundary { variables, usage, worked_ms: 9.5 }));
    held.queue("", Entry::Waiting { path: "c".into(), state: json!({"agent": "ada"}) });
    flush(&held, store).unwrap();
    let (held, recorded) = take(&mut *place(), &claim("r"), &Owner::here()).unwrap();
    let recorded = recorded.unwrap();
    assert_eq!((held.owned.head.fence, recorded.options.timeout_ms), (2, Some(5.0)));
    assert!(recorded.input.same(&Plain::json(&json!({"n": 1}))));
    let own = &recorded.own;
    assert!(matches!(&own.steps["a"], Step::Started { attempt: 1, .. }));
    let order: Vec<_> = own.in_order().iter().map(|(path, ..)| path.to_string()).collect();
    assert_eq!(order, ["each[2].a", "b"]);
    assert_eq!(own.in_order()[0].2.output.to_json(), json!({"x": [null, 2.5]}));
    let error = own.in_order()[1].2.to_ended().error.unwrap().error;
    assert_eq!((error.code(), error.message()), (Code::Timeout, "slow"));
    assert_eq!(error.fields().details, Some(json!({"a": [1]})));
    assert!(error.fields().phase == Some(crate::error::Phase::Total));
    assert_eq!((&own.decided[""], &own.waiting["c"]), (&json!(true), &json!({"agent": "ada"})));
    let boundary = &own.boundary;
    assert_eq!((boundary.usage.prompt_tokens, boundary.worked_ms), (3, 9.5));
    assert_eq!(boundary.variables.to_json(), json!({"v": 1}));
}

fn a_run_has_one_owner(place: &Place) {
    let store = &mut *place();
    let unknown = Claim { create: false, ..claim("r") };
    assert_eq!(take(store, &unknown, &dead()).unwrap_err().code(), Code::NotFound);
    let (held, _) = take(store, &claim("r"), &Owner::here()).unwrap();
    let error = take(&mut *place(), &claim("r"), &Owner::here()).unwrap_err();
    assert_eq!((error.code(), reason(&error).as_str()), (Code::InvalidState, "owned"));
    assert_eq!(error.members()["owner"]["pid"], std::process::id());
    held.release(store, &clock()).unwrap();
    let (held, _) = take(&mut *place(), &claim("r"), &elsewhere()).unwrap();
    assert_eq!(reason(&take(store, &claim("r"), &dead()).unwrap_err()), "owned");
    // Its lease has run out.
    let lease = crate::store::Change::Delete;
    let write = layout::write(layout::lease("r"), lease);
    store.commit(&[write], crate::store::Durability::Sync, clock().unix_ms()).unwrap();
    let (later, _) = take(store, &claim("r"), &dead()).unwrap();
    assert_eq!((held.owned.head.fence, later.owned.head.fence), (2, 3));
}

fn a_late_commit_changes_nothing(place: &Place) {
    let (first, second) = (&mut *place(), &mut *place());
    let (old, _) = take(first, &claim("r"), &dead()).unwrap();
    old.queue("", ended("a", json!("old")));
    flush(&old, first).unwrap();
    let (new, _) = take(second, &claim("r"), &Owner::here()).unwrap();
    new.queue("", ended("b", json!("new")));
    flush(&new, second).unwrap();
    old.queue("", ended("b", json!("old")));
    old.queue("", Entry::ForgetInside { place: String::new() });
    let error = flush(&old, first).unwrap_err();
    assert_eq!((error.code(), reason(&error).as_str()), (Code::InvalidState, "lease_lost"));
    let left = old.leave(first, &ending(Over::Completed), KEEP_MS, &clock()).unwrap_err();
    assert_eq!(reason(&left), "lease_lost");
    old.release(first, &clock()).unwrap();
    let recorded = load(first, "r");
    assert!(recorded.head.is_owned && recorded.ending.is_none());
    let outputs: Vec<_> = recorded.own.in_order().iter().map(|s| s.2.output.to_json()).collect();
    assert_eq!(outputs, ["old", "new"]);
}

fn a_run_that_is_over_runs_no_more(place: &Place) {
    let store = &mut *place();
    for (run, over) in [("c", Over::Completed), ("f", Over::Failed), ("x", Over::Cancelled)] {
        let (held, _) = take(store, &claim(run), &Owner::here()).unwrap();
        held.queue("", ended("a", json!(1)));
        let error = (over != Over::Completed).then(|| Error::state("no"));
        let ending = Ending { error, ..ending(over) };
        held.leave(store, &ending, KEEP_MS, &clock()).unwrap();
        let Taken::Over(recorded) = claim(run).take(store, &dead(), &clock()).unwrap() else {
            panic!("{run} runs again");
        };
        let found = recorded.ending.unwrap();
        assert_eq!((recorded.head.status, found.over), (over.status(), over));
        assert_eq!(found.result.to_json(), json!({"output": 7}));
        assert_eq!(found.error.map(|e| e.code()), ending.error.map(|e| e.code()));
        assert!(recorded.own.steps.is_empty() && recorded.head.finished_at.is_some());
        held.queue("", ended("late", json!(1)));
        assert!(flush(&held, store).is_err());
    }
    let late = clock().unix_ms() + KEEP_MS as i64 + 1000;
    assert!(read::head(store, "c", late).unwrap().is_none());
}

fn a_run_that_stopped_goes_on(place: &Place) {
    let store = &mut *place();
    for (run, over) in [("p", Over::Paused), ("o", Over::Open)] {
        let (held, _) = take(store, &claim(run), &Owner::here()).unwrap();
        held.queue("", ended("a", json!(1)));
        held.leave(store, &ending(over), KEEP_MS, &clock()).unwrap();
        let recorded = load(store, run);
        assert_eq!((recorded.head.status, recorded.head.is_over()), (over.status(), false));
        let (held, recorded) = take(store, &claim(run), &Owner::here()).unwrap();
        let recorded = recorded.unwrap();
        assert_eq!(recorded.ending.unwrap().over, over);
        assert_eq!((recorded.own.steps.len(), held.owned.head.fence), (1, 2));
        assert_eq!(load(store, run).head.status, crate::workflow::Status::Running);
    }
}

fn another_input_or_definition_is_refused(place: &Place) {
    let store = &mut *place();
    take(store, &claim("r"), &dead()).unwrap();
    let code = |store: &mut dyn Store, claim: Claim| take(store, &claim, &dead()).map(drop);
    for (claim, expected) in [
        (Claim { input: Some(Plain::default()), ..claim("r") }, Code::AlreadyExists),
        (Claim { workflow: "other".into(), ..claim("r") }, Code::AlreadyExists),
        (Claim { version: "2".into(), ..claim("r") }, Code::VersionMismatch),
        (Claim { definition: 1, ..claim("r") }, Code::VersionMismatch),
    ] {
        assert_eq!(code(store, claim).unwrap_err().code(), expected);
    }
    code(store, Claim { input: None, ..claim("r") }).unwrap();
    code(store, Claim { input: Some(Plain::json(&json!({"n": 1.0}))), ..claim("r") }).unwrap();
}

fn parts_are_apart_and_forgotten_with_their_step(place: &Place) {
    let store = &mut *place();
    let (held, _) = take(store, &claim("r"), &Owner::here()).unwrap();
    let (one, other) = (layout::part("", "a"), layout::part("", "ab"));
    let inner = layout::part(&one, "each[1].x");
    for part in ["", &one, &other, &inner] {
        held.queue(part, ended("a", json!(part)));
        held.queue(part, ended("each[1].a", json!(part)));
    }
    let child =
        Child { workflow: "w".into(), version: "1".into(), definition: 3, ..Child::default() };
    held.queue("", Entry::Child { path: "a".into(), child: child.clone() });
    flush(&held, store).unwrap();
    let recorded = load(store, "r");
    assert_eq!((recorded.parts.len(), &recorded.own.children["a"]), (3, &child));
    let Step::Ended { end, .. } = &recorded.parts[&inner].steps["a"] else { panic!("not ended") };
    assert_eq!(end.output.to_json(), json!(inner));
    held.queue("", Entry::ForgetInside { place: "each[".into() });
    held.queue(&one, Entry::ForgetInside { place: "each[".into() });
    flush(&held, store).unwrap();
    let recorded = load(store, "r");
    assert_eq!(recorded.own.steps.keys().collect::<Vec<_>>(), ["a"]);
    assert_eq!(recorded.parts.keys().collect::<Vec<_>>(), [&one, &other]);
    assert_eq!(recorded.parts[&other].steps.len(), 2);
    held.queue("", Entry::Forget { path: "a".into() });
    flush(&held, store).unwrap();
    let recorded = load(store, "r");
    assert!(recorded.own.steps.is_empty() && recorded.own.children.is_empty());
    assert_eq!(recorded.parts.keys().collect::<Vec<_>>(), [&other]);
}

/// An engine whose next commits fail.
struct Failing<'s>(&'s mut dyn Store, u32);

impl Store for Failing<'_> {
    fn get(
        &mut self,
        space: crate::store::Space,
        key: &[u8],
        now: i64,
    ) -> Result<Option<crate::store::Record>> {
        self.0.get(space, key, now)
    }

    fn scan(
        &mut self,
        range: &crate::store::Range,
        now: i64,
    ) -> Result<Vec<(Vec<u8>, crate::store::Record)>> {
        self.0.scan(range, now)
    }

    fn commit(
        &mut self,
        writes: &[crate::store::Write],
        durability: crate::store::Durability,
        now: i64,
    ) -> Result<crate::store::Committed> {
        if self.1 > 0 {
            self.1 -= 1;
            return Err(Error::new(Code::IoError, "the disk is full"));
        }
        self.0.commit(writes, durability, now)
    }

    fn sync(&mut self) -> Result<()> {
        self.0.sync()
    }
}

fn a_failed_commit_is_made_again(place: &Place) {
    let store = &mut *place();
    let (held, _) = take(store, &claim("r"), &Owner::here()).unwrap();
    let failing = &mut Failing(store, 2);
    held.queue("", ended("a", json!(1)));
    assert_eq!(flush(&held, failing).unwrap_err().code(), Code::IoError);
    held.queue("", ended("a", json!(2)));
    let last = ending(Over::Paused);
    assert!(held.leave(failing, &last, KEEP_MS, &clock()).is_err());
    assert!(!held.is_over());
    held.leave(failing, &last, KEEP_MS, &clock()).unwrap();
    let recorded = load(store, "r");
    assert_eq!(recorded.own.in_order()[0].2.output.to_json(), json!(2));
}

fn a_lease_that_could_not_be_given_back_keeps_nobody_here_waiting(place: &Place) {
    let store = &mut *place();
    let (held, _) = take(store, &claim("r"), &Owner::here()).unwrap();
    let owned = |refused: Result<_>| reason(&refused.map(drop).unwrap_err()) == "owned";
    assert!(owned(take(store, &claim("r"), &Owner::here())));
    assert!(held.release(&mut Failing(store, 1), &clock()).is_err());
    let (again, _) = take(store, &claim("r"), &Owner::here()).unwrap();
    assert!(again.lost().is_none());
    assert!(owned(take(store, &claim("r"), &Owner::here())));
}

fn runs_are_listed(place: &Place) {
    let store = &mut *place();
    let (first, _) = take(store, &claim("b"), &Owner::here()).unwrap();
    crate::net::testing::sleep_ms(5);
    take(store, &claim("a"), &dead()).unwrap();
    take(store, &Claim { workflow: "other".into(), ..claim("c") }, &Owner::here()).unwrap();
    let list = |store: &mut dyn Store, filter: Filter| {
        let found = read::runs(store, &filter, &clock()).unwrap();
        found.heads.into_iter().map(|head| (head.run, head.is_owned)).collect::<Vec<_>>()
    };
    let orders = Filter { name: Some("orders".into()), ..Filter::default() };
    assert_eq!(list(store, orders.clone()), [("b".into(), true), ("a".into(), false)]);
    assert_eq!(list(store, Filter::default()).len(), 3);
    first.leave(store, &ending(Over::Completed), KEEP_MS, &clock()).unwrap();
    let unfinished = Filter { unfinished: true, ..orders };
    assert_eq!(list(store, unfinished), [("a".into(), false)]);
    let status = Some(crate::workflow::Status::Completed);
    assert_eq!(list(store, Filter { status, ..Filter::default() }), [("b".into(), false)]);
}
