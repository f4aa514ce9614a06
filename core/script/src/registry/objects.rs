//! What a script is given: objects of the host, and tables of plain data.

use super::{Object, Typed, typed};

const fn table(name: &'static str, fields: &'static [Typed], prose: &'static str) -> Object {
    Object {
        name,
        generics: "",
        variable: "",
        fields,
        alias: "",
        prose,
    }
}

const fn alias(name: &'static str, alias: &'static str, prose: &'static str) -> Object {
    Object {
        alias,
        ..table(name, &[], prose)
    }
}

const fn object(
    name: &'static str,
    variable: &'static str,
    fields: &'static [Typed],
    prose: &'static str,
) -> Object {
    Object {
        variable,
        ..table(name, fields, prose)
    }
}

const OPERATOR: Typed = typed("operator", "string?", "who had it; nil if nobody had");

pub const OBJECTS: &[Object] = &[
    alias(
        "ErrorClass",
        "\"timeout\" | \"disconnected\" | \"out_of_memory\" | \"invalid_result\" | \"worker_failed\" \
         | \"no_capacity\" | \"cancelled\" | \"bad_request\"",
        "Why an item has no value. The list is closed: a retry policy decides on it.",
    ),
    alias(
        "FieldType",
        "string",
        "\"blob\", \"string\", \"number\", \"integer\", \"boolean\", \"list\", \"table\" or \"any\", with a `?` \
         after it if the field may be missing.",
    ),
    alias(
        "Choice",
        "{ [number]: string, default: string? }",
        "The strings that a field is one of, and what it is when it is missing.",
    ),
    table(
        "Blob",
        &[
            typed("hash", "string", "the BLAKE3 digest, in hex"),
            typed("size", "number", "in bytes"),
        ],
        "Content-addressed bytes. Only the host makes blobs; a script passes them on.",
    ),
    table(
        "ItemError",
        &[
            typed("class", "ErrorClass", "what happened"),
            typed("message", "string", "one line, for people"),
            typed(
                "retryable",
                "boolean",
                "whether another try, perhaps elsewhere, can end better",
            ),
            OPERATOR,
        ],
        "Why an item has no value.",
    ),
    table(
        "Item",
        &[
            typed("index", "number", "its position in the delegation, from 1"),
            typed("ok", "boolean", "whether it has a value"),
            typed("value", "any", "what the machine made of it"),
            typed("err", "ItemError?", "why it has none"),
            OPERATOR,
            typed(
                "delegation",
                "Delegation",
                "whose item it is; only where it comes from `ctx:stream`",
            ),
        ],
        "How one item ended.",
    ),
    table(
        "Result",
        &[
            typed("ok", "boolean", "whether every item has a value"),
            typed("value", "any", "that of a delegation of one item"),
            typed("items", "{ Item }", "each item, in order"),
            typed("err", "ItemError?", "the first error"),
        ],
        "How a delegation ended.",
    ),
    table(
        "MapItem",
        &[
            typed("index", "number", "its position in `items`, from 1"),
            typed("value", "any", "what the machine made of it"),
            typed("err", "ItemError?", "why it has no value"),
            OPERATOR,
        ],
        "How one item of `ctx:map` ended.",
    ),
    table(
        "MapResult",
        &[
            typed(
                "ok",
                "{ { index: number, value: any, operator: string? } }",
                "the items that have a value, by index",
            ),
            typed(
                "err",
                "{ { index: number, err: ItemError } }",
                "the others, by index",
            ),
        ],
        "What `ctx:map` made of a list.",
    ),
    table(
        "ChildResult",
        &[
            typed("ok", "boolean", "whether it returned"),
            typed("value", "any", "what it returned"),
            typed(
                "err",
                "{ code: string, message: string }?",
                "why it did not; the code is one of docs/errors",
            ),
        ],
        "How a child ended.",
    ),
    object(
        "Delegation",
        "d",
        &[
            typed("id", "number", "the number of the call"),
            typed("key", "string", "the author's name for it"),
        ],
        "A task that was handed out.",
    ),
    Object {
        generics: "<R>",
        ..object(
            "Fiber",
            "fiber",
            &[],
            "A function of the script that runs beside the others.",
        )
    },
    object(
        "Child",
        "child",
        &[
            typed("id", "number", "the number of the call"),
            typed("key", "string", "the author's name for it"),
            typed("pipeline", "string", "what it runs"),
        ],
        "A workflow that this one runs.",
    ),
    object(
        "Ctx",
        "ctx",
        &[],
        "What a workflow reaches the world through.",
    ),
    table("Workflow", &[], "What the file of a pipeline returns."),
];
