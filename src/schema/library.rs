//! The schemas one instance knows: those created under an id, and those compiled as objects.
//! Everything that takes a schema reads it here, in every form it may have.
//!
//! ```
//! use zigllms::optimize::Cache;
//! use zigllms::schema::{Library, Options};
//! use zigllms::value::{Tape, json};
//! let library = Library::default();
//! let mut tape = Tape::default();
//! let given = json::parse(br#"{"type":"integer"}"#, &mut tape).unwrap();
//! let value = json::parse(b"7", &mut tape).unwrap();
//! let mut cache = Cache::default();
//! let schema = library.compile(tape.at(given).unwrap(), &Options::default(), &mut cache).unwrap();
//! assert!(schema.is_valid(tape.at(value).unwrap()));
//! ```

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::bundle::bundle;
use super::{Draft, Options, Schema, from_shorthand, settle_order, tidy};
use crate::error::{Code, Error, Result, quoted};
use crate::optimize::functions::SCHEMA_COMPILE;
use crate::optimize::{Cache, Key, Recall};
use crate::registry::{Named, Registry};
use crate::value::{Kind, Ref};

/// How a compiled object stands on a tape: this and its number. Nobody would name a schema so.
pub const OBJECT: &str = "\u{1}zigllms.schema:";

/// A schema that was created under an id.
#[derive(Debug)]
pub struct Created {
    /// Empty if it has none.
    pub name: String,
    pub source: Value,
    pub draft: Option<Draft>,
    /// It was compiled to be used.
    pub compiled: Cell<bool>,
}

impl Named for Created {
    fn name(&self) -> &str {
        &self.name
    }
}

#[derive(Debug)]
pub struct Library {
    created: Registry<Created>,
    /// Numbers of created schemas by their `$id`.
    uris: BTreeMap<String, u64>,
    /// What references find: created schemas by `$id` and name.
    documents: Arc<BTreeMap<String, Value>>,
    /// Living compiled objects; places of dead ones are used again.
    objects: Vec<Option<Schema>>,
    /// How many of the created ones were compiled to be used.
    uses: Cell<u64>,
}

impl Default for Library {
    fn default() -> Library {
        Library {
            created: Registry::new("schema"),
            uris: BTreeMap::new(),
            documents: Arc::default(),
            objects: Vec::new(),
            uses: Cell::new(0),
        }
    }
}

/// A schema as it was given: its source, and what it is known by.
pub struct Found<'l> {
    pub source: Value,
    pub id: Option<String>,
    pub created: Option<&'l Created>,
    /// It is a compiled object.
    pub compiled: Option<Schema>,
}

impl Library {
    /// Keeps a schema; gives its id. A reference to a document that is not known yet is no error
    /// before the schema is used: documents may refer to each other.
    pub fn create(&mut self, new: Created, replace: bool) -> Result<String> {
        let uri = new.source.get("$id").and_then(Value::as_str).map(plain_uri);
        let same_name = match new.name.as_str() {
            "" => None,
            name => self.number_of(name)?,
        };
        let same_uri = uri.as_ref().and_then(|uri| self.uris.get(uri).copied());
        for (old, word) in [(same_name, &new.name), (same_uri, uri.as_ref().unwrap_or(&new.name))] {
            if old.is_some() && !replace {
                let message = format!("a schema called {} exists: use replace=true", quoted(word));
                return Err(Error::new(Code::AlreadyExists, message));
            }
        }
        let options = self.options(new.draft);
        match Schema::compile_with(&new.source, options) {
            Err(error) if error.code() != Code::Unsupported => return Err(error),
            _ => {}
        }
        [same_name, same_uri].into_iter().flatten().for_each(|number| self.forget(number));
        Ok(self.keep(new, uri))
    }

    fn keep(&mut self, new: Created, uri: Option<String>) -> String {
        let documents = Arc::make_mut(&mut self.documents);
        let name = Some(new.name.clone()).filter(|name| !name.is_empty());
        for key in [name, uri.clone()].into_iter().flatten() {
            documents.insert(key, new.source.clone());
        }
        let number = self.created.insert(new);
        if let Some(uri) = uri {
            self.uris.insert(uri, number);
        }
        self.created.id(number)
    }

