//! `test.cassette`: the declaration; `cassette.lua` performs it.

use crate::error::Code;
use crate::lua::bridge::{Effect, Function, Param, Read, Run};
use crate::shape::{Field, Kind, Shape};

pub static OPTIONS: Shape = Shape::new(
    "CassetteOptions",
    &[
        Field::new(
            "mode",
            Kind::Enum(&["auto", "record", "replay"]),
            "\"auto\"",
            "\"record\" makes the file anew, \"replay\" asks nobody, \"auto\" replays if there is the file",
        ),
        Field::new(
            "tools",
            Kind::Bool,
            "true",
            "results of tools are recorded, too: a replay does not call their functions. Not of agents as tools, nor \
             where the request of the tool is itself recorded",
        ),
    ],
    &[],
);

pub const PATH: Param = Param::new("path", Kind::Name);

pub const CASSETTE: Function = Function {
    name: "cassette",
    params: &[
        PATH,
        Param::new("fn", Kind::Function).read(Read::Reference),
        Param::new("options", Kind::Table(&OPTIONS)).optional(),
    ],
    returns: &[("results", "any")],
    doc: "Calls fn and gives what it returns. What providers, `http_request` and MCP servers behind HTTP are asked meanwhile, \
          and what they answer, is recorded in a file, in pieces and with times; a replay takes the answers from there, with no \
          network and no waiting, failures and pauses before another attempt included. A request takes the first \
          recorded one that it equals and that was not taken before: method, URL without the port of this machine, and \
          body, whatever the order of its keys. One that is not there fails with invalid_state and says where it differs. \
          No secret is recorded: `<secret>` stands for what is known as a key, a token or a password, however it is written, \
          and for anything in a replay. The file is written when fn has returned; if fn fails, what was there stays. A \
          changed file is refused: io_error, `details.reason` \"corrupt\" and `details.line`. fn is given `{mode, path, \
          recorded_at}`: the time of the recording, for those who write the date into a prompt. One cassette runs at a time.",
    errors: &[Code::InvalidState, Code::IoError],
    effect: Effect::Outside,
    example: "local path = os.tmpname()\nos.remove(path)\nlocal function ask()\n  \
              return pcall(zigllms.provider.chat, { { role = \"user\", content = \"hi\" } }, {\n    \
              provider = { type = \"openai\", base_url = \"http://127.0.0.1:9/v1\", api_key = \"k\", retry = false },\n  })\nend\n\
              zigllms.test.cassette(path, ask) -- records\n\
              local ok, err = zigllms.test.cassette(path, ask, { mode = \"replay\" })\n\
              assert(not ok and err.code == \"network\")\nos.remove(path)",
    run: Run::Lua,
};
