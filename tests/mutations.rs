//! Recorded traffic, damaged at random: an answer or an error comes of it, in time, and the same
//! wherever the network split it.

mod common;

use std::fs;

use common::Random;
use serde_json::Value;
use zigllms::chat::{Delta, Reply, Request};
use zigllms::clock::Clock;
use zigllms::error::{Code, Result};
use zigllms::net::Head;
use zigllms::provider::anthropic::Anthropic;
use zigllms::provider::cohere::Cohere;
use zigllms::provider::ollama::Ollama;
use zigllms::provider::openai::OpenAi;
use zigllms::provider::responses::Responses;
use zigllms::provider::wire::Wire;

/// Longest time to read one damaged answer, in milliseconds; unoptimised, on a busy machine.
const LONGEST: f64 = 2000.0;

/// What protocols choke on.
const MORSELS: [&[u8]; 14] = [
    b"\0",
    b"\r",
    b"\n\n",
    b"\xEF\xBB\xBF",
    b"\xC3",
    b"\xED\xA0\x80",
    b"\\ud800",
    b"1e999",
    b"-",
    b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    b"data: [DONE]\n\n",
    b"data: {\"error\":null}\n\n",
    b"event: error\n",
    b"null",
];

struct Recording {
    id: String,
    wire: &'static dyn Wire,
    body: Vec<u8>,
}

fn wires() -> [&'static dyn Wire; 5] {
    [&OpenAi, &Responses, &Anthropic, &Cohere, &Ollama]
}

fn wire(provider: &str) -> &'static dyn Wire {
    match provider {
        "anthropic" => &Anthropic,
        "cohere" => &Cohere,
        "openai-responses" => &Responses,
        _ => &OpenAi,
    }
}

fn recordings() -> Vec<Recording> {
    let Some(folder) = common::corpus("provider_recordings") else { return Vec::new() };
    let index = fs::read_to_string(folder.join("INDEX.jsonl")).unwrap();
    let rows = index.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.map(|row| Recording {
        id: row["id"].as_str().unwrap().to_owned(),
        wire: wire(row["provider"].as_str().unwrap()),
        body: fs::read(folder.join(row["file"].as_str().unwrap())).unwrap(),
    })
    .collect()
}

/// How often each recording is damaged.
fn times() -> usize {
    match std::env::var("ZIGLLMS_SWEEP").is_ok_and(|text| text == "full") {
        true => 400,
        false => 8,
    }
}

fn lines(body: &[u8]) -> Vec<Vec<u8>> {
    body.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

/// One damage of many kinds.
fn damage(body: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    if body.is_empty() {
        return;
    }
    let mut all = lines(body);
    let (one, two) = (random.below(all.len()), random.below(all.len()));
    let at = random.below(body.len());
    match random.below(9) {
        0 => return body[at] = random.next() as u8,
        1 => return body[at] ^= 1 << random.below(8),
        2 => return body.truncate(at),
        3 => {
            let morsel = MORSELS[random.below(MORSELS.len())];
            return drop(body.splice(at..at, morsel.iter().copied()));
        }
        4 => drop(all.remove(one)),
        5 => all.insert(two, all[one].clone()),
        6 => all.swap(one, two),
        7 => {
            let strange = lines(other);
            all.insert(one, strange[random.below(strange.len())].clone());
        }
        _ => {
            let half = all[one].len() / 2;
            all[one].truncate(half);
        }
    }
    *body = all.concat();
}

struct Read {
    end: Result<()>,
    reply: Reply,
    delta: Delta,
}

fn read<'b>(wire: &dyn Wire, pieces: impl IntoIterator<Item = &'b [u8]>) -> Read {
    let (mut reply, mut delta) = (Reply::default(), Delta::default());
    let mut decoder = wire.decoder(&Request::default());
    let mut end = Ok(());
    for piece in pieces {
        end = decoder.push(piece, &mut reply, &mut delta).map(drop);
        if end.is_err() {
            break;
        }
    }
    let end = end.and_then(|()| decoder.end(&mut reply, &mut delta));
    Read { end, reply, delta }
}

/// What somebody sees of it.
fn seen(read: &Read) -> (String, String, String, Vec<(String, String)>) {
    let end = match &read.end {
        Ok(()) => "ok".to_owned(),
        Err(error) => error.to_string(),
    };
    let calls = &read.reply.tool_calls;
    let calls = calls.iter().map(|call| (call.name.clone(), call.arguments_json.clone()));
    (end, read.reply.content.clone(), read.reply.thinking.clone(), calls.collect())
}

fn check(name: &str, read: &Read) {
    assert_eq!(read.delta.content, read.reply.content, "{name}");
    assert_eq!(read.delta.thinking, read.reply.thinking, "{name}");
    let Err(error) = &read.end else { return };
    let ours = matches!(error.code(), Code::Internal | Code::InvalidArgument);
    assert!(!ours, "{name}: {error}");
    let harmful = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    assert!(!error.message().contains(harmful), "{name}: {:?}", error.message());
}

fn pieces<'b>(mut body: &'b [u8], random: &mut Random) -> Vec<&'b [u8]> {
    let mut all = Vec::new();
    while !body.is_empty() {
        let (piece, rest) = body.split_at((1 + random.below(9)).min(body.len()));
        all.push(piece);
        body = rest;
    }
    all
}

#[test]
fn damaged_answers_are_answers_or_errors() {
    let (all, clock) = (recordings(), Clock::default());
    let mut random = Random::new(2024);
    let (mut count, mut good, mut longest) = (0, 0, 0.0_f64);
    for recording in &all {
        for round in 0..times() {
            let mut body = recording.body.clone();
            let other = &all[random.below(all.len())].body;
            for _ in 0..=random.below(4) {
                damage(&mut body, other, &mut random);
            }
            let foreign = wires()[random.below(5)];
            let wire = if random.below(10) == 0 { foreign } else { recording.wire };
            let name = format!("{} damaged in round {round}, as {wire:?}", recording.id);
            let began = clock.now();
            let whole = read(wire, [body.as_slice()]);
            longest = longest.max(clock.now().ms_since(began));
            check(&name, &whole);
            let split = read(wire, pieces(&body, &mut random));
            assert_eq!(seen(&whole), seen(&split), "{name}");
            count += 1;
            good += usize::from(whole.end.is_ok());
        }
    }
    println!("{count} damaged answers, {good} of them good enough; at most {longest:.1} ms each");
    assert!(longest < LONGEST, "{longest} ms");
}

#[test]
fn damaged_error_answers_are_errors() {
    let all = recordings();
    let mut random = Random::new(7);
    for recording in &all {
        for _ in 0..times() {
            let mut body = recording.body.clone();
            damage(&mut body, &recording.body, &mut random);
            let status = [204, 302, 400, 401, 404, 413, 429, 500, 503, 529][random.below(10)];
            let headers = vec![("retry-after".to_owned(), format!("1{}", random.next()))];
            let error = recording.wire.error(&Head { status, headers }, &body);
            check(
                &recording.id,
                &Read { end: Err(error), reply: Reply::default(), delta: Delta::default() },
            );
        }
    }
}