    fn forget(&mut self, number: u64) {
        let Some(old) = self.created.remove(number) else { return };
        let documents = Arc::make_mut(&mut self.documents);
        documents.remove(&old.name);
        self.uris.retain(|uri, n| {
            if *n == number {
                documents.remove(uri);
            }
            *n != number
        });
    }

    fn number_of(&self, key: &str) -> Result<Option<u64>> {
        let by_uri = || self.uris.get(key.trim_end_matches('#')).copied();
        Ok(self.created.find(key)?.or_else(by_uri))
    }

    /// Options by which a schema of this library is compiled.
    pub fn options(&self, draft: Option<Draft>) -> Options {
        Options { draft, documents: Arc::clone(&self.documents), ..Options::default() }
    }

    /// The given documents and those of the library; the given ones win.
    pub fn with_documents(&self, given: BTreeMap<String, Value>) -> Arc<BTreeMap<String, Value>> {
        if given.is_empty() {
            return Arc::clone(&self.documents);
        }
        let mut all = BTreeMap::clone(&self.documents);
        all.extend(given);
        Arc::new(all)
    }

    /// A schema in any form: a JSON Schema or its short form, JSON text, a boolean, an id, a name,
    /// a compiled object. Compiling takes hundreds of times as long as looking a schema up: a
    /// program that passes the same table with every call should not notice that there is a
    /// difference.
    pub fn compile(&self, given: Ref<'_>, options: &Options, cache: &mut Cache) -> Result<Schema> {
        if let Some(schema) = self.object_as_it_is(given, options) {
            return Ok(schema.clone());
        }
        if !cache.is_on(SCHEMA_COMPILE) {
            return self.compile_anew(given, options);
        }
        let recall = Recall::new(key(given, options), [self.changes(), 0, 0, 0]);
        if let Some(schema) = cache.find(&recall) {
            return Ok(schema);
        }
        let schema = self.compile_anew(given, options)?;
        cache.keep(recall, weight(given), schema.clone());
        Ok(schema)
    }

    /// Another number after any change of the schemas that are known by name.
    pub fn changes(&self) -> u64 {
        self.created.changes()
    }

    /// Another number after a created schema was first compiled to be used.
    pub fn uses(&self) -> u64 {
        self.uses.get()
    }

    fn compile_anew(&self, given: Ref<'_>, options: &Options) -> Result<Schema> {
        let found = self.find(given)?;
        let mut options = options.clone();
        options.draft = options.draft.or(found.created.and_then(|created| created.draft));
        options.documents = match options.documents.is_empty() {
            true => Arc::clone(&self.documents),
            false => options.documents,
        };
        let schema = Schema::compile_with(&found.source, options)?;
        if found.created.is_some_and(|created| !created.compiled.replace(true)) {
            self.uses.set(self.uses.get() + 1);
        }
        Ok(schema)
    }

    /// The compiled object itself, where no option asks for another reading of it.
    fn object_as_it_is(&self, given: Ref<'_>, options: &Options) -> Option<&Schema> {
        let schema = self.object(number_in(given.as_str()?)?)?;
        options.is_plain().then_some(schema)
    }

    /// The plain JSON Schema that is meant.
    pub fn source(&self, given: Ref<'_>) -> Result<Value> {
        self.find(given).map(|found| found.source)
    }

    /// As [`Library::source`], in one piece: for those who know no other documents.
    pub fn whole(&self, given: &Value) -> Result<Value> {
        let mut source = match given {
            Value::String(text) => self.find_text(text)?.source,
            Value::Object(_) => in_order(given.clone()),
            given => given.clone(),
        };
        bundle(&mut source, &self.documents);
        Ok(source)
    }

