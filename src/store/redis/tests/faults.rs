//! Servers that end, refuse, are full, are slow, or hold something else.

use std::time::Duration;

use serde_json::{Value, json};

use super::fresh_url;
use super::server::Server;
use crate::error::{Code, Error, Result};
use crate::store::conformance::{NOW, delete, delete_all, put, put_until};
use crate::store::redis::Redis;
use crate::store::{Change, Committed, Durability, Effect, Expected, Record, Space, Store, Write};

impl Redis {
    pub(super) fn make(&mut self, writes: &[Write]) -> Result<Vec<Effect>> {
        match self.commit(writes, Durability::Batched, NOW)? {
            Committed::Done(effects) => Ok(effects),
            Committed::Conflict(at) => panic!("write {at} met another state"),
        }
    }

    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        let record = self.get(Space::Memory, key.as_bytes(), NOW).unwrap();
        record.map(|record| String::from_utf8(record.bytes).unwrap())
    }

    pub(super) fn patient_for(mut self, ms: u64) -> Redis {
        self.link.set_patience(Duration::from_millis(ms));
        self
    }
}

fn reason(error: &Error) -> Option<&str> {
    error.fields().details.as_ref()?.get("reason")?.as_str()
}

fn refused<T>(result: Result<T>) -> Error {
    result.err().expect("it should have failed")
}

pub(super) fn if_absent(mut write: Write) -> Write {
    write.only_if = Some(Expected::Absent);
    write
}

#[test]
fn a_client_survives_the_end_of_its_server() {
    let Some(mut server) = Server::start(&[]) else { return };
    let mut store = Redis::open(&server.url()).unwrap();
    let before = store.make(&[put("a", "1")]).unwrap()[0].version;
    let mut other = Redis::open(&server.url()).unwrap();
    server.kill();
    let error = refused(other.make(&[put("b", "2")]));
    assert_eq!(error.fields().details, Some(json!({ "reason": "connect", "unknown": true })));
    for error in
        [refused(store.get(Space::Memory, b"a", NOW)), refused(store.make(&[put("b", "2")]))]
    {
        assert_eq!(error.code(), Code::IoError);
        assert_eq!(error.fields().details, Some(json!({ "reason": "connect" })), "{error}");
    }
    assert_eq!(reason(&refused(Redis::open(&server.url()))), Some("connect"));
    server.start_again();
    assert_eq!(store.text("a"), None, "nothing was kept on disk");
    let after = store.make(&[put("a", "3")]).unwrap()[0].version;
    assert!(after > before, "a version was given again: {before}, {after}");
    assert_eq!(store.text("a").as_deref(), Some("3"));
}

#[test]
fn a_server_that_was_restarted_is_no_failure() {
    let Some(mut server) = Server::start(&["--appendonly", "yes", "--appendfsync", "always"])
    else {
        return;
    };
    let mut store = Redis::open(&server.url()).unwrap();
    for number in 0..100 {
        store.make(&[put("a", number.to_string())]).unwrap();
    }
    server.kill();
    server.start_again();
    assert_eq!(store.text("a").as_deref(), Some("99"), "acknowledged and on disk");
    server.kill();
    server.start_again();
    assert_eq!(store.make(&[put("a", "next")]).unwrap()[0].before, 1);
}

#[test]
fn scripts_that_were_forgotten_are_loaded_again() {
    let Some(mut server) = Server::start(&[]) else { return };
    let mut store = Redis::open(&server.url()).unwrap();
    assert_eq!(server.command(&["SCRIPT", "FLUSH"]), "OK");
    store.make(&[put("a", "1")]).unwrap();
    assert_eq!(store.text("a").as_deref(), Some("1"));
}

