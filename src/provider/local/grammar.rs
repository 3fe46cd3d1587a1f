//! Structured output: the grammar that holds the model to a JSON Schema.
//!
//! llama.cpp turns schemas into grammars, but writes to stderr about those it cannot, and lets
//! strings with a `pattern` contain bare quotes. So a schema is checked and rewritten here first,
//! and what a grammar cannot express is an error with its place.

use llama_cpp_2::json_schema_to_grammar;
use serde_json::{Map, Value, json};

use crate::chat::Format;
use crate::error::{Error, Result, quoted};

/// Deeper schemas could overflow the stack of the recursive C++ code.
const DEEPEST: usize = 48;
/// The grammar parser refuses more than 2000 repetitions.
const MOST_REPETITIONS: u64 = 1000;
const LARGEST: usize = 1 << 20;

/// The grammar of a format, in GBNF.
pub fn grammar(format: &Format) -> Result<String> {
    let schema = match format {
        Format::Json => json!({"type": "object"}),
        Format::Schema { schema, .. } => prepare(schema, "schema", 0)?,
    };
    let unusable = || Error::unsupported("the schema cannot be turned into a grammar");
    let grammar = json_schema_to_grammar(&schema.to_string()).map_err(|_| unusable())?;
    if grammar.len() > LARGEST { Err(unusable()) } else { Ok(grammar) }
}

/// The schema as llama.cpp can take it. `at` is the path in error messages.
fn prepare(schema: &Value, at: &str, depth: usize) -> Result<Value> {
    if depth > DEEPEST {
        return Err(Error::unsupported(format!(
            "{at}: the schema is nested too deep for a grammar"
        )));
    }
    let Value::Object(members) = schema else { return Ok(schema.clone()) };
    let mut prepared = Map::new();
    for (key, value) in members {
        let at = format!("{at}.{key}");
        if let Some(value) = member(key, value, &at, depth)? {
            prepared.insert(key.clone(), value);
        }
    }
    close_object(&mut prepared, at)?;
    Ok(Value::Object(prepared))
}

/// One keyword; `None` if it is left out.
fn member(key: &str, value: &Value, at: &str, depth: usize) -> Result<Option<Value>> {
    let each = |(name, schema): (&String, &Value)| {
        Ok((name.clone(), prepare(schema, &format!("{at}.{name}"), depth + 1)?))
    };
    Ok(Some(match (key, value) {
        ("properties" | "$defs" | "definitions", Value::Object(schemas)) => {
            Value::Object(schemas.iter().map(each).collect::<Result<_>>()?)
        }
        ("anyOf" | "oneOf" | "allOf" | "prefixItems" | "items", Value::Array(schemas)) => {
            schemas.iter().map(|s| prepare(s, at, depth + 1)).collect::<Result<_>>()?
        }
        ("items" | "additionalProperties", schema) => prepare(schema, at, depth + 1)?,
        ("patternProperties", _) => {
            return Err(Error::unsupported(format!("{at} cannot be part of a grammar")));
        }
        ("pattern", Value::String(pattern)) => {
            let rewritten = rewrite_pattern(pattern).ok_or_else(|| {
                let shown = quoted(pattern);
                Error::unsupported(format!("{at}: {shown} cannot be part of a grammar"))
            })?;
            Value::String(rewritten)
        }
        ("minLength" | "minItems", limit)
            if limit.as_u64().is_none_or(|n| n > MOST_REPETITIONS) =>
        {
            let most = format!("{at} must be at most {MOST_REPETITIONS} in a grammar");
            return Err(Error::unsupported(most));
        }
        // Such a bound is no help to a sampler; whoever validates the result still checks it.
        ("maxLength" | "maxItems", limit)
            if limit.as_u64().is_none_or(|n| n > MOST_REPETITIONS) =>
        {
            return Ok(None);
        }
        _ => value.clone(),
    }))
}

/// Unless told otherwise a model shall not invent members beside those described.
fn close_object(schema: &mut Map<String, Value>, at: &str) -> Result<()> {
    let Some(Value::Object(properties)) = schema.get("properties") else { return Ok(()) };
    let plain = |name: &String| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let open = schema.get("additionalProperties").is_some_and(|more| *more != Value::Bool(false));
    if !open {
        schema.insert("additionalProperties".to_owned(), Value::Bool(false));
    } else if !properties.keys().all(plain) {
        let problem = "additionalProperties beside property names that are no plain words";
        return Err(Error::unsupported(format!("{at}: {problem} cannot be part of a grammar")));
    }
    Ok(())
}