    /// An option that says what an answer has to look like: "json", or a schema in any form. What
    /// is known here by a name is put in its place.
    pub fn resolve_format(&self, format: &mut Value) -> Result<()> {
        match format {
            Value::String(word) if word.eq_ignore_ascii_case("json") || is_text(word) => {}
            Value::String(_) => *format = self.whole(format)?,
            Value::Object(members) => match wrapped_schema(members) {
                Some(inner) => *inner = self.whole(inner)?,
                None => bundle(format, &self.documents),
            },
            _ => {}
        }
        Ok(())
    }

    pub fn find(&self, given: Ref<'_>) -> Result<Found<'_>> {
        let source = match given.kind() {
            Kind::Str => return self.find_text(&given.to_text()),
            Kind::Bool => given.to_json(),
            Kind::Object | Kind::Empty => in_order(given.to_json()),
            _ => return Err(Error::invalid("expected a schema")),
        };
        Ok(Found { source, id: None, created: None, compiled: None })
    }

    fn find_text(&self, text: &str) -> Result<Found<'_>> {
        let bare = |source| Found { source, id: None, created: None, compiled: None };
        if let Some(number) = number_in(text) {
            let schema = self.object(number).ok_or_else(|| Error::not_found("schema", text))?;
            let compiled = Some(schema.clone());
            return Ok(Found { compiled, ..bare(schema.source().clone()) });
        }
        if let Some(number) = self.number_of(text)? {
            let created = self.created.get(number);
            let source = created.map(|c| c.source.clone()).unwrap_or_default();
            return Ok(Found { created, id: Some(self.created.id(number)), ..bare(source) });
        }
        from_text(text).map(bare)
    }

    /// Keeps a compiled schema for a Lua object; gives its number.
    pub fn hold(&mut self, schema: Schema) -> usize {
        let free = self.objects.iter().position(Option::is_none);
        let number = free.unwrap_or(self.objects.len());
        match self.objects.get_mut(number) {
            Some(place) => *place = Some(schema),
            None => self.objects.push(Some(schema)),
        }
        number
    }

    /// As [`Library::hold`], for an object that another library holds; the same one gets the same
    /// number again.
    pub fn adopt(&mut self, schema: Schema) -> usize {
        let known = |place: &Option<Schema>| place.as_ref().is_some_and(|s| s.is_same(&schema));
        match self.objects.iter().position(known) {
            Some(number) => number,
            None => self.hold(schema),
        }
    }

    pub fn object(&self, number: usize) -> Option<&Schema> {
        self.objects.get(number)?.as_ref()
    }

    /// The Lua object is gone.
    pub fn release(&mut self, number: usize) {
        if let Some(place) = self.objects.get_mut(number) {
            *place = None;
        }
    }

    /// Drops what was created. Compiled objects live as long as Lua holds them.
    pub fn clear(&mut self) {
        self.created.clear();
        self.uris.clear();
        self.documents = Arc::default();
    }
}

/// A schema and its options as a question.
fn key(given: Ref<'_>, options: &Options) -> Key {
    let mut key = Key::of(SCHEMA_COMPILE);
    key.option(options.draft, |key, draft| key.int(draft as i64));
    key.bool(options.formats);
    key.value(given);
    for (uri, document) in options.documents.iter() {
        key.text(uri);
        key.json(document);
    }
    key
}

/// Bytes that a compiled schema takes, about: what its nodes point to is many times its text.
fn weight(given: Ref<'_>) -> usize {
    1024 + 8 * given.text_size()
}

/// The number behind [`OBJECT`].
fn number_in(text: &str) -> Option<usize> {
    text.strip_prefix(OBJECT)?.parse().ok()
}

fn plain_uri(uri: &str) -> String {
    uri.trim_end_matches('#').to_owned()
}

/// A schema that was a Lua table: empty tables resolved, keys in a fixed order.
fn in_order(mut given: Value) -> Value {
    given.sort_all_objects();
    let mut source = from_shorthand(&given).unwrap_or(given);
    tidy(&mut source);
    settle_order(&mut source);
    source
}

/// Whether a text is a schema itself, not the name of one.
fn is_text(text: &str) -> bool {
    let text = text.trim();
    text.starts_with('{') || matches!(text, "true" | "false")
}

