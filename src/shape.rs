//! What arguments and options tables must look like.
//!
//! One declaration serves four readers: the check before a call, the typed getters of the
//! operation, the reference, and the LuaCATS stubs. A violation names the path, what was expected
//! and what came: `config.temperature: expected a number from 0 to 2, got 3`.

use serde_json::{Map, Value};

use crate::error::{Code, Error, Result, quoted};
use crate::value::{Kind as Tag, Ref, Slot};

/// The type of one value.
#[derive(Debug)]
pub enum Kind {
    /// Any plain data.
    Any,
    /// Any Lua value; nobody looks into it.
    Value,
    Bool,
    Text,
    /// Text that is not empty.
    Name,
    /// Bounds are inclusive.
    Number(f64, f64),
    /// Bounds are inclusive; integral floats are fine.
    Int(i64, i64),
    Function,
    /// A table whose keys are known.
    Table(&'static Shape),
    /// A table of plain data with any keys.
    Map,
    /// A table with any keys whose values are of one kind; null takes a key out.
    MapOf(&'static Kind),
    /// A table that is looked into later; it may hold functions.
    Open,
    /// As `Open`; its keys are those of the shape, and who looks into it tells all that is wrong.
    Later(&'static Shape),
    List(&'static Kind),
    /// A string of a fixed set, in any case.
    Enum(&'static [&'static str]),
    /// An id, a unique name, or a table with an `id`. The word says of what.
    Id(&'static str),
    /// A JSON Schema in any form, also by id or name.
    Schema,
    /// A handle of a call that waits.
    Handle,
    OneOf(&'static [Kind]),
    /// An option this version does not have yet; the text says what it belongs to.
    Absent(&'static str),
}

/// A table type: its name in the documentation and its fields.
#[derive(Debug)]
pub struct Shape {
    pub name: &'static str,
    pub fields: &'static [Field],
    /// Further fields, shared with other shapes.
    pub also: &'static [&'static Shape],
    /// Where one of its fields says what a table is: fields that only such tables have.
    pub variants: &'static [Variant],
}

/// One of the things that tables of a shape can be.
#[derive(Debug)]
pub struct Variant {
    pub name: &'static str,
    /// Other words for it.
    pub aliases: &'static [&'static str],
    /// A table that has one of these is of this kind, if nothing else is said.
    pub telling: &'static [&'static str],
    /// Fields that others have, too.
    pub shared: &'static [&'static str],
}

impl Variant {
    pub const fn new(
        name: &'static str,
        aliases: &'static [&'static str],
        telling: &'static [&'static str],
        shared: &'static [&'static str],
    ) -> Variant {
        Variant { name, aliases, telling, shared }
    }

    pub fn is_called(&self, word: &str) -> bool {
        self.name == word || self.aliases.contains(&word)
    }

    pub fn has(&self, field: &str) -> bool {
        self.telling.contains(&field) || self.shared.contains(&field)
    }
}

#[derive(Debug)]
pub struct Field {
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    pub kind: Kind,
    /// As the documentation prints it; empty where there is none.
    pub default: &'static str,
    pub doc: &'static str,
}

impl Field {
    pub const fn new(
        name: &'static str,
        kind: Kind,
        default: &'static str,
        doc: &'static str,
    ) -> Field {
        Field { name, aliases: &[], kind, default, doc }
    }

    #[must_use]
    pub const fn or(mut self, aliases: &'static [&'static str]) -> Field {
        self.aliases = aliases;
        self
    }

    pub fn is_called(&self, key: &str) -> bool {
        self.name == key || self.aliases.contains(&key)
    }
}

