//! What a server may send: wherever it is split, the same text, calls and end. The first byte says
//! which protocol reads it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zigllms::chat::{Delta, Reply, Request};
use zigllms::net::Head;
use zigllms::provider::anthropic::Anthropic;
use zigllms::provider::cohere::Cohere;
use zigllms::provider::ollama::Ollama;
use zigllms::provider::openai::OpenAi;
use zigllms::provider::responses::Responses;
use zigllms::provider::wire::Wire;

const WIRES: [&dyn Wire; 5] = [&OpenAi, &Responses, &Anthropic, &Cohere, &Ollama];

fuzz_target!(|input: &[u8]| {
    let Some((choice, body)) = input.split_first() else { return };
    let wire = WIRES[usize::from(choice % 5)];
    let whole = seen(wire, body.chunks(body.len().max(1)));
    assert_eq!(whole, seen(wire, body.chunks(1)));
    assert_eq!(whole, seen(wire, body.chunks(body.len() / 3 + 1)));
    let status = 400 + u16::from(*choice);
    assert!(!wire.error(&Head { status, headers: Vec::new() }, body).message().is_empty());
});

fn seen<'b>(wire: &dyn Wire, pieces: impl Iterator<Item = &'b [u8]>) -> (String, String) {
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
    assert_eq!(delta.content, reply.content);
    assert_eq!(delta.thinking, reply.thinking);
    let calls =
        reply.tool_calls.iter().map(|call| format!("{} {}", call.name, call.arguments_json));
    let calls: Vec<String> = calls.collect();
    (
        end.map_or_else(|error| error.to_string(), |()| "complete".into()),
        format!("{} {calls:?}", reply.content),
    )
}
