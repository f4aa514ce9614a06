//! Every verb that a script may call, declared once.
//!
//! The option tables are read by these declarations, so what is accepted and what is documented cannot
//! differ; a test holds the list against what a VM really installs. The functions themselves are in
//! `verbs.rs` and `prelude/`.

/// What an argument or an option holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ArgType {
    Text,
    Bool,
    /// A whole number, 0 or more.
    Count,
    /// `"512MiB"`, or a number of bytes.
    Size,
    /// `"5m"`, or a number of seconds.
    Duration,
    /// Plain data.
    Value,
    /// A list of plain data.
    Values,
    /// A list of texts.
    Texts,
    Delegation,
    /// A list of delegations.
    Delegations,
    Function,
    /// A table whose keys are field names, as `workflow` declares its input.
    Fields,
    /// A table of options.
    Options(&'static [Key]),
}

impl ArgType {
    /// What an author is told to write.
    pub fn expected(self) -> &'static str {
        match self {
            ArgType::Text => "a string",
            ArgType::Bool => "true or false",
            ArgType::Count => "a whole number, 0 or more",
            ArgType::Size => "a size such as \"512MiB\"",
            ArgType::Duration => "a duration such as \"30s\" or \"5m\", or a number of seconds",
            ArgType::Value => "plain data",
            ArgType::Values => "a list of plain data",
            ArgType::Texts => "a list of strings",
            ArgType::Delegation => "a delegation",
            ArgType::Delegations => "a list of delegations",
            ArgType::Function => "a function",
            ArgType::Fields => "a table of fields",
            ArgType::Options(_) => "a table",
        }
    }
}

/// One parameter of a verb, or one key of an option table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Key {
    pub name: &'static str,
    pub arg: ArgType,
    pub required: bool,
    pub prose: &'static str,
}

const fn required(name: &'static str, arg: ArgType, prose: &'static str) -> Key {
    Key {
        name,
        arg,
        required: true,
        prose,
    }
}

