//! Every verb that a spec may call, declared once.
//!
//! The option tables are read by these declarations, and `docs/spec-api.md` and the types for editors and
//! checkers are made from them; a test holds the list against what a spec's VM really installs. The
//! functions are in `prelude/spec.luau`.

use crate::registry::{ArgType, Key, OptionTable, Typed, WORKFLOW, gives, optional, required};

/// What `simulate` takes.
pub(crate) const SIMULATE: &OptionTable = &OptionTable {
    name: "Simulation",
    keys: &[
        optional(
            "pipeline",
            ArgType::Text,
            "the name of a pipeline of the script set",
        ),
        optional(
            "workflow",
            ArgType::As("Workflow"),
            "or a workflow that the spec file itself declares with `workflow(...)`",
        ),
        optional("input", ArgType::Value, "what a seeker would submit"),
        optional(
            "operators",
            ArgType::Value,
            "by name: a function, a reply, a list of replies (one each time it is asked, the last for \
         ever), or a table of the options below; without any, nobody takes a task",
        ),
        optional(
            "seed",
            ArgType::Count,
            "of the workflow's random numbers and the matchmaker's ties; drawn from `--seed` if left out",
        ),
        optional(
            "crash_at",
            ArgType::As("number | { number }"),
            "a number or a list of numbers: the coordinator crashes right after so many writes of its \
         journal, and starts again from it a second later",
        ),
        optional(
            "cancel_at",
            ArgType::Duration,
            "when the seeker cancels the workflow",
        ),
        optional(
            "give_up",
            ArgType::Duration,
            "virtual time after which the case fails; \"24h\" if left out",
        ),
    ],
};

/// What an operator of `simulate` is, where it is more than its answer.
pub(crate) const OPERATOR: &OptionTable = &OptionTable {
    name: "Operator",
    keys: &[
        required(
            "answer",
            ArgType::Value,
            "a function(task, item, n), a reply, or a list of replies",
        ),
        optional(
            "takes",
            ArgType::Duration,
            "how long each item takes; \"1s\" if left out",
        ),
        optional("machines", ArgType::Count, "how many machines it offers; 1"),
        optional("cpu_cores", ArgType::Count, "of each machine; 8"),
        optional("ram", ArgType::Size, "of each machine; \"32GiB\""),
        optional("devices", ArgType::Count, "of each machine; 1"),
        optional("vram", ArgType::Size, "of each device; \"8GiB\""),
        optional(
            "kinds",
            ArgType::Texts,
            "what it offers; every kind that the script set or the spec file names if left out",
        ),
        optional(
            "keys",
            ArgType::Texts,
            "what the keystore of each machine holds, by SHA-256 in hex; nothing if left out",
        ),
        optional(
            "joins",
            ArgType::Duration,
            "when its machines connect; at once if left out",
        ),
        optional(
            "leaves",
            ArgType::Duration,
            "when they disconnect for good; never if left out",
        ),
    ],
};

/// What a run is afterwards.
pub(crate) const RUN: &OptionTable = &OptionTable {
    name: "Run",
    keys: &[
        required(
            "state",
            ArgType::As("\"succeeded\" | \"failed\" | \"cancelled\" | \"refused\""),
            "how it ended; \"refused\" if it was never started",
        ),
        optional("output", ArgType::Value, "what the workflow returned"),
        optional(
            "failure",
            ArgType::As("{ code: string, message: string }"),
            "why it failed, as the seeker reads it",
        ),
        required(
            "delegations",
            ArgType::As("{ RunDelegation }"),
            "in call order",
        ),
        required(
            "children",
            ArgType::As("{ RunChild }"),
            "what `ctx:run` started, in call order; their delegations are not in the list above",
        ),
        required("log", ArgType::Texts, "what the script logged"),
        required(
            "status",
            ArgType::As("{ { phase: string, done: number, total: number } }"),
            "every `ctx:status`",
        ),
        required(
            "sleeps",
            ArgType::As("{ number }"),
            "every `ctx:sleep`, in seconds",
        ),
        required("elapsed", ArgType::As("number"), "seconds of virtual time"),
        required(
            "writes",
            ArgType::Count,
            "how often the journal was written: where `crash_at` may crash",
        ),
        required("restarts", ArgType::Count, "how often it crashed"),
        required("seed", ArgType::Count, "what `seed` was"),
    ],
};

