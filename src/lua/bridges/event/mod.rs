//! `zigllms.event`: telling others what happens, and hearing of it.

mod clear;
mod emit;
mod link;
mod query;
mod record;
mod replay;
mod subscribe;

use crate::error::{Code, Result};
use crate::event::{Category, Pattern, Priority};
use crate::lua::bridge::{Bridge, Constants, Effect, Function, Param, Run};
use crate::shape::Kind;

const PATTERN: Param = Param::new("pattern", Kind::Name);
const CATEGORY: Kind = Kind::Enum(Category::NAMES);
const PRIORITY: Kind = Kind::Enum(Priority::NAMES);

pub static BRIDGE: Bridge = Bridge {
    name: "event",
    doc: "Telling others what happens, and hearing of it. Names are segments with dots between them. In a pattern `*` is \
          one segment, and any rest of the name at its end (`workflow.*`, `agent.st*`); `**` is any number of segments. \
          A handler gets one argument, the event: `{id, type, name, category, priority, data, source, timestamp, \
          correlation_id?, tags?, metadata?, replayed?, remote?}`, whose `type` and `name` are its full name. The module itself \
          tells `agent.started` `{agent_id, agent_name, input}`, `agent.completed` (and `content`, `usage`, `finish_reason`, `duration_ms`) or \
          `agent.failed` (and `error`, `duration_ms`); `tool.invoked` `{tool_id, tool_name, input, agent_id?, call_id?}`, \
          `tool.succeeded` (and `output`, `duration_ms`) or `tool.failed` (and `error`, `duration_ms`); of MCP servers also \
          `tool.progress` `{server, tool, progress, total?, message?, agent_id?, call_id?}` and `tool.log` `{server, text, stream, \
          level?}`; `provider.request` \
          `{provider, model, operation, agent_id?}`, `provider.retry` (and `attempt`, `delay_ms`, `error`, `next_provider?`), \
          `provider.response` (and `usage`, `attempts`, `finish_reason`, `duration_ms`) or `provider.error` (and `error`, \
          `duration_ms`); `memory.updated` `{op, key?, scope?, owner?, count?}`; `hook.failed` `{hook_id, point, error}`; \
          `workflow.started` `{workflow_id, workflow_name, execution_id, input}`, then `workflow.completed` or `workflow.paused` (and \
          `result`, `duration_ms`), `workflow.failed` or `workflow.cancelled` (and `error`, `duration_ms`), and `workflow.resumed` as \
          it goes on; of each step the same ids in `workflow.step_started` (and `step_id`, `step_type`, `input`), \
          `workflow.step_completed` (and `output`, `attempts`, `duration_ms`), `workflow.step_failed` (and `error`, `attempts`, \
          `duration_ms`) or `workflow.step_skipped` (and `reason`); \
          `system.handler_error` `{subscription_id, event, error}`; `system.batch_error` `{error, lost}`.",
    constants: &[
        Constants {
            name: "Type",
            members: &[
                ("SYSTEM", "system"),
                ("USER", "user"),
                ("AGENT", "agent"),
                ("TOOL", "tool"),
                ("WORKFLOW", "workflow"),
            ],
        },
        Constants {
            name: "Priority",
            members: &[
                ("LOW", "low"),
                ("NORMAL", "normal"),
                ("HIGH", "high"),
                ("CRITICAL", "critical"),
            ],
        },
    ],
    functions: &[
        Function {
            name: "emit",
            params: &[
                Param::new("name", Kind::Name),
                Param::new("data", Kind::Any).optional().read(crate::lua::bridge::Read::Reference),
                Param::new("options", Kind::Table(&emit::OPTIONS)).optional(),
            ],
            returns: &[("ok", "true"), ("delivered", "integer")],
            doc: "Calls the handlers of all subscriptions that match, before it returns; says how many those were. `data` is \
                  handed on as it is. A table with no keys but `data`, `priority`, `type` or `category`, `source`, `tags`, \
                  `metadata` and `correlation_id` that has `data` or a valid `priority` is an envelope around the data; with \
                  options it never is. What a handler raises is counted and emitted as `system.handler_error` \
                  `{subscription_id, event, error}`; with `strict` the first is raised. At most 64 emits are nested.",
            errors: &[Code::ConversionError, Code::InvalidState],
            effect: Effect::Outside,
            example: "zigllms.event.subscribe(\"order.*\", function(event) print(event.type, event.data.total) end)\n\
                      zigllms.event.emit(\"order.paid\", { total = 12 })\n\
                      zigllms.event.emit(\"order.late\", { priority = \"high\", data = { total = 7 } })",
            run: Run::Lua,
        },
        Function {
            name: "subscribe",
            params: &[
                PATTERN,
                Param::new("callback", Kind::Function),
                Param::new("options", Kind::Table(&subscribe::OPTIONS)).optional(),
            ],
            returns: &[("subscription_id", "string")],
            doc: "Has callback(event) called for events whose names match, from the next one on: by priority, then in order \
                  of subscription. It may wait, emit, subscribe and unsubscribe.",
            errors: &[Code::ConversionError],
            effect: Effect::Writes("subs"),
            example: "local id = zigllms.event.subscribe(\"agent.*\", function(event) print(event.type) end, {\n  \
                      priority = \"high\", filter = { [\"data.agent_name\"] = \"clerk\" },\n})\n\
                      zigllms.event.unsubscribe(id)",
            run: Run::Now(subscribe::subscribe),
        },
        Function {
            name: "unsubscribe",
            params: &[Param::new("subscription_id", Kind::Id("a subscription"))],
            returns: &[("found", "boolean")],
            doc: "Ends a subscription, from the next event on; also removes a filter, stops a recorder, and ends a bridge.",
            errors: &[],
            effect: Effect::Writes("subs"),
            example: "assert(zigllms.event.unsubscribe(\"sub_0\") == false)",
            run: Run::Now(subscribe::unsubscribe),
        },
        Function {
            name: "list_subscriptions",
            params: &[PATTERN.optional()],
            returns: &[("subscriptions", "zigllms.Subscription[]")],
            doc: "All subscriptions in order; those that hear of events of a name; or those whose patterns are, or match, a \
                  pattern with `*`.",
            errors: &[],
            effect: Effect::Reads("subs"),
            example: "for _, sub in ipairs(zigllms.event.list_subscriptions(\"agent.started\")) do\n  \
                      print(sub.id, sub.pattern, sub.call_count, sub.error_count)\nend",
            run: Run::Now(subscribe::list),
        },
        Function {
            name: "filter",
            params: &[
                Param::new("pattern", Kind::OneOf(&[Kind::Name, Kind::Table(&query::CRITERIA)])),
                Param::new("callback", Kind::Function).optional(),
            ],
            returns: &[("result", "string|zigllms.Event[]")],
            doc: "With a callback: has callback(event) called before all others, in order of registration; `false` drops the \
                  event, a table replaces its data (or its fields, if all its keys are fields of events), nil and true let \
                  it pass. Gives an id for `unsubscribe`. Without one: copies of the recorded events that match, in the order \
                  in which they happened, each once however many recorders have it. With a recorder in a store it waits.",
            errors: &[
                Code::NotFound,
                Code::IoError,
                Code::Unsupported,
                Code::InvalidState,
                Code::Cancelled,
            ],
            effect: Effect::Writes("subs"),
            example: "local id = zigllms.event.filter(\"user.*\", function(event)\n  \
                      return event.data ~= \"secret\"\nend)\n\
                      local ok, delivered = zigllms.event.emit(\"user.said\", \"secret\")\nassert(delivered == 0)\n\
                      local said = zigllms.event.filter{ pattern = \"user.*\", min_priority = \"high\" }",
            run: Run::Perhaps(None, subscribe::filter),
        },
        record::RECORD,
        replay::REPLAY,
        clear::CLEAR,
    ],
    extras: &[link::FUNCTION],
};

/// A pattern, or what is wrong with it and where it stands.
fn parsed(text: &str, place: &str) -> Result<Pattern> {
    Pattern::parse(text).map_err(|error| error.at(place))
}
