//! Names that nothing in the script declares.

use froben_script::nearest;
use full_moon::ast::{Index, Prefix, Stmt, Suffix, Var};
use full_moon::tokenizer::TokenReference;
use full_moon::visitors::Visitor;

use super::names::{Names, Role};
use super::tree::{name_of, span};
use super::{Found, Lint, Script, api};
use crate::finding::Severity;

pub(crate) const REMOVED: Lint = Lint {
    name: "removed-global",
    severity: Severity::Error,
    summary: "a part of Lua that workflows do not have, since it would differ on replay or escape",
};
pub(crate) const UNDEFINED: Lint = Lint {
    name: "undefined-name",
    severity: Severity::Error,
    summary: "a name that nothing declares",
};
pub(crate) const ASSIGNED: Lint = Lint {
    name: "global-assignment",
    severity: Severity::Error,
    summary: "an assignment to a global or into a library, which are frozen",
};
pub(crate) const SHADOWED: Lint = Lint {
    name: "shadowed-global",
    severity: Severity::Warning,
    summary: "a local that hides a library or a function of the language",
};

/// What scripts do not have, and what there is instead. The sandbox says the same when it is used.
pub(crate) const GONE: [(&str, &str); 15] = [
    ("_G", "globals are fixed: keep values in locals"),
    ("collectgarbage", "a workflow's memory is looked after"),
    (
        "coroutine",
        "delegations run side by side by themselves; wait with ctx:stream or ctx:all",
    ),
    ("debug", "raise an error, or use ctx:log"),
    ("dofile", "use require"),
    ("gcinfo", "a workflow's memory is looked after"),
    ("getfenv", "globals are fixed"),
    (
        "io",
        "a workflow reaches files only as blobs, through tasks",
    ),
    ("load", "use require"),
    ("loadfile", "use require"),
    ("loadstring", "use require"),
    ("newproxy", "use a table with a metatable"),
    ("os", "a workflow has no clock and no system of its own"),
    ("print", "use ctx:log"),
    ("setfenv", "globals are fixed"),
];

/// Members of libraries that scripts do not have.
pub(crate) const GONE_MEMBERS: [(&str, &str, &str); 7] = [
    (
        "math",
        "randomseed",
        "math.random is seeded per workflow, so that a replay draws the same",
    ),
    ("string", "dump", "there is no bytecode"),
    ("table", "foreach", "use `for key, value in t do`"),
    (
        "table",
        "foreachi",
        "use `for index, value in ipairs(t) do`",
    ),
    ("table", "getn", "use `#t`"),
    ("table", "maxn", "use `#t`"),
    (
        "table",
        "setn",
        "the length of a table follows from its elements",
    ),
];

/// Globals that are functions or values.
const FUNCTIONS: [&str; 22] = [
    "_VERSION",
    "assert",
    "error",
    "getmetatable",
    "ipairs",
    "next",
    "pairs",
    "pcall",
    "rawequal",
    "rawget",
    "rawlen",
    "rawset",
    "select",
    "setmetatable",
    "tonumber",
    "tostring",
    "type",
    "typeof",
    "unpack",
    "xpcall",
    // Verbs, which a test holds against the registry.
    "require",
    "workflow",
];

/// Globals that are tables of functions.
const LIBRARIES: [&str; 7] = [
    "bit32", "buffer", "math", "string", "table", "utf8", "vector",
];

pub(crate) fn known<'a>() -> impl Iterator<Item = &'a str> + Clone {
    FUNCTIONS.into_iter().chain(LIBRARIES)
}

