//! The parts of a text as a table on a tape.

use super::collect::{CodeBlock, List, Markdown, Section, Table};
use super::{Wanted, front};
use crate::error::Result;
use crate::value::Tape;

pub fn write(
    parts: &Markdown,
    front: Option<&str>,
    wanted: &Wanted,
    tape: &mut Tape,
) -> Result<()> {
    let mark = tape.open_object();
    let mut members = 0;
    let mut part = |name: &str, tape: &mut Tape| {
        let has = wanted.has(name);
        if has {
            tape.str(name.as_bytes());
            members += 1;
        }
        has
    };
    if part("sections", tape) {
        array(tape, parts.sections.iter(), section);
    }
    if part("code_blocks", tape) {
        let blocks = parts.code_blocks.iter().filter(|block| wanted.language(block));
        array(tape, blocks, code_block);
    }
    if part("tables", tape) {
        array(tape, parts.tables.iter(), table);
    }
    if part("lists", tape) {
        array(tape, parts.lists.iter(), list);
    }
    if part("links", tape) {
        array(tape, parts.links.iter(), |tape, link| {
            let mut fields = vec![("text", link.text.as_str()), ("url", link.url.as_str())];
            fields.extend((!link.title.is_empty()).then_some(("title", link.title.as_str())));
            texts(tape, &fields);
        });
    }
    if part("text", tape) {
        tape.str(parts.text.as_bytes());
    }
    if let Some(front) = front
        && wanted.has("front_matter")
    {
        tape.str(b"front_matter");
        if front::read(front, tape).is_none() {
            tape.null();
        }
        members += 1;
    }
    tape.close(mark, members);
    Ok(())
}

fn array<T>(tape: &mut Tape, items: impl Iterator<Item = T>, write: impl Fn(&mut Tape, T)) {
    let mark = tape.open_array();
    let mut count = 0;
    for item in items {
        write(tape, item);
        count += 1;
    }
    tape.close(mark, count);
}

fn texts(tape: &mut Tape, fields: &[(&str, &str)]) {
    let mark = tape.open_object();
    for (name, text) in fields {
        tape.str(name.as_bytes());
        tape.str(text.as_bytes());
    }
    tape.close(mark, fields.len());
}

fn number(tape: &mut Tape, name: &str, value: usize) {
    tape.str(name.as_bytes());
    tape.int(value as i64);
}

fn text(tape: &mut Tape, name: &str, value: &str) {
    tape.str(name.as_bytes());
    tape.str(value.as_bytes());
}

fn section(tape: &mut Tape, section: &Section) {
    let mark = tape.open_object();
    number(tape, "level", section.level);
    text(tape, "heading", &section.heading);
    text(tape, "content", &section.content);
    tape.close(mark, 3);
}

fn code_block(tape: &mut Tape, block: &CodeBlock) {
    let mark = tape.open_object();
    let named = !block.language.is_empty();
    if named {
        text(tape, "language", &block.language);
    }
    text(tape, "content", &block.content);
    number(tape, "line", block.line);
    tape.close(mark, 2 + usize::from(named));
}

fn table(tape: &mut Tape, table: &Table) {
    let names = column_names(&table.headers);
    let mark = tape.open_object();
    tape.str(b"headers");
    array(tape, table.headers.iter(), |tape, header| tape.str(header.as_bytes()));
    tape.str(b"rows");
    array(tape, table.rows.iter(), |tape, row| {
        let cells: Vec<_> =
            names.iter().zip(row).map(|(name, cell)| (name.as_str(), cell.as_str())).collect();
        texts(tape, &cells);
    });
    tape.close(mark, 2);
}

/// What cells are called in a row.
fn column_names(headers: &[String]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (i, header) in headers.iter().enumerate() {
        let taken = header.is_empty() || names.contains(header);
        names.push(if taken { (i + 1).to_string() } else { header.clone() });
    }
    names
}

fn list(tape: &mut Tape, list: &List) {
    let mark = tape.open_object();
    let mut fields = 3;
    tape.str(b"ordered");
    tape.bool(list.start.is_some());
    if let Some(start) = list.start {
        number(tape, "start", usize::try_from(start).unwrap_or(usize::MAX));
        fields += 1;
    }
    number(tape, "level", list.level);
    tape.str(b"items");
    array(tape, list.items.iter(), |tape, item| tape.str(item.as_bytes()));
    if let Some((outer, item)) = list.within {
        number(tape, "list", outer);
        number(tape, "item", item);
        fields += 2;
    }
    tape.close(mark, fields);
}