#[test]
fn a_full_server_takes_nothing_of_a_commit_and_goes_on_when_there_is_room() {
    let Some(mut server) = Server::start(&["--maxmemory", "6mb"]) else { return };
    let mut store = Redis::open(&server.url()).unwrap();
    let filled = (0..1000).find_map(|number| {
        let batch = [put(format!("{number} a"), [7; 20_000]), put(format!("{number} b"), [7; 10])];
        store.make(&batch).err().map(|error| (number, error))
    });
    let (number, error) = filled.expect("it never was full");
    assert!(number > 0);
    assert_eq!((error.code(), reason(&error)), (Code::IoError, Some("full")), "{error}");
    assert_eq!(store.text(&format!("{number} a")), None);
    assert_eq!(store.text(&format!("{number} b")), None);
    assert_eq!(store.make(&[delete("none")]).unwrap()[0].before, 0);
    let gone: Vec<Write> = (0..number).map(|n| delete(format!("{n} a"))).collect();
    assert!(store.make(&gone).unwrap().iter().all(|effect| effect.before == 1));
    assert_eq!(store.make(&[put("room", "yes")]).unwrap()[0].before, 0);
    assert_eq!(server.command(&["ZCARD", "zigllms:i:memory"]), number + 1);
}

#[test]
fn a_server_that_drops_any_data_is_no_store() {
    let Some(mut server) = Server::start(&["--maxmemory", "6mb"]) else { return };
    server.command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]);
    let error = refused(Redis::open(&server.url()));
    assert_eq!(reason(&error), Some("evicts"), "{error}");
    server.command(&["CONFIG", "SET", "maxmemory-policy", "volatile-lru"]);
    Redis::open(&server.url()).unwrap();
}

#[test]
fn a_password_is_needed_and_never_told() {
    let Some(server) = Server::start(&["--requirepass", "open-sesame"]) else { return };
    let with = |login: &str| format!("redis://{login}127.0.0.1:{}/0", server.port);
    for login in ["", ":shibboleth@", "me:shibboleth@"] {
        let error = refused(Redis::open(&with(login)));
        assert_eq!((error.code(), reason(&error)), (Code::IoError, Some("auth")), "{error}");
        assert!(!error.to_string().contains("shibboleth"), "{error}");
    }
    let mut store = Redis::open(&with(":open-sesame@")).unwrap();
    store.make(&[put("a", "1")]).unwrap();
    let mut store = Redis::open(&with("default:open-sesame@")).unwrap();
    assert_eq!(store.text("a").as_deref(), Some("1"));
}

/// The rights that doc/redis.md names.
#[test]
fn a_user_needs_few_rights() {
    let Some(mut server) = Server::start(&[]) else { return };
    let rights = ["~zigllms:*", "+@read", "+@write", "+@connection", "+@scripting", "+time"];
    let user = ["ACL", "SETUSER", "me", "on", ">open-sesame"];
    assert_eq!(server.command(&[&user[..], &rights[..]].concat()), "OK");
    let url = |tail: &str| format!("redis://me:open-sesame@127.0.0.1:{}{tail}", server.port);
    let mut store = Redis::open(&url("/1")).unwrap();
    store.make(&[put("a", "1"), put_until("b", NOW + 1), delete("c"), delete_all("d")]).unwrap();
    assert_eq!(store.scan(&super::whole(9), NOW).unwrap().len(), 2);
    let error = refused(Redis::open(&url("?prefix=other")));
    assert_eq!(reason(&error), Some("auth"), "{error}");
}

#[test]
fn a_replica_is_read_and_not_written() {
    let Some(mut server) = Server::start(&[]) else { return };
    let mut store = Redis::open(&server.url()).unwrap();
    store.make(&[put("a", "1")]).unwrap();
    server.command(&["REPLICAOF", "127.0.0.1", "1"]);
    let error = refused(store.make(&[put("a", "2")]));
    assert_eq!(reason(&error), Some("readonly"), "{error}");
    assert_eq!(store.text("a").as_deref(), Some("1"));
    server.command(&["REPLICAOF", "NO", "ONE"]);
    store.make(&[put("a", "2")]).unwrap();
}

