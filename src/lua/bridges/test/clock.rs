//! `test.clock`: the declaration; `virtual.lua` performs it.

use crate::error::Code;
use crate::lua::bridge::{Effect, Function, Param, Read, Run};
use crate::shape::Kind;

pub const CLOCK: Function = Function {
    name: "clock",
    params: &[Param::new("fn", Kind::Function).read(Read::Options)],
    returns: &[("...", "any")],
    doc: "Calls `fn(clock)` in virtual time and returns its results: time stands still, and leaps to the next deadline \
          as soon as everything waits. That is so for whatever takes time here: sleeps, timeouts, retries, rate limits, \
          TTLs, leases, delay steps. While something real is under way (a request, a process, a store, \
          a wait in the host's own way) time runs as ever and does not leap. `clock:now()` is in milliseconds; \
          `clock:advance(ms)` moves time on at once, through all that falls due on the way, in order. What `fn` leaves \
          running goes on in real time; `os.time` and `os.clock` stay real. One at a time. Waits.",
    errors: &[Code::InvalidState, Code::CallbackError],
    effect: Effect::Outside,
    example: "local slept = zigllms.test.clock(function(clock)\n  local began = clock:now()\n  zigllms.sleep(600000)\n  \
              return clock:now() - began\nend)\nassert(slept == 600000)",
    run: Run::Lua,
};
