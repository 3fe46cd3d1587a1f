//! `zigllms.event`: telling others what happens, and hearing of it.

use crate::lua::bridge::{Bridge, Constants};

mod link;

pub static BRIDGE: Bridge = Bridge {
    name: "event",
    doc: "Telling others what happens, and hearing of it.",
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
    functions: &[link::FUNCTION],
};
