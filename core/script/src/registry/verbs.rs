//! The verbs.

use super::{
    ArgType, DELEGATE, MAP, RUN, STATUS, Verb, WORKFLOW, gives, optional, required, typed,
};

/// A verb that takes and gives nothing; the others fill in what they have.
const VERB: Verb = Verb {
    name: "",
    generics: "",
    params: &[],
    returns: &[],
    blocks: false,
    raises: &[],
    prose: "",
    example: "",
};

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
            required(
                "run",
                ArgType::Function("(ctx: Ctx, input: any) -> any"),
                "called with `ctx` and the input",
            ),
        ],
        returns: &[gives("Workflow", "the workflow, which the file returns")],
        prose: "Declares a pipeline. A type is \"blob\", \"string\", \"number\", \"integer\", \
                \"boolean\", \"list\", \"table\" or \"any\", with a `?` after it if the field may be \
                missing; or a list of the strings to choose from, with a `default` if it may.",
        example: "return workflow(\"square\", { input = { n = \"integer\" } }, function(ctx, input) \
                  return { n = input.n * input.n } end)",
        ..VERB
    },
    Verb {
        name: "require",
        params: &[required(
            "name",
            ArgType::Text,
            "\"lib/\" and the module's name, without \".lua\"",
        )],
        returns: &[gives(
            "any",
            "what the module returns, frozen; the same value each time",
        )],
        raises: &["there is no such module, or it requires itself; that stops the workflow"],
        prose: "Loads a module of the same script set.",
        example: "local retry = require(\"lib/retry\")",
        ..VERB
    },
    Verb {
        name: "ctx:delegate",
        params: &[required(
            "task",
            ArgType::Options(DELEGATE),
            "what to do, and on what machine",
        )],
        returns: &[gives("Delegation", "a delegation, at once")],
        raises: &[
            "the key was given before",
            "the input and items weigh more than 3 MiB",
        ],
        prose: "Hands out a task.",
        example: "local d = ctx:delegate { kind = \"data.prove/1\", input = { data = input.data } }",
        ..VERB
    },
    Verb {
        name: "d:await",
        returns: &[gives("Result", "{ ok, value, items, err }")],
        blocks: true,
        prose: "Waits until the delegation is over. `ok` is true if every item has a value; `value` is \
                that of a delegation of one item; `items` holds { ok, value, err, index, operator } for \
                each; `err` is the first error: { class, message, retryable, operator }.",
        example: "local result = d:await()",
        ..VERB
    },
    Verb {
        name: "d:cancel",
        prose: "Asks that the delegation be given up. Items without a value end as `cancelled`.",
        example: "d:cancel()",
        ..VERB
    },
    Verb {
        name: "ctx:all",
        generics: "<M>",
        params: &[required(
            "members",
            ArgType::Members,
            "delegations, fibers and children",
        )],
        returns: &[gives(
            "{ any }",
            "what each one's `await` gives, in the same order",
        )],
        blocks: true,
        prose: "Waits until every one is over.",
        example: "local results = ctx:all { d1, d2 }",
        ..VERB
    },
    Verb {
        name: "ctx:race",
        generics: "<M>",
        params: &[required(
            "members",
            ArgType::Members,
            "delegations, fibers and children",
        )],
        returns: &[
            typed(
                "position",
                "number",
                "where in the list the first one stands",
            ),
            typed("result", "any", "what its `await` gives"),
        ],
        blocks: true,
        raises: &["the list is empty"],
        prose: "Waits until one of them is over, and gives the one that was first, by the journal. Over \
                is over: a delegation that failed has won too. The others go on; cancel what is not \
                wanted. To follow all of them, call it again without the one that it gave.",
        example: "local position, result = ctx:race { d, ctx:spawn(function() ctx:sleep(\"5m\") end) }",
    },
    Verb {
        name: "ctx:stream",
        params: &[required(
            "delegations",
            ArgType::Delegations,
            "whose items to take",
        )],
        returns: &[gives(
            "() -> (number, Item)",
            "an iterator over position, item",
        )],
        blocks: true,
        raises: &["a delegation is in the list twice"],
        prose: "Yields each item as it arrives: the position of its delegation in the list, and { ok, \
                value, err, index, operator, delegation }. A delegation that is appended to the list \
                meanwhile joins in. Ends when every item of every delegation was yielded.",
        example: "for i, item in ctx:stream { d1, d2 } do ctx:log(item.index) end",
        ..VERB
    },
    Verb {
        name: "ctx:map",
        params: &[
            required(
                "task",
                ArgType::Options(DELEGATE),
                "as `ctx:delegate` takes it, with as many `items` as there are",
            ),
            optional("options", ArgType::Options(MAP), "how to cut it"),
        ],
        returns: &[gives(
            "MapResult",
            "{ ok = { { index, value, operator } }, err = { { index, err } } }",
        )],
        blocks: true,
        raises: &["`items` is missing"],
        prose: "Has the items of a task done in pieces of `width`, at most `concurrency` of them in \
                flight, and gives those that succeeded and those that did not, each by its position in \
                `items`. A piece has the key `KEY/FIRST-LAST`. Nothing is tried again: for that there \
                is `lib/retry`.",
        example: "local done = ctx:map({ kind = \"data.hash/1\", key = \"hash\", items = list }, \
                  { width = 16, concurrency = 32 })",
        ..VERB
    },
    Verb {
        name: "ctx:spawn",
        generics: "<R, A...>",
        params: &[
            required(
                "f",
                ArgType::Function("(A...) -> R"),
                "what to run; it may wait",
            ),
            optional("...", ArgType::Rest("A..."), "its arguments"),
        ],
        returns: &[gives("Fiber<R>", "a fiber, at once")],
        prose: "Runs a function beside this one, in the same workflow: it begins when this one next \
                waits. An error in a fiber that nothing catches fails the workflow, whether or not \
                anybody waits for the fiber, so that none is lost; where failure is expected, catch it \
                inside, or return it. When the workflow's function returns, fibers that still run are \
                dropped.",
        example: "local fiber = ctx:spawn(function(name) return ctx:delegate { kind = name }:await() end, \
                  \"data.hash/1\")",
        ..VERB
    },
    Verb {
        name: "fiber:await",
        returns: &[gives("R", "what its function returned, the first value")],
        blocks: true,
        raises: &["a fiber waits for itself"],
        prose: "Waits until the fiber is over.",
        example: "local value = fiber:await()",
        ..VERB
    },
    Verb {
        name: "ctx:run",
        params: &[
            required(
                "pipeline",
                ArgType::Text,
                "the name of a pipeline of the same script set",
            ),
            optional("input", ArgType::Value, "as the pipeline declares it"),
            optional("options", ArgType::Options(RUN), "how it is named"),
        ],
        returns: &[gives("Child", "a child, at once")],
        raises: &[
            "there is no such pipeline",
            "the input does not fit what the pipeline declares",
        ],
        prose: "Runs another pipeline as a workflow of its own: same scripts, same seeker, a journal, \
                limits and a status of its own. It ends with this one at the latest. Children nest four \
                levels deep. Of one seeker so many run at once on each level; more wait for a place.",
        example: "local child = ctx:run(\"data_commitments\", { data = input.data })",
        ..VERB
    },
    Verb {
        name: "child:await",
        returns: &[gives(
            "ChildResult",
            "{ ok, value, err = { code, message } }",
        )],
        blocks: true,
        prose: "Waits until the child is over. How it ended is data: a child that fails does not fail \
                this workflow.",
        example: "local result = child:await()",
        ..VERB
    },
    Verb {
        name: "child:cancel",
        prose: "Asks that the child be given up, with its delegations and its own children. It ends with \
                FRB-WFL-010 unless it was over.",
        example: "child:cancel()",
        ..VERB
    },
    Verb {
        name: "ctx:sleep",
        params: &[required("duration", ArgType::Duration, "how long")],
        blocks: true,
        raises: &["it is longer than 30 days"],
        prose: "Waits. The timer survives a restart.",
        example: "ctx:sleep(\"5s\")",
        ..VERB
    },
    Verb {
        name: "ctx:now",
        returns: &[gives("number", "seconds since 1970, to the millisecond")],
        prose: "The journal's time: when that happened which the script was given last, or when it was \
                started. It stands still while the script computes, and is the same on replay.",
        example: "local deadline = ctx:now() + 300",
        ..VERB
    },
    Verb {
        name: "ctx:random",
        params: &[optional(
            "n",
            ArgType::Count,
            "the largest number to draw, from 1",
        )],
        returns: &[gives(
            "number",
            "from 0 up to 1; or a whole number from 1 to `n`",
        )],
        prose: "Draws a random number. The workflow's seed decides it, so it is the same on replay; it \
                is not fit for secrets. `math.random` draws from the same source.",
        example: "local pick = list[ctx:random(#list)]",
        ..VERB
    },
    Verb {
        name: "ctx:status",
        params: &[required(
            "status",
            ArgType::Options(STATUS),
            "where the workflow stands",
        )],
        raises: &["`done` is more than `total`"],
        prose: "Shows progress to whoever watches.",
        example: "ctx:status { phase = \"prove\", done = 3, total = 8 }",
        ..VERB
    },
    Verb {
        name: "ctx:log",
        params: &[required("text", ArgType::Line, "one line")],
        prose: "Writes to the workflow's log.",
        example: "ctx:log(\"3 of 8 segments\")",
        ..VERB
    },
    Verb {
        name: "ctx:fail",
        params: &[required(
            "reason",
            ArgType::Text,
            "one line, for the seeker",
        )],
        returns: &[gives("never", "never")],
        prose: "Ends the workflow because it cannot be done: the input is not acceptable, or nobody \
                managed it. The seeker reads the reason as it stands. It cannot be caught.",
        example: "ctx:fail(\"the file is empty\")",
        ..VERB
    },
];
