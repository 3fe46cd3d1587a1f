use super::*;
use crate::value::json;

fn extracted(text: &str, only: &'static str) -> String {
    let mut tape = Tape::default();
    let wanted = Wanted { only: vec![only], ..Wanted::default() };
    let root = extract(text, &wanted, &mut tape).unwrap();
    json::to_string(tape.at(root).unwrap().get(only).unwrap())
}

#[test]
fn sections_end_with_the_next_heading_beside_them() {
    let text = "intro\n# A *b*\none\n\n> ## Q\n> in\n\nstill A\n\nB\n---\n\n    code\n";
    assert_eq!(
        extracted(text, "sections"),
        r#"[{"level":1,"heading":"A b","content":"one\n\n> ## Q\n> in\n\nstill A"},{"level":2,"heading":"Q","content":"> in"},{"level":2,"heading":"B","content":"    code"}]"#
    );
}

#[test]
fn code_blocks_have_language_content_and_line() {
    let text =
        "---\nt: x\n---\nHi\n\n~~~lua linenos\nlocal a\n~~~\n\n1. item\n\n   ```\n   x\n   ```\n";
    assert_eq!(
        extracted(text, "code_blocks"),
        r#"[{"language":"lua","content":"local a\n","line":6},{"content":"x\n","line":12}]"#
    );
}

#[test]
fn lists_are_told_one_by_one() {
    let text = "- a **b**\n  - c\n\n    d\n- e\n\n3) x\n";
    assert_eq!(
        extracted(text, "lists"),
        r#"[{"ordered":false,"level":1,"items":["a b","e"]},{"ordered":false,"level":2,"items":["c\nd"],"list":1,"item":1},{"ordered":true,"start":3,"level":1,"items":["x"]}]"#
    );
}

#[test]
fn tables_have_rows_by_header() {
    let text = "| a | `b` | a |  |\n|---|:-:|---|---|\n| 1 | x \\| y | 3 | 4 |\n| 5 |\n";
    assert_eq!(
        extracted(text, "tables"),
        r#"[{"headers":["a","b","a",""],"rows":[{"a":"1","b":"x | y","3":"3","4":"4"},{"a":"5","b":"","3":"","4":""}]}]"#
    );
}

#[test]
fn links_are_those_that_lead_somewhere() {
    let text = "[a *b*](/u \"t\") <http://x.y> <m@n.o> [r] ![img](/i) [no]\n\n[r]: /ref\n";
    assert_eq!(
        extracted(text, "links"),
        r#"[{"text":"a b","url":"/u","title":"t"},{"text":"http://x.y","url":"http://x.y"},{"text":"m@n.o","url":"mailto:m@n.o"},{"text":"r","url":"/ref"}]"#
    );
}

#[test]
fn only_a_mapping_is_front_matter() {
    assert_eq!(extracted("---\na: 1\n---\n# B\n", "front_matter"), r#"{"a":1}"#);
    let mut tape = Tape::default();
    extract("---\nFoo\n---\nBar\n", &Wanted::default(), &mut tape).unwrap();
    assert!(tape.root().unwrap().get("front_matter").is_none());
    assert_eq!(tape.root().unwrap().get("sections").unwrap().len(), 1);
}

#[test]
fn text_is_what_there_is_to_read() {
    let text =
        "# A\n\nOne *two*\nthree.\n\n- x\n- y\n  - z\n\n```\ncode\n```\n\n|h|i|\n|-|-|\n|1|2|\n";
    let expected = r#""A\n\nOne two three.\n\nx\ny\nz\n\ncode\n\nh\ti\n1\t2""#;
    assert_eq!(extracted(text, "text"), expected);
}

#[test]
fn lists_are_told_as_deep_as_values_nest() {
    let mut tape = Tape::default();
    let root = extract(&"1. ".repeat(5000), &Wanted::default(), &mut tape).unwrap();
    let lists = tape.at(root).unwrap().get("lists").unwrap();
    assert_eq!(lists.len(), 100);
    let one = format!("{}x\n- y", "- ".repeat(150));
    let lists = extracted(&one, "lists");
    assert!(lists.contains(r#""items":["x"],"list":99"#) && lists.contains(r#""items":["","y"]"#));
}
