use serde_json::Value;

use super::*;

mod abilities;

fn with(text: &[u8], options: &Options) -> Result<Value> {
    let mut tape = Tape::default();
    let found = read(text, options, &mut tape)?;
    assert!(found.start <= found.stop && found.stop <= text.len(), "{found:?}");
    check(&tape, found.root);
    Ok(tape.at(found.root).unwrap().to_json())
}

/// A valid value: it can be written, and read strictly.
fn check(tape: &Tape, root: usize) {
    let text = json::to_string(tape.at(root).unwrap());
    let again = json::parse_within(text.as_bytes(), 2000, &mut Tape::default());
    assert!(again.is_ok(), "{text}: {again:?}");
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| same(v, w)))
        }
        _ => a == b,
    }
}

#[test]
fn a_best_effort_gives_what_was_meant() {
    let mut wrong = Vec::new();
    for (ability, cases) in abilities::BEST {
        for (text, expected) in *cases {
            let expected: Value = serde_json::from_str(expected).unwrap();
            let got = with(text.as_bytes(), &Options::at(Level::BestEffort)).unwrap();
            if !same(&got, &expected) {
                wrong.push(format!("{ability}: {text:?}\n  expected {expected}\n  got      {got}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn lenient_reading_loses_and_invents_nothing() {
    for (text, expected) in abilities::LENIENT {
        let got = with(text.as_bytes(), &Options::default());
        match expected {
            Some(expected) => assert_eq!(got.unwrap().to_string(), *expected, "{text:?}"),
            None => assert!(got.is_err(), "{text:?}: {got:?}"),
        }
    }
}

#[test]
fn missing_values_and_prose_follow_the_policy() {
    let best = Options::at(Level::BestEffort);
    let empty = Options { missing: Missing::Empty, ..best };
    assert_eq!(with(b"{\"a\":", &empty).unwrap().to_string(), r#"{"a":""}"#);
    let error = Options { prose: Some(Prose::Error), ..best };
    assert!(with(b"just words", &error).is_err());
    assert!(with(b" \n", &best).is_err());
    let string = Options { prose: Some(Prose::String), ..Options::default() };
    assert_eq!(with(b" just words ", &string).unwrap(), "just words");
}

#[test]
fn bytes_that_are_no_text_are_replaced() {
    let best = Options::at(Level::BestEffort);
    assert_eq!(
        with(b"{\"a\": \"\xff\xc3\", b\xfe: \xfd}", &best).unwrap().to_string(),
        "{\"a\":\"\u{fffd}\u{fffd}\",\"b\u{fffd}\":\"\u{fffd}\"}"
    );
}

#[test]
fn nesting_ends_at_the_limit() {
    let deep = "[".repeat(150) + &"]".repeat(150);
    assert!(
        with(deep.as_bytes(), &Options::default())
            .unwrap_err()
            .message()
            .contains("nested deeper than 100")
    );
    assert!(with(deep.as_bytes(), &Options::at(Level::BestEffort)).is_ok());
    let wide = Options { max_depth: 1000, ..Options::at(Level::BestEffort) };
    assert!(with(("[".repeat(5000) + "1").as_bytes(), &wide).is_ok());
}

#[test]
fn every_fix_is_named_once() {
    for (at, (fix, name, level, _)) in Fix::ALL.iter().enumerate() {
        assert_eq!((fix.name(), fix.level()), (*name, *level));
        assert!(Fix::ALL.iter().skip(at + 1).all(|row| row.1 != *name), "{name}");
    }
}

/// Texts to be cut and spoiled.
fn seeds() -> impl Iterator<Item = &'static str> {
    abilities::BEST.iter().flat_map(|(_, cases)| cases.iter().map(|(text, _)| *text))
}

#[test]
fn every_prefix_of_every_text_is_read() {
    for text in seeds() {
        for end in 1..=text.len() {
            for level in [Level::Lenient, Level::BestEffort] {
                let _ = with(&text.as_bytes()[..end], &Options::at(level));
            }
        }
    }
}

#[test]
fn spoiled_texts_are_read() {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut random = move |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % n as u64) as usize
    };
    let pieces: [&[u8]; 28] = [
        b"\"",
        b"'",
        b"{",
        b"}",
        b"[",
        b"]",
        b"(",
        b")",
        b",",
        b":",
        b"\\",
        b"/",
        b"*",
        b"#",
        b"`",
        b"\n",
        b"```json\n",
        b"\xe2\x80\x9c",
        b"\xff",
        b"...",
        b"+",
        b"-",
        b"1",
        b"a",
        b" ",
        b"=",
        b"\\u",
        b"\"\"\"",
    ];
    for _ in 0..40 {
        for text in seeds() {
            let mut bytes = text.as_bytes().to_vec();
            for _ in 0..=random(4) {
                let at = random(bytes.len() + 1);
                let to = (at + random(3)).min(bytes.len());
                bytes.splice(at..to, pieces[random(pieces.len())].iter().copied());
            }
            for level in [Level::Lenient, Level::BestEffort] {
                let _ = with(&bytes, &Options::at(level));
                let mut tape = Tape::default();
                for found in candidates(&bytes, &Options::at(level), &mut tape) {
                    check(&tape, found.root);
                }
            }
        }
    }
}

/// What used to take more than linear time somewhere. The limit is far above what it takes, and far
/// below what a quadratic reader takes.
#[test]
#[allow(clippy::disallowed_methods)] // a test of the time itself
fn hostile_texts_are_read_in_linear_time() {
    const UNITS: &[&str] = &[
        "[",
        "{",
        "{\"a\":",
        "\"",
        "\\",
        "/*",
        "//}",
        "'",
        "\u{201C}a",
        "{\"",
        "[\"a,",
        "[\"a\"b,\"",
        "(",
        "a(",
        "```",
        "```json\n{",
        "{\"a\":\"b,\"",
        "{\"a\": \"x\" y ",
        "\\\"",
        "{\"a\":\"```json {",
        ",",
        "...",
        "+\"",
        "{\"k\":\"{\"",
        "\"\"\"",
        "{a=",
        "{\"a\" \"b\"",
        "[1],\"a\",",
        "new ",
        "\n",
        "a: b\n",
        "x {",
        "{'a': [",
    ];
    let size: usize =
        std::env::var("HOSTILE_BYTES").ok().and_then(|n| n.parse().ok()).unwrap_or(100_000);
    for unit in UNITS {
        let text = unit.repeat(size / unit.len()) + "\"}]";
        for level in [Level::Lenient, Level::BestEffort] {
            let mut tape = Tape::default();
            let started = std::time::Instant::now();
            let _ = read(text.as_bytes(), &Options::at(level), &mut tape);
            let ms = started.elapsed().as_millis() as usize;
            assert!(ms < 1000 + size / 500, "{unit:?} {level:?}: {ms} ms");
        }
    }
}
