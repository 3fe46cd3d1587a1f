//! `output.extract_markdown`.

use super::source::{TEXT, text};
use crate::error::Result;
use crate::lua::args::Args;
use crate::lua::bridge::{Effect, Function, Param, Run};
use crate::output::markdown::{self, PARTS, Wanted};
use crate::runtime::Runtime;
use crate::shape::{Field, Kind, Options, Shape};
use crate::value::{Data, Document};

static OPTIONS: Shape = Shape::new(
    "MarkdownOptions",
    &[
        Field::new(
            "only",
            Kind::OneOf(&[Kind::Enum(PARTS), Kind::List(&Kind::Enum(PARTS))]),
            "all",
            "the parts to give",
        ),
        Field::new("language", Kind::Text, "", "give only code blocks of this language"),
    ],
    &[],
);

pub const EXTRACT_MARKDOWN: Function = Function {
    name: "extract_markdown",
    params: &[TEXT, Param::new("options", Kind::Table(&OPTIONS)).optional()],
    returns: &[("parts", "zigllms.MarkdownParts")],
    doc: "What a Markdown text holds, by block structure as CommonMark has it, with GitHub's tables: \
          `{sections, code_blocks, tables, lists, links, text, front_matter?}`. Sections are one for each \
          heading, with the source up to the next heading beside it. Code blocks are fenced and indented ones; \
          the content ends with a line feed, the line is that of the fence. Rows of a table are keyed by its headers. \
          Each list stands for itself, nested ones too; items are text without markup. Links are those that lead \
          somewhere; images are none. `text` is everything there is to read, without markup.",
    errors: &[],
    effect: Effect::Pure,
    example: "local text = \"Run this:\\n\\n```lua\\nprint(1)\\n```\"\n\
              local parts = zigllms.output.extract_markdown(text, { language = \"lua\" })\n\
              assert(parts.code_blocks[1].content == \"print(1)\\n\")",
    run: Run::Now(extract_markdown),
};

fn extract_markdown(_: &mut Runtime, args: &Args<'_>) -> Result<Data> {
    let text = text(args)?;
    let wanted = wanted(&args.options(1, &OPTIONS));
    let mut document = Document::default();
    document.root = markdown::extract(text, &wanted, &mut document.tape)?;
    Ok(document.into())
}

fn wanted(options: &Options<'_>) -> Wanted {
    let only = options.get("only").map_or_else(Vec::new, |only| match only.as_str() {
        Some(part) => vec![part],
        None => only.items().filter_map(|part| part.as_str()).collect(),
    });
    let part = |name: &str| PARTS.iter().copied().find(|part| part.eq_ignore_ascii_case(name));
    Wanted { only: only.into_iter().filter_map(part).collect(), language: options.text("language") }
}