impl Shape {
    pub const fn new(
        name: &'static str,
        fields: &'static [Field],
        also: &'static [&'static Shape],
    ) -> Shape {
        Shape { name, fields, also, variants: &[] }
    }

    #[must_use]
    pub const fn of(mut self, variants: &'static [Variant]) -> Shape {
        self.variants = variants;
        self
    }

    /// All fields, the shared ones included.
    pub fn all(&'static self) -> impl Iterator<Item = &'static Field> {
        self.fields.iter().chain(self.also.iter().flat_map(|shape| shape.fields.iter()))
    }

    pub fn find(&'static self, key: &str) -> Option<&'static Field> {
        self.all().find(|field| field.is_called(key))
    }

    /// The known key most like `key`, if any is alike.
    fn nearest(&'static self, key: &str) -> Option<&'static str> {
        let names = self.all().flat_map(|f| f.aliases.iter().copied().chain([f.name]));
        nearest(key, names)
    }
}

/// The candidate most like `word`; `None` if none is alike.
pub fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word: String = word.chars().take(64).collect::<String>().to_lowercase();
    candidates
        .map(|name| (distance(&word, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut left_above = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let best = (left_above + usize::from(x != *y)).min(row[j] + 1).min(row[j + 1] + 1);
            left_above = std::mem::replace(&mut row[j + 1], best);
        }
    }
    row[b.len()]
}

/// How strictly to check.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// Unknown keys are errors.
    pub strict: bool,
}

impl Check {
    /// Whether `value` is of that kind; `path` is how messages call it.
    pub fn value(self, value: Ref<'_>, kind: &'static Kind, path: &str) -> Result<()> {
        match kind {
            kind if kind.takes(value) => Ok(()),
            Kind::Table(shape) if value.is_object() => self.table(value, shape, path),
            Kind::List(item) if value.is_array() => self.list(value, item, path),
            Kind::MapOf(kind) if value.is_object() => self.map(value, kind, path),
            Kind::OneOf(kinds) => self.one_of(value, kinds, path),
            Kind::Absent(what) => Err(absent(path, what)),
            Kind::Any => plain_data(value, path),
            Kind::Map | Kind::Schema if value.is_object() => plain_data(value, path),
            simple if simple.admits(value) => Ok(()),
            _ => Err(mismatch(path, kind, value)),
        }
    }

    fn table(self, table: Ref<'_>, shape: &'static Shape, path: &str) -> Result<()> {
        table.members().try_for_each(|(key, value)| self.member(key.as_str(), value, shape, path))
    }

    /// Whether a member belongs into a table of that shape.
    #[inline]
    pub fn member(
        self,
        key: Option<&str>,
        value: Ref<'_>,
        shape: &'static Shape,
        path: &str,
    ) -> Result<()> {
        let name = key.unwrap_or_default();
        match shape.find(name) {
            Some(_) if value.is_null() => Ok(()),
            Some(field) if field.kind.takes(value) => Ok(()),
            Some(field) => self.value(value, &field.kind, &join(path, name)),
            None if self.strict => Err(unknown_key(path, name, &[shape])),
            None => Ok(()),
        }
    }

    /// Every member that is wrong, and what is wrong with it.
    pub fn each(self, table: Ref<'_>, shape: &'static Shape, path: &str) -> Vec<(String, Error)> {
        let wrong = |(key, value): (Ref<'_>, Ref<'_>)| {
            let error = self.member(key.as_str(), value, shape, path).err()?;
            Some((key.to_text(), error))
        };
        table.members().filter_map(wrong).collect()
    }

    fn list(self, list: Ref<'_>, item: &'static Kind, path: &str) -> Result<()> {
        list.items()
            .enumerate()
            .try_for_each(|(i, value)| self.value(value, item, &format!("{path}[{}]", i + 1)))
    }

    fn map(self, map: Ref<'_>, kind: &'static Kind, path: &str) -> Result<()> {
        if !kind.has_functions() {
            plain_data(map, path)?;
        }
        map.members()
            .filter(|(_, value)| !value.is_null())
            .try_for_each(|(key, value)| self.value(value, kind, &join(path, &key.to_text())))
    }

    fn one_of(self, value: Ref<'_>, kinds: &'static [Kind], path: &str) -> Result<()> {
        let fitting = kinds.iter().find(|kind| kind.looks_like(value));
        match fitting {
            Some(kind) => self.value(value, kind, path),
            None => Err(expected(path, &alternatives(kinds), value)),
        }
    }
}

impl Kind {
    /// Whether a value without known members is of this kind.
    fn admits(&self, value: Ref<'_>) -> bool {
        match self {
            Kind::Any | Kind::Value => true,
            Kind::Bool => value.kind() == Tag::Bool,
            Kind::Text => value.kind() == Tag::Str,
            Kind::Name => value.as_bytes().is_some_and(|text| !text.is_empty()),
            Kind::Number(low, high) => value.as_f64().is_some_and(|n| n >= *low && n <= *high),
            Kind::Int(low, high) => integer(value).is_some_and(|n| n >= *low && n <= *high),
            Kind::Function => value.kind() == Tag::Function,
            Kind::Map | Kind::Open | Kind::Later(_) => value.is_object(),
            Kind::Schema => value.is_object() || matches!(value.kind(), Tag::Str | Tag::Bool),
            Kind::Enum(names) => value.as_str().is_some_and(|s| is_one(s, names)),
            Kind::Id(_) => is_id(value),
            Kind::Handle => value.kind() == Tag::Opaque,
            Kind::Table(_) | Kind::List(_) | Kind::MapOf(_) | Kind::OneOf(_) | Kind::Absent(_) => {
                false
            }
        }
    }

    /// Whether a value is of this kind for certain, told without its path: nearly every value is.
    fn takes(&self, value: Ref<'_>) -> bool {
        match self {
            Kind::Any => !value.tape().has_slots(),
            Kind::Value => true,
            Kind::Map => value.is_object() && !value.tape().has_slots(),
            Kind::Schema => self.admits(value) && !value.tape().has_slots(),
            Kind::List(item) => value.is_array() && value.items().all(|value| item.takes(value)),
            Kind::MapOf(kind) => {
                value.is_object()
                    && value.members().all(|(_, value)| value.is_null() || kind.takes(value))
            }
            Kind::OneOf(kinds) => kinds
                .iter()
                .find(|kind| kind.looks_like(value))
                .is_some_and(|kind| kind.takes(value)),
            simple => simple.admits(value),
        }
    }

    /// Whether values of this kind may hold functions.
    fn has_functions(&self) -> bool {
        match self {
            Kind::Function | Kind::Value | Kind::Table(_) | Kind::Open | Kind::Later(_) => true,
            Kind::List(kind) | Kind::MapOf(kind) => kind.has_functions(),
            Kind::OneOf(kinds) => kinds.iter().any(Kind::has_functions),
            _ => false,
        }
    }

    /// Whether this is the alternative that a value was meant as: decided by its type alone.
    fn looks_like(&self, value: Ref<'_>) -> bool {
        match self {
            Kind::Number(..) | Kind::Int(..) => value.as_f64().is_some(),
            Kind::Table(_) | Kind::MapOf(_) => value.is_object(),
            Kind::List(_) => value.is_array(),
            Kind::OneOf(kinds) => kinds.iter().any(|kind| kind.looks_like(value)),
            kind => kind.admits(value),
        }
    }

    /// What the kind is called in messages: "a number from 0 to 2".
    pub fn describe(&self) -> String {
        match self {
            Kind::Any | Kind::Value => "a value".into(),
            Kind::Bool => "a boolean".into(),
            Kind::Text => "a string".into(),
            Kind::Name => "a non-empty string".into(),
            Kind::Number(low, high) => range("a number", *low, *high),
            Kind::Int(low, high) => range("an integer", *low as f64, *high as f64),
            Kind::Function => "a function".into(),
            Kind::Table(_) | Kind::Map | Kind::Open | Kind::Later(_) => "a table".into(),
            Kind::List(item) => format!("an array ({} each)", item.describe()),
            Kind::MapOf(kind) => format!("a table ({} each)", kind.describe()),
            Kind::Enum(names) => format!("one of {}", listed(names)),
            Kind::Id(what) => format!("the id or name of {what}"),
            Kind::Schema => "a schema (table, JSON text, id or name)".into(),
            Kind::Handle => "a handle".into(),
            Kind::OneOf(kinds) => alternatives(kinds),
            Kind::Absent(_) => "nothing".into(),
        }
    }

    /// The type as LuaCATS writes it.
    pub fn annotation(&self) -> String {
        match self {
            Kind::Any | Kind::Value => "any".into(),
            Kind::Bool => "boolean".into(),
            Kind::Text | Kind::Name | Kind::Id(_) => "string".into(),
            Kind::Number(..) => "number".into(),
            Kind::Int(..) => "integer".into(),
            Kind::Function => "function".into(),
            Kind::Table(shape) | Kind::Later(shape) => format!("zigllms.{}", shape.name),
            Kind::Map | Kind::Open => "table".into(),
            Kind::List(item) => format!("({})[]", item.annotation()),
            Kind::MapOf(kind) => format!("table<string, {}>", kind.annotation()),
            Kind::Enum(names) => {
                names.iter().map(|n| format!("{n:?}")).collect::<Vec<_>>().join("|")
            }
            Kind::Schema => "zigllms.Schema".into(),
            Kind::Handle => "zigllms.Handle".into(),
            Kind::OneOf(kinds) => kinds.iter().map(Kind::annotation).collect::<Vec<_>>().join("|"),
            Kind::Absent(_) => "nil".into(),
        }
    }
}

/// Data go where functions, threads and userdata cannot follow.
fn plain_data(value: Ref<'_>, path: &str) -> Result<()> {
    match value.kind() {
        _ if !value.tape().has_slots() => Ok(()),
        Tag::Function => Err(no_data(path, "function")),
        Tag::Opaque => Err(no_data(path, "userdata or thread")),
        Tag::Array => value
            .items()
            .enumerate()
            .try_for_each(|(i, item)| plain_data(item, &format!("{path}[{}]", i + 1))),
        Tag::Object => value
            .members()
            .try_for_each(|(key, item)| plain_data(item, &join(path, &key.to_text()))),
        _ => Ok(()),
    }
}

fn no_data(path: &str, kind: &str) -> Error {
    Error::new(Code::ConversionError, format!("{path}: a {kind} is not data"))
}

fn absent(path: &str, what: &str) -> Error {
    Error::unsupported(format!("{path}: this version has no {what} yet"))
}

fn alternatives(kinds: &[Kind]) -> String {
    let mut all: Vec<_> = kinds.iter().map(Kind::describe).collect();
    all.dedup();
    all.join(" or ")
}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}

