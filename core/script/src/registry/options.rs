//! The option tables: what their keys are, and what is written in them.

use super::{ArgType, OptionTable, optional, required};

pub(crate) const NEEDS: &OptionTable = &OptionTable {
    name: "Needs",
    keys: &[
        optional(
            "cpu_cores",
            ArgType::Count,
            "at least so many cores; one if left out",
        ),
        optional("ram", ArgType::Size, "host memory"),
        optional(
            "vram",
            ArgType::Size,
            "memory of one device; above 0 the task claims a device",
        ),
        optional(
            "shared",
            ArgType::Bool,
            "a CPU task claims the whole machine unless this is true; then it claims `cpu_cores`",
        ),
        optional(
            "keys",
            ArgType::Value,
            "what the machine's keystore must hold: a table of names and their SHA-256 in hex",
        ),
    ],
};

pub(crate) const DELEGATE: &OptionTable = &OptionTable {
    name: "Task",
    keys: &[
        required(
            "kind",
            ArgType::Text,
            "what the task is, such as \"data.prove/1\"",
        ),
        optional("input", ArgType::Value, "common to all items"),
        optional(
            "items",
            ArgType::Values,
            "one result is owed for each; one item if left out",
        ),
        optional(
            "key",
            ArgType::Text,
            "the author's name for this attempt, unlike any other",
        ),
        optional("needs", ArgType::Options(NEEDS), "what a machine must have"),
        optional(
            "timeout",
            ArgType::Duration,
            "from assignment to the end; if left out, or \"10m\", at most that: less where the kind is known to take less",
        ),
        optional(
            "queue_timeout",
            ArgType::Duration,
            "how long it may wait for a machine before it ends as `no_capacity`; \"1h\" if left out",
        ),
        optional("avoid", ArgType::Texts, "operators that must not have it"),
        optional(
            "check",
            ArgType::Text,
            "the kind that must approve each item, on a trusted machine, before it counts",
        ),
        optional(
            "max_price",
            ArgType::Text,
            "what an item may cost, such as \"0.05\"; dearer machines are passed over",
        ),
    ],
};

pub(crate) const MAP: &OptionTable = &OptionTable {
    name: "MapOptions",
    keys: &[
        optional(
            "width",
            ArgType::Count,
            "items of one delegation, at most 1024; 1 if left out",
        ),
        optional(
            "concurrency",
            ArgType::Count,
            "delegations in flight at most; no limit if left out",
        ),
        optional(
            "on_item",
            ArgType::Function("(item: MapItem) -> ()"),
            "called with { index, value, err, operator } as each item arrives",
        ),
    ],
};

pub(crate) const RUN: &OptionTable = &OptionTable {
    name: "RunOptions",
    keys: &[optional(
        "key",
        ArgType::Text,
        "the author's name for this child, for the log",
    )],
};

pub(crate) const STATUS: &OptionTable = &OptionTable {
    name: "Status",
    keys: &[
        required("phase", ArgType::Text, "the stage, in a word"),
        optional("done", ArgType::Count, "of `total`; 0 if left out"),
        optional("total", ArgType::Count, "0 if it is not known"),
    ],
};

pub(crate) const WORKFLOW: &OptionTable = &OptionTable {
    name: "WorkflowOptions",
    keys: &[
        optional(
            "description",
            ArgType::Text,
            "one line for whoever lists the pipelines",
        ),
        optional(
            "input",
            ArgType::Fields,
            "the inputs and their types, checked before the workflow starts",
        ),
        optional(
            "output",
            ArgType::Fields,
            "what the function returns, checked when it does",
        ),
    ],
};
