//! Recorded traffic of real servers, cut up in every way a network can.

mod common;

use std::fs;
use std::ops::Range;

use serde_json::Value;
use zigllms::chat::{Delta, Finish, Reply, Request};
use zigllms::error::{Code, Error, Result};
use zigllms::net::Head;
use zigllms::provider::openai::OpenAi;
use zigllms::provider::wire::Wire;

struct Recording {
    id: String,
    sse: bool,
    status: u16,
    special: bool,
    expected: Value,
    body: Vec<u8>,
}

/// Those that speak this protocol.
fn recordings() -> Vec<Recording> {
    all_recordings(|row| row["provider"] == "openai")
}

fn all_recordings(wanted: impl Fn(&Value) -> bool) -> Vec<Recording> {
    let Some(folder) = common::corpus("provider_recordings") else { return Vec::new() };
    let index = fs::read_to_string(folder.join("INDEX.jsonl")).unwrap();
    let rows = index.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.filter(|row| wanted(row))
        .map(|row| Recording {
            id: row["id"].as_str().unwrap().to_owned(),
            sse: row["sse"] == true,
            status: row["status"].as_u64().unwrap() as u16,
            special: row["special"] == true,
            body: fs::read(folder.join(row["file"].as_str().unwrap())).unwrap(),
            expected: row["expected"].clone(),
        })
        .collect()
}

/// What a body decodes to, and all deltas together.
fn decode<'b>(pieces: impl IntoIterator<Item = &'b [u8]>) -> (Result<()>, Reply, Delta) {
    let (mut reply, mut delta) = (Reply::default(), Delta::default());
    let mut decoder = OpenAi.decoder(&Request::default());
    for piece in pieces {
        if let Err(error) = decoder.push(piece, &mut reply, &mut delta) {
            return (Err(error), reply, delta);
        }
    }
    let end = decoder.end(&mut reply, &mut delta);
    (end, reply, delta)
}

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

/// Says what differs from what the recording's authors expect.
fn judge(
    recording: &Recording,
    outcome: &(Result<()>, Reply, Delta),
) -> std::result::Result<(), String> {
    let expected = &recording.expected;
    if expected.is_null() {
        return Ok(());
    }
    let (result, reply, delta) = outcome;
    if let Some(error) = expected.get("error") {
        let Err(found) = result else { return Err("an error was expected".into()) };
        return says(found, &error["message"]);
    }
    result.as_ref().map_err(|error| format!("failed: {error}"))?;
    same("text", reply.content.as_str(), expected["text"].as_str().unwrap_or_default())?;
    same("delta", delta.content.as_str(), reply.content.as_str())?;
    same("thinking delta", delta.thinking.as_str(), reply.thinking.as_str())?;
    let calls: Vec<Value> = reply
        .tool_calls
        .iter()
        .map(|call| serde_json::json!({"name": call.name, "arguments": call.arguments_json}))
        .collect();
    same("tool calls", &Value::from(calls), &expected["tool_calls"])?;
    if reply.tool_calls.iter().any(|call| call.id.is_empty()) {
        return Err("a tool call has no id".into());
    }
    stop(reply, &expected["stop"])?;
    usage(reply, &expected["usage"])
}

fn says(error: &Error, message: &Value) -> std::result::Result<(), String> {
    match error.message().contains(message.as_str().unwrap_or_default()) {
        true => Ok(()),
        false => Err(format!("{error} does not say {message}")),
    }
}

fn stop(reply: &Reply, expected: &Value) -> std::result::Result<(), String> {
    same("native finish", reply.native_finish.as_deref(), expected.as_str())?;
    let finish = match expected.as_str() {
        Some("stop") => Finish::Stop,
        Some("length") => Finish::Length,
        _ if !reply.tool_calls.is_empty() => Finish::ToolCalls,
        _ => return Ok(()),
    };
    same("finish", reply.finish, Some(finish))
}

fn usage(reply: &Reply, expected: &Value) -> std::result::Result<(), String> {
    if expected.is_null() {
        return Ok(());
    }
    let usage = reply.usage.ok_or("usage is missing")?;
    let number = |pointer: &str| expected.pointer(pointer).and_then(Value::as_u64);
    same("prompt", Some(usage.prompt_tokens), number("/prompt_tokens"))?;
    same("completion", Some(usage.completion_tokens), number("/completion_tokens"))?;
    same("total", Some(usage.total_tokens()), number("/total_tokens"))?;
    let cached = number("/prompt_tokens_details/cached_tokens");
    same("cached", usage.cached_tokens, cached.or(usage.cached_tokens))?;
    let reasoning = number("/completion_tokens_details/reasoning_tokens");
    same("reasoning", usage.reasoning_tokens, reasoning)
}

