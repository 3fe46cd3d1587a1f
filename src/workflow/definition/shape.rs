//! The tables that a workflow is written as.
//!
//! Steps are read one after the other, so that everything that is wrong is told at once.

use super::OnUnknown;
use crate::agent::{BEHAVIOUR, MODEL, RAW};
use crate::provider::options::{GENERATION, LIMITS};
use crate::provider::reach::REACH;
use crate::shape::{Field, Kind, Shape, Variant};

pub const PATTERNS: &[&str] = &["sequential", "parallel", "conditional", "loop"];

/// Words for what a step does.
const TYPES: &[&str] = &[
    "agent_call",
    "agent",
    "tool_call",
    "tool",
    "function",
    "workflow_call",
    "sequential",
    "parallel",
    "condition",
    "loop",
    "map",
    "delay",
    "emit",
    "transform",
    "script",
];

pub const LOOPS: &[&str] = &[
    "items",
    "count",
    "until_condition",
    "max_iterations",
    "iteration_delay_ms",
    "break_on_error",
];

/// What a step can do. One without a type is of the first one of which it has a field that tells it.
/// Fields that stand nowhere here are those of every step.
pub const KINDS: &[Variant] = &[
    Variant::new("agent_call", &["agent"], &["agent"], &["options"]),
    Variant::new("tool_call", &["tool"], &["tool"], &[]),
    Variant::new("workflow_call", &[], &["workflow"], &[]),
    Variant::new("transform", &[], &["template"], &["fn"]),
    Variant::new("function", &[], &["fn"], &[]),
    Variant::new("map", &[], &["over"], &["steps", "max_concurrency", "fail_fast"]),
    Variant::new("condition", &[], &["if_true", "if_false"], &[]),
    Variant::new("loop", &[], LOOPS, &["steps"]),
    Variant::new("delay", &[], &["duration_ms"], &["jitter_percent"]),
    Variant::new("emit", &[], &["event"], &["data"]),
    Variant::new("script", &[], &["code"], &[]),
    Variant::new("parallel", &[], &["aggregation", "max_concurrency", "fail_fast"], &["steps"]),
    Variant::new("sequential", &[], &["steps"], &[]),
];

static ONE: Kind = Kind::Later(&STEP);
const TEST: Kind = Kind::OneOf(&[Kind::Text, Kind::Function]);
const MADE: Kind = Kind::OneOf(&[Kind::Function, Kind::Any]);

/// What loops are made of, in a workflow and in a step.
static LOOP: Shape = Shape::new(
    "WorkflowLoop",
    &[
        Field::new(
            "items",
            MADE,
            "",
            "loop: an array, a template that gives one, or a function: an iteration for each item",
        ),
        Field::new(
            "count",
            Kind::OneOf(&[Kind::Int(0, 1_000_000_000), Kind::Text]),
            "",
            "loop: so many iterations; a number, or a template that gives one",
        ),
        Field::new("until_condition", TEST, "", "loop: ends after the iteration it holds in")
            .or(&["until_"]),
        Field::new(
            "max_iterations",
            Kind::Int(1, 1_000_000_000),
            "100",
            "loop: where a condition alone says when it ends",
        ),
        Field::new(
            "iteration_delay_ms",
            Kind::Number(0.0, 1e12),
            "0",
            "loop: between two iterations",
        ),
        Field::new(
            "break_on_error",
            Kind::Bool,
            "true",
            "loop: false: the output of an iteration that failed is null",
        ),
    ],
    &[],
);

static RETRY: Shape = Shape::new(
    "StepRetry",
    &[
        Field::new("max_attempts", Kind::Int(1, 1000), "1", "attempts at most"),
        Field::new("backoff_ms", Kind::Number(0.0, 1e12), "1000", "wait before the second one"),
        Field::new(
            "backoff_multiplier",
            Kind::Number(1.0, 1000.0),
            "2",
            "each further wait is longer by this",
        ),
    ],
    &[],
);

