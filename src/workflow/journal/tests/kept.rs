//! A run that was recorded once, by the first version that did: every later one reads it.
//!
//! `ZIGLLMS_KEEP_JOURNAL=1` writes the file anew, which is right only while no version of the module
//! that has written such records is in use.

use super::*;
use crate::store::{Change, Durability, Range, Record, Space};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/workflow/journal/tests/kept-1.json");

fn record(store: &mut dyn Store) {
    let options = Options {
        on_unknown: Some(crate::workflow::definition::OnUnknown::Retry),
        metadata: Plain::json(&json!({"by": "me"})),
        timeout_ms: Some(1000.0),
    };
    let (held, _) = take(store, &Claim { options, ..claim("kept") }, &elsewhere()).unwrap();
    held.leave(store, &ending(Over::Paused), KEEP_MS, &clock()).unwrap();
    let (held, _) = take(store, &claim("kept"), &elsewhere()).unwrap();
    held.queue("", ended("first", json!({"a": [1, 2.5, null, "ä"]})));
    let failed = Error::new(Code::RateLimited, "slow down").with(|f| f.status = Some(429));
    let end = StepEnd { how: How::Failed, error: Some(failed), attempts: 3, ..end(json!(null)) };
    held.queue("", Entry::Ended { path: "each[1].x".into(), id: "x".into(), end });
    held.queue("", started("second"));
    held.queue("", Entry::Decided { path: "branch".into(), value: json!(false) });
    let usage = crate::chat::Usage { prompt_tokens: 5, cost: Some(0.25), ..Default::default() };
    let variables = Plain::json(&json!({"v": [true]}));
    held.queue("", Entry::Boundary(Boundary { variables, usage, worked_ms: 12.5 }));
    let child = Child {
        workflow: "inner".into(),
        version: "7".into(),
        definition: 9,
        input: Plain::json(&json!("in")),
    };
    held.queue("", Entry::Child { path: "call".into(), child });
    held.queue(&layout::part("", "call"), ended("inside", json!(1)));
    held.queue("", Entry::Waiting { path: "ask".into(), state: json!({"agent": "ada"}) });
    flush(&held, store).unwrap();
    let cancel = Wish::Cancel(Some("why".into()));
    super::super::wish::send(store, "kept", &cancel, KEEP_MS, &clock()).unwrap();
}

fn all(store: &mut dyn Store) -> Vec<(Vec<u8>, Record)> {
    let range = Range { space: Space::Journal, prefix: Vec::new(), after: None, limit: 100 };
    store.scan(&range, clock().unix_ms()).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &Value) -> Vec<u8> {
    let digits = hex.as_str().unwrap();
    (0..digits.len() / 2)
        .map(|i| u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).unwrap())
        .collect()
}

fn write_anew() {
    let store = &mut *memory()();
    record(store);
    let lines: Vec<String> = all(store)
        .into_iter()
        .map(|(key, record)| json!([hex(&key), hex(&record.bytes)]).to_string())
        .collect();
    std::fs::write(FILE, format!("[\n{}\n]\n", lines.join(",\n"))).unwrap();
}

#[test]
fn a_run_that_was_kept_is_read_for_ever() {
    if std::env::var_os("ZIGLLMS_KEEP_JOURNAL").is_some() {
        write_anew();
    }
    let store = &mut *memory()();
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(FILE).unwrap()).unwrap();
    for pair in kept.as_array().unwrap() {
        let change = Change::Put { bytes: bytes(&pair[1]), expires_at: None };
        let write = layout::write(bytes(&pair[0]), change);
        store.commit(&[write], Durability::Sync, clock().unix_ms()).unwrap();
    }
    let recorded = load(store, "kept");
    let head = &recorded.head;
    assert_eq!((head.workflow.as_str(), head.version.as_str(), head.fence), ("orders", "1", 2));
    assert_eq!((head.definition, &head.owner), (u64::MAX, &elsewhere()));
    assert_eq!(recorded.input.to_json(), json!({"n": 1}));
    assert_eq!(recorded.options.metadata.to_json(), json!({"by": "me"}));
    assert_eq!(recorded.options.on_unknown.unwrap().name(), "retry");
    assert_eq!(recorded.ending.as_ref().unwrap().over, Over::Paused);
    let own = &recorded.own;
    let ended = own.in_order();
    assert_eq!(
        ended.iter().map(|s| (s.0, s.1)).collect::<Vec<_>>(),
        [("first", "first"), ("each[1].x", "x")]
    );
    assert_eq!(ended[0].2.output.to_json(), json!({"a": [1, 2.5, null, "ä"]}));
    let error = ended[1].2.error.as_ref().unwrap();
    assert_eq!((error.code(), error.fields().status), (Code::RateLimited, Some(429)));
    assert!(matches!(own.steps["second"], Step::Started { attempt: 1, .. }));
    assert_eq!((&own.decided["branch"], own.boundary.worked_ms), (&json!(false), 12.5));
    assert_eq!((own.boundary.usage.prompt_tokens, own.boundary.usage.cost), (5, Some(0.25)));
    assert_eq!(own.boundary.variables.to_json(), json!({"v": [true]}));
    assert_eq!(
        (own.children["call"].definition, &own.waiting["ask"]),
        (9, &json!({"agent": "ada"}))
    );
    assert_eq!(recorded.parts[&layout::part("", "call")].steps.len(), 1);
    let (lease, _) = read::lease(store, "kept", clock().unix_ms()).unwrap().unwrap();
    assert_eq!(lease.owner, elsewhere());
    let key = layout::wish("kept");
    let wish = store.get(Space::Journal, &key, clock().unix_ms()).unwrap().unwrap();
    let cancel = Wish::Cancel(Some("why".into()));
    assert_eq!(Wish::read(&key, &wish.bytes).unwrap(), cancel);
}
