use super::*;
use crate::chat::{Content, Part};

/// Numbers that look random, and are the same every time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn chance(&mut self) -> bool {
        self.below(2) == 1
    }

    fn text(&mut self) -> String {
        const TEXTS: [&str; 7] = ["", "a", "ä\u{1F600}", "{\"x\":1}", "5", "null", "line\nline\0"];
        TEXTS[self.below(7) as usize].to_owned()
    }

    fn value(&mut self, depth: u64) -> Value {
        match self.below(if depth == 0 { 4 } else { 6 }) {
            0 => self.below(1 << 50).into(),
            1 => (self.below(1000) as f64 / 8.0 + 0.0625).into(),
            2 => self.chance().into(),
            3 => self.text().into(),
            4 => (0..self.below(3)).map(|_| self.value(depth - 1)).collect(),
            _ => {
                let members = (0..self.below(3)).map(|i| (format!("k{i}"), self.value(depth - 1)));
                Value::Object(members.collect())
            }
        }
    }

    fn call(&mut self, id: String) -> ToolCall {
        let arguments_json = match self.below(4) {
            0 => "{}".to_owned(),
            1 => json!({ "a": self.value(2) }).to_string(),
            2 => "{\"a\":".to_owned(),
            _ => self.text(),
        };
        let mut call = ToolCall { id, name: "t".into(), arguments_json, whole: false };
        call.whole = call.arguments().is_some();
        call
    }

    fn message(&mut self) -> Message {
        let role = if self.chance() { Role::User } else { Role::Assistant };
        let mut message = Message::new(role, self.text());
        if self.below(4) == 0 {
            message.content = Content::Parts(vec![Part::Text(self.text())]);
        }
        if role == Role::Assistant && self.chance() {
            message.blocks = Some(json!({ "p": [{ "x": null, "e": [], "v": self.value(2) }] }));
        }
        message
    }

    fn result(&mut self) -> Data {
        match self.below(3) {
            0 => Data::Nil,
            1 => Data::Json(self.value(3)),
            _ => Data::Text(self.text()),
        }
    }

    fn paused(&mut self, depth: u64) -> Paused {
        let mut all = Paused {
            usage: Usage { prompt_tokens: self.below(1 << 40), ..Usage::default() },
            iteration: self.below(100) as u32,
            attempts: self.below(100) as u32,
            spent_ms: self.below(1 << 30) as f64 / 16.0,
            ttft_ms: self.chance().then_some(0.5),
            repaired: self.chance(),
            ..Paused::default()
        };
        for round in 0..=self.below(3) {
            all.turn.push(self.message());
            self.round(&mut all, round, depth);
        }
        if self.chance() {
            all.own.options.insert("temperature".into(), 0.5.into());
            all.own.options.insert("metadata".into(), json!({ "m": self.value(2) }));
            all.own.tools = Some(vec![AgentTool::Named("t".into())]);
        }
        all
    }

    fn round(&mut self, all: &mut Paused, round: u64, depth: u64) {
        let mut asking = Message::new(Role::Assistant, "");
        let mut results = Vec::new();
        for n in 0..self.below(4) {
            let call = self.call(format!("c{round}_{n}"));
            asking.tool_calls.push(call.clone());
            if self.chance() {
                results.push(Message::tool_result(&call.id, self.text()));
                let (result, error) = (self.result(), self.chance().then(|| self.text()));
                all.executed.push(Executed { call, result, error, duration_ms: 0.25 });
                continue;
            }
            let mut open = Open::new(call, if self.chance() { Why::Approval } else { Why::Client });
            open.doubt = self.chance().then(|| self.text());
            open.run = (depth > 0 && self.chance()).then(|| Box::new(self.paused(depth - 1)));
            all.open.push(open);
        }
        if !asking.tool_calls.is_empty() {
            all.turn.push(asking);
            all.turn.extend(results);
        }
    }

    /// Puts something else in the place of some part of a document.
    fn spoil(&mut self, value: &mut Value) {
        let inner = match value {
            Value::Array(items) if !items.is_empty() && self.below(5) > 0 => {
                let at = self.below(items.len() as u64) as usize;
                items.get_mut(at)
            }
            Value::Object(members) if !members.is_empty() && self.below(5) > 0 => {
                let at = self.below(members.len() as u64) as usize;
                members.values_mut().nth(at)
            }
            _ => None,
        };
        match inner {
            Some(inner) => self.spoil(inner),
            None => *value = if self.chance() { Value::Null } else { self.value(2) },
        }
    }
}

