//! The short way of `output.parse`: a whole text that is valid JSON, when nothing but its value or
//! single values of it are asked for. It reads the argument's own bytes; every recovery level gives
//! the same for such a text.

use crate::error::Result;
use crate::lua::args::Args;
use crate::runtime::Runtime;
use crate::value::{Data, MAX_DEPTH, Ref, json};

/// The value and what was read; `None` if the long way must be taken.
pub fn read(runtime: &mut Runtime, args: &Args<'_>) -> Result<Option<Data>> {
    let Some(text) = args.bytes(0) else { return Ok(None) };
    let Some(wanted) = Wanted::of(args.get(1), text) else { return Ok(None) };
    if let Some(fields) = wanted.fields {
        runtime.fields.want(fields, "format_or_options.fields")?;
    }
    let mut document = runtime.documents.take();
    let valid = match wanted.fields {
        Some(_) => runtime.fields.select(text, wanted.max_depth, &mut document),
        None => {
            (document.root, document.over) = (0, true);
            json::parse_over(text, wanted.max_depth, &mut document.tape)
        }
    };
    if valid {
        return Ok(Some(Data::Valid(document)));
    }
    runtime.documents.give(document);
    Ok(None)
}

struct Wanted<'t> {
    max_depth: usize,
    fields: Option<Ref<'t>>,
}

impl<'t> Wanted<'t> {
    /// What the second argument wants, if the short way can give it.
    fn of(options: Option<Ref<'t>>, text: &[u8]) -> Option<Wanted<'t>> {
        let mut wanted = Wanted { max_depth: MAX_DEPTH, fields: None };
        let mut named = None;
        match options {
            None => {}
            Some(value) if value.as_bytes().is_some() => named = Some(value),
            Some(table) => {
                for (key, value) in table.members().filter(|(_, value)| !value.is_null()) {
                    match key.as_bytes()? {
                        b"format" => named = Some(value),
                        b"fields" => wanted.fields = Some(value),
                        b"max_depth" => wanted.max_depth = value.as_f64()? as usize,
                        b"max_bytes" if text.len() as f64 <= value.as_f64()? => {}
                        b"recovery" | b"missing" | b"prose" => {}
                        _ => return None,
                    }
                }
            }
        }
        let is_json = match named {
            Some(name) => says_json(name, text),
            None => wanted.fields.is_some() || looks_like_json(text),
        };
        is_json.then_some(wanted)
    }
}

/// Whether a format's name says JSON; `auto` leaves it to the text.
fn says_json(name: Ref<'_>, text: &[u8]) -> bool {
    let is = |word: &[u8]| name.as_bytes().is_some_and(|name| name.eq_ignore_ascii_case(word));
    is(b"json") || (is(b"auto") && looks_like_json(text))
}

/// Scalars are left to the long way: `yes` or `1.5` may be meant otherwise.
fn looks_like_json(text: &[u8]) -> bool {
    matches!(text.trim_ascii_start().first(), Some(b'{' | b'['))
}
