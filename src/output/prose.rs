//! Values as Markdown, and as plain text: for people and models to read, not to be read back.

use crate::value::yaml::sorted;
use crate::value::{Kind, Ref, json};

/// Deepest heading there is.
const LAST_HEADING: usize = 6;

/// An array of objects is a table, another array a list; an object is a list of its simple members
/// and a section for each of the others.
pub fn markdown(value: Ref<'_>) -> String {
    let mut out = String::new();
    block(value, 1, &mut out);
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn block(value: Ref<'_>, level: usize, out: &mut String) {
    match value.kind() {
        Kind::Array if is_table(value) => table(value, out),
        Kind::Array => list(value, 0, out),
        Kind::Object if level > LAST_HEADING => list(value, 0, out),
        Kind::Object => sections(value, level, out),
        _ => out.push_str(&inline(value)),
    }
}

fn sections(value: Ref<'_>, level: usize, out: &mut String) {
    let (parts, simple): (Vec<_>, Vec<_>) =
        sorted(value).into_iter().partition(|(_, member)| is_container(*member));
    for (key, member) in simple {
        out.push_str(&entry(key, member, 0));
    }
    for (key, member) in parts {
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&format!("{} {}\n\n", "#".repeat(level), one_line(&key.to_text())));
        block(member, level + 1, out);
        out.truncate(out.trim_end().len());
        out.push('\n');
    }
}

fn list(value: Ref<'_>, indent: usize, out: &mut String) {
    for item in value.items() {
        match is_container(item) {
            true => {
                let mut inner = String::new();
                list(item, indent + 2, &mut inner);
                out.push_str(&format!("{}- {}", " ".repeat(indent), inner.trim_start()));
            }
            false => out.push_str(&bullet(&inline(item), indent)),
        }
    }
    for (key, member) in sorted(value) {
        match is_container(member) {
            true => {
                out.push_str(&bullet(&format!("**{}**:", one_line(&key.to_text())), indent));
                list(member, indent + 2, out);
            }
            false => out.push_str(&entry(key, member, indent)),
        }
    }
}

fn entry(key: Ref<'_>, member: Ref<'_>, indent: usize) -> String {
    bullet(&format!("**{}**: {}", one_line(&key.to_text()), inline(member)), indent)
}

/// Further lines of an item stand below its text.
fn bullet(text: &str, indent: usize) -> String {
    let below = format!("\n{}", " ".repeat(indent + 2));
    format!("{}- {}\n", " ".repeat(indent), text.trim_end().replace('\n', &below))
}

fn is_container(value: Ref<'_>) -> bool {
    matches!(value.kind(), Kind::Array | Kind::Object) && !value.is_empty()
}

fn is_table(value: Ref<'_>) -> bool {
    !value.is_empty() && value.items().all(|row| row.kind() == Kind::Object && !row.is_empty())
}

fn table(value: Ref<'_>, out: &mut String) {
    let columns = columns(value);
    row(columns.iter().map(|name| cell(name)), out);
    row(columns.iter().map(|_| "---".to_owned()), out);
    for item in value.items() {
        let cells = columns.iter().map(|name| item.get(name).map(inline).unwrap_or_default());
        row(cells.map(|text| cell(&text)), out);
    }
}

/// All names of all rows, sorted.
fn columns(value: Ref<'_>) -> Vec<String> {
    let names = value.items().flat_map(Ref::members).map(|(key, _)| key.to_text());
    names.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

fn row(cells: impl Iterator<Item = String>, out: &mut String) {
    out.push('|');
    for text in cells {
        out.push_str(&format!(" {text} |"));
    }
    out.push('\n');
}

/// Pipes would end the cell, line feeds the row.
fn cell(text: &str) -> String {
    text.trim()
        .replace('\\', "\\\\")
        .replace('|', "\\|")
        .replace("\r\n", "\n")
        .replace(['\n', '\r'], "<br>")
}

/// A value within a line.
fn inline(value: Ref<'_>) -> String {
    match value.kind() {
        Kind::Str => value.to_text(),
        Kind::Null => String::new(),
        _ => json::to_sorted(value),
    }
}

fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

/// A string as it is; members as `name: value` and items on lines of their own.
pub fn plain(value: Ref<'_>) -> String {
    let mut out = String::new();
    lines(value, 0, &mut out);
    out.truncate(out.trim_end_matches('\n').len());
    out
}

fn lines(value: Ref<'_>, indent: usize, out: &mut String) {
    let space = " ".repeat(indent);
    if !is_container(value) {
        out.push_str(&format!("{}\n", inline(value)));
    }
    for item in value.items() {
        match is_container(item) {
            true => lines(item, indent + 2, out),
            false => out.push_str(&format!("{space}{}\n", inline(item))),
        }
    }
    for (key, member) in sorted(value) {
        out.push_str(&format!("{space}{}:", key.to_text()));
        match is_container(member) {
            true => {
                out.push('\n');
                lines(member, indent + 2, out);
            }
            false => out.push_str(&format!(" {}\n", inline(member))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Tape;

    fn both(text: &str) -> (String, String) {
        let mut tape = Tape::default();
        let at = json::parse(text.as_bytes(), &mut tape).unwrap();
        let value = tape.at(at).unwrap();
        (markdown(value), plain(value))
    }

    #[test]
    fn objects_in_an_array_are_rows() {
        let (markdown, plain) = both(r#"[{"a":"x|y","b":1},{"b":"p\nq","c":[1]}]"#);
        let rows = "| a | b | c |\n| --- | --- | --- |\n| x\\|y | 1 |  |\n|  | p<br>q | [1] |\n";
        assert_eq!(markdown, rows);
        assert_eq!(plain, "  a: x|y\n  b: 1\n  b: p\nq\n  c:\n    1");
    }

    #[test]
    fn objects_are_lists_and_sections() {
        let (markdown, plain) = both(r#"{"n":1,"s":{"t":"x","u":["a",["b"]]},"e":{}}"#);
        let text = "- **e**: {}\n- **n**: 1\n\n# s\n\n- **t**: x\n\n## u\n\n- a\n- - b\n";
        assert_eq!(markdown, text);
        assert_eq!(plain, "e: {}\nn: 1\ns:\n  t: x\n  u:\n    a\n      b");
    }

    #[test]
    fn a_string_is_itself() {
        assert_eq!(both(r##""# A\n\nb""##), ("# A\n\nb\n".into(), "# A\n\nb".into()));
    }
}