/// A pattern in the part of the regex language that grammars have, without characters that would
/// need escaping in JSON. `None` if there is none.
fn rewrite_pattern(pattern: &str) -> Option<String> {
    let inner = pattern.strip_prefix('^')?.strip_suffix('$')?;
    let mut out = String::from("^");
    let mut chars = inner.chars().peekable();
    let mut repeatable = false;
    while let Some(c) = chars.next() {
        let mut after = true;
        match c {
            '.' => out.push_str(r#"[^"\\\x00-\x1F]"#),
            '[' => out.push_str(&rewrite_class(&mut chars)?),
            '(' => {
                out.push('(');
                if chars.next_if_eq(&'?').is_some() {
                    chars.next_if_eq(&':')?;
                    out.push_str("?:");
                }
                after = false;
            }
            '*' | '+' | '?' if repeatable => {
                out.push(c);
                after = false;
            }
            '{' if repeatable => {
                let bounds: String = chars.by_ref().take_while(|c| *c != '}').collect();
                let small = |n: &str| n.parse::<u64>().is_ok_and(|n| n <= MOST_REPETITIONS);
                let fine = match bounds.split_once(',') {
                    None => small(&bounds),
                    Some((least, most)) => small(least) && (most.is_empty() || small(most)),
                };
                if !fine {
                    return None;
                }
                out.push_str(&format!("{{{bounds}}}"));
                after = false;
            }
            '|' => {
                out.push('|');
                after = false;
            }
            '\\' => match chars.next()? {
                'd' => out.push_str("[0-9]"),
                'w' => out.push_str("[A-Za-z0-9_]"),
                's' => out.push_str("[ ]"),
                c if c.is_ascii_punctuation() && c != '"' && c != '\\' => literal(c, &mut out)?,
                _ => return None,
            },
            ')' => out.push(')'),
            '*' | '+' | '?' | '{' => return None,
            c => literal(c, &mut out)?,
        }
        repeatable = after;
    }
    out.push('$');
    Some(out)
}

fn literal(c: char, out: &mut String) -> Option<()> {
    match c {
        '^' | '$' | '.' | '[' | ']' | '(' | ')' | '|' | '{' | '}' | '*' | '+' | '?' => {
            out.extend(['\\', c]);
        }
        c if c == '"' || c == '\\' || c.is_control() => return None,
        c => out.push(c),
    }
    Some(())
}

fn rewrite_class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<String> {
    let mut out = String::from("[");
    if chars.next_if_eq(&'^').is_some() {
        out.push_str(r#"^"\\\x00-\x1F"#);
    }
    let mut empty = true;
    loop {
        match chars.next()? {
            ']' if empty => return None,
            ']' => break,
            '\\' => match chars.next()? {
                'd' => out.push_str("0-9"),
                'w' => out.push_str("A-Za-z0-9_"),
                's' => out.push(' '),
                c @ (']' | '[') => out.extend(['\\', c]),
                '-' => out.push_str("\\x2D"),
                '^' => out.push_str("\\x5E"),
                c if c.is_ascii_punctuation() && c != '"' && c != '\\' => out.push(c),
                _ => return None,
            },
            c if c == '"' || c == '[' || c.is_control() => return None,
            c => out.push(c),
        }
        empty = false;
    }
    out.push(']');
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    fn of(schema: Value) -> Result<String> {
        grammar(&Format::Schema { name: "test".into(), schema })
    }

    #[test]
    fn objects_are_closed_unless_opened() {
        let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
        let prepared = prepare(&schema, "schema", 0).unwrap();
        assert_eq!(prepared["additionalProperties"], json!(false));
        assert!(of(schema).unwrap().contains("root ::="));
    }

    #[test]
    fn patterns_keep_to_what_json_and_grammars_allow() {
        let pattern = |p: &str| rewrite_pattern(p);
        assert_eq!(pattern(r"^\d{3}-\w+$").as_deref(), Some("^[0-9]{3}-[A-Za-z0-9_]+$"));
        assert_eq!(pattern(r"^(?:a|b)\.x$").as_deref(), Some(r"^(?:a|b)\.x$"));
        assert_eq!(pattern("^.$").as_deref(), Some(r#"^[^"\\\x00-\x1F]$"#));
        assert_eq!(pattern("^[^,]*$").as_deref(), Some(r#"^[^"\\\x00-\x1F,]*$"#));
        for bad in ["abc", "^a(?=b)$", "^*$", r"^\bx$", "^a{9999}$", "^[$", "^\"$", "^[]$"] {
            assert_eq!(pattern(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_a_grammar_cannot_express_is_named() {
        let cases = [
            json!({"properties": {"a": {"pattern": "^(?!x)$"}}}),
            json!({"minLength": 5000}),
            json!({"patternProperties": {}}),
            json!({"properties": {"a\"]": {}}, "additionalProperties": true}),
        ];
        for schema in cases {
            assert_eq!(of(schema.clone()).unwrap_err().code(), Code::Unsupported, "{schema}");
        }
        let error = of(json!({"properties": {"a": {"pattern": "x"}}})).unwrap_err();
        assert_eq!(
            error.message(),
            "schema.properties.a.pattern: \"x\" cannot be part of a grammar"
        );
    }

    #[test]
    fn a_bad_schema_is_an_error() {
        for schema in [json!({"$ref": "#/nowhere"}), json!({"type": "strange"})] {
            assert_eq!(of(schema.clone()).unwrap_err().code(), Code::Unsupported, "{schema}");
        }
        let mut deep = json!({});
        for _ in 0..200 {
            deep = json!({"items": deep});
        }
        assert_eq!(of(deep).unwrap_err().code(), Code::Unsupported);
    }
}
