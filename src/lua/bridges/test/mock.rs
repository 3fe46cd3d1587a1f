//! `test.create_mock`: the declaration; `mocks.lua` makes them.

use crate::error::Code;
use crate::lua::bridge::{Effect, Function, Param, Read, Run};
use crate::mock::{Dialect, REPLY, server};
use crate::shape::{Field, Kind, Shape};

pub static MOCK: Shape = Shape::new(
    "MockDefinition",
    &[
        Field::new(
            "type",
            Kind::Enum(&["function", "object", "service"]),
            "by the other fields, else \"function\"",
            "what it stands for: a `test.MockType`",
        ),
        Field::new("name", Kind::Name, "", "what messages call it"),
        Field::new("returns", Kind::Value, "nil", "what a function returns, the same each time"),
        Field::new(
            "sequence",
            Kind::OneOf(&[Kind::List(&Kind::Value), Kind::Open]),
            "",
            "what a function returns, one after the other; the last one again and again",
        ),
        Field::new("implementation", Kind::Function, "", "is called, and its results returned"),
        Field::new(
            "error",
            Kind::Value,
            "",
            "what a function raises: any value, or the `{code=, message=, …}` of an error of the module",
        ),
        Field::new("delay_ms", Kind::Number(0.0, 1e12), "0", "how long it waits before it answers"),
        Field::new(
            "methods",
            Kind::Open,
            "",
            "of an object, by name: what each returns, a function, or the definition of a function mock",
        ),
        Field::new(
            "provider",
            Kind::Id("a provider"),
            "",
            "of a service: whose requests it answers; a type stands for every provider of it",
        ),
        Field::new(
            "responses",
            Kind::OneOf(&[Kind::Text, Kind::Function, Kind::List(&RESPONSE), Kind::Open]),
            "",
            "of a service: what it says to one chat after the other: a text, a table, or a function that gets the request \
             as `calls()` shows it, may wait and raise, and returns one of these. One alone needs no array",
        ),
        Field::new(
            "repeat_last",
            Kind::Bool,
            "true",
            "false: a request after the last response raises `invalid_state`",
        ),
        Field::new(
            "transport",
            Kind::Enum(&["http"]),
            "none",
            "of a service: \"http\" makes it a server on loopback, whose address is `mock.base_url`. Its responses may say \
             bytes and faults, too: see `ScriptedAnswer`",
        ),
        Field::new(
            "dialect",
            Kind::Enum(Dialect::NAMES),
            "of the provider, else \"openai\"",
            "of a server: the protocol in which it says a response of neutral words",
        ),
    ],
    &[],
);

static RESPONSE: Kind =
    Kind::OneOf(&[Kind::Text, Kind::Function, Kind::Later(&REPLY), Kind::Later(&server::ANSWER)]);

pub const CREATE: Function = Function {
    name: "create_mock",
    params: &[Param::new("definition", Kind::Table(&MOCK)).read(Read::Inspected)],
    returns: &[("mock", "zigllms.Mock")],
    doc: "A function, an object or a service that stands for another one and remembers its calls. A function mock is called like a \
          function, and can be a tool's or a hook's function; an object has its methods as fields, called with `:` or `.`. \
          All have `id`, `name` and `type`; `calls()`, an array of `{args, ok, result, results, error?, method?}`, where `args` \
          and `results` have `n` and plain tables are copies of what they were; `call_count()`; `last_call()`; \
          `called_with(…)`, whether one call had arguments equal to these; `reset()`, which forgets the calls and begins the \
          sequence anew; and `restore()`, which ends it: a call after that raises `invalid_state`. Those of an object tell of \
          all its methods, `object.method` of one. A service mock answers what a provider is asked, without network and key: \
          the provider of an id or name, or every one of a type; the latest mock counts, before any `transport`. Errors, \
          retries, fallbacks, streams, limits, hooks and caches are those of a real server; `network` and `timeout` break the \
          connection, and what a function raises is the error of the request. Texts are embedded, models listed and tokens \
          counted by the mock itself. Its `calls()` are requests without secrets: `{kind, model, messages, tools, options, \
          texts, stream, provider_id, dialect, method, url, headers, body}`, where `kind` is \"chat\", \"embed\", \"models\" \
          or \"count\" and `body` what would be sent; `called_with(part)` tells whether one has all that `part` has. After \
          `restore()` the provider is asked again, or the mock before this one. With `transport=\"http\"` a service is a real \
          server on loopback, for any client, with or without a `provider`: `mock.base_url` is its address, with which every \
          type of provider and the vendors' SDKs can do. Its responses may also be bytes and faults; those of neutral words \
          answer chats. Its `calls()` are `{number, method, path, headers, body, raw, at_ms, gone_after_ms?, error?}`, the last 10000 and \
          64 MiB of bodies; `gone_after_ms` is there once the client has hung up without the whole answer; headers have names in lower case, `body` is decoded where it is JSON. A function runs while this Lua \
          state waits for anything; its error is answered with 400, and stands in its call.",
    errors: &[Code::InvalidState],
    effect: Effect::Writes("tests"),
    example: "local add = zigllms.test.create_mock{ returns = 3 }\n\
              assert(add(1, 2) == 3 and add:called_with(1, 2))\n\
              local store = zigllms.test.create_mock{ type = \"object\", methods = { get = \"v\", set = function() return true end } }\n\
              assert(store:get(\"k\") == \"v\" and store:calls()[1].method == \"get\")\n\
              local openai = zigllms.test.create_mock{ provider = \"openai\", responses = { \"Hello!\", { error = \"rate_limited\" } } }\n\
              assert(zigllms.provider.chat(\"Hi\", { provider = \"openai\" }).content == \"Hello!\")\n\
              assert(openai:called_with{ messages = { { content = \"Hi\" } } } and openai:restore())",
    run: Run::Lua,
};
