//! Looking at tools: which there are, what they take, whether a definition or an input is sound.

use super::TOOL;
use crate::error::{Code, Error, Result};
use crate::lua::args::Args;
use crate::lua::bridge::{Effect, Function, Param, Read, Run};
use crate::lua::filters::LIST;
use crate::provider::tool_for;
use crate::runtime::Runtime;
use crate::shape::{Check, Field, Kind, Options, Shape, id_of};
use crate::tool::Tool;
use crate::tool::Usable;
use crate::tool::check::{self, Flaw};
use crate::value::{Data, Ref, glob};

pub static FILTER: Shape = Shape::new(
    "ToolFilter",
    &[
        Field::new("category", Kind::Text, "", "tools of this category"),
        Field::new("tags", Kind::List(&Kind::Text), "", "tools that have all of these"),
        Field::new(
            "capabilities",
            Kind::List(&Kind::Enum(&["network", "filesystem", "asynchronous"])),
            "",
            "tools that are known to need all of these",
        ),
        Field::new("name_pattern", Kind::Text, "", "as `name`"),
        Field::new(
            "source",
            Kind::Enum(&["builtin", "script", "declared", "mcp"]),
            "",
            "who does the work",
        ),
    ],
    &[&LIST],
);

const FILTERING: Kind = Kind::OneOf(&[Kind::Text, Kind::Table(&FILTER)]);

pub const FILTERED: Param = Param::new("filter", FILTERING).optional();

pub const DISCOVER: Function = Function {
    name: "discover",
    params: &[FILTERED],
    returns: &[("tools", "table[]")],
    doc: "Every tool that can be used by name: built-in ones, then those registered, as `{id, name, description, \
          category, source, tags}`. Built-in ones have no id, and go by their name (also among `ids`); one whose name a registered tool has is hidden. \
          The filter is a category or a table.",
    errors: &[],
    effect: Effect::Reads("tools"),
    example: "for _, tool in ipairs(zigllms.tool.discover(\"data\")) do print(tool.name, tool.description) end",
    run: Run::Now(discover),
};

pub const VALIDATE: Function = Function {
    name: "validate",
    params: &[
        Param::new("definition", Kind::OneOf(&[Kind::Text, Kind::Open])).read(Read::Inspected),
        Param::new("input", Kind::Any).optional().read(Read::Both),
    ],
    returns: &[("result", "table")],
    doc: "Says what is wrong with a definition (a table), or with an input of a tool (its id or name first, then the input), \
          without calling anything: `{valid, errors, warnings}`, each error `{path, message, keyword}` with a JSON pointer. \
          What is wrong is no error; the result is a table, so test `.valid`.",
    errors: &[Code::NotFound],
    effect: Effect::Reads("tools"),
    example: "local result = zigllms.tool.validate{ name = \"two words\", timeout_ms = -1 }\n\
              assert(not result.valid and #result.errors == 2)",
    run: Run::Now(validate),
};

pub const GET_SCHEMA: Function = Function {
    name: "get_schema",
    params: &[
        TOOL,
        Param::new("format", Kind::Enum(&["openai", "anthropic", "cohere", "mcp"])).optional(),
    ],
    returns: &[("schema", "table")],
    doc: "What a tool takes and gives: `{name, description, parameters, returns, input, output}`, where `input` is \
          `parameters` and `output` is `returns`. With a format: the tool as requests in that protocol carry it.",
    errors: &[Code::NotFound],
    effect: Effect::Reads("tools"),
    example: "zigllms.tool.register{ name = \"roll\", parameters = { type = \"object\", properties = { sides = { type = \"integer\" } } } }\n\
              assert(zigllms.tool.get_schema(\"roll\", \"anthropic\").input_schema.properties.sides)",
    run: Run::Now(get_schema),
};

pub const GET_INFO: Function = Function {
    name: "get_info",
    params: &[TOOL],
    returns: &[("info", "table")],
    doc: "What is known of a tool: `{id, name, description, category, type, has_execute, execution_mode, version, \
          tags, parameters, call_count, error_count, avg_time_ms, last_called_at, registered_at, metadata}`. The type says \
          who does the work: \"script\", \"builtin\", \"declared\" (a client) or \"mcp\". The id of a built-in tool is its name.",
    errors: &[Code::NotFound],
    effect: Effect::Reads("tools"),
    example: "local id = zigllms.tool.register{ name = \"twice\", execute = function(input) return input.n * 2 end }\n\
              zigllms.tool.execute(id, { n = 2 })\n\
              assert(zigllms.tool.get_info(id).call_count == 1)",
    run: Run::Now(get_info),
};