/// What became of a delegation of a run. Times are seconds since the submit.
pub(crate) const RUN_DELEGATION: &OptionTable = &OptionTable {
    name: "RunDelegation",
    keys: &[
        required("key", ArgType::Text, "the author's name for it"),
        required("kind", ArgType::Text, "such as \"data.prove/1\""),
        required(
            "state",
            ArgType::As(
                "\"queued\" | \"assigned\" | \"running\" | \"succeeded\" | \"failed\" | \"timed_out\" \
                 | \"cancelled\"",
            ),
            "how it ended, or how far it was when the workflow ended",
        ),
        required("attempts", ArgType::Count, "how often it was assigned"),
        required("operators", ArgType::Texts, "who had it, in order"),
        required("items", ArgType::Count, "how many it owed"),
        required(
            "items_ok",
            ArgType::Count,
            "of these, how many have a value",
        ),
        required("items_failed", ArgType::Count, "how many ended without one"),
        required("avoid", ArgType::Texts, "who must not have it"),
        optional(
            "err",
            ArgType::As("{ class: ErrorClass, message: string, operator: string? }"),
            "the first error",
        ),
        optional("assigned", ArgType::As("number"), "when it was, at last"),
        optional("ended", ArgType::As("number"), "when it was over"),
    ],
};

/// What became of a child of a run.
pub(crate) const RUN_CHILD: &OptionTable = &OptionTable {
    name: "RunChild",
    keys: &[
        required("pipeline", ArgType::Text, "what it ran"),
        required("key", ArgType::Text, "the author's name for it"),
        required("state", ArgType::Text, "how it ended, as `state` of a run"),
    ],
};

pub(crate) const MATCHERS: &[Key] = &[
    required(
        "to_equal",
        ArgType::Value,
        "the same, tables by what is in them; says where they differ first",
    ),
    required("to_not_equal", ArgType::Value, "anything else"),
    required(
        "to_contain",
        ArgType::Value,
        "a string with this in it, or a table with an element that equals it",
    ),
    required("to_be_at_least", ArgType::Count, "a number, this or more"),
    required("to_be_at_most", ArgType::Count, "a number, this or less"),
    optional(
        "to_raise",
        ArgType::Text,
        "for a function: it raises an error, with this in its message",
    ),
];

const NAME: Key = required("name", ArgType::Text, "what it is about");

/// One verb of specs, as a reader of the page needs it.
#[derive(Debug, Clone, Copy)]
pub struct SpecVerb {
    pub name: &'static str,
    pub params: &'static [Key],
    /// Empty if nothing.
    pub returns: &'static [Typed],
    pub prose: &'static str,
    pub example: &'static str,
}