const fn optional(name: &'static str, arg: ArgType, prose: &'static str) -> Key {
    Key {
        name,
        arg,
        required: false,
        prose,
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Verb {
    /// As it is written: `workflow`, `ctx:delegate`, `d:await`.
    pub name: &'static str,
    pub params: &'static [Key],
    /// What it gives back; empty if nothing.
    pub returns: &'static str,
    /// Whether the script waits in it.
    pub blocks: bool,
    pub prose: &'static str,
    pub example: &'static str,
}

pub(crate) const NEEDS: &[Key] = &[
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
];

pub(crate) const DELEGATE: &[Key] = &[
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
        "from assignment to the end; \"10m\" if left out",
    ),
    optional(
        "queue_timeout",
        ArgType::Duration,
        "how long it may wait for a machine before it ends as `no_capacity`; \"1h\" if left out",
    ),
    optional("avoid", ArgType::Texts, "operators that must not have it"),
];

pub(crate) const STATUS: &[Key] = &[
    required("phase", ArgType::Text, "the stage, in a word"),
    optional("done", ArgType::Count, "of `total`; 0 if left out"),
    optional("total", ArgType::Count, "0 if it is not known"),
];

pub(crate) const WORKFLOW: &[Key] = &[
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
];

pub const VERBS: &[Verb] = &[
    Verb {
        name: "workflow",
        params: &[
            required(
                "name",
                ArgType::Text,
                "the pipeline's name, as a seeker writes it",
            ),
            required(
                "options",
                ArgType::Options(WORKFLOW),
                "what it takes and gives",
            ),
            required("run", ArgType::Function, "called with `ctx` and the input"),
        ],
        returns: "the workflow, which the file returns",
        blocks: false,
        prose: "Declares a pipeline. A type is \"blob\", \"string\", \"number\", \"integer\", \
                \"boolean\", \"list\", \"table\" or \"any\", with a `?` after it if the field may be \
                missing; or a list of the strings to choose from, with a `default` if it may.",
        example: "return workflow(\"square\", { input = { n = \"integer\" } }, function(ctx, input) \
                  return { n = input.n * input.n } end)",
    },
    Verb {
        name: "require",
        params: &[required(
            "name",
            ArgType::Text,
            "\"lib/\" and the module's name, without \".lua\"",
        )],
        returns: "what the module returns, frozen; the same value each time",
        blocks: false,
        prose: "Loads a module of the same script set.",
        example: "local retry = require(\"lib/retry\")",
    },
    Verb {
        name: "ctx:delegate",
        params: &[required(
            "task",
            ArgType::Options(DELEGATE),
            "what to do, and on what machine",
        )],
        returns: "a delegation, at once",
        blocks: false,
        prose: "Hands out a task. `d.id` is the number of the call, `d.key` its key.",
        example: "local d = ctx:delegate { kind = \"data.prove/1\", input = { data = input.data } }",
    },
    Verb {
        name: "d:await",
        params: &[],
        returns: "{ ok, value, items, err }",
        blocks: true,
        prose: "Waits until the delegation is over. `ok` is true if every item has a value; `value` is \
                that of a delegation of one item; `items` holds { ok, value, err, index, operator } for \
                each, where `operator` is who sent it; `err` is the first error: { class, message, \
                retryable, operator }.",
        example: "local result = d:await()",
    },
    Verb {
        name: "d:cancel",
        params: &[],
        returns: "",
        blocks: false,
        prose: "Asks that the delegation be given up. Items without a value end as `cancelled`.",
        example: "d:cancel()",
    },
    Verb {
        name: "ctx:all",
        params: &[required(
            "delegations",
            ArgType::Delegations,
            "what to wait for",
        )],
        returns: "a list of what `d:await()` gives, in the same order",
        blocks: true,
        prose: "Waits until every one is over.",
        example: "local results = ctx:all { d1, d2 }",
    },
    Verb {
        name: "ctx:stream",
        params: &[required(
            "delegations",
            ArgType::Delegations,
            "whose items to take",
        )],
        returns: "an iterator over position, item",
        blocks: true,
        prose: "Yields each item as it arrives: the position of its delegation in the list, and { ok, \
                value, err, index, operator, delegation }. A delegation that is appended to the list meanwhile \
                joins in. Ends when every item of every delegation was yielded.",
        example: "for i, item in ctx:stream { d1, d2 } do ctx:log(item.index) end",
    },
    Verb {
        name: "ctx:sleep",
        params: &[required("duration", ArgType::Duration, "how long")],
        returns: "",
        blocks: true,
        prose: "Waits. The timer survives a restart.",
        example: "ctx:sleep(\"5s\")",
    },
    Verb {
        name: "ctx:status",
        params: &[required(
            "status",
            ArgType::Options(STATUS),
            "where the workflow stands",
        )],
        returns: "",
        blocks: false,
        prose: "Shows progress to whoever watches.",
        example: "ctx:status { phase = \"prove\", done = 3, total = 8 }",
    },
    Verb {
        name: "ctx:log",
        params: &[required("text", ArgType::Text, "one line")],
        returns: "",
        blocks: false,
        prose: "Writes to the workflow's log.",
        example: "ctx:log(\"3 of 8 segments\")",
    },
    Verb {
        name: "ctx:fail",
        params: &[required(
            "reason",
            ArgType::Text,
            "one line, for the seeker",
        )],
        returns: "never",
        blocks: false,
        prose: "Ends the workflow because it cannot be done: the input is not acceptable, or nobody \
                managed it. The seeker reads the reason as it stands. It cannot be caught.",
        example: "ctx:fail(\"the file is empty\")",
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn verbs_and_their_options_are_named_once_and_described() {
        let mut verbs = BTreeSet::new();
        for verb in VERBS {
            assert!(verbs.insert(verb.name), "{}", verb.name);
            assert!(
                !verb.prose.is_empty() && !verb.example.is_empty(),
                "{}",
                verb.name
            );
            let word = verb.name.rsplit(':').next().unwrap();
            assert!(verb.example.contains(word), "{}", verb.name);
        }
        for keys in [NEEDS, DELEGATE, STATUS, WORKFLOW] {
            let names: BTreeSet<_> = keys.iter().map(|key| key.name).collect();
            assert_eq!(names.len(), keys.len());
            assert!(keys.iter().all(|key| !key.prose.is_empty()));
        }
    }
}
