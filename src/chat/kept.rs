//! An answer as a document, both ways, exactly: how stores keep it.

use serde_json::{Map, Value};

use super::{Answer, Finish, Reply, Rung, ToolCall, Usage};

/// What came with an answer and does not belong to the call that fetched it.
pub fn write(answer: &Answer) -> Value {
    let Answer { reply, provider, model, usage, parsed, structured, finish_reason, .. } = answer;
    let mut all = Map::new();
    put(&mut all, "reply", Some(write_reply(reply)));
    put(&mut all, "provider", Some(provider.as_str()));
    put(&mut all, "model", Some(model.as_str()));
    put(&mut all, "usage", Some(write_usage(usage)));
    put(&mut all, "parsed", parsed.clone());
    put(&mut all, "structured", structured.map(Rung::name));
    put(&mut all, "finish_reason", Some(*finish_reason));
    put(&mut all, "request_id", answer.request_id.clone());
    put(&mut all, "created", Some(answer.created));
    put(&mut all, "raw", Some(answer.raw));
    Value::Object(all)
}

/// `None` for anything else than what [`write`] writes.
pub fn read(all: &Value) -> Option<Answer> {
    Some(Answer {
        reply: read_reply(all.get("reply")?)?,
        provider: text(all, "provider")?,
        model: text(all, "model")?,
        usage: read_usage(all.get("usage")?)?,
        parsed: all.get("parsed").cloned(),
        structured: maybe(all, "structured", |word| Rung::of(word.as_str()?))?,
        finish_reason: Finish::of(all.get("finish_reason")?.as_str()?)?.name(),
        request_id: maybe(all, "request_id", owned)?,
        created: all.get("created")?.as_f64()?,
        raw: all.get("raw")?.as_bool()?,
        ..Answer::default()
    })
}

fn write_reply(reply: &Reply) -> Value {
    let Reply { id, model, created, content, thinking, tool_calls, .. } = reply;
    let Reply { finish, native_finish, usage, blocks, keep_raw, raw, .. } = reply;
    let mut all = Map::new();
    put(&mut all, "id", id.clone());
    put(&mut all, "model", model.clone());
    put(&mut all, "created", *created);
    put(&mut all, "content", Some(content.as_str()));
    put(&mut all, "thinking", Some(thinking.as_str()));
    put(&mut all, "tool_calls", Some(tool_calls.iter().map(write_call).collect::<Vec<_>>()));
    put(&mut all, "finish", finish.map(Finish::name));
    put(&mut all, "native_finish", native_finish.clone());
    put(&mut all, "usage", usage.as_ref().map(write_usage));
    put(&mut all, "blocks", blocks.clone());
    put(&mut all, "keep_raw", Some(*keep_raw));
    put(&mut all, "raw", raw.clone());
    Value::Object(all)
}

fn read_reply(all: &Value) -> Option<Reply> {
    let calls = all.get("tool_calls")?.as_array()?.iter().map(read_call);
    Some(Reply {
        id: maybe(all, "id", owned)?,
        model: maybe(all, "model", owned)?,
        created: maybe(all, "created", Value::as_f64)?,
        content: text(all, "content")?,
        thinking: text(all, "thinking")?,
        tool_calls: calls.collect::<Option<_>>()?,
        finish: maybe(all, "finish", |word| Finish::of(word.as_str()?))?,
        native_finish: maybe(all, "native_finish", owned)?,
        usage: maybe(all, "usage", read_usage)?,
        blocks: all.get("blocks").cloned(),
        keep_raw: all.get("keep_raw")?.as_bool()?,
        raw: all.get("raw").cloned(),
    })
}

fn write_call(call: &ToolCall) -> Value {
    let ToolCall { id, name, arguments_json, whole } = call;
    let mut all = Map::new();
    put(&mut all, "id", Some(id.as_str()));
    put(&mut all, "name", Some(name.as_str()));
    put(&mut all, "arguments_json", Some(arguments_json.as_str()));
    put(&mut all, "whole", Some(*whole));
    Value::Object(all)
}

fn read_call(all: &Value) -> Option<ToolCall> {
    Some(ToolCall {
        id: text(all, "id")?,
        name: text(all, "name")?,
        arguments_json: text(all, "arguments_json")?,
        whole: all.get("whole")?.as_bool()?,
    })
}

