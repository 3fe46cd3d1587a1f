//! Tools of other programs, and tools for other programs, by the Model Context Protocol.

use crate::error::{Code, Result};
use crate::lua::args::Args;
use crate::lua::bridge::{Effect, Function, Param, Run};
use crate::lua::faces::{ASYNC, DETACH, face};
use crate::runtime::Runtime;
use crate::shape::{Kind, Shape};
use crate::step::Start;
use crate::tool::mcp::{IMPORT, Import};

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
    example: "local ok, err = pcall(zigllms.tool.import_mcp, { command = { \"no-such-program\" }, name = \"x\" })\n\
              assert(not ok and err.code == \"io_error\")",
    run: Run::Waits(import_mcp),
};

fn import_mcp(runtime: &mut Runtime, args: &Args<'_>) -> Result<Start> {
    let options = args.options(0, &OPTIONS);
    let import = Import::new(&options)?;
    Ok(Start { operation: import.operation(runtime), face: face(&options), sink: None })
}
