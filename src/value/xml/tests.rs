use super::*;
use crate::value::json;

fn at_level(text: &str, level: Level) -> String {
    let mut tape = Tape::default();
    match read(text, &Options { level, ..Options::default() }, &mut tape) {
        Ok(read) => {
            let value = json::to_string(tape.at(read.root).unwrap());
            if read.fixes.is_empty() { value } else { format!("{value} {}", read.fixes.join(",")) }
        }
        Err(error) => {
            assert!(tape.is_empty(), "a failed read leaves nothing behind");
            error.message().to_owned()
        }
    }
}

fn strict(text: &str) -> String {
    at_level(text, Level::Strict)
}

fn lenient(text: &str) -> String {
    at_level(text, Level::Lenient)
}

#[test]
fn elements_become_values() {
    for (text, value) in [
        ("<a/>", r#"{"a":""}"#),
        ("<a> x </a>", r#"{"a":"x"}"#),
        ("<a><![CDATA[ <x> ]]></a>", r#"{"a":" <x> "}"#),
        ("<a b='1'>x</a>", r##"{"a":{"@b":"1","#text":"x"}}"##),
        ("<p>one <b>two</b> three</p>", r##"{"p":{"b":"two","#text":"one three"}}"##),
        ("<a><b/><c/><b>2</b></a>", r#"{"a":{"b":["","2"],"c":""}}"#),
        ("<n:a xmlns:n='u'/>", r#"{"n:a":{"@xmlns:n":"u"}}"#),
        ("<a>&lt;&#65;&#x42;&amp;&apos;</a>", r#"{"a":"<AB&'"}"#),
        ("<?xml version='1.0'?>\n<!-- c --><!DOCTYPE a><a>x<!-- y -->z</a> ", r#"{"a":"xz"}"#),
        ("<a k='x\n\ty'>1\r\n2</a>", r##"{"a":{"@k":"x  y","#text":"1\n2"}}"##),
    ] {
        assert_eq!(strict(text), value, "{text}");
    }
}

#[test]
fn strict_reading_says_what_is_wrong_and_where() {
    for (text, reason) in [
        ("", "no element"),
        ("just text", "text outside of the root element"),
        ("<a>", "line 1, column 1: <a> is not closed"),
        ("<a>\n</b>", "line 2, column 1: the end tag </b> of nothing"),
        ("<a><b></a>", "column 7: the end tag </a> where </b> is due"),
        ("<a/><b/>", "column 5: a second root element"),
        ("<a/>x", "text outside of the root element"),
        ("<a>&nbsp;</a>", "column 4: & that begins no known reference"),
        ("<a>&#0;</a>", "& that begins no known reference"),
        ("<a>\u{1}</a>", "a character that XML has not"),
        ("<a b=1/>", "the value of b is not in quotes"),
        ("<a b/>", "the attribute b has no value"),
        ("<a b='1' b='2'/>", "the attribute b twice"),
        ("<a b='1'c='2'/>", "no space before an attribute"),
        ("<a b='<'/>", "< in an attribute"),
        ("<a>1 < 2</a>", "< that begins no tag"),
        ("<a>]]></a>", "]]> outside of CDATA"),
        ("<a><!-- -- --></a>", "-- within a comment"),
        ("<a><![CDATA[x</a>", "CDATA is not closed"),
        (" <?xml version='1.0'?><a/>", "an XML declaration that is none"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "declares something"),
    ] {
        assert!(strict(text).contains(reason), "{text}: {}", strict(text));
    }
}

#[test]
fn lenient_reading_forgives() {
    for (text, value) in [
        ("Here: <a>x</a> Done.", r#"{"a":"x"} prose"#),
        ("```xml\n<a>x</a>\n```", r#"{"a":"x"} prose"#),
        ("if 1 < 2 then <a>x</a>", r#"{"a":"x"} prose"#),
        ("<a><b>x</a>", r#"{"a":{"b":"x"}} unclosed_tag"#),
        ("<a><b>x</b>", r#"{"a":{"b":"x"}} unclosed_tag"#),
        ("<a>x</B></A>", r#"{"a":"x"} stray_end_tag,unclosed_tag"#),
        ("<a>AT&T &nbsp;1 < 2</a>", "{\"a\":\"AT&T \u{a0}1 < 2\"} bare_ampersand,bare_less_than"),
        ("<a b=1 c d=\"x\">y</a>", r##"{"a":{"@b":"1","@c":"","@d":"x","#text":"y"}} attribute"##),
        ("<p>one<br>two</p>", r##"{"p":{"br":"","#text":"one two"}} unclosed_tag"##),
        ("<ul><li>a<li>b</ul>", r#"{"ul":{"li":["a","b"]}} unclosed_tag"#),
        ("<rss><link>u</link></rss>", r#"{"rss":{"link":"u"}}"#),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", r#"{"a":"&b;"} doctype,bare_ampersand"#),
        ("<a>x</a><b>y</b>", r#"{"a":"x"} prose"#),
    ] {
        assert_eq!(lenient(text), value, "{text}");
    }
    assert!(lenient("no tags here").contains("no element"));
    assert!(lenient("<a>x</a").contains(r#"{"a":"x"}"#));
}

/// Found by fuzzing: the reader began in the middle of the instruction.
#[test]
fn what_is_valid_is_read_as_it_is_at_every_level() {
    let text = "<?note <c>x</c> ?><a>y</a>";
    for level in [Level::Strict, Level::Lenient, Level::BestEffort] {
        assert_eq!(at_level(text, level), r#"{"a":"y"}"#);
    }
}

#[test]
fn best_effort_takes_what_ends_within_a_tag() {
    assert!(lenient("<a><b x='1").contains("invalid XML"));
    let value = at_level("<a><c>1</c><b x='1'", Level::BestEffort);
    assert_eq!(value, r#"{"a":{"c":"1","b":{"@x":"1"}}} unclosed_tag"#);
    assert_eq!(
        at_level("<a>x <y z! </a>", Level::BestEffort),
        r#"{"a":"x <y z!"} attribute,bare_less_than"#
    );
}

#[test]
fn nesting_is_bounded_and_time_is_linear() {
    for level in [Level::Strict, Level::Lenient, Level::BestEffort] {
        assert!(at_level(&"<a>".repeat(100_000), level).contains("nested deeper than 100"));
        for piece in
            ["<", "<a", "&", "</a>", "<a b='", "<!--", "<![CDATA[", "<?", "<!DOCTYPE [", "<p>"]
        {
            at_level(&format!("<r>{}", piece.repeat(20_000)), level);
        }
    }
}

#[test]
fn what_is_written_reads_back() {
    for text in [
        r##"{"a":{"@b":"x \"y\"\n","#text":"1 < 2 & 3","c":["1",{"@d":"e"},""]}}"##,
        r#"{"root":{"list":["a","b"],"s":" lead "}}"#,
        r#"{"x":{"y":{"z":"]]>"}}}"#,
    ] {
        let mut tape = Tape::default();
        let at = json::parse(text.as_bytes(), &mut tape).unwrap();
        let xml = write(tape.at(at).unwrap(), None).unwrap();
        let expected = tape.at(at).unwrap().to_json();
        let back: serde_json::Value = serde_json::from_str(&strict(&xml)).unwrap();
        assert_eq!(back, expected, "{xml}");
    }
}

#[test]
fn what_xml_cannot_hold_is_named() {
    for (text, reason) in [
        (r#"{"a":{"b c":1}}"#, "value.a[\"b c\"]: \"b c\" cannot name an element"),
        (r#"{"a":[1,"\u0001"]}"#, "value.a[2]: XML has no character U+0001"),
        (r#"{"a":{"@b":{"c":1}}}"#, "value.a[\"@b\"]: a table cannot be text"),
    ] {
        let mut tape = Tape::default();
        let at = json::parse(text.as_bytes(), &mut tape).unwrap();
        assert_eq!(write(tape.at(at).unwrap(), None).unwrap_err().message(), reason);
    }
}
