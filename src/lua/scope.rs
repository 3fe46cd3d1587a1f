//! What `templates.lua` asks of the core: templates and conditions, read and judged.

use crate::error::{Code, Error, Result, quoted};
use crate::shape::Kind;
use crate::value::{Data, Key, Record};
use crate::workflow::template::{Filter, Hole, Part};
use crate::workflow::{Condition, Template, matches};

use super::args::Args;
use super::bridge::{Param, Read};
use super::inner::Inner;
use super::instance::Instance;

const TEXT: Param = Param::new("text", Kind::Text);

pub static INNER: &[Inner] = &[
    Inner { name: "template", params: &[TEXT], run: template },
    Inner { name: "condition_templates", params: &[TEXT], run: condition_templates },
    Inner {
        name: "judge",
        params: &[TEXT, Param::new("values", Kind::Any).read(Read::Data)],
        run: judge,
    },
];

/// template(text) → its parts
fn template(_: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let template = Template::parse(args.text(0).unwrap_or_default()).map_err(wrong)?;
    Ok(parts(&template))
}

/// condition_templates(text) → the parts of its templates, in order
fn condition_templates(_: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let condition = Condition::parse(args.text(0).unwrap_or_default()).map_err(wrong)?;
    Ok(Data::List(condition.templates.iter().map(parts).collect()))
}

/// Texts and holes.
fn parts(template: &Template) -> Data {
    let part = |part: &Part| match part {
        Part::Text(text) => Data::from(text.as_str()),
        Part::Hole(hole) => record(hole).into(),
    };
    Data::List(template.parts.iter().map(part).collect())
}

fn wrong(why: String) -> Error {
    Error::new(Code::TemplateError, why)
}

/// `{source, path, names, filters, has_default, default?}`: `names` are the steps of the path as
/// they are written.
fn record(hole: &Hole) -> Record {
    let steps = hole.steps();
    let names: Vec<Data> = steps.iter().enumerate().map(|(i, key)| shown(i, key)).collect();
    let path: Vec<Data> = steps.iter().map(key).collect();
    let filters = hole.filters.iter().filter_map(|filter| match filter {
        Filter::Json => Some("json"),
        Filter::Trim => Some("trim"),
        Filter::Default(_) => None,
    });
    let default = hole.filters.iter().find_map(|filter| match filter {
        Filter::Default(value) => Some(value.clone()),
        _ => None,
    });
    Record::new()
        .set("source", hole.source.as_str())
        .set("path", Data::List(path))
        .set("names", Data::List(names))
        .set("filters", Data::List(filters.map(Data::from).collect()))
        .set("has_default", default.is_some())
        .set("default", default.filter(|value| !value.is_null()))
}

fn key(key: &Key) -> Data {
    match key {
        Key::Name(name) => Data::from(name.as_str()),
        Key::Index(index) => Data::from(index + 1),
    }
}

fn shown(i: usize, key: &Key) -> Data {
    Data::from(match key {
        Key::Name(name) if i == 0 => name.clone(),
        Key::Name(name) => format!(".{name}"),
        Key::Index(index) => format!("[{}]", index + 1),
    })
}

/// judge(condition, values of its holes) → whether it holds
fn judge(_: &mut Instance, args: &Args<'_>) -> Result<Data> {
    let condition = Condition::parse(args.text(0).unwrap_or_default()).map_err(wrong)?;
    let items = args.get(1).into_iter().flat_map(|values| values.items());
    let values: Vec<_> = items.map(|v| Some(v.to_json()).filter(|v| !v.is_null())).collect();
    let holds = condition.holds(&values, &matches);
    holds
        .map(Data::Bool)
        .map_err(|why| wrong(format!("condition {}: {why}", quoted(&condition.text))))
}