/// The schema in `{type="json_schema", …}`, where it is known by a name.
fn wrapped_schema(format: &mut Map<String, Value>) -> Option<&mut Value> {
    if format.get("type").and_then(Value::as_str) != Some("json_schema") {
        return None;
    }
    let place = match format.get("json_schema") {
        Some(Value::Object(_)) => format.get_mut("json_schema")?.as_object_mut()?,
        _ => format,
    };
    place.get_mut("schema").filter(|schema| schema.is_string())
}

/// JSON text of a schema; other words would have been names.
fn from_text(text: &str) -> Result<Value> {
    if !is_text(text) {
        return Err(Error::not_found("schema", text));
    }
    let parsed: Value = serde_json::from_str(text).map_err(|e| {
        Error::new(Code::ValidationFailed, format!("invalid schema: not JSON: {e}"))
    })?;
    let mut source = from_shorthand(&parsed).unwrap_or(parsed);
    tidy(&mut source);
    Ok(source)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::value::{Tape, json as text};

    fn with<T>(value: &Value, run: impl FnOnce(Ref<'_>) -> T) -> T {
        let mut tape = Tape::default();
        let at = text::put(value, &mut tape);
        run(tape.view(at))
    }

    fn create(library: &mut Library, name: &str, source: Value) -> Result<String> {
        library.create(
            Created { name: name.into(), source, draft: None, compiled: Cell::default() },
            false,
        )
    }

    #[test]
    fn one_schema_has_many_forms() {
        let mut library = Library::default();
        let id = create(&mut library, "age", json!({"$id": "https://x.y/age", "type": "integer"}));
        let object = library.hold(Schema::compile(&json!({"type": "integer"})).unwrap());
        for form in [
            json!({"type": "integer"}),
            json!(r#"{"type":"integer"}"#),
            json!(id.unwrap()),
            json!("age"),
            json!("https://x.y/age"),
            json!({"$ref": "age"}),
            json!({"$ref": "https://x.y/age"}),
            json!(format!("{OBJECT}{object}")),
        ] {
            let schema = with(&form, |form| {
                library.compile(form, &Options::default(), &mut Cache::default())
            })
            .unwrap();
            assert!(with(&json!(1), |value| schema.is_valid(value)), "{form}");
            assert!(!with(&json!("x"), |value| schema.is_valid(value)), "{form}");
        }
    }

    #[test]
    fn names_are_unique_and_unknown_ones_are_not_found() {
        let mut library = Library::default();
        create(&mut library, "a", json!(true)).unwrap();
        let error = create(&mut library, "a", json!(true)).unwrap_err();
        assert_eq!(error.code(), Code::AlreadyExists);
        let found = with(&json!("b"), |form| library.source(form)).unwrap_err();
        assert_eq!(found.code(), Code::NotFound);
        let bad = create(&mut library, "b", json!({"type": "colour"})).unwrap_err();
        assert_eq!(bad.code(), Code::ValidationFailed);
    }

    #[test]
    fn schemas_may_be_created_before_what_they_refer_to() {
        let mut library = Library::default();
        create(&mut library, "tree", json!({"items": {"$ref": "leaf"}})).unwrap();
        let early = with(&json!("tree"), |form| {
            library.compile(form, &Options::default(), &mut Cache::default())
        });
        assert_eq!(early.err().map(|e| e.code()), Some(Code::Unsupported));
        create(&mut library, "leaf", json!({"type": "string"})).unwrap();
        let schema = with(&json!("tree"), |form| {
            library.compile(form, &Options::default(), &mut Cache::default())
        });
        assert!(with(&json!([1]), |value| !schema.unwrap().is_valid(value)));
    }

    #[test]
    fn equal_schemas_are_compiled_once() {
        let (library, mut cache) = (Library::default(), Cache::default());
        let mut compile = |schema: &Value| {
            with(schema, |form| library.compile(form, &Options::default(), &mut cache)).unwrap()
        };
        let (one, other) = (compile(&json!({"minimum": 1})), compile(&json!({"minimum": 1})));
        assert!(one.is_same(&other));
        assert!(!one.is_same(&compile(&json!({"minimum": 2}))));
    }
}
