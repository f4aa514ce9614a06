//! What is added to a source so that only what is known is checked.
//!
//! Luau's checker, in strict mode, infers a type for whatever carries none, and stumbles over what it
//! inferred: unannotated code that is right draws errors by the dozen. So parameters without a type are
//! made `any`, and so are the results of functions that return sometimes more and sometimes fewer. What
//! the author annotated, and what the host and the language give, is checked.
//!
//! A table of options that a local holds fits no option table for the checker, since it lacks the keys that
//! may be left out; it is passed as `any`. The lints look at such tables.

use std::collections::BTreeSet;
use std::ops::Range;

use froben_script::ArgType;
use full_moon::ast::luau::ExportedTypeDeclaration;
use full_moon::ast::{
    AnonymousFunction, Block, Call, Expression, FunctionArgs, FunctionBody, FunctionCall,
    FunctionDeclaration, LastStmt, LocalAssignment, LocalFunction, Parameter, Prefix, Return,
    Suffix, Var,
};
use full_moon::visitors::{Visit, Visitor};

use crate::lint::api;
use crate::lint::chain::Chain;
use crate::lint::names::Names;
use crate::lint::tree::{arguments, literal_text, name_of, plain_call, span, text_of};
use crate::syntax::read_tokens;

/// The type of parameters that are called `ctx`.
const CTX: &str = ": Ctx";
const ANY: &str = ": any";
const AS_ANY: &str = " :: any";
const ANY_RESULTS: &str = ": ...any";

/// A change to a source that keeps its lines.
#[derive(Debug, Clone)]
pub(super) enum Edit {
    Insert(usize, &'static str),
    /// Padded with blanks to the same width.
    Replace(Range<usize>, String),
}

impl Edit {
    pub(super) fn start(&self) -> usize {
        match self {
            Edit::Insert(at, _) => *at,
            Edit::Replace(span, _) => span.start,
        }
    }
}

/// Where modules are required, and which.
pub(super) type Requires = Vec<(Range<usize>, String)>;

pub(super) fn edits(text: &str) -> (Vec<Edit>, Requires) {
    let Ok(parsed) = read_tokens(text) else {
        // The linter has said so; such a file does not come here.
        return (Vec::new(), Requires::new());
    };
    let mut annotator = Annotator {
        names: Names::of(parsed.ast()),
        edits: Vec::new(),
        requires: Requires::new(),
        typed: BTreeSet::new(),
        tables: BTreeSet::new(),
    };
    annotator.visit_ast(parsed.ast());
    (annotator.edits, annotator.requires)
}

struct Annotator {
    names: Names,
    edits: Vec<Edit>,
    requires: Requires,
    /// Where functions begin whose parameters get their types from what they are handed to.
    typed: BTreeSet<usize>,
    /// Locals without a type whose first value is a table that is written out, by declaration.
    tables: BTreeSet<usize>,
}

impl Visitor for Annotator {
    fn visit_function_call(&mut self, call: &FunctionCall) {
        self.require(call);
        self.options(call);
        let Prefix::Name(name) = call.prefix() else {
            return;
        };
        // Other functions may themselves be unannotated, and give no types.
        let known = ["workflow", "ctx", "table", "string", "pcall", "xpcall"];
        if !known.contains(&name_of(name)) {
            return;
        }
        for suffix in call.suffixes() {
            let given = match suffix {
                Suffix::Call(Call::AnonymousCall(given)) => given,
                Suffix::Call(Call::MethodCall(method)) => method.args(),
                _ => continue,
            };
            for argument in arguments(given) {
                if let Expression::Function(function) = argument {
                    self.typed.insert(span(&**function).start);
                }
            }
        }
    }

    fn visit_local_assignment(&mut self, local: &LocalAssignment) {
        let declared = local.names().iter().zip(local.type_specifiers());
        for ((name, declared), value) in declared.zip(local.expressions()) {
            if let (None, Expression::TableConstructor(_), Some(index)) =
                (declared, value, self.names.index(name))
            {
                self.tables.insert(index);
            }
        }
    }