/// The same in a spec, which has verbs of its own, or elsewhere.
fn known_in<'a>(spec: bool) -> impl Iterator<Item = &'a str> + Clone {
    let words = api::spec_words().map(|word| -> &'a str { word });
    known().chain(words.filter(move |_| spec))
}

pub(super) fn check(script: &Script<'_>, found: &mut Found<'_>) {
    let spec = api::is_spec(found.path);
    for global in &script.names.globals {
        let (name, span) = (global.name.as_str(), global.span.clone());
        if global.writes {
            let message = format!("`{name}` is assigned, but globals are frozen");
            found.report(
                &ASSIGNED,
                span,
                message,
                format!("declare it: `local {name}`"),
            );
        } else if let Some((_, instead)) = GONE.iter().find(|(gone, _)| *gone == name) {
            found.report(
                &REMOVED,
                span,
                format!("`{name}` is not available"),
                *instead,
            );
        } else if known_in(spec).all(|known| known != name) {
            let declared = script.names.bindings.iter().map(|b| b.name.as_str());
            let hint = match (name, nearest(name, known_in(spec).chain(declared))) {
                ("ctx", _) => {
                    "it is the parameter of the workflow's function: pass it to where it is used"
                        .to_owned()
                }
                (_, Some(meant)) if meant == name => {
                    "it is declared elsewhere, or later: move the declaration up".to_owned()
                }
                (_, Some(meant)) => format!("did you mean `{meant}`?"),
                (_, None) if api::spec_words().any(|word| word == name) => {
                    "only specs have it, in spec/".to_owned()
                }
                (_, None) => "declare it with `local`, or take it from a module".to_owned(),
            };
            found.report(&UNDEFINED, span, format!("`{name}` is not defined"), hint);
        }
    }
    for binding in &script.names.bindings {
        let name = binding.name.as_str();
        if known().any(|known| known == name) && binding.role != Role::Loop {
            let message = format!("`{name}` hides the global of that name");
            let hint = "give it another name, so that readers need not wonder which is meant";
            found.report(&SHADOWED, binding.span.clone(), message, hint);
        }
    }
    let mut members = Members {
        names: &script.names,
        found,
    };
    members.visit_ast(script.ast);
}

/// Looks at `library.member`.
struct Members<'a, 'f> {
    names: &'a Names,
    found: &'a mut Found<'f>,
}

impl Members<'_, '_> {
    fn library<'t>(&self, prefix: &'t Prefix) -> Option<&'t TokenReference> {
        match prefix {
            Prefix::Name(name) if LIBRARIES.iter().any(|l| self.names.is_global(name, l)) => {
                Some(name)
            }
            _ => None,
        }
    }

    fn member<'t>(&mut self, prefix: &Prefix, mut suffixes: impl Iterator<Item = &'t Suffix>) {
        let (Some(library), Some(Suffix::Index(Index::Dot { name, .. }))) =
            (self.library(prefix), suffixes.next())
        else {
            return;
        };
        let (of, member) = (name_of(library), name_of(name));
        let gone = GONE_MEMBERS
            .iter()
            .find(|gone| (gone.0, gone.1) == (of, member));
        if let Some((_, _, instead)) = gone {
            let message = format!("`{of}.{member}` is not available");
            self.found.report(
                &REMOVED,
                span(library).start..span(name).end,
                message,
                *instead,
            );
        }
    }

    fn assigned(&mut self, target: &Var) {
        if let Var::Expression(target) = target
            && let Some(library) = self.library(target.prefix())
        {
            self.frozen_library(library, span(&**target));
        }
    }

    fn frozen_library(&mut self, library: &TokenReference, span: std::ops::Range<usize>) {
        let message = format!("the library `{}` is frozen", name_of(library));
        let hint = "keep your own functions in a module of lib/";
        self.found.report(&ASSIGNED, span, message, hint);
    }
}

impl Visitor for Members<'_, '_> {
    fn visit_var_expression(&mut self, node: &full_moon::ast::VarExpression) {
        self.member(node.prefix(), node.suffixes());
    }

    fn visit_function_call(&mut self, node: &full_moon::ast::FunctionCall) {
        self.member(node.prefix(), node.suffixes());
    }

    fn visit_stmt(&mut self, node: &Stmt) {
        match node {
            Stmt::Assignment(assignment) => {
                assignment
                    .variables()
                    .iter()
                    .for_each(|target| self.assigned(target));
            }
            Stmt::CompoundAssignment(assignment) => self.assigned(assignment.lhs()),
            Stmt::FunctionDeclaration(function) => {
                let names = function.name().names();
                if names.len() > 1
                    && let Some(first) = names.iter().next()
                    && LIBRARIES.iter().any(|l| self.names.is_global(first, l))
                {
                    self.frozen_library(first, span(function.name()));
                }
            }
            _ => {}
        }
    }
}
