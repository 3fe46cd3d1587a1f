//! Which recorded events are meant.

use super::Recorded;
use crate::error::Result;
use crate::event::{Category, Pattern, Priority};
use crate::value::path::Path;
use crate::value::tape::Kind;
use crate::value::{Document, Key, Ref};

#[derive(Debug, Default)]
pub struct Criteria {
    pub pattern: Option<Pattern>,
    pub category: Option<Category>,
    pub priority: Option<Priority>,
    pub min_priority: Option<Priority>,
    pub source: Option<String>,
    /// Unix seconds, both of them included.
    pub since: Option<f64>,
    pub until: Option<f64>,
    /// What stands where; null: nothing does.
    pub fields: Vec<(Path, Document)>,
}

impl Criteria {
    pub fn of(pattern: Option<Pattern>) -> Criteria {
        Criteria { pattern, ..Criteria::default() }
    }

    /// Whether an event is one of them.
    pub fn take(&self, event: &Recorded) -> Result<bool> {
        if self.pattern.as_ref().is_some_and(|pattern| !pattern.matches(event.name())) {
            return Ok(false);
        }
        if self.asks_for_name_only() {
            return Ok(true);
        }
        let event = event.document(false)?;
        Ok(event.value().is_some_and(|event| self.fits(event)))
    }

    fn asks_for_name_only(&self) -> bool {
        self.category.is_none()
            && self.priority.or(self.min_priority).is_none()
            && self.source.is_none()
            && self.since.or(self.until).is_none()
            && self.fields.is_empty()
    }

    fn fits(&self, event: Ref<'_>) -> bool {
        let text = |field| event.get(field).and_then(Ref::as_str);
        let is =
            |field, wanted: Option<&str>| wanted.is_none_or(|wanted| text(field) == Some(wanted));
        let priority = || text("priority").and_then(Priority::parse);
        let at = event.get("timestamp").and_then(Ref::as_f64);
        is("category", self.category.map(Category::name))
            && is("source", self.source.as_deref())
            && self.priority.is_none_or(|wanted| priority() == Some(wanted))
            && self.min_priority.is_none_or(|least| priority() >= Some(least))
            && self.since.is_none_or(|since| at.is_some_and(|at| at >= since))
            && self.until.is_none_or(|until| at.is_some_and(|at| at <= until))
            && self.fields.iter().all(|(path, wanted)| stands(event, path, wanted))
    }
}

fn stands(event: Ref<'_>, path: &Path, wanted: &Document) -> bool {
    let found = path.steps.iter().try_fold(event, |value, step| match step {
        Key::Name(name) => value.get(name),
        Key::Index(index) => value.items().nth(*index),
    });
    let found = found.filter(|value| !value.is_null());
    match (found, wanted.value().filter(|value| !value.is_null())) {
        (Some(found), Some(wanted)) => same(found, wanted),
        (None, None) => true,
        _ => false,
    }
}

/// Whether two values are the same, whatever kind of number and in whatever order.
fn same(a: Ref<'_>, b: Ref<'_>) -> bool {
    if let (Some(a), Some(b)) = (a.as_i64(), b.as_i64()) {
        return a == b;
    }
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => return a == b,
        (None, None) => {}
        _ => return false,
    }
    match a.kind() {
        Kind::Str => a.as_bytes() == b.as_bytes(),
        Kind::Bool => a.as_bool() == b.as_bool(),
        Kind::Null => b.is_null(),
        _ if a.is_empty() && b.is_empty() => {
            a.is_array() && b.is_array() || a.is_object() && b.is_object()
        }
        Kind::Array => {
            b.kind() == Kind::Array
                && a.len() == b.len()
                && a.items().zip(b.items()).all(|(a, b)| same(a, b))
        }
        Kind::Object => b.kind() == Kind::Object && a.len() == b.len() && same_members(a, b),
        _ => false,
    }
}

fn same_members(a: Ref<'_>, b: Ref<'_>) -> bool {
    a.members().all(|(name, value)| {
        let named = |(other, _): &(Ref<'_>, Ref<'_>)| other.as_bytes() == name.as_bytes();
        b.members().find(named).is_some_and(|(_, other)| same(value, other))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Tape, json};

    fn document(text: &str) -> Document {
        let mut tape = Tape::default();
        let root = json::parse(text.as_bytes(), &mut tape).unwrap();
        Document { tape, root }
    }

    fn takes(criteria: &Criteria) -> bool {
        let event = document(
            r#"{"type":"order.paid","category":"user","priority":"high","source":"shop",
                "timestamp":10.5,"data":{"n":1,"items":[{"id":"a"}],"o":{"x":1,"y":[]}}}"#,
        );
        criteria.take(&Recorded::of(event.value().unwrap()).unwrap()).unwrap()
    }

    fn field(path: &str, value: &str) -> Criteria {
        let fields = vec![(Path::parse(path).unwrap(), document(value))];
        Criteria { fields, ..Criteria::default() }
    }

    #[test]
    fn every_criterion_takes_and_refuses() {
        let all = Criteria::default;
        assert!(takes(&all()));
        let pattern = |text| Criteria::of(Some(Pattern::parse(text).unwrap()));
        assert!(takes(&pattern("order.*")) && !takes(&pattern("user.*")));
        let word = |text: &str| Some(text.to_owned());
        assert!(takes(&Criteria { category: Some(Category::User), ..all() }));
        assert!(!takes(&Criteria { category: Some(Category::Tool), ..all() }));
        assert!(takes(&Criteria { source: word("shop"), ..all() }));
        assert!(!takes(&Criteria { source: word("sho"), ..all() }));
        assert!(takes(&Criteria { priority: Some(Priority::High), ..all() }));
        assert!(!takes(&Criteria { priority: Some(Priority::Normal), ..all() }));
        assert!(takes(&Criteria { min_priority: Some(Priority::Normal), ..all() }));
        assert!(!takes(&Criteria { min_priority: Some(Priority::Critical), ..all() }));
        assert!(takes(&Criteria { since: Some(10.5), until: Some(10.5), ..all() }));
        assert!(!takes(&Criteria { since: Some(10.6), ..all() }));
        assert!(!takes(&Criteria { until: Some(10.4), ..all() }));
    }

    #[test]
    fn fields_are_compared_by_value() {
        assert!(takes(&field("data.n", "1.0")) && !takes(&field("data.n", "\"1\"")));
        assert!(takes(&field("data.items[1].id", "\"a\"")));
        assert!(!takes(&field("data.items[2].id", "\"a\"")));
        assert!(takes(&field("data.o", r#"{"y":{},"x":1}"#)) || takes(&field("data.o.y", "[]")));
        assert!(!takes(&field("data.o", r#"{"x":1}"#)));
        assert!(takes(&field("data.none", "null")) && !takes(&field("data.n", "null")));
    }
}
