//! Whether every result in the input of a run has a call that it answers, and every call a result.

use super::paused::{Paused, leaves};
use crate::chat::{Message, Role};
use crate::error::{Error, Result, quoted};

/// Results of calls that wait stand first; others belong to a round of the input.
pub fn check(input: &[Message], paused: Option<&Paused>) -> Result<()> {
    let first = input.iter().take_while(|message| message.role == Role::Tool).count();
    let (results, rest) = input.split_at_checked(first).unwrap_or_default();
    let mut answered = Vec::new();
    for (at, result) in results.iter().enumerate() {
        let id = result.tool_call_id.as_deref().unwrap_or_default();
        if answered.contains(&id) {
            return Err(twice(&place(input, at), id));
        }
        if !paused.is_some_and(|run| run.open.iter().any(|open| open.call.id == id)) {
            return Err(unasked(&place(input, at), id, paused));
        }
        answered.push(id);
    }
    rounds(input, rest, first, paused)
}

/// Behind the results: the calls of each message have their results before the next one.
fn rounds(
    input: &[Message],
    rest: &[Message],
    first: usize,
    paused: Option<&Paused>,
) -> Result<()> {
    let mut open: Vec<&str> = Vec::new();
    let mut asked = first;
    for (at, message) in rest.iter().enumerate().map(|(i, message)| (first + i, message)) {
        if message.role == Role::Tool {
            let id = message.tool_call_id.as_deref().unwrap_or_default();
            let known = open.iter().position(|open| *open == id);
            open.remove(known.ok_or_else(|| unasked(&place(input, at), id, paused))?);
            continue;
        }
        no_result(&place(input, asked), &open)?;
        open = message.tool_calls.iter().map(|call| call.id.as_str()).collect();
        asked = at;
    }
    no_result(&place(input, asked), &open)
}

fn place(input: &[Message], at: usize) -> String {
    if input.len() == 1 { "input".to_owned() } else { format!("input[{}]", at + 1) }
}

fn no_result(place: &str, open: &[&str]) -> Result<()> {
    match open.first() {
        None => Ok(()),
        Some(id) => Err(Error::invalid(format!(
            "{place}.tool_calls: the call {} has no result behind it",
            quoted(id)
        ))),
    }
}

fn twice(place: &str, id: &str) -> Error {
    Error::invalid(format!(
        "{place}.tool_call_id: expected one result for each call, got another one for {}",
        quoted(id)
    ))
}

fn unasked(place: &str, id: &str, paused: Option<&Paused>) -> Error {
    let all = paused.map(|run| leaves(&run.open)).unwrap_or_default();
    if all.iter().any(|leaf| leaf.id == id && leaf.open.call.id != id) {
        let id = quoted(id);
        return Error::invalid(format!(
            "{place}.tool_call_id: the call {id} is inside another one: agent.resume takes its result, [{id}]={{result=…}}"
        ));
    }
    let waiting: Vec<String> = all.iter().map(|leaf| quoted(&leaf.id)).collect();
    let waiting = if waiting.is_empty() { "none does".to_owned() } else { waiting.join(", ") };
    let first = if all.iter().any(|leaf| leaf.id == id) {
        "results stand before other messages, and not"
    } else {
        "no call waits for a result of that id, got"
    };
    Error::invalid(format!(
        "{place}.tool_call_id: {first} {}; those that wait: {waiting}",
        quoted(id)
    ))
}