/// What a filter lets through.
pub struct Wanted<'t> {
    pub ids: bool,
    options: Options<'t>,
    category: Option<&'t str>,
}

impl<'t> Wanted<'t> {
    pub fn from(args: &Args<'t>, at: usize) -> Wanted<'t> {
        let options = args.options(at, &FILTER);
        let within = options.get("category").and_then(Ref::as_str);
        let (ids, category) = (options.bool("ids") == Some(true), args.text(at).or(within));
        Wanted { ids, options, category }
    }

    pub fn admits(&self, tool: &Tool) -> bool {
        let pattern = |key| self.options.text(key).is_none_or(|p| glob::matches(&p, &tool.name));
        let source = self.options.word("source");
        self.category.is_none_or(|wanted| wanted.eq_ignore_ascii_case(&tool.category()))
            && source.is_none_or(|source| source == tool.kind())
            && pattern("name")
            && pattern("name_pattern")
            && self.all("tags", |tag| has(&tool.tags(), tag))
            && self.all("capabilities", |word| can(tool, word))
    }

    fn all(&self, key: &str, has: impl Fn(&str) -> bool) -> bool {
        let words = self.options.get(key).into_iter().flat_map(Ref::items);
        words.into_iter().all(|word| has(&word.to_text()))
    }
}

fn has(tags: &serde_json::Value, wanted: &str) -> bool {
    tags.as_array().is_some_and(|tags| tags.iter().any(|tag| tag == wanted))
}

fn can(tool: &Tool, wanted: &str) -> bool {
    tool.capabilities().iter().any(|capability| capability.eq_ignore_ascii_case(wanted))
}

fn discover(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let wanted = Wanted::from(args, 0);
    let builtin = runtime.tools.unshadowed().filter(|tool| wanted.admits(tool));
    let mut items: Vec<Data> = builtin
        .map(|tool| match wanted.ids {
            true => tool.name.as_str().into(),
            false => tool.summary(None).into(),
        })
        .collect();
    items.extend(registered(runtime, &wanted));
    Ok(Data::List(items))
}

pub fn registered(runtime: &Runtime, wanted: &Wanted<'_>) -> Vec<Data> {
    let all = runtime.tools.iter().filter(|(_, tool)| wanted.admits(tool));
    all.map(|(number, tool)| {
        let id = runtime.tools.id(number);
        if wanted.ids { Data::from(id) } else { tool.summary(Some(&id)).into() }
    })
    .collect()
}

fn validate(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let Some(first) = args.get(0) else { return Err(Error::internal("a checked argument is nil")) };
    let has_input = args.get(1).is_some() || args.given(1).is_some();
    let key = id_of(first).filter(|_| first.as_str().is_some() || has_input);
    let Some(key) = key else {
        let check = Check { strict: runtime.config.strict };
        let (schemas, bounds) = (&runtime.schemas, &runtime.config.tools);
        return Ok(check::definition(first, flaws(args, 0), check, schemas, bounds).into());
    };
    let tool = find(runtime, &key)?.tool;
    let read = super::input(&tool, true, tool.is_sandboxed(), args);
    let no_data = flaws(args, 1);
    Ok(check::input(read.err().as_ref(), &no_data).into())
}

/// What in an argument is no data.
fn flaws(args: &Args<'_>, at: usize) -> Vec<Flaw> {
    args.problems(at).iter().map(|problem| Flaw::no_data(&problem.path, &problem.error)).collect()
}

fn get_schema(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let tool = find(runtime, &args.id(0))?.tool;
    let Some(format) = args.text(1) else { return Ok(tool.outline().into()) };
    let shown = tool_for(&format.to_ascii_lowercase(), &tool.spec());
    Ok(Data::Json(shown.unwrap_or_else(|| tool.in_mcp())))
}

fn get_info(runtime: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let found = find(runtime, &args.id(0))?;
    Ok(found.tool.info(&found.id).into())
}

fn find(runtime: &Runtime, key: &str) -> Result<Usable> {
    runtime.tools.usable(key)?.ok_or_else(|| Error::not_found("tool", key))
}