#[test]
fn a_commit_that_nobody_answered_is_not_made_twice() {
    let Some(mut server) = Server::start(&[]) else { return };
    let mut store = Redis::open(&server.url()).unwrap().patient_for(200);
    store.make(&[put("warm", "")]).unwrap();
    server.command(&["CLIENT", "PAUSE", "1000", "WRITE"]);
    let writes = [if_absent(put("a", "1"))];
    let error = refused(store.make(&writes));
    assert_eq!(error.fields().details, Some(json!({ "reason": "timeout", "unknown": true })));
    server.command(&["CLIENT", "UNPAUSE"]);
    // The server made it by now; asked once more, it says what became of it.
    let effects = store.make(&writes).unwrap();
    let record = store.get(Space::Memory, b"a", NOW).unwrap().unwrap();
    assert_eq!(effects, [Effect { before: 0, version: record.version }]);
    assert_eq!(store.make(&[put("a", "2")]).unwrap()[0].before, 1);
}

/// Keeps the server busy until its script is killed.
fn endless_script(url: &str) -> std::thread::JoinHandle<()> {
    let mut other = Redis::open(url).unwrap();
    std::thread::spawn(move || {
        let answer = other.link.ask(|_| {
            let mut eval = ::redis::cmd("EVAL");
            eval.arg("redis.call('GET', 'a') while true do end").arg(0);
            eval
        });
        assert!(answer.is_err(), "it was killed");
    })
}

#[test]
fn a_busy_server_is_waited_for() {
    let Some(mut server) = Server::start(&["--lua-time-limit", "50"]) else { return };
    let mut store = Redis::open(&server.url()).unwrap().patient_for(500);
    store.make(&[put("a", "1")]).unwrap();
    let endless = endless_script(&server.url());
    let error = (0..100_000)
        .find_map(|_| store.make(&[put("a", "2")]).err())
        .expect("it answered all the time");
    assert_eq!(error.fields().details, Some(json!({ "reason": "busy" })), "{error}");
    let mut store = store.patient_for(10_000);
    let waiting = std::thread::spawn(move || store.make(&[put("a", "3")]).map(|_| store));
    assert_eq!(server.command(&["SCRIPT", "KILL"]), "OK");
    endless.join().unwrap();
    let mut store = waiting.join().unwrap().unwrap();
    assert_eq!(store.text("a").as_deref(), Some("3"));
}

#[test]
fn what_is_not_ours_is_told_and_left_alone() {
    let Some(mut server) = Server::start(&[]) else { return };
    let mut store = Redis::open(&server.url()).unwrap();
    server.command(&["SET", "zigllms:r:memory:text", "hello"]);
    server.command(&["SADD", "zigllms:r:memory:set", "hello"]);
    server.command(&["SET", "zigllms:i:cache", "hello"]);
    let get = |store: &mut Redis, key: &[u8]| refused(store.get(Space::Memory, key, NOW));
    assert_eq!(reason(&get(&mut store, b"text")), Some("corrupt"));
    assert_eq!(reason(&get(&mut store, b"set")), Some("foreign"));
    let cached = Write { space: Space::Cache, ..put("a", "1") };
    let error = refused(store.make(&[put("good", "1"), cached]));
    assert_eq!(reason(&error), Some("foreign"), "{error}");
    assert_eq!(reason(&refused(store.make(&[put("good", "1"), put("set", "1")]))), Some("foreign"));
    assert_eq!(store.text("good"), None, "all or nothing");
    assert_eq!(server.command(&["SMEMBERS", "zigllms:r:memory:set"]), json!(["hello"]));
    store.make(&[put("text", "ours")]).unwrap();
    assert_eq!(store.text("text").as_deref(), Some("ours"));
}

#[test]
fn what_is_no_redis_server_is_told() {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let web = std::thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        let heard = peer.read(&mut [0; 65536]).unwrap();
        peer.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        heard
    });
    let error = refused(Redis::open(&url));
    assert!(web.join().unwrap() > 0);
    assert_eq!(reason(&error), Some("foreign"), "{error}");
}

