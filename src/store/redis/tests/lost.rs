//! Answers that were lost, and questions that arrive late.

use super::faults::if_absent;
use super::proxy::{Fate, Proxy};
use super::server::Server;
use crate::store::conformance::{NOW, put};
use crate::store::redis::Redis;
use crate::store::{Committed, Durability, Effect, Expected, Space, Store, Write};

/// A client whose connection goes through a proxy, and one whose does not.
fn pair(server: &Server) -> (Proxy, Redis, Redis) {
    let proxy = Proxy::start(server.port);
    let through = Redis::open(&format!("redis://127.0.0.1:{}", proxy.port)).unwrap();
    (proxy, through.patient_for(300), Redis::open(&server.url()).unwrap())
}

#[test]
fn a_commit_whose_answer_was_lost_is_made_once() {
    let Some(server) = Server::start(&[]) else { return };
    let (proxy, mut store, mut other) = pair(&server);
    store.make(&[put("warm", "")]).unwrap();
    proxy.next(Fate::AnswerLost);
    let effects = store.make(&[if_absent(put("a", "1"))]).unwrap();
    let record = other.get(Space::Memory, b"a", NOW).unwrap().unwrap();
    assert_eq!(effects, [Effect { before: 0, version: record.version }]);
    proxy.next(Fate::AnswerLost);
    assert_eq!(store.text("a").as_deref(), Some("1"));
}

#[test]
fn a_commit_that_arrives_behind_a_later_one_is_refused() {
    let Some(server) = Server::start(&[]) else { return };
    let (proxy, mut store, mut other) = pair(&server);
    store.make(&[put("warm", "")]).unwrap();
    proxy.next(Fate::Held);
    assert!(store.make(&[put("a", "old")]).is_err());
    store.make(&[put("a", "new")]).unwrap();
    let answers = proxy.release();
    assert!(answers[0].contains("ZSTALE"), "{answers:?}");
    assert_eq!(other.text("a").as_deref(), Some("new"));
}

#[test]
fn a_commit_made_again_and_its_late_first_attempt_are_one() {
    let Some(server) = Server::start(&[]) else { return };
    let (proxy, mut store, mut other) = pair(&server);
    store.make(&[put("warm", "")]).unwrap();
    proxy.next(Fate::Held);
    let writes = [if_absent(put("a", "1"))];
    assert!(store.make(&writes).is_err());
    let effects = store.make(&writes).unwrap();
    let answers = proxy.release();
    assert!(answers[0].contains(&(effects[0].version - 1).to_string()), "{answers:?}");
    let record = other.get(Space::Memory, b"a", NOW).unwrap().unwrap();
    assert_eq!(record.version, effects[0].version);
}

/// Every commit is made again until somebody says what became of it.
#[test]
fn counting_is_exact_whatever_answers_are_lost() {
    let Some(server) = Server::start(&[]) else { return };
    for seed in 1..9 {
        let (proxy, mut store, mut other) = pair(&server);
        other.make(&[put("count", "0")]).unwrap();
        let mut version = other.get(Space::Memory, b"count", NOW).unwrap().unwrap().version;
        proxy.lose_some(seed);
        for number in 1..=50 {
            let only_if = Some(Expected::Version(version));
            let writes = [Write { only_if, ..put("count", number.to_string()) }];
            let made = (0..100)
                .find_map(|_| store.commit(&writes, Durability::Batched, NOW).ok())
                .expect("no answer ever came");
            let Committed::Done(effects) = made else { panic!("{number} was made twice") };
            version = effects[0].version;
        }
        assert_eq!(other.text("count").as_deref(), Some("50"));
    }
}