/// What `options` of an `agent_call` are: those of `agent.run` that say what a run is.
pub static RUN_OPTIONS: Shape = Shape::new(
    "StepRunOptions",
    &[
        Field::new(
            "remember",
            Kind::Bool,
            "true",
            "false: neither read nor write the conversation",
        ),
        Field::new("session", Kind::Name, "", "a conversation of its own, by name"),
        MODEL,
        RAW,
    ],
    &[&BEHAVIOUR, &GENERATION, &LIMITS, &REACH],
);

pub static STEP: Shape = Shape::new(
    "Step",
    &[
        Field::new(
            "id",
            Kind::Name,
            "its name, else step_<n>",
            "unique in the workflow; without `.`, `[` and `]`",
        ),
        Field::new("name", Kind::Name, "", "the id; beside an `id` what people call the step"),
        Field::new("type", Kind::Enum(TYPES), "what its fields say", "what it does"),
        Field::new(
            "input",
            MADE,
            "the previous output",
            "what it works on; texts in it are templates",
        ),
        Field::new(
            "depends_on",
            Kind::List(&Kind::Name),
            "{}",
            "ids of steps of the same list, which run first",
        ),
        Field::new(
            "condition",
            TEST,
            "",
            "the step is skipped unless it holds; of condition: which branch; of loop: while it holds",
        ),
        Field::new("when", TEST, "", "skipped unless it holds, also condition and loop"),
        Field::new("retry", Kind::Table(&RETRY), "", "further attempts after one that failed"),
        Field::new("retry_count", Kind::Int(0, 999), "0", "short for `retry.max_attempts - 1`"),
        Field::new(
            "retry_delay_ms",
            Kind::Number(0.0, 1e12),
            "1000",
            "short for `retry.backoff_ms`",
        ),
        Field::new(
            "timeout_ms",
            Kind::Number(0.0, 1e12),
            "none",
            "limit of the step with its attempts",
        ),
        Field::new(
            "continue_on_error",
            Kind::Bool,
            "the workflow's `on_error`",
            "a failure does not end the workflow",
        ),
        Field::new(
            "default",
            Kind::Any,
            "",
            "the output of a step that failed, where the workflow goes on",
        ),
        Field::new(
            "output",
            MADE,
            "",
            "a template or `function(value, ctx)` in place of the output",
        ),
        Field::new(
            "idempotent",
            Kind::Bool,
            "false",
            "durable: may be run again if it is not known whether it ended",
        ),
        Field::new(
            "on_unknown",
            Kind::Enum(OnUnknown::NAMES),
            "\"fail\" for tool_call, else \"retry\"",
            "durable: what becomes of a step of which nobody knows whether it ended",
        ),
        Field::new("metadata", Kind::Map, "", "kept as it is"),
        Field::new("agent", Kind::Id("an agent"), "", "agent_call: who is asked"),
        Field::new("options", Kind::Table(&RUN_OPTIONS), "", "agent_call: options of the run"),
        Field::new("tool", Kind::Id("a tool"), "", "tool_call: what is called"),
        Field::new("fn", Kind::Function, "", "function, transform: `function(ctx)`")
            .or(&["execute"]),
        Field::new("workflow", Kind::Id("a workflow"), "", "workflow_call: what is executed"),
        Field::new(
            "steps",
            Kind::List(&ONE),
            "",
            "sequential, parallel, loop, map: the steps inside",
        ),
        Field::new(
            "aggregation",
            Kind::Enum(&["all", "first", "majority"]),
            "\"all\"",
            "parallel: a table by step, the first output there is, or the one that most have",
        ),
        Field::new("max_concurrency", Kind::Int(1, 100_000), "8", "parallel, map: so many at once"),
        Field::new(
            "fail_fast",
            Kind::Bool,
            "true",
            "parallel, map: the first failure ends the others",
        ),
        Field::new("if_true", Kind::List(&ONE), "{}", "condition: the steps if it holds")
            .or(&["then"]),
        Field::new("if_false", Kind::List(&ONE), "{}", "condition: the steps if it does not")
            .or(&["else"]),
        Field::new("over", MADE, "", "map: an array, a template that gives one, or a function"),
        Field::new("duration_ms", Kind::Number(0.0, 1e12), "", "delay: how long"),
        Field::new(
            "jitter_percent",
            Kind::Number(0.0, 100.0),
            "0",
            "delay: longer or shorter by so much",
        ),
        Field::new("event", Kind::Name, "", "emit: name of the event"),
        Field::new("data", MADE, "the previous output", "emit: what the event carries"),
        Field::new("template", Kind::Any, "", "transform: what the value is made from"),
        Field::new(
            "code",
            Kind::Text,
            "",
            "script: Lua that runs in a sandbox; it gets `ctx` as `...`",
        ),
    ],
    &[&LOOP],
)
.of(KINDS);