#[test]
fn a_store_of_another_version_is_refused() {
    let Some(mut server) = Server::start(&[]) else { return };
    let mut store = Redis::open(&server.url()).unwrap();
    server.command(&["HSET", "zigllms:store", "format", "2"]);
    let errors = [refused(store.make(&[put("a", "1")])), refused(Redis::open(&server.url()))];
    for error in errors {
        assert_eq!(error.code(), Code::Unsupported, "{error}");
        assert!(error.message().contains("format 2"), "{error}");
    }
    server.command(&["SET", "zigllms:store", "mine"]);
    assert_eq!(reason(&refused(Redis::open(&server.url()))), Some("foreign"));
}

#[test]
fn memory_of_expired_records_comes_back() {
    let Some(mut server) = Server::start(&[]) else { return };
    let mut store = Redis::open(&server.url()).unwrap();
    store.make(&[put_until("a", NOW + 5_000), put_until("b", NOW + 5_000), put("c", "")]).unwrap();
    let left = server.command(&["PTTL", "zigllms:r:memory:a"]).as_i64().unwrap();
    assert!((60_000..=65_000).contains(&left), "{left}");
    // As if their time had come.
    for key in ["a", "b"] {
        server.command(&["ZADD", "zigllms:x:memory", "1", key]);
        server.command(&["DEL", &format!("zigllms:r:memory:{key}")]);
    }
    store.make(&[put_until("b", NOW + 9_000)]).unwrap();
    assert_eq!(server.command(&["ZRANGE", "zigllms:i:memory", "0", "-1"]), json!(["b", "c"]));
    assert_eq!(server.command(&["ZRANGE", "zigllms:x:memory", "0", "-1"]), json!(["b"]));
    store.make(&[put("b", "for ever")]).unwrap();
    assert_eq!(server.command(&["ZCARD", "zigllms:x:memory"]), 0);
    assert_eq!(server.command(&["PTTL", "zigllms:r:memory:b"]), -1);
}

#[test]
fn a_scan_passes_over_what_expired_and_takes_it_out_of_the_index() {
    let Some(mut server) = Server::start(&[]) else { return };
    let mut store = Redis::open(&server.url()).unwrap();
    let writes: Vec<Write> = (0..1500).map(|n| put(format!("{n:04}"), "x")).collect();
    store.make(&writes).unwrap();
    for number in 0..1499 {
        server.command(&["DEL", &format!("zigllms:r:memory:{number:04}")]);
    }
    let all = super::whole(10);
    let keys: Vec<Vec<u8>> = store.scan(&all, NOW).unwrap().into_iter().map(|(k, _)| k).collect();
    assert_eq!(keys, [b"1499".to_vec()]);
    assert_eq!(server.command(&["ZCARD", "zigllms:i:memory"]), 1);
}

#[test]
fn a_value_at_the_end_of_its_time_is_still_counted_by_who_asks() {
    let Some(url) = fresh_url() else { return };
    let mut store = Redis::open(&url).unwrap();
    let mortal = Change::Put { bytes: b"x".to_vec(), expires_at: Some(NOW + 1_000_000_000_000) };
    store.make(&[Write { change: mortal, ..put("a", "") }]).unwrap();
    let end = |now| store_get(&url, now).map(|record| record.bytes);
    assert_eq!(end(NOW + 999_999_999_999), Some(b"x".to_vec()));
    assert_eq!(end(NOW + 1_000_000_000_000), None);
}

fn store_get(url: &str, now: i64) -> Option<Record> {
    Redis::open(url).unwrap().get(Space::Memory, b"a", now).unwrap()
}

#[test]
fn a_prefix_keeps_stores_of_one_server_apart() {
    let Some(mut server) = Server::start(&[]) else { return };
    let open = |tail: &str| Redis::open(&format!("{}{tail}", server.url())).unwrap();
    let mut stores = [open(""), open("/1"), open("?prefix=app1"), open("/1?prefix=app1")];
    for (number, store) in stores.iter_mut().enumerate() {
        assert_eq!(store.make(&[put("a", number.to_string())]).unwrap()[0].before, 0);
    }
    for (number, store) in stores.iter_mut().enumerate() {
        assert_eq!(store.text("a"), Some(number.to_string()));
    }
    let keys: Value = server.command(&["EXISTS", "app1:r:memory:a"]);
    assert_eq!(keys, 1);
}