fn range(what: &str, low: f64, high: f64) -> String {
    // Beyond this a bound only says "does not fit", which nobody asked for.
    const OPEN: f64 = 4e15;
    match (low > -OPEN, high < OPEN) {
        (true, true) => format!("{what} from {low} to {high}"),
        (true, false) => format!("{what} of at least {low}"),
        (false, true) => format!("{what} of at most {high}"),
        (false, false) => what.into(),
    }
}

fn is_one(word: &str, names: &[&str]) -> bool {
    names.contains(&word) || names.iter().any(|name| name.eq_ignore_ascii_case(word))
}

fn is_id(value: Ref<'_>) -> bool {
    match value.kind() {
        Tag::Str => true,
        _ => value.get("id").is_some_and(|id| id.kind() == Tag::Str),
    }
}

/// The id in a string or in a table with an `id`.
pub fn id_of(value: Ref<'_>) -> Option<String> {
    match value.kind() {
        Tag::Str => value.as_str().map(str::to_owned),
        _ => value.get("id")?.as_str().map(str::to_owned),
    }
}

fn integer(value: Ref<'_>) -> Option<i64> {
    value.as_i64().or_else(|| {
        let n = value.as_f64()?;
        (n.fract() == 0.0 && n.abs() <= 9_007_199_254_740_992.0).then_some(n as i64)
    })
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn mismatch(path: &str, kind: &Kind, value: Ref<'_>) -> Error {
    let what = match kind {
        // Whoever ran into a bound asks for it, however far off it is.
        Kind::Number(low, high) if value.as_f64().is_some() => {
            format!("a number from {} to {}", bound(*low), bound(*high))
        }
        kind => kind.describe(),
    };
    expected(path, &what, value)
}

fn bound(n: f64) -> String {
    if n.abs() < 1e15 { n.to_string() } else { format!("{n:e}") }
}

/// What is put in the wrong place by mistake may be the very thing that must not be shown.
fn holds_secrets(path: &str) -> bool {
    path.split('.').any(|name| ["headers", "api_key", "proxy"].contains(&name))
}

fn expected(path: &str, what: &str, value: Ref<'_>) -> Error {
    let got = if holds_secrets(path) { veiled(value) } else { shown(value) };
    Error::invalid(format!("{path}: expected {what}, got {got}"))
}

/// What kind of value it is, but not what stands in it.
fn veiled(value: Ref<'_>) -> String {
    match value.kind() {
        Tag::Str => "a string".into(),
        Tag::Int | Tag::Float => "a number".into(),
        _ => shown(value),
    }
}

/// A value as a message shows it.
pub fn shown(value: Ref<'_>) -> String {
    match value.kind() {
        Tag::Null => "nil".into(),
        Tag::Bool => value.as_bool().unwrap_or_default().to_string(),
        Tag::Int | Tag::Float => value.to_json().to_string(),
        Tag::Str => quoted(&value.to_text()),
        Tag::Array => format!("an array of {}", value.len()),
        Tag::Object | Tag::Empty => "a table".into(),
        Tag::Function => "a function".into(),
        Tag::Opaque => "a userdata or thread".into(),
    }
}

/// The error of a key that none of these shapes has.
pub fn unknown_key(path: &str, key: &str, shapes: &[&'static Shape]) -> Error {
    let shown: String = key.chars().take(60).collect();
    let hint = match shapes.iter().find_map(|shape| shape.nearest(key)) {
        Some(name) => format!("did you mean {name:?}?"),
        None if shapes.iter().any(|shape| shape.find("extra").is_some()) => {
            "provider-specific keys go into \"extra\"".to_owned()
        }
        None => {
            let mut names: Vec<_> =
                shapes.iter().flat_map(|shape| shape.all()).map(|field| field.name).collect();
            let mut seen = std::collections::HashSet::new();
            names.retain(|name| seen.insert(*name));
            format!("known keys: {}", names.join(", "))
        }
    };
    Error::invalid(format!("{}: unknown key, {hint}", join(path, &shown)))
}

/// A checked table, read by canonical field names. Null members read as absent.
#[derive(Clone, Copy, Debug)]
pub struct Options<'t> {
    table: Option<Ref<'t>>,
    shape: &'static Shape,
}

impl<'t> Options<'t> {
    pub fn new(table: Option<Ref<'t>>, shape: &'static Shape) -> Options<'t> {
        Options { table, shape }
    }

    /// The member as it is, also null.
    fn raw(&self, name: &str) -> Option<Ref<'t>> {
        let field = self.shape.find(name)?;
        let table = self.table?;
        table
            .members()
            .find(|(key, _)| key.as_str().is_some_and(|k| field.is_called(k)))
            .map(|(_, v)| v)
    }

    pub fn get(&self, name: &str) -> Option<Ref<'t>> {
        self.raw(name).filter(|value| !value.is_null())
    }

    /// Whether the member is null: as an option that means "unset".
    pub fn unsets(&self, name: &str) -> bool {
        self.raw(name).is_some_and(Ref::is_null)
    }

    /// All members as they are.
    pub fn members(&self) -> impl Iterator<Item = (Ref<'t>, Ref<'t>)> {
        self.table.into_iter().flat_map(Ref::members)
    }

    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name)?.as_str().map(str::to_owned)
    }

    pub fn bool(&self, name: &str) -> Option<bool> {
        self.get(name)?.as_bool()
    }

    pub fn int(&self, name: &str) -> Option<i64> {
        integer(self.get(name)?)
    }

    pub fn number(&self, name: &str) -> Option<f64> {
        self.get(name)?.as_f64()
    }

    /// As [`id_of`].
    pub fn id(&self, name: &str) -> Option<String> {
        self.get(name).and_then(id_of)
    }

    pub fn function(&self, name: &str) -> Option<Slot> {
        let value = self.get(name)?;
        (value.kind() == Tag::Function).then(|| value.as_slot().cloned()).flatten()
    }

    /// An enum member in the spelling of its declaration.
    pub fn word(&self, name: &str) -> Option<&'static str> {
        let text = self.get(name)?.as_str()?;
        words(&self.shape.find(name)?.kind).into_iter().find(|word| word.eq_ignore_ascii_case(text))
    }

    /// All given plain fields under their canonical names; null stays null, functions are left
    /// out: they are taken by [`Options::function`].
    pub fn to_map(&self) -> Map<String, Value> {
        let Some(table) = self.table else { return Map::new() };
        let members = table.members().filter(|(_, v)| v.as_slot().is_none());
        members
            .filter_map(|(key, value)| {
                let field = self.shape.find(key.as_str()?)?;
                let value = match (words(&field.kind).as_slice(), value.as_str()) {
                    ([], _) | (_, None) => integral(&field.kind, value),
                    (words, Some(text)) => canonical(words, text),
                };
                Some((field.name.to_owned(), value))
            })
            .collect()
    }
}

