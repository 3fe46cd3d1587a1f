use super::*;
use crate::value::json;

fn json_of(text: &str) -> String {
    let mut tape = Tape::default();
    match read(text, &Options::default(), &mut tape) {
        Ok(read) => json::to_string(tape.at(read.root).unwrap()),
        Err(error) => {
            assert!(tape.is_empty(), "a failed read leaves nothing behind");
            error.message().to_owned()
        }
    }
}

#[test]
fn keys_are_text_and_aliases_are_copies() {
    assert_eq!(json_of("1: a\ntrue: b\n~: c"), r#"{"1":"a","true":"b","~":"c"}"#);
    assert_eq!(json_of("a: &x [1, &y 2]\nb: *x\nc: *y"), r#"{"a":[1,2],"b":[1,2],"c":2}"#);
    assert_eq!(json_of("? [1, {a: b}]\n: x"), r#"{"[1,{\"a\":\"b\"}]":"x"}"#);
}

#[test]
fn merged_members_come_last_and_lose() {
    let text = "base: &b {x: 1, y: 2}\nit:\n  <<: *b\n  y: 3\n";
    assert_eq!(json_of(text), r#"{"base":{"x":1,"y":2},"it":{"y":3,"x":1}}"#);
    let list = "a: &a {x: 1}\nb: &b {x: 2, y: 2, <<: {z: 3}}\nc: {<<: [*a, *b]}\n";
    let expected = r#"{"a":{"x":1},"b":{"x":2,"y":2,"z":3},"c":{"x":1,"y":2,"z":3}}"#;
    assert_eq!(json_of(list), expected);
    assert_eq!(json_of("'<<': 1"), r#"{"<<":1}"#);
}

#[test]
fn errors_say_where() {
    for (text, expected) in [
        ("a: 1\nb: [", "line 2"),
        ("a: 1\na: 2", "line 2, column 1: the key \"a\" twice"),
        ("&a [*a]", "line 1, column 5: an alias within what it stands for"),
        ("ä: !!int x", "line 1, column 4: not what the tag !!int says"),
        ("# nothing", "line 1, column 10: no document"),
        ("a: &x 1\n---\n*x", "line 3, column 1: an alias of another document"),
    ] {
        let message = json_of(text);
        assert!(message.contains(expected), "{text:?}: {message}");
    }
}

#[test]
fn aliases_are_bounded() {
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
    for i in 1..9 {
        bomb += &format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 9].join(","));
    }
    assert!(json_of(&bomb).contains("too many values"));
    let long = format!("a: &a {}\nb: [{}]", "x".repeat(100_000), vec!["*a"; 1000].join(","));
    assert!(json_of(&long).contains("too many values"));
    let keys = format!("{}x", "? {\"a\": 1, ? ".repeat(60));
    assert!(!json_of(&keys).is_empty());
}

#[test]
fn nesting_is_bounded() {
    for text in ["[".repeat(5000), "- ".repeat(5000), "? ".repeat(5000), "{a: ".repeat(5000)] {
        assert!(json_of(&text).contains("deep") || json_of(&text).contains("invalid YAML"));
    }
}

/// A small generator: the same values in every run.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % below
    }
}

const PIECES: &[&str] = &[
    "no",
    "1e3",
    "0x1f",
    "~",
    " lead",
    "trail ",
    "#",
    "- x",
    ": ",
    ":",
    "a: b",
    "a #b",
    "\n",
    "\n\n",
    "\t",
    "ä",
    "漢",
    "😀",
    "\u{1}",
    "\u{85}",
    "\u{2028}",
    "\u{FEFF}",
    "'",
    "\"",
    "\\",
    "---",
    "...",
    "|",
    ">",
    "%",
    "@",
    "`",
    "&a",
    "*a",
    "!t",
    "{",
    "}",
    "[",
    "]",
    ",",
    "?",
    "? ",
    "<<",
    "=",
    "null",
    "true",
    "12",
    "-1.5",
    "2026-11-22",
    "12:30",
    "word",
    "two words",
    "",
    " ",
    "\r",
    "\r\n",
    "\u{7f}",
    "\u{FFFF}",
    "x\n y",
    "-",
    "--",
    "  deep",
    ".",
    ".inf",
    "y",
];

fn text(random: &mut Random) -> String {
    (0..1 + random.next(4)).map(|_| PIECES[random.next(PIECES.len())]).collect()
}

fn value(random: &mut Random, depth: usize) -> serde_json::Value {
    use serde_json::Value;
    match random.next(if depth == 0 { 5 } else { 9 }) {
        0 => Value::Null,
        1 => Value::from(random.next(2) == 1),
        2 => Value::from(random.next(1 << 30) as i64 - (1 << 29)),
        3 => Value::from((random.next(1 << 30) as f64 - 5e8) / 1024.0 * 1e12),
        4 => Value::from(text(random)),
        5 | 6 => (0..random.next(4)).map(|_| value(random, depth - 1)).collect(),
        _ => (0..random.next(4)).map(|_| (text(random), value(random, depth - 1))).collect(),
    }
}

#[test]
fn what_is_written_reads_back_the_same() {
    let mut random = Random(7);
    for round in 0..20_000 {
        let value = value(&mut random, round % 5);
        let mut tape = Tape::default();
        let at = json::put(&value, &mut tape);
        let text = write(tape.at(at).unwrap());
        let mut again = Tape::default();
        let read = read(&text, &Options::default(), &mut again)
            .unwrap_or_else(|error| panic!("{error}\n{value}\n{text}"));
        let back = again.at(read.root).unwrap().to_json();
        assert_eq!(back, value, "\n{text}");
    }
}

fn lenient(text: &str, rough: bool) -> String {
    let mut tape = Tape::default();
    let options = Options { documents: Documents::First, unique_keys: false, ..Options::default() };
    match read_lenient(text, &options, rough, &mut tape) {
        Ok(found) => {
            let value = json::to_string(tape.at(found.root).unwrap());
            if found.fixes.is_empty() {
                value
            } else {
                format!("{value} {}", found.fixes.join(","))
            }
        }
        Err(error) => error.message().to_owned(),
    }
}

#[test]
fn what_models_write_is_mended() {
    for (text, value) in [
        ("a: 1\n", r#"{"a":1}"#),
        ("```yaml\na: 1\n```", r#"{"a":1} fence"#),
        (
            "Sure! Here it is:\n\n```yml\na: b\nc: d: e\n```\nEnjoy.",
            r#"{"a":"b","c":"d: e"} fence,quotes,prose"#,
        ),
        ("Here:\n```\n- a\n- b\n```", r#"["a","b"] fence,prose"#),
        (
            "Here is the configuration you want:\n\nname: x\nport: 80\n\nLet me know if it works!",
            r#"{"name":"x","port":80} prose"#,
        ),
        (
            "title: Rust: a guide\ntime: 12:30\nurl: http://x.y/z",
            r#"{"title":"Rust: a guide","time":"12:30","url":"http://x.y/z"} quotes"#,
        ),
        ("a:\n\tb: 1\n\tc:\n\t\t- d", r#"{"a":{"b":1,"c":["d"]}} tabs"#),
        (
            "- name: @bob\n  note: 100% sure\n  cmd: `ls`",
            r#"[{"name":"@bob","note":"100% sure","cmd":"`ls`"}] quotes"#,
        ),
        (
            "said: \"Hi\" she said\nby: 'A' and 'B'",
            r#"{"said":"\"Hi\" she said","by":"'A' and 'B'"} quotes"#,
        ),
        ("**Name**: Bob\n*Age*: 3", r#"{"**Name**":"Bob","*Age*":3} quotes"#),
        ("list:\n  * one\n  * two", r#"{"list":["one","two"]} bullets"#),
        (
            "a: x: y\n  and more\nb: |\n  k: v: w\n  @z\nc: 1",
            r#"{"a":"x: y and more","b":"k: v: w\n@z\n","c":1} quotes"#,
        ),
        ("a: [x, y] and z\nb: {c: 1}", r#"{"a":"[x, y] and z","b":{"c":1}} quotes"#),
        ("a: 1\na: 2", r#"{"a":1,"a":2}"#),
        ("note: *important* thing", r#"{"note":"*important* thing"} quotes"#),
    ] {
        assert_eq!(lenient(text, false), value, "{text}");
    }
}

#[test]
fn prose_is_no_yaml() {
    for text in ["Just a sentence.", "", "```lua\nx = 1\n```"] {
        assert!(lenient(text, false).contains("invalid YAML"), "{text}: {}", lenient(text, false));
    }
}

#[test]
fn best_effort_mends_more() {
    for (text, value) in [
        ("name:Bob\nage:3\nurl: http://x", r#"{"name":"Bob","age":3,"url":"http://x"} spaces"#),
        ("a: 1\n b: 2\n  c: 3\n", r#"{"a":1,"b":2,"c":3} indentation"#),
        ("a:\n    b: 1\n   c: 2\nd: 3", r#"{"a":{"b":1,"c":2},"d":3} indentation"#),
        ("a: 1\nb: [x, {y: \"z", r#"{"a":1,"b":["x",{"y":"z"}]} unclosed"#),
        ("a: 1\nb: \"cut o", r#"{"a":1,"b":"cut o"} unclosed"#),
    ] {
        assert_eq!(lenient(text, true), value, "{text}");
    }
}

#[test]
fn mending_takes_linear_time() {
    for piece in [
        "a: b: c\n",
        "- ",
        "\ta: 1\n",
        "a: [",
        "a: \"\n",
        "* x\n",
        " a: 1\n",
        "```\n",
        "a: |\n",
        "x\n\n",
    ] {
        lenient(&piece.repeat(200_000 / piece.len()), true);
    }
}
