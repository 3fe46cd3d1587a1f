//! Recorded traffic of real servers, cut up in every way a network can.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;

use serde_json::{Value, json};
use zigllms::chat::{Delta, Finish, Reply, Request};
use zigllms::error::{Code, Error, Result};
use zigllms::net::Head;
use zigllms::provider::anthropic::Anthropic;
use zigllms::provider::cohere::Cohere;
use zigllms::provider::ollama::Ollama;
use zigllms::provider::openai::OpenAi;
use zigllms::provider::responses::Responses;
use zigllms::provider::wire::Wire;

struct Recording {
    id: String,
    provider: String,
    status: u16,
    special: bool,
    expected: Value,
    body: Vec<u8>,
}

impl Recording {
    fn wire(&self) -> &'static dyn Wire {
        wire(&self.provider)
    }

    fn answers(&self) -> bool {
        self.status < 400 && !self.special
    }

    fn document(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// What its authors expect; where they are silent about a document, what it plainly says.
    fn expected(&self) -> Value {
        match &self.expected {
            Value::Null if self.provider == "openai-responses" => plainly(&self.document()),
            expected => expected.clone(),
        }
    }
}

fn wire(provider: &str) -> &'static dyn Wire {
    match provider {
        "anthropic" => &Anthropic,
        "cohere" => &Cohere,
        "openai-responses" => &Responses,
        _ => &OpenAi,
    }
}

/// Text, calls, status and usage of a document of Responses.
fn plainly(document: &Value) -> Value {
    if document["object"] != "response" {
        return Value::Null;
    }
    let items = || document["output"].as_array().into_iter().flatten();
    let texts = items().flat_map(|item| item["content"].as_array().into_iter().flatten());
    let texts = texts.filter(|part| part["type"] == "output_text");
    let text: String = texts.filter_map(|part| part["text"].as_str()).collect();
    let calls = items().filter(|item| item["type"] == "function_call");
    let calls: Vec<Value> =
        calls.map(|item| json!({"name": item["name"], "arguments": item["arguments"]})).collect();
    json!({"text": text, "tool_calls": calls, "stop": document["status"], "usage": document["usage"]})
}

fn recordings() -> Vec<Recording> {
    let Some(folder) = common::corpus("provider_recordings") else { return Vec::new() };
    let index = fs::read_to_string(folder.join("INDEX.jsonl")).unwrap();
    let rows = index.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.map(|row| Recording {
        id: row["id"].as_str().unwrap().to_owned(),
        provider: row["provider"].as_str().unwrap().to_owned(),
        status: row["status"].as_u64().unwrap() as u16,
        special: row["special"] == true,
        body: fs::read(folder.join(row["file"].as_str().unwrap())).unwrap(),
        expected: row["expected"].clone(),
    })
    .collect()
}

/// More of everything on demand.
fn sweep(small: u64, full: u64) -> u64 {
    if std::env::var("ZIGLLMS_SWEEP").is_ok_and(|text| text == "full") { full } else { small }
}

/// What a body decodes to, and all deltas together.
fn decode<'b>(wire: &dyn Wire, pieces: impl IntoIterator<Item = &'b [u8]>) -> Decoded {
    let (mut reply, mut delta) = (Reply::default(), Delta::default());
    let mut decoder = wire.decoder(&Request::default());
    for piece in pieces {
        if let Err(error) = decoder.push(piece, &mut reply, &mut delta) {
            return (Err(error), reply, delta);
        }
    }
    let end = decoder.end(&mut reply, &mut delta);
    (end, reply, delta)
}

type Decoded = (Result<()>, Reply, Delta);

/// The same sequence in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, range: Range<usize>) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        range.start + (self.0 % (range.end - range.start) as u64) as usize
    }
}

fn random_pieces<'b>(mut body: &'b [u8], dice: &mut Dice) -> Vec<&'b [u8]> {
    let mut pieces = Vec::new();
    while !body.is_empty() {
        let (piece, rest) = body.split_at(dice.roll(1..8).min(body.len()));
        pieces.push(piece);
        body = rest;
    }
    pieces
}

fn with_crlf(body: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(body).replace("\r\n", "\n");
    text.replace('\n', "\r\n").into_bytes()
}

fn with_bom(body: &[u8]) -> Vec<u8> {
    [b"\xEF\xBB\xBF", body].concat()
}

fn by_event(body: &[u8]) -> Vec<&[u8]> {
    let (mut pieces, mut rest) = (Vec::new(), body);
    while let Some(at) = rest.windows(2).position(|two| two == b"\n\n") {
        let (event, later) = rest.split_at(at + 2);
        pieces.push(event);
        rest = later;
    }
    pieces.push(rest);
    pieces
}

type Judged = std::result::Result<(), String>;

