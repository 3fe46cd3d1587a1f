//! `output.stream`; `lua/stream.lua` and `lua/growing.rs` carry it out.

use super::FORMAT;
use super::parse::READING;
use crate::error::Code;
use crate::lua::bridge::{Effect, Function, Param, Run};
use crate::shape::Kind;

pub const STREAM: Function = Function {
    name: "stream",
    params: &[
        Param::new("format", FORMAT).optional(),
        Param::new("options", Kind::Table(&READING)).optional(),
    ],
    returns: &[("stream", "zigllms.Stream")],
    doc: "Reads a document while it arrives. `stream:push(chunk)` gives the value so far and whether it is \
          complete; `stream:finish()` gives the value and the information that `parse` gives, and raises as it does. \
          The value so far of JSON is one table that grows in place: members appear when they begin, strings grow, \
          numbers and literals appear when they end. Text before the first bracket is skipped. Where the text turns \
          out to be no valid JSON the value stays as it is, and `finish` repairs. Plain text grows; other formats have \
          their value at the end.",
    errors: &[Code::ParseFailed, Code::ValidationFailed, Code::InvalidState],
    effect: Effect::Pure,
    example: "local stream = zigllms.output.stream(\"json\")\nlocal value = stream:push('{\"city\":\"Os')\n\
              assert(value.city == \"Os\")\nassert(stream:push('lo\"}') == value and value.city == \"Oslo\")\n\
              assert(stream:finish() == value)",
    run: Run::Lua,
};
