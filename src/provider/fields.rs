//! What the request bodies of all protocols have in common.

use serde_json::{Map, Value, json};

use super::documents;
use super::question::{Listing, Model};
use super::wire::{Endpoint, Outgoing};
use crate::chat::{Cache, Content, Message, Part, Request, Role, Source};
use crate::error::{Error, Result};
use crate::schema::{dialect, tidy};
use crate::value::Ref;
use crate::value::percent::encoded;

pub type Object = Map<String, Value>;

/// The body of a request, with no more than the model.
pub fn body_for(request: &Request) -> Object {
    Object::from_iter([("model".to_owned(), request.model.as_str().into())])
}

/// A member, if there is a value.
pub fn set(object: &mut Object, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        object.insert(key.into(), value.into());
    }
}

/// A list, if it is not empty.
pub fn set_list(object: &mut Object, key: &str, texts: &[String]) {
    if !texts.is_empty() {
        object.insert(key.into(), texts.into());
    }
}

/// The user's own members win; `null` takes one out.
pub fn overlay(body: &mut Object, extra: &Object) {
    for (key, value) in extra {
        match value {
            Value::Null => body.shift_remove(key),
            value => body.insert(key.clone(), value.clone()),
        };
    }
}

/// The first option in the list that is set and cannot be said in this protocol, as an error.
pub fn refuse(options: &[(&str, bool)]) -> Result<()> {
    match options.iter().find(|(_, is_set)| *is_set) {
        None => Ok(()),
        Some((name, _)) => Err(Error::unsupported(format!(
            "{name} is not offered by this provider's interface; leave it out"
        ))),
    }
}

/// A mark of the usual kind asks for what these servers do by themselves; a measure of its own
/// cannot be told to them.
pub fn automatic_cache(cache: &Cache) -> Result<()> {
    match &cache.ttl {
        None => Ok(()),
        Some(ttl) => Err(Error::unsupported(format!(
            "cache={ttl:?}: this provider keeps prompts by its own measure; use cache=true"
        ))),
    }
}

/// A POST of `body` to `path` behind the base.
pub fn post(endpoint: &Endpoint, path: &str, body: Object, accept: &str) -> Outgoing {
    let mut outgoing = outgoing("POST", endpoint, path);
    outgoing.body = Value::Object(body).to_string().into_bytes();
    outgoing.headers.push(("Content-Type".into(), "application/json".into()));
    if !accept.is_empty() {
        outgoing.headers.push(("Accept".into(), accept.into()));
    }
    outgoing
}

/// What a streamed answer is asked to be.
pub fn accepted(request: &Request) -> &'static str {
    if request.stream { "text/event-stream" } else { "" }
}

pub fn outgoing(method: &'static str, endpoint: &Endpoint, path: &str) -> Outgoing {
    let url = joined(&endpoint.base_url, path);
    Outgoing { method, url, headers: endpoint.headers.clone(), body: Vec::new() }
}

/// A base may carry a query (`?api-version=…`): the path goes before it.
fn joined(base: &str, path: &str) -> String {
    let (base, query) = base.split_once('?').map_or((base, None), |(b, query)| (b, Some(query)));
    let base = base.trim_end_matches('/');
    let Some(query) = query else { return format!("{base}{path}") };
    let mark = if path.contains('?') { '&' } else { '?' };
    format!("{base}{path}{mark}{query}")
}

/// The same endpoint without a last part of its path, such as `/v1`.
pub fn without(endpoint: &Endpoint, last: &[&str]) -> Endpoint {
    let base = endpoint.base_url.trim_end_matches('/');
    let base = last.iter().find_map(|last| base.strip_suffix(last)).unwrap_or(base);
    Endpoint { base_url: base.to_owned(), ..endpoint.clone() }
}

/// A schema as servers want it.
pub fn tidied(schema: &Value) -> Value {
    let mut schema = schema.clone();
    tidy(&mut schema);
    schema
}

/// A schema that can be sealed is, so that the server enforces it; and whether it is.
pub fn sealed_or_tidied(schema: &Value) -> (Value, bool) {
    match dialect::sealed(schema) {
        Some(sealed) => (sealed, true),
        None => (tidied(schema), false),
    }
}

/// Servers want an object here, with its kind and its properties named.
pub fn parameters(schema: &Value) -> Value {
    let mut schema = tidied(schema);
    if !schema.is_object() {
        schema = json!({});
    }
    if let Some(members) = schema.as_object_mut()
        && !["$ref", "anyOf", "oneOf", "allOf"].iter().any(|key| members.contains_key(*key))
    {
        members.entry("type").or_insert("object".into());
        members.entry("properties").or_insert(json!({}));
    }
    schema
}

/// Names of schemas have letters, digits, `_` and `-`, at most 64.
pub fn schema_name(name: &str) -> String {
    let fits = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let name: String = name.chars().take(64).map(fits).collect();
    if name.is_empty() { "response".into() } else { name }
}