/// Says what differs from what the recording's authors expect.
fn judge(recording: &Recording, (result, reply, delta): &Decoded) -> Judged {
    let expected = recording.expected();
    if expected.is_null() {
        return Ok(());
    }
    if let Some(error) = expected.get("error") {
        let Err(found) = result else { return Err("an error was expected".into()) };
        return says(found, &error["message"]);
    }
    let unsaid = expected["stop"].is_null() && !said_done(&recording.body);
    let failed = expected["stop"] == "ERROR" || unsaid;
    match result {
        Ok(()) if failed => return Err("an error was expected".into()),
        Err(error) if !failed => return Err(format!("failed: {error}")),
        _ => {}
    }
    same("text", reply.content.as_str(), expected["text"].as_str().unwrap_or_default())?;
    same("delta", delta.content.as_str(), reply.content.as_str())?;
    same("thinking delta", delta.thinking.as_str(), reply.thinking.as_str())?;
    calls(reply, &expected["tool_calls"])?;
    stop(recording, reply, &expected["stop"])?;
    usage(recording, reply, &expected["usage"])
}

fn says(error: &Error, message: &Value) -> Judged {
    match error.message().contains(message.as_str().unwrap_or_default()) {
        true => Ok(()),
        false => Err(format!("{error} does not say {message}")),
    }
}

/// Arguments are expected as the text that was sent, or as what it says.
fn calls(reply: &Reply, expected: &Value) -> Judged {
    let expected = expected.as_array().map_or(&[][..], Vec::as_slice);
    same("calls", reply.tool_calls.len(), expected.len())?;
    for (call, expected) in reply.tool_calls.iter().zip(expected) {
        same("name", Some(call.name.as_str()), expected["name"].as_str())?;
        match &expected["arguments"] {
            Value::String(text) => same("arguments", &call.arguments_json, text)?,
            value => same("arguments", call.arguments().as_ref(), Some(value))?,
        }
        same("is without an id", call.id.is_empty(), false)?;
    }
    Ok(())
}

fn stop(recording: &Recording, reply: &Reply, expected: &Value) -> Judged {
    same("native finish", reply.native_finish.as_deref(), expected.as_str())?;
    let called = !reply.tool_calls.is_empty();
    let finish = match expected.as_str() {
        // One status for all that went well.
        Some("completed") if called => Finish::ToolCalls,
        Some("stop" | "end_turn" | "COMPLETE" | "completed" | "complete") => Finish::Stop,
        Some("length" | "max_tokens" | "MAX_TOKENS") => Finish::Length,
        Some("tool_calls" | "tool_use" | "TOOL_CALL") => Finish::ToolCalls,
        Some("refusal") => Finish::ContentFilter,
        Some("pause_turn") => Finish::Pause,
        _ => return Ok(()),
    };
    let asked_anyway = called && finish == Finish::Stop && recording.provider == "openai";
    same("finish", reply.finish, Some(if asked_anyway { Finish::ToolCalls } else { finish }))
}

