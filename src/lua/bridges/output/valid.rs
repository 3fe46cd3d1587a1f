//! The short way of `output.parse`: a whole text that is valid JSON, when nothing but its value is
//! asked for. It reads over the argument's own bytes; every recovery level gives the same for it.

use crate::lua::args::Args;
use crate::runtime::Runtime;
use crate::value::{Data, MAX_DEPTH, Ref, json};

/// The value and what was read; `None` if the long way must be taken.
pub fn read(runtime: &mut Runtime, args: &Args<'_>) -> Option<Data> {
    let text = args.bytes(0)?;
    let wanted = Wanted::of(args.get(1), text)?;
    let mut document = runtime.documents.take();
    if !json::parse_over(text, wanted.max_depth, &mut document.tape) {
        runtime.documents.give(document);
        return None;
    }
    document.root = 0;
    Some(Data::Valid(document))
}

struct Wanted {
    max_depth: usize,
}

impl Wanted {
    /// What the second argument wants, if that is no more than the value of a JSON text.
    fn of(options: Option<Ref<'_>>, text: &[u8]) -> Option<Wanted> {
        let mut wanted = Wanted { max_depth: MAX_DEPTH };
        let mut is_json = looks_like_json(text);
        match options {
            None => {}
            Some(value) if value.as_bytes().is_some() => is_json = format(value, is_json),
            Some(table) => {
                for (key, value) in table.members().filter(|(_, value)| !value.is_null()) {
                    match key.as_bytes()? {
                        b"format" => is_json = format(value, is_json),
                        b"max_depth" => wanted.max_depth = value.as_f64()? as usize,
                        b"max_bytes" if text.len() as f64 <= value.as_f64()? => {}
                        b"recovery" | b"missing" | b"prose" => {}
                        _ => return None,
                    }
                }
            }
        }
        is_json.then_some(wanted)
    }
}

/// Whether a format's name says JSON; `auto` leaves it to the text.
fn format(name: Ref<'_>, looks: bool) -> bool {
    let is = |word: &[u8]| name.as_bytes().is_some_and(|name| name.eq_ignore_ascii_case(word));
    is(b"json") || (is(b"auto") && looks)
}

/// Scalars are left to the long way: `yes` or `1.5` may be meant otherwise.
fn looks_like_json(text: &[u8]) -> bool {
    matches!(text.trim_ascii_start().first(), Some(b'{' | b'['))
}