/// What is said of a workflow beside its steps.
static SETTINGS: Shape = Shape::new(
    "WorkflowSettings",
    &[
        Field::new("name", Kind::Name, "the id", "durable executions need one"),
        Field::new("description", Kind::Text, "\"\"", "for people"),
        Field::new(
            "version",
            Kind::Text,
            "\"1\"",
            "another one is another workflow to durable executions",
        ),
        Field::new("metadata", Kind::Map, "{}", "kept as it is"),
        Field::new(
            "pattern",
            Kind::Enum(PATTERNS),
            "\"sequential\"",
            "how the steps follow each other",
        ),
        Field::new("max_concurrency", Kind::Int(1, 100_000), "8", "parallel: so many at once"),
        Field::new("input_schema", Kind::Schema, "", "what the input has to look like"),
        Field::new("output_schema", Kind::Schema, "", "what the output has to look like"),
        Field::new("variables", Kind::Map, "{}", "values that steps share and may change"),
        Field::new("timeout_ms", Kind::Number(0.0, 1e12), "none", "limit of an execution"),
        Field::new(
            "on_error",
            Kind::Enum(&["fail", "continue"]),
            "\"fail\"",
            "\"continue\": no step that fails ends it",
        ),
        Field::new(
            "keep",
            Kind::Int(0, 1_000_000),
            "100",
            "finished executions that `get_result` knows",
        ),
        Field::new(
            "condition",
            TEST,
            "",
            "conditional: which branch; loop: goes on while it holds",
        ),
    ],
    &[],
);

pub static WORKFLOW: Shape = Shape::new(
    "WorkflowDefinition",
    &[
        Field::new(
            "steps",
            Kind::List(&ONE),
            "required",
            "the steps; none: the output is the input",
        ),
        Field::new("if_true", Kind::List(&ONE), "{}", "conditional: the steps if it holds")
            .or(&["then"]),
        Field::new("if_false", Kind::List(&ONE), "{}", "conditional: the steps if it does not")
            .or(&["else"]),
        Field::new("id", Kind::Text, "", "ignored: `workflow.get` returns it"),
    ],
    &[&SETTINGS, &LOOP],
);

/// How workflows are put together.
pub static COMPOSITION: Shape = Shape::new("Composition", &[], &[&SETTINGS, &LOOP]);

/// A workflow among those that are put together.
pub static PART: Shape = Shape::new(
    "CompositionPart",
    &[
        Field::new("id", Kind::Id("a workflow"), "required", "the workflow"),
        Field::new(
            "input",
            MADE,
            "the previous output",
            "what it works on; texts in it are templates",
        ),
        Field::new(
            "output",
            MADE,
            "",
            "a template or `function(value, ctx)` in place of its output",
        ),
        Field::new(
            "condition",
            TEST,
            "",
            "conditional: the first whose condition holds is run; else: skipped unless it holds",
        )
        .or(&["when"]),
        Field::new(
            "on_error",
            Kind::Enum(&["propagate", "ignore", "use_default"]),
            "\"propagate\"",
            "\"ignore\": the others go on; \"use_default\": with `default` as its output",
        ),
        Field::new("default", Kind::Any, "", "the output of one that failed"),
    ],
    &[],
);