fn usage(recording: &Recording, reply: &Reply, expected: &Value) -> Judged {
    if expected.as_object().is_none_or(|usage| usage.is_empty()) {
        return Ok(());
    }
    let usage = reply.usage.ok_or("usage is missing")?;
    let number = |pointer: &str| expected.pointer(pointer).and_then(Value::as_u64);
    let [prompt, completion, cached, reasoning] = match recording.provider.as_str() {
        "openai" => [
            "/prompt_tokens",
            "/completion_tokens",
            "/prompt_tokens_details/cached_tokens",
            "/completion_tokens_details/reasoning_tokens",
        ],
        "cohere" => ["/tokens/input_tokens", "/tokens/output_tokens", "/cached_tokens", "/none"],
        "anthropic" => [
            "/input_tokens",
            "/output_tokens",
            "/cache_read_input_tokens",
            "/output_tokens_details/thinking_tokens",
        ],
        _ => [
            "/input_tokens",
            "/output_tokens",
            "/input_tokens_details/cached_tokens",
            "/output_tokens_details/reasoning_tokens",
        ],
    };
    let mut asked = number(prompt);
    if recording.provider == "anthropic" {
        let apart = ["/cache_read_input_tokens", "/cache_creation_input_tokens"];
        let apart: u64 = apart.into_iter().filter_map(number).sum();
        asked = asked.map(|asked| asked + apart);
    }
    same("prompt", Some(usage.prompt_tokens), asked.or(Some(usage.prompt_tokens)))?;
    same("completion", Some(usage.completion_tokens), number(completion))?;
    same("cached", usage.cached_tokens, number(cached).or(usage.cached_tokens))?;
    same("reasoning", usage.reasoning_tokens, number(reasoning).or(usage.reasoning_tokens))?;
    let total = number("/total_tokens").unwrap_or(usage.total_tokens());
    same("total", usage.total_tokens(), total)
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Judged {
    match found == expected {
        true => Ok(()),
        false => Err(format!("{what}: {found:?} instead of {expected:?}")),
    }
}

/// Decodes every recording and judges it; prints how many of each provider are as expected.
fn run(name: &str, decode_one: impl Fn(&Recording) -> Decoded) {
    let mut counts: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    let mut failed = Vec::new();
    for recording in recordings().iter().filter(|r| r.answers()) {
        let said = judge(recording, &decode_one(recording));
        let [good, all] = counts.entry(recording.provider.clone()).or_default();
        *all += 1;
        *good += usize::from(said.is_ok());
        failed.extend(said.err().map(|why| format!("{}: {why}", recording.id)));
    }
    let counts = counts.iter().map(|(provider, [good, all])| format!("{provider} {good} of {all}"));
    println!("{name}: {}", counts.collect::<Vec<_>>().join(", "));
    assert!(failed.is_empty(), "{name}:\n{}", failed.join("\n"));
}

#[test]
fn whole() {
    run("whole", |r| decode(r.wire(), [r.body.as_slice()]));
}

#[test]
fn byte_by_byte() {
    run("byte by byte", |r| decode(r.wire(), r.body.chunks(1)));
}

#[test]
fn in_random_pieces() {
    for seed in 1..1 + sweep(2, 20) {
        run("random pieces", |r| decode(r.wire(), random_pieces(&r.body, &mut Dice(seed))));
    }
}

#[test]
fn line_by_line_and_event_by_event() {
    run("line by line", |r| decode(r.wire(), r.body.split_inclusive(|byte| *byte == b'\n')));
    run("event by event", |r| decode(r.wire(), by_event(&r.body)));
}

#[test]
fn with_other_line_ends_and_a_mark() {
    run("CRLF", |r| decode(r.wire(), [with_crlf(&r.body).as_slice()]));
    run("CRLF byte by byte", |r| decode(r.wire(), with_crlf(&r.body).chunks(1)));
    run("BOM", |r| decode(r.wire(), [with_bom(&r.body).as_slice()]));
    run("BOM byte by byte", |r| decode(r.wire(), with_bom(&r.body).chunks(1)));
}

#[test]
fn error_answers_are_understood() {
    let all: Vec<_> = recordings().into_iter().filter(|r| r.status >= 400).collect();
    for recording in &all {
        let head = Head { status: recording.status, headers: Vec::new() };
        let error = recording.wire().error(&head, &recording.body);
        let expected = &recording.expected["error"];
        says(&error, &expected["message"]).unwrap();
        let missing = recording.status == 404;
        assert_eq!(error.code(), if missing { Code::NotFound } else { Code::BadRequest });
    }
    println!("error answers: {0} of {0}", all.len());
}

/// An answer that is cut off is an error, and what came before it is what had arrived. It is worth
/// another try, which is made where nothing was delivered.
#[test]
fn cut_off() {
    let mut dice = Dice(7);
    let (mut cuts, mut complete) = (0, 0);
    for recording in recordings().iter().filter(|r| r.status < 400) {
        let (fate, whole, _) = decode(recording.wire(), [recording.body.as_slice()]);
        for _ in 0..sweep(50, 500) {
            let at = dice.roll(0..recording.body.len());
            let pieces = random_pieces(&recording.body[..at], &mut dice);
            let (result, part, _) = decode(recording.wire(), pieces);
            let place = format!("{} cut at {at}", recording.id);
            assert!(whole.content.starts_with(&part.content), "{place}");
            assert!(whole.thinking.starts_with(&part.thinking), "{place}");
            let announced = part.native_finish.is_some() || said_done(&recording.body[..at]);
            match result {
                Ok(()) => assert!(announced, "{place}"),
                Err(_) if recording.special || fate.is_err() => {}
                Err(error) => {
                    assert_eq!(error.code(), Code::Network, "{place}: {error}");
                    assert!(error.retryable(), "{place}");
                }
            }
            cuts += 1;
            complete += usize::from(announced);
        }
    }
    println!("cut off: {cuts} times, {complete} of them behind the last word");
}

fn said_done(body: &[u8]) -> bool {
    String::from_utf8_lossy(body).contains("[DONE]")
}

/// Each protocol meets the traffic of all others, and what was spliced on purpose.
#[test]
fn nothing_panics() {
    let mut dice = Dice(11);
    let all = recordings();
    for recording in &all {
        for wire in [&OpenAi as &dyn Wire, &Anthropic, &Cohere, &Responses, &Ollama] {
            decode(wire, [recording.body.as_slice()]).0.ok();
        }
        for _ in 0..sweep(20, 500) {
            let mut body = recording.body.clone();
            for _ in 0..5 {
                let at = dice.roll(0..body.len());
                body[at] = dice.roll(0..256) as u8;
            }
            decode(recording.wire(), random_pieces(&body, &mut dice)).0.ok();
        }
    }
    let special = all.iter().filter(|r| r.special).count();
    println!("no panic: {} recordings, {special} of them malformed on purpose", all.len());
}
