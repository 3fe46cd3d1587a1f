//! Structured output: the text of an answer read as JSON and checked against its schema.

use serde_json::Value;

use crate::chat::{Answer, Format, Request};
use crate::error::{Code, Error};
use crate::schema::{Schema, dialect};
use crate::value::{Ref, Tape, json};

/// Fills `parsed`, or `flaw` with the reason why the answer does not fit.
pub fn check(mut answer: Answer, format: Option<&Format>) -> Answer {
    let Some(format) = format else { return answer };
    // A model that asks for tools first has not given its result yet.
    if !answer.reply.tool_calls.is_empty() {
        return answer;
    }
    match read(&answer.reply.content, format) {
        Ok(value) => answer.parsed = Some(json::without_nulls(value)),
        Err(flaw) => answer.flaw = Some(flaw),
    }
    answer
}

/// What tells a model to answer so, where its server cannot make it.
pub fn instruction(format: &Format) -> String {
    match format {
        Format::Json => "Answer with one JSON object and nothing else.".into(),
        Format::Schema { schema, .. } => {
            format!("Answer with JSON that fits this JSON Schema, and with nothing else: {schema}")
        }
    }
}

/// Where any JSON is wanted, the conversation must speak of it: OpenAI refuses the request
/// otherwise, and other models find no end.
pub fn reminder(request: &Request) -> Option<String> {
    let format = request.settings.format.as_ref().filter(|format| **format == Format::Json)?;
    let said = |text: String| text.to_ascii_lowercase().contains("json");
    let spoken = request.messages.iter().any(|message| said(message.content.text()));
    (!spoken).then(|| instruction(format))
}

fn read(content: &str, format: &Format) -> Result<Value, Error> {
    let mut tape = Tape::default();
    let not_json = |e: Error| {
        Error::new(Code::ValidationFailed, format!("the answer is not JSON: {}", e.message()))
    };
    let at = json::parse(unfenced(content).as_bytes(), &mut tape).map_err(not_json)?;
    let mut value = tape.at(at).map(Ref::to_json).unwrap_or_default();
    if let Format::Schema { schema, .. } = format {
        // Servers that enforce a schema enforce its sealed form.
        dialect::unseal(schema, &mut value);
        Schema::compile(schema)?.fit_document(&value)?;
    }
    Ok(value)
}

/// An answer as one fenced block is common, also from models that were told not to.
fn unfenced(content: &str) -> &str {
    let text = content.trim();
    let Some(inner) = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```")) else {
        return text;
    };
    inner.split_once('\n').map_or(inner, |(_, body)| body).trim()
}
