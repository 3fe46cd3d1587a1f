//! `zigllms.workflow`: steps, executed one after the other, side by side, or again and again.
//!
//! `define.rs` makes workflows; `execute.rs` runs them, `stepping.rs` step by step; `control.rs`
//! stops them and tells how they stand, `result.rs` how they have ended.

mod compose;
mod control;
mod define;
mod durable;
mod execute;
mod inspect;
mod result;
mod runs;
mod stepping;

use crate::lua::bridge::{Bridge, Constants, Param};
use crate::shape::Kind;

const WORKFLOW: Param = Param::new("workflow_id", Kind::Id("a workflow"));

pub static BRIDGE: Bridge = Bridge {
    name: "workflow",
    doc: "Workflows: steps that call agents, tools and functions, one after the other, side by side, by conditions or in \
          loops, and what becomes of their results.",
    constants: &[
        Constants {
            name: "Status",
            members: &[
                ("PENDING", "pending"),
                ("RUNNING", "running"),
                ("PAUSED", "paused"),
                ("COMPLETED", "completed"),
                ("FAILED", "failed"),
                ("CANCELLED", "cancelled"),
            ],
        },
        Constants {
            name: "Pattern",
            members: &[
                ("SEQUENTIAL", "sequential"),
                ("PARALLEL", "parallel"),
                ("CONDITIONAL", "conditional"),
                ("LOOP", "loop"),
            ],
        },
    ],
    functions: &[
        define::CREATE,
        execute::EXECUTE,
        control::PAUSE,
        control::RESUME,
        control::CANCEL,
        control::GET_STATUS,
        result::GET_RESULT,
        inspect::LISTED,
        define::GET,
        compose::COMPOSE,
        inspect::VALIDATE,
        inspect::GET_DEPENDENCIES,
    ],
    extras: &[
        stepping::STEP,
        inspect::GET_INFO,
        inspect::DESTROY,
        inspect::TO_MERMAID,
        runs::RECOVER,
    ],
};