/// Whole numbers of integer fields are integers, whatever subtype the engine gave them.
fn integral(kind: &Kind, value: Ref<'_>) -> Value {
    match (kind, integer(value)) {
        (Kind::Int(..), Some(n)) => Value::from(n),
        _ => value.to_json(),
    }
}

fn words(kind: &Kind) -> Vec<&'static str> {
    match kind {
        Kind::Enum(names) => names.to_vec(),
        Kind::OneOf(kinds) => kinds.iter().flat_map(words).collect(),
        _ => Vec::new(),
    }
}

fn canonical(words: &[&'static str], text: &str) -> Value {
    let word = words.iter().find(|word| word.eq_ignore_ascii_case(text));
    Value::from(word.map_or(text, |word| *word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Tape;

    static SHAPE: Shape = Shape::new(
        "Sample",
        &[
            Field::new("temperature", Kind::Number(0.0, 2.0), "", ""),
            Field::new("system_prompt", Kind::Text, "", "").or(&["system"]),
            Field::new("mode", Kind::Enum(&["fast", "slow"]), "", ""),
            Field::new("stop", Kind::OneOf(&[Kind::Text, Kind::List(&Kind::Text)]), "", ""),
        ],
        &[],
    );
    static KIND: Kind = Kind::Table(&SHAPE);

    fn tape(members: &[(&str, Value)]) -> Tape {
        let mut tape = Tape::default();
        let object = tape.open_object();
        for (key, value) in members {
            tape.str(key.as_bytes());
            put(&mut tape, value);
        }
        tape.close(object, members.len());
        tape
    }

    fn put(tape: &mut Tape, value: &Value) {
        match value {
            Value::String(s) => tape.str(s.as_bytes()),
            Value::Number(n) => tape.float(n.as_f64().unwrap()),
            Value::Array(items) => {
                let mark = tape.open_array();
                items.iter().for_each(|item| put(tape, item));
                tape.close(mark, items.len());
            }
            _ => tape.null(),
        }
    }

    fn check(members: &[(&str, Value)]) -> std::result::Result<(), String> {
        let tape = tape(members);
        let check = Check { strict: true };
        check.value(tape.root().unwrap(), &KIND, "config").map_err(|e| e.message().to_owned())
    }

    #[test]
    fn violations_name_path_expectation_and_value() {
        assert_eq!(
            check(&[("temperature", 3.into())]).unwrap_err(),
            "config.temperature: expected a number from 0 to 2, got 3.0"
        );
        assert_eq!(
            check(&[("stop", Value::from(vec![Value::from("a"), Value::from(1)]))]).unwrap_err(),
            "config.stop[2]: expected a string, got 1.0"
        );
        assert_eq!(
            check(&[("mode", "quick".into())]).unwrap_err(),
            r#"config.mode: expected one of "fast", "slow", got "quick""#
        );
    }

    #[test]
    fn an_unknown_key_names_the_nearest() {
        let message = check(&[("temprature", 1.into())]).unwrap_err();
        assert_eq!(message, "config.temprature: unknown key, did you mean \"temperature\"?");
    }

    #[test]
    fn aliases_and_enum_spellings_become_canonical() {
        let tape = tape(&[("system", "x".into()), ("mode", "FAST".into()), ("stop", Value::Null)]);
        let options = Options::new(tape.root(), &SHAPE);
        assert_eq!(options.text("system_prompt").as_deref(), Some("x"));
        assert_eq!(options.word("mode"), Some("fast"));
        assert!(options.get("stop").is_none());
        assert_eq!(
            Value::Object(options.to_map()).to_string(),
            r#"{"system_prompt":"x","mode":"fast","stop":null}"#
        );
    }
}
