//! `output.extract_tool_calls`.

use super::source::{TEXT, text};
use crate::chat::printed::{self, Tool, Tools};
use crate::error::Result;
use crate::lua::args::Args;
use crate::lua::bridge::{Effect, Function, Param, Run};
use crate::runtime::Runtime;
use crate::shape::{Field, Kind, Options, Shape};
use crate::value::{Data, Record, Ref};

static OPTIONS: Shape = Shape::new(
    "ToolCallOptions",
    &[Field::new(
        "tools",
        Kind::List(&Kind::OneOf(&[Kind::Name, Kind::Open])),
        "any",
        "names or definitions of the tools that may be called",
    )],
    &[],
);

pub const EXTRACT_TOOL_CALLS: Function = Function {
    name: "extract_tool_calls",
    params: &[TEXT, Param::new("options", Kind::Table(&OPTIONS)).optional()],
    returns: &[("calls", "table[]"), ("rest", "string")],
    doc: "The tool calls that a model printed as text: `{name, arguments, raw, start, stop}` for each, and the text \
          without them. Known are the tags, marks and shapes of Hermes, Qwen, Llama, Mistral, DeepSeek, Kimi, GLM, \
          Granite, Phi, Cohere, Gemma, GPT-OSS, Functionary, Anthropic's XML and ReAct, fences of JSON, lists of \
          Python calls, and bare JSON with a name and arguments. Arguments are repaired like `recover` does, also \
          where they are JSON text in a string; null members are left out. With `tools` only calls of these are \
          taken, and in more shapes.",
    errors: &[],
    effect: Effect::Pure,
    example: "local text = 'I look. <tool_call>{\"name\": \"weather\", \"arguments\": {\"city\": \"Oslo\"}}</tool_call>'\n\
              local calls, rest = zigllms.output.extract_tool_calls(text, { tools = { \"weather\" } })\n\
              assert(calls[1].arguments.city == \"Oslo\" and rest == \"I look.\")",
    run: Run::Now(extract_tool_calls),
};

fn extract_tool_calls(_: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let text = text(args)?;
    let found = printed::extract(text, &tools(&args.options(1, &OPTIONS)));
    let calls: Vec<Data> = found.calls.into_iter().map(|call| record(text, call).into()).collect();
    Ok(Data::Many(vec![calls.into(), found.rest.into()]))
}

fn tools(options: &Options<'_>) -> Tools {
    match options.get("tools") {
        Some(list) => Tools::only(list.items().filter_map(tool).collect()),
        None => Tools::any(),
    }
}

/// A name, a definition, or a definition as OpenAI has it.
fn tool(value: Ref<'_>) -> Option<Tool> {
    if let Some(name) = value.as_str() {
        return Some(Tool { name: name.to_owned(), parameters: Vec::new() });
    }
    let value = value.get("function").filter(|inner| inner.get("name").is_some()).unwrap_or(value);
    let schema = ["parameters", "input_schema"].iter().find_map(|key| value.get(key));
    let properties = schema.and_then(|schema| schema.get("properties"));
    let names = properties.map(|it| it.members().map(|(key, _)| key.to_text()).collect());
    Some(Tool {
        name: value.get("name")?.as_str()?.to_owned(),
        parameters: names.unwrap_or_default(),
    })
}

fn record(text: &str, call: printed::Call) -> Record {
    Record::new()
        .set("name", call.name)
        .set("arguments", call.arguments)
        .set("raw", text.get(call.start..call.stop).unwrap_or_default())
        .set("start", call.start + 1)
        .set("stop", call.stop)
}
