//! What else there is help for than bridges and functions: constants, options, points, events.

use std::fmt::Write;

use crate::event::Builtin;
use crate::hook::point;
use crate::lua::bridge::{Bridge, Constants, ENTRIES, Entry};
use crate::lua::bridges::BRIDGES;
use crate::shape::{Field, Kind, Shape, nearest};

use super::{
    builtin, constants_text, field_text, function_text, said, shape_text, shapes, summary,
};

/// The first way of reading the topic that finds something.
pub fn text(topic: &str) -> Option<String> {
    constants(topic)
        .or_else(|| functions(topic))
        .or_else(|| hook_point(topic))
        .or_else(|| event(topic))
        .or_else(|| builtin::text(topic))
        .or_else(|| option(topic))
        .or_else(|| table(topic))
}

/// What the user may have meant.
pub fn alike(topic: &str) -> Option<String> {
    let full = ENTRIES.iter().map(|entry| entry.bridge.full_name(entry.function));
    let bridges = BRIDGES.iter().map(|bridge| bridge.name);
    let words = bridges.chain(ENTRIES.iter().map(|entry| entry.function.name));
    let options = fields().map(|(field, _)| field.name);
    let words = words.chain(options).chain(point::names()).chain(builtin::names());
    let words = words.chain(tables().map(|shape| shape.name));
    let words = words.map(str::to_owned);
    let all: Vec<String> = full.chain(words).filter(|name| !name.is_empty()).collect();
    nearest(topic, all.iter().map(String::as_str)).map(str::to_owned)
}

/// `event.Type`, `Type`, or one of its members.
fn constants(topic: &str) -> Option<String> {
    let found: Vec<String> = BRIDGES
        .iter()
        .flat_map(|bridge| bridge.constants.iter().map(move |table| (*bridge, table)))
        .filter(|(bridge, table)| is_constants(bridge, table, topic))
        .map(|(bridge, table)| constants_text(bridge, table))
        .collect();
    (!found.is_empty()).then(|| found.concat())
}

fn is_constants(bridge: &Bridge, table: &Constants, topic: &str) -> bool {
    let full = format!("{}.{}", said(bridge), table.name);
    let member = |name: &str| topic == format!("{full}.{name}");
    topic == full || topic == table.name || table.members.iter().any(|(name, _)| member(name))
}

/// The name of a function without its bridge.
fn functions(topic: &str) -> Option<String> {
    let found: Vec<&Entry> = ENTRIES.iter().filter(|entry| entry.function.name == topic).collect();
    if let [entry] = found.as_slice() {
        return Some(function_text(entry.bridge, entry.function));
    }
    let line = |entry: &&Entry| {
        let name = entry.bridge.full_name(entry.function);
        format!("{name:<24} {}\n", summary(entry.function))
    };
    (!found.is_empty()).then(|| found.iter().map(line).collect())
}

fn hook_point(topic: &str) -> Option<String> {
    if topic == point::CLEANUP {
        return Some(format!("{topic}: hooks that run before an agent is destroyed\n"));
    }
    let (operation, kind) = point::OPERATIONS
        .iter()
        .find_map(|operation| operation.runs_at(topic).map(|kind| (operation, kind)))?;
    let example = "function(context, data) … end";
    Some(format!(
        "{topic}: a point for hooks of type {:?}, of the operation {}\n\n\
         zigllms.hook.register({topic:?}, {example})\n",
        kind.name(),
        operation.name
    ))
}

fn event(topic: &str) -> Option<String> {
    let known = Builtin::ALL.into_iter().find(|event| event.name() == topic)?;
    let name = known.name();
    Some(format!(
        "{name}: an event that the module tells\n\nzigllms.event.subscribe({name:?}, function(event) … end)\n"
    ))
}

/// An option by its name: what it means where, and who takes it.
fn option(topic: &str) -> Option<String> {
    let mut found: Vec<(&Field, Vec<String>)> = Vec::new();
    for (field, taker) in fields().filter(|(field, _)| field.is_called(topic)) {
        match found.iter_mut().find(|(known, _)| std::ptr::eq(*known, field)) {
            Some((_, takers)) if takers.contains(&taker) => {}
            Some((_, takers)) => takers.push(taker),
            None => found.push((field, vec![taker])),
        }
    }
    let texts: Vec<String> =
        found.iter().map(|(field, takers)| option_text(field, takers)).collect();
    (!texts.is_empty()).then(|| texts.join("\n"))
}

fn option_text(field: &Field, takers: &[String]) -> String {
    let mut text = String::new();
    field_text(&mut text, field);
    // What it shares with other tables has help of its own.
    let own = shapes(&field.kind).into_iter().flat_map(|shape| shape.fields);
    own.for_each(|field| field_text(&mut text, field));
    let _ = writeln!(text, "  in {}", takers.join(", "));
    text
}

/// A kind of table, by the name that stubs and other texts have for it.
fn table(topic: &str) -> Option<String> {
    let shape = tables().find(|shape| shape.name == topic)?;
    let mut text = format!("{topic}: a table\n");
    shape_text(&mut text, shape);
    Some(text)
}

fn tables() -> impl Iterator<Item = &'static Shape> {
    let params = ENTRIES.iter().flat_map(|entry| entry.function.params);
    let inner = fields().flat_map(|(field, _)| shapes(&field.kind));
    params.flat_map(|param| shapes(&param.kind)).chain(inner)
}

/// Every option of every function, also those in tables of options, with who takes it.
fn fields() -> impl Iterator<Item = (&'static Field, String)> {
    ENTRIES.iter().flat_map(|entry| {
        let name = entry.bridge.full_name(entry.function);
        let mut found = Vec::new();
        for param in entry.function.params {
            inside(&param.kind, &name, &mut found);
        }
        found
    })
}

/// Tables of options hold tables of options: `retry.max_attempts`.
fn inside(kind: &'static Kind, function: &str, found: &mut Vec<(&'static Field, String)>) {
    for field in shapes(kind).into_iter().flat_map(|shape| shape.all()) {
        let known = found.iter().any(|(known, _)| std::ptr::eq(*known, field));
        if known || matches!(field.kind, Kind::Absent(_)) {
            continue;
        }
        found.push((field, function.to_owned()));
        inside(&field.kind, function, found);
    }
}