    fn visit_anonymous_function(&mut self, function: &AnonymousFunction) {
        if !self.typed.contains(&span(function).start) {
            self.annotate(function.body());
        }
    }

    fn visit_local_function(&mut self, function: &LocalFunction) {
        self.annotate(function.body());
    }

    fn visit_function_declaration(&mut self, function: &FunctionDeclaration) {
        self.annotate(function.body());
    }

    fn visit_exported_type_declaration(&mut self, declared: &ExportedTypeDeclaration) {
        // Only a whole source may export types, and here it is a part of one.
        let export = span(declared.export_token());
        self.edits.push(Edit::Replace(export, String::new()));
    }
}

impl Annotator {
    fn require(&mut self, call: &FunctionCall) {
        let named = plain_call(call).filter(|(name, _)| name_of(name) == "require");
        let Some((name, given)) = named else {
            return;
        };
        let module = match given {
            FunctionArgs::String(token) => text_of(token),
            given => arguments(given).next().and_then(literal_text),
        };
        if let Some(module) = module {
            let span = span(name).start..span(given).end;
            self.requires.push((span, module.to_owned()));
        }
    }

    fn options(&mut self, call: &FunctionCall) {
        let methods = Chain::of(&self.names, call).uses.into_iter();
        let methods = methods.filter_map(|used| Some((used.verb?.params, used.given)));
        let function = plain_call(call).and_then(|(name, given)| {
            let global = self.names.index(name).is_none();
            // That a word is there in specs alone is for others to say.
            let params = api::parameters(name_of(name), true).filter(|_| global);
            Some((params?, given))
        });
        for (params, given) in methods.chain(function) {
            for (key, argument) in params.iter().zip(arguments(given)) {
                if let (ArgType::Options(_), Expression::Var(Var::Name(name))) = (key.arg, argument)
                    && let Some(index) = self.names.index(name)
                    && self.tables.contains(&index)
                {
                    self.edits.push(Edit::Insert(span(name).end, AS_ANY));
                }
            }
        }
    }

    fn annotate(&mut self, body: &FunctionBody) {
        for (parameter, declared) in body.parameters().iter().zip(body.type_specifiers()) {
            if let (Parameter::Name(name), None) = (parameter, declared) {
                let type_of = if name_of(name) == "ctx" { CTX } else { ANY };
                self.edits.push(Edit::Insert(span(name).end, type_of));
            }
        }
        if body.return_type().is_none() && Returns::of(body.block()).differ {
            let (_, close) = body.parameters_parentheses().tokens();
            self.edits.push(Edit::Insert(span(close).end, ANY_RESULTS));
        }
    }
}

/// How many values the returns of one function give.
#[derive(Default)]
struct Returns {
    count: Option<usize>,
    differ: bool,
    /// Functions inside it return for themselves.
    depth: u32,
}

impl Returns {
    fn of(block: &Block) -> Self {
        let mut returns = Returns::default();
        block.visit(&mut returns);
        // Running off the end returns nothing.
        if !matches!(block.last_stmt(), Some(LastStmt::Return(_))) {
            returns.differ |= returns.count.is_some_and(|count| count > 0);
        }
        returns
    }
}

impl Visitor for Returns {
    fn visit_function_body(&mut self, _: &FunctionBody) {
        self.depth += 1;
    }

    fn visit_function_body_end(&mut self, _: &FunctionBody) {
        self.depth -= 1;
    }

    fn visit_return(&mut self, returned: &Return) {
        if self.depth > 0 {
            return;
        }
        // A call at the end of a list gives as many values as it likes.
        let last = returned.returns().last().map(|last| last.value());
        let count = match last {
            Some(Expression::FunctionCall(_)) => usize::MAX,
            _ => returned.returns().len(),
        };
        self.differ |= self.count.is_some_and(|known| known != count);
        self.count = Some(count);
    }
}