/// The verbs of specs. `require` is there too, for the modules of the script set.
pub const SPEC_VERBS: &[SpecVerb] = &[
    SpecVerb {
        name: "describe",
        params: &[
            NAME,
            required(
                "f",
                ArgType::Function("() -> ()"),
                "declares the cases; runs at once",
            ),
        ],
        returns: &[],
        prose: "Groups cases. Groups nest.",
        example: "describe(\"retry\", function() it(\"works\", function() end) end)",
    },
    SpecVerb {
        name: "it",
        params: &[
            NAME,
            required("f", ArgType::Function("() -> ()"), "the case"),
        ],
        returns: &[],
        prose: "Declares a case. Each case runs in a fresh VM, so that no case sees what another did.",
        example: "it(\"adds\", function() expect(1 + 1):to_equal(2) end)",
    },
    SpecVerb {
        name: "expect",
        params: &[required("value", ArgType::Value, "what came out")],
        returns: &[gives(
            "Expectation",
            "an expectation, and so does each of its matchers, to be chained",
        )],
        prose: "Holds a value against what was expected. The first expectation that is not met ends \
                the case.",
        example: "expect(run.elapsed):to_be_at_least(1):to_be_at_most(3)",
    },
    SpecVerb {
        name: "workflow",
        params: &[
            required("name", ArgType::Text, "unlike any pipeline's"),
            required("options", ArgType::Options(WORKFLOW), "as in a pipeline"),
            required(
                "run",
                ArgType::Function("(ctx: Ctx, input: any) -> any"),
                "as in a pipeline",
            ),
        ],
        returns: &[gives("Workflow", "a workflow to simulate")],
        prose: "Declares a workflow for `simulate`, at the top level of the file or in a describe. It \
                runs in a sandbox of its own, where the file is evaluated once more without its cases.",
        example: "local squares = workflow(\"squares\", {}, function(ctx, input) return {} end)",
    },
    SpecVerb {
        name: "simulate",
        params: &[required(
            "options",
            ArgType::Options(SIMULATE),
            "what to run",
        )],
        returns: &[gives("Run", "a run")],
        prose: "Runs a workflow to its end: the real engine, matchmaker and sandbox, a journal in \
                memory, scripted operators and a virtual clock. Minutes of virtual time take \
                milliseconds.",
        example: "local run = simulate { pipeline = \"data_commitments\", operators = { alpha = ok(1) } }",
    },
    SpecVerb {
        name: "ok",
        params: &[optional("value", ArgType::Value, "the item's value")],
        returns: &[gives("Reply", "a reply")],
        prose: "The item is done.",
        example: "ok({ proof = blob(\"proof 1\") })",
    },
    SpecVerb {
        name: "fail",
        params: &[
            required(
                "class",
                ArgType::As(
                    "\"timeout\" | \"disconnected\" | \"out_of_memory\" | \"invalid_result\" \
                     | \"worker_failed\" | \"bad_request\"",
                ),
                "\"timeout\", \"disconnected\", \"out_of_memory\", \"invalid_result\", \
                 \"worker_failed\" or \"bad_request\"; the others only the coordinator says",
            ),
            optional("message", ArgType::Text, "one line"),
        ],
        returns: &[gives("Reply", "a reply")],
        prose: "The item fails. The operator goes on with the next.",
        example: "fail(\"out_of_memory\", \"2 GiB short\")",
    },
    SpecVerb {
        name: "die",
        params: &[optional("message", ArgType::Text, "one line")],
        returns: &[gives("Reply", "a reply")],
        prose: "The worker dies: this item and the ones after it end as `worker_failed`. Items that \
                were done stay done.",
        example: "function(task, item, n) return if n > 2 then die() else ok(item) end",
    },
    SpecVerb {
        name: "hang",
        params: &[],
        returns: &[gives("Reply", "a reply")],
        prose: "Nothing more is heard of this attempt, until its time is up.",
        example: "hang()",
    },
    SpecVerb {
        name: "disconnect",
        params: &[optional(
            "back",
            ArgType::Duration,
            "when the machine connects again; never if left out",
        )],
        returns: &[gives("Reply", "a reply")],
        prose: "The machine goes, with everything that it was at.",
        example: "disconnect(\"30s\")",
    },
    SpecVerb {
        name: "refuse",
        params: &[optional("reason", ArgType::Text, "one line")],
        returns: &[gives("Reply", "a reply")],
        prose: "The machine does not take the task. It counts only as the answer to a task's first \
                item; the matchmaker then looks elsewhere.",
        example: "refuse(\"busy\")",
    },
    SpecVerb {
        name: "after",
        params: &[
            required("duration", ArgType::Duration, "instead of `takes`"),
            required("reply", ArgType::As("Reply"), "what comes then"),
        ],
        returns: &[gives("Reply", "a reply")],
        prose: "The reply comes late.",
        example: "after(\"90s\", ok(1))",
    },
    SpecVerb {
        name: "blob",
        params: &[required("text", ArgType::Text, "what is in it")],
        returns: &[gives("Blob", "a blob, as an input or a result")],
        prose: "Makes a blob. No bytes are kept: only its hash and its size travel, as ever.",
        example: "blob(\"proof 1\")",
    },
];

/// What `task` holds when an operator's function is asked.
pub(crate) const TASK: &OptionTable = &OptionTable {
    name: "OperatorTask",
    keys: &[
        required("kind", ArgType::Text, "such as \"data.prove/1\""),
        required("key", ArgType::Text, "the author's name for it"),
        optional("input", ArgType::Value, "common to all items"),
        required("items", ArgType::Count, "how many this attempt owes"),
        required(
            "attempt",
            ArgType::Count,
            "1, or more after a restart or a refusal",
        ),
        required("operator", ArgType::Text, "who is asked"),
        required("machine", ArgType::Text, "which machine, as OPERATOR/LABEL"),
    ],
};
