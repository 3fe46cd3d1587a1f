//! Tools of other programs, and tools for other programs, by the Model Context Protocol.

use crate::error::{Code, Result};
use crate::lua::args::Args;
use crate::lua::bridge::{Effect, Function, Param, Run};
use crate::lua::faces::{ASYNC, DETACH, face};
use crate::runtime::Runtime;
use crate::shape::{Kind, Shape, id_of};
use crate::step::Start;
use crate::tool::mcp::{IMPORT, Import, SERVE, Serve};

static OPTIONS: Shape = Shape::new("McpImportOptions", &[ASYNC, DETACH], &[&IMPORT]);

pub const IMPORT_MCP: Function = Function {
    name: "import_mcp",
    params: &[Param::new("options", Kind::Table(&OPTIONS))],
    returns: &[("tool_ids", "string[]")],
    doc: "Makes the tools of an MCP server tools here: of a program (`command`) or of a web server (`url`). Each is what it was \
          when it was imported: one whose definition the server changes later is refused (`invalid_state`) until it is imported \
          again. An import under the same `name` takes the place of the one before. A program ends with its last tool, and is \
          started again by the next call if it has died; what it writes to its standard error becomes event `tool.log`. A result is \
          the structured content, else the text, else the blocks as they came. Waits.",
    errors: &[
        Code::IoError,
        Code::Network,
        Code::Timeout,
        Code::BadResponse,
        Code::Auth,
        Code::AlreadyExists,
        Code::Cancelled,
    ],
    effect: Effect::Outside,
    example: "local ids, err = zigllms.safe.tool.import_mcp{ command = { \"no-such-program\" }, name = \"x\" }\n\
              assert(not ids and err.code == \"io_error\")",
    run: Run::Waits(import_mcp),
};

static SERVING: Shape = Shape::new("McpServeOptions", &[ASYNC, DETACH], &[&SERVE]);

const TOOL: Kind = Kind::Id("a tool");

pub const SERVE_MCP: Function = Function {
    name: "serve_mcp",
    params: &[
        Param::new("tools", Kind::OneOf(&[Kind::List(&TOOL), TOOL])).optional(),
        Param::new("options", Kind::Table(&SERVING)).optional(),
    ],
    returns: &[("done", "boolean")],
    doc: "Is an MCP server for these tools (ids or names; without any: all that are registered and do something), on standard \
          input and output, until the input is closed and the last call is answered. Calls run side by side as far as they wait. \
          A tool that fails, and arguments that do not fit, are results with `isError`; results of tools whose `returns` is an \
          object come structured as well. Meanwhile what is printed goes to standard error. Waits.",
    errors: &[
        Code::NotFound,
        Code::InvalidState,
        Code::IoError,
        Code::Unsupported,
        Code::Cancelled,
    ],
    effect: Effect::Outside,
    example: "zigllms.tool.register{ name = \"now\", execute = function() return os.time() end }\n\
              local server = zigllms.tool.serve_mcp({ \"now\" }, { name = \"clock\", async = true })\n\
              server:cancel()\n\
              server:wait(1000)",
    run: Run::Waits(serve_mcp),
};

fn serve_mcp(runtime: &mut Runtime, args: &Args<'_>) -> Result<Start> {
    let options = args.options(1, &SERVING);
    let wanted = args.get(0).map(|given| match id_of(given) {
        Some(one) => vec![one],
        None => given.items().filter_map(id_of).collect(),
    });
    let serve = Serve::new(runtime, wanted, &options)?;
    Ok(Start { operation: serve.operation(), face: face(&options), sink: None })
}

fn import_mcp(runtime: &mut Runtime, args: &Args<'_>) -> Result<Start> {
    let options = args.options(0, &OPTIONS);
    let import = Import::new(&options)?;
    Ok(Start { operation: import.operation(runtime), face: face(&options), sink: None })
}