fn write_usage(usage: &Usage) -> Value {
    let mut all = Map::new();
    put(&mut all, "prompt", Some(usage.prompt_tokens));
    put(&mut all, "completion", Some(usage.completion_tokens));
    put(&mut all, "cached", usage.cached_tokens);
    put(&mut all, "cache_write", usage.cache_write_tokens);
    put(&mut all, "reasoning", usage.reasoning_tokens);
    put(&mut all, "other", Some(usage.other_tokens));
    put(&mut all, "estimated", Some(usage.estimated));
    put(&mut all, "cost", usage.cost);
    Value::Object(all)
}

fn read_usage(all: &Value) -> Option<Usage> {
    Some(Usage {
        prompt_tokens: all.get("prompt")?.as_u64()?,
        completion_tokens: all.get("completion")?.as_u64()?,
        cached_tokens: maybe(all, "cached", Value::as_u64)?,
        cache_write_tokens: maybe(all, "cache_write", Value::as_u64)?,
        reasoning_tokens: maybe(all, "reasoning", Value::as_u64)?,
        other_tokens: all.get("other")?.as_u64()?,
        estimated: all.get("estimated")?.as_bool()?,
        cost: maybe(all, "cost", Value::as_f64)?,
    })
}

/// What there is none of has no member: so null stays null.
fn put(all: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        all.insert(name.to_owned(), value.into());
    }
}

fn text(all: &Value, name: &str) -> Option<String> {
    all.get(name)?.as_str().map(str::to_owned)
}

fn owned(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// The outer `None`: it is there and is nothing that can be read.
fn maybe<T>(all: &Value, name: &str, read: impl Fn(&Value) -> Option<T>) -> Option<Option<T>> {
    match all.get(name) {
        None => Some(None),
        Some(value) => read(value).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn full() -> Answer {
        let usage = Usage {
            prompt_tokens: u64::MAX,
            completion_tokens: 2,
            cached_tokens: Some(0),
            cache_write_tokens: Some(3),
            reasoning_tokens: Some(4),
            other_tokens: 5,
            estimated: true,
            cost: Some(0.1 + 0.2),
        };
        let call = |id: &str, whole| ToolCall {
            id: id.into(),
            name: "f\u{0}\u{e9}".into(),
            arguments_json: "{\"broken\": [1, ".into(),
            whole,
        };
        let reply = Reply {
            id: Some("id".into()),
            model: Some("exact".into()),
            created: Some(1.25),
            content: "said \"so\"\n\u{1f600}".into(),
            thinking: "first".into(),
            tool_calls: vec![call("a", true), call("b", false)],
            finish: Some(Finish::Length),
            native_finish: Some("max".into()),
            usage: Some(usage),
            blocks: Some(json!([{"type": "thinking", "signature": "x", "n": null}])),
            keep_raw: true,
            raw: Some(json!({"b": 1.0, "a": -0.0, "n": 9007199254740993i64})),
        };
        Answer {
            reply,
            provider: "p".into(),
            model: "m".into(),
            usage,
            parsed: Some(Value::Null),
            structured: Some(Rung::Json),
            finish_reason: Finish::Length.name(),
            request_id: Some("r".into()),
            created: 1.5e9 + 0.123,
            raw: true,
            ..Answer::default()
        }
    }

    fn again(answer: &Answer) -> Answer {
        let text = serde_json::to_vec(&write(answer)).unwrap();
        read(&serde_json::from_slice(&text).unwrap()).unwrap()
    }

    #[test]
    fn nothing_of_an_answer_is_lost() {
        let empty = Answer { finish_reason: Finish::Stop.name(), ..Answer::default() };
        for answer in [full(), empty] {
            let same = again(&answer);
            assert_eq!(format!("{same:?}"), format!("{answer:?}"));
        }
    }

    #[test]
    fn what_is_damaged_is_no_answer() {
        let document = write(&full());
        for name in document.as_object().unwrap().keys() {
            let mut damaged = document.clone();
            damaged[name] = json!([17]);
            let found = read(&damaged);
            assert_eq!(found.is_some(), name == "parsed", "{name}");
        }
        assert!(read(&json!(null)).is_none() && read(&json!({})).is_none());
    }
}
