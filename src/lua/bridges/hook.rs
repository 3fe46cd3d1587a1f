//! `zigllms.hook`: functions around operations.

use crate::lua::bridge::{Bridge, Constants};

pub static BRIDGE: Bridge = Bridge {
    name: "hook",
    doc: "Functions around operations: they change what goes in and what comes out, or say no.",
    constants: &[
        Constants {
            name: "Type",
            members: &[("PRE", "pre"), ("POST", "post"), ("AROUND", "around"), ("ERROR", "error")],
        },
        Constants {
            name: "Priority",
            members: &[
                ("HIGHEST", "highest"),
                ("HIGH", "high"),
                ("NORMAL", "normal"),
                ("LOW", "low"),
                ("LOWEST", "lowest"),
            ],
        },
    ],
    functions: &[],
};