/// A message of the system, as most protocols have it.
pub fn system(text: String) -> Value {
    json!({ "role": "system", "content": text })
}

/// Each message in the form of a protocol; what cannot be said names the message.
pub fn each_message<T>(
    messages: &[Message],
    mut one: impl FnMut(&Message) -> Result<T>,
) -> Result<Vec<T>> {
    let numbered = messages.iter().enumerate();
    numbered.map(|(i, m)| one(m).map_err(|e| e.at(&format!("messages[{}]", i + 1)))).collect()
}

/// The call that a tool message answers.
pub fn answered(message: &Message) -> Result<&str> {
    let id = message.tool_call_id.as_deref();
    id.ok_or_else(|| Error::invalid("tool_call_id is missing"))
}

/// Messages have no names in this protocol; that of a result of a tool is the name of the tool.
pub fn nameless(message: &Message) -> Result<()> {
    match message.name {
        Some(_) if message.role != Role::Tool => Err(not_in("a name", message.role)),
        _ => Ok(()),
    }
}

/// An image as a part of a message, in the form OpenAI gave it.
pub fn image_url(source: &Source, detail: Option<&str>) -> Value {
    let mut image = Object::new();
    image.insert("url".into(), source.to_url().into());
    set(&mut image, "detail", detail);
    json!({ "type": "image_url", "image_url": image })
}

pub fn not_in(what: &str, role: Role) -> Error {
    Error::unsupported(format!("{what} in a message of role {:?}", role.name()))
}

/// The parts of a message, a text being one of them.
pub fn parts(content: &Content) -> Vec<Part> {
    match content {
        Content::Text(text) if text.is_empty() => Vec::new(),
        Content::Text(text) => vec![Part::Text(text.clone())],
        Content::Parts(parts) => parts.clone(),
    }
}

/// What an earlier answer asked to have returned by this protocol.
pub fn kept<'m>(message: &'m Message, wire: &str) -> Option<&'m Value> {
    message.blocks.as_ref()?.get(wire)
}

/// The models in a list, wherever it lies, and the mark after which it continues.
pub fn list_of_models(
    body: &[u8],
    model: impl Fn(&Value) -> Option<Model>,
    next: impl for<'t> Fn(Ref<'t>) -> Option<Ref<'t>>,
) -> Result<Listing> {
    documents::read(body, "the list of models", |document| {
        let places = [document.get("data"), document.get("models"), Some(document)];
        let list = places.into_iter().flatten().find(|place| place.is_array())?;
        let next = next(document).and_then(Ref::as_str).filter(|mark| !mark.is_empty());
        Some(Listing {
            models: list.items().filter_map(|item| model(&item.to_json())).collect(),
            next: next.map(str::to_owned),
        })
    })
}

/// A path with a query, and in it the mark after which a list continues.
pub fn page(path: &str, key: &str, after: Option<&str>) -> String {
    after.map_or_else(|| path.to_owned(), |mark| format!("{path}&{key}={}", encoded(mark)))
}

/// Unix seconds of a date as `2025-02-19T12:00:00Z`.
pub fn unix(date: &str) -> Option<f64> {
    let (day, time) = date.split_once('T')?;
    let mut day = day.split('-').map(|n| n.parse::<i64>().ok());
    let (year, month, day) = (day.next()??, day.next()??, day.next()??);
    let time = time.get(..8).unwrap_or("00:00:00");
    let seconds = time.split(':').try_fold(0, |sum, n| Some(sum * 60 + n.parse::<i64>().ok()?))?;
    // Years that begin in March: leap days stand at their end.
    let shifted = if month > 2 { year } else { year - 1 };
    let in_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let leap_days = shifted.div_euclid(4) - shifted.div_euclid(100) + shifted.div_euclid(400);
    Some(((365 * shifted + leap_days + in_year - 719_468) * 86_400 + seconds) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_seconds() {
        assert_eq!(unix("1970-01-01T00:00:00Z"), Some(0.0));
        assert_eq!(unix("2024-02-29T12:00:01.5Z"), Some(1_709_208_001.0));
        assert_eq!(unix("soon"), None);
    }

    #[test]
    fn marks_of_pages_are_escaped() {
        assert_eq!(page("/m?n=1", "after", None), "/m?n=1");
        assert_eq!(page("/m?n=1", "after", Some("a/b =ü")), "/m?n=1&after=a%2Fb%20%3D%C3%BC");
    }

    #[test]
    fn paths_stand_before_a_query() {
        assert_eq!(joined("http://h/v1/", "/models"), "http://h/v1/models");
        assert_eq!(joined("http://h?key=1", "/models?limit=2"), "http://h/models?limit=2&key=1");
        let endpoint = Endpoint { base_url: "http://h/x/v1/".into(), ..Endpoint::default() };
        assert_eq!(without(&endpoint, &["/v1"]).base_url, "http://h/x");
    }
}