#[test]
fn a_run_comes_back_from_its_document() {
    for seed in 0..200 {
        let run = Numbers(seed).paused(2);
        let document = run.to_json();
        let text = document.to_string();
        let read: Value = serde_json::from_str(&text).unwrap();
        let back =
            Paused::parse(&read, "run").unwrap_or_else(|e| panic!("{}: {text}", e.message()));
        assert_eq!(back.to_json(), document, "seed {seed}");
        assert_eq!(back.turn, run.turn, "seed {seed}");
        assert_eq!(back.ids().collect::<Vec<_>>(), run.ids().collect::<Vec<_>>());
        assert_eq!(back.usage, run.usage);
    }
}

#[test]
fn a_spoiled_document_is_refused_or_read() {
    let (mut refused, mut read) = (0, 0);
    for seed in 0..400 {
        let mut numbers = Numbers(seed);
        let mut document = numbers.paused(1).to_json();
        numbers.spoil(&mut document);
        match Paused::parse(&document, "run") {
            Ok(run) => {
                read += 1;
                assert!(Paused::parse(&run.to_json(), "run").is_ok(), "seed {seed}");
            }
            Err(error) => {
                refused += 1;
                assert!(error.message().starts_with("run"), "{}", error.message());
            }
        }
    }
    assert!(refused > 40 && read > 40, "{refused} {read}");
}

#[test]
fn what_was_made_is_not_made_again() {
    let call = |id: &str| ToolCall { id: id.into(), name: "t".into(), ..ToolCall::default() };
    let mut asking = Message::new(Role::Assistant, "");
    asking.tool_calls = vec![call("1"), call("2"), call("3")];
    let mut run = Paused {
        turn: vec![asking.clone()],
        open: ["1", "2", "3"].map(|id| Open::new(call(id), Why::Approval)).into(),
        ..Paused::default()
    };
    let later = vec![
        asking,
        Message::tool_result("1", "done"),
        Message::tool_result("2", "skipped"),
        Message::new(Role::Assistant, "more"),
    ];
    run.settle(&later, &[], &["2".to_owned()]);
    assert_eq!(run.ids().collect::<Vec<_>>(), ["2", "3"]);
    assert_eq!(run.turn, later[..2]);
    assert!(run.knows("1") && !run.knows("4"));
}

#[test]
fn calls_inside_calls_are_named_by_both() {
    let inner =
        Paused { open: vec![Open::new(ToolCall::default(), Why::Client)], ..Paused::default() };
    let mut middle = inner.clone();
    middle.open[0].call.id = "b/c".into();
    let outer = ToolCall { id: "a".into(), ..ToolCall::default() };
    let run = Paused { open: vec![Open::within(outer, Box::new(middle))], ..Paused::default() };
    assert_eq!(run.ids().collect::<Vec<_>>(), ["a/b/c"]);
    assert!(!run.waits_for(Why::Approval));
    let decisions = [("a/b/c".to_owned(), crate::agent::Decision::Deny(None))].into();
    let stripped = crate::agent::paused::inside(&decisions, "a");
    assert_eq!(stripped.keys().collect::<Vec<_>>(), ["b/c"]);
    assert!(crate::agent::paused::inside(&decisions, "a/b").contains_key("c"));
}