fn same<T: PartialEq + std::fmt::Debug>(
    what: &str,
    found: T,
    expected: T,
) -> std::result::Result<(), String> {
    match found == expected {
        true => Ok(()),
        false => Err(format!("{what}: {found:?} instead of {expected:?}")),
    }
}

fn run(name: &str, decode_one: impl Fn(&Recording) -> (Result<()>, Reply, Delta)) {
    let all: Vec<_> = recordings().into_iter().filter(|r| r.status < 400 && !r.special).collect();
    let judged = all.iter().map(|r| (r, judge(r, &decode_one(r))));
    let failed: Vec<_> =
        judged.filter_map(|(r, said)| Some(format!("{}: {}", r.id, said.err()?))).collect();
    println!("{name}: {} of {}", all.len() - failed.len(), all.len());
    assert!(failed.is_empty(), "{name}:\n{}", failed.join("\n"));
}

#[test]
fn whole() {
    run("whole", |r| decode([r.body.as_slice()]));
}

#[test]
fn byte_by_byte() {
    run("byte by byte", |r| decode(r.body.chunks(1)));
}

#[test]
fn in_random_pieces() {
    for seed in 1..6 {
        run("random pieces", |r| decode(random_pieces(&r.body, &mut Dice(seed))));
    }
}

#[test]
fn line_by_line() {
    run("line by line", |r| decode(r.body.split_inclusive(|byte| *byte == b'\n')));
}

#[test]
fn with_other_line_ends_and_a_mark() {
    run("CRLF", |r| decode([with_crlf(&r.body).as_slice()]));
    run("CRLF byte by byte", |r| decode(with_crlf(&r.body).chunks(1)));
    run("BOM", |r| decode([with_bom(&r.body).as_slice()]));
    run("BOM byte by byte", |r| decode(with_bom(&r.body).chunks(1)));
}

#[test]
fn error_answers_are_understood() {
    let all: Vec<_> = recordings().into_iter().filter(|r| r.status >= 400).collect();
    for recording in &all {
        let head = Head { status: recording.status, headers: Vec::new() };
        let error = OpenAi.error(&head, &recording.body);
        let expected = &recording.expected["error"];
        says(&error, &expected["message"]).unwrap();
        let missing = recording.status == 404;
        assert_eq!(error.code(), if missing { Code::NotFound } else { Code::BadRequest });
    }
    println!("error answers: {0} of {0}", all.len());
}

/// A stream that is cut off is an error, and what came before it is what had arrived.
#[test]
fn cut_off() {
    let mut dice = Dice(7);
    let (mut cuts, mut complete) = (0, 0);
    for recording in recordings().iter().filter(|r| r.status < 400) {
        let (_, whole, _) = decode([recording.body.as_slice()]);
        for _ in 0..20 {
            let at = dice.roll(0..recording.body.len());
            let (result, part, _) = decode(random_pieces(&recording.body[..at], &mut dice));
            assert!(whole.content.starts_with(&part.content), "{}", recording.id);
            assert!(whole.thinking.starts_with(&part.thinking), "{}", recording.id);
            let announced = part.native_finish.is_some() || said_done(&recording.body[..at]);
            match result {
                Ok(()) => assert!(announced, "{} cut at {at}", recording.id),
                Err(_) if recording.special || !recording.sse => {}
                Err(error) => {
                    let cut = matches!(error.code(), Code::Network | Code::BadResponse);
                    let told = recording.expected.get("error").is_some();
                    assert!(cut || told, "{} cut at {at}: {error}", recording.id);
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

/// Also traffic of other protocols, and what was spliced on purpose.
#[test]
fn nothing_panics() {
    let mut dice = Dice(11);
    let all = all_recordings(|_| true);
    for recording in &all {
        decode([recording.body.as_slice()]).0.ok();
        for _ in 0..20 {
            let mut body = recording.body.clone();
            for _ in 0..5 {
                let at = dice.roll(0..body.len());
                body[at] = dice.roll(0..256) as u8;
            }
            decode(random_pieces(&body, &mut dice)).0.ok();
        }
    }
    let special = all.iter().filter(|r| r.special).count();
    println!("no panic: {} recordings, {special} of them malformed on purpose", all.len());
}
