//! Which declaration each name of a script means.

use std::collections::HashMap;
use std::ops::Range;

use full_moon::ast::luau::IfConditionBinding;
use full_moon::ast::{
    Ast, Block, Call, Expression, Field, FunctionArgs, FunctionBody, FunctionCall, Index, LastStmt,
    Parameter, Prefix, Stmt, Suffix, TableConstructor, Var, VarExpression,
};
use full_moon::tokenizer::TokenReference;

use super::chain::Chain;
use super::tree::{arguments, name_of, span_of_token};

/// How a name came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Local,
    Function,
    Parameter,
    Loop,
}

/// What a name certainly holds, as long as nobody assigns to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// An object of the host's, by the variable that the manual gives it: `ctx`, `d`.
    Host(&'static str),
    Table,
    Function,
    Unknown,
}

impl Shape {
    /// The workflow's door to the world.
    pub(crate) const CTX: Shape = Shape::Host("ctx");

    /// As the key of a table it has an address, and no order that holds on replay.
    pub(crate) fn is_object(self) -> bool {
        self != Shape::Unknown
    }
}

/// One declaration.
#[derive(Debug)]
pub(crate) struct Binding {
    pub(crate) name: String,
    pub(crate) span: Range<usize>,
    pub(crate) role: Role,
    shape: Shape,
    pub(crate) reads: u32,
    pub(crate) writes: u32,
}

impl Binding {
    pub(crate) fn shape(&self) -> Shape {
        match self.writes {
            0 => self.shape,
            _ => Shape::Unknown,
        }
    }
}

/// A use of a name that no declaration of the script covers.
#[derive(Debug)]
pub(crate) struct GlobalUse {
    pub(crate) name: String,
    pub(crate) span: Range<usize>,
    pub(crate) writes: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) bindings: Vec<Binding>,
    pub(crate) globals: Vec<GlobalUse>,
    /// By the first byte of the name.
    uses: HashMap<usize, usize>,
}

impl Names {
    pub(crate) fn of(ast: &Ast) -> Self {
        let mut resolver = Resolver {
            names: Names::default(),
            scopes: vec![HashMap::new()],
        };
        resolver.statements(ast.nodes());
        resolver.names
    }

    /// The declaration that `name`, a use or a declaration, stands for; `None` for a global.
    pub(crate) fn index(&self, name: &TokenReference) -> Option<usize> {
        self.uses.get(&span_of_token(name).start).copied()
    }

    pub(crate) fn binding(&self, name: &TokenReference) -> Option<&Binding> {
        Some(&self.bindings[self.index(name)?])
    }

    pub(crate) fn shape(&self, name: &TokenReference) -> Shape {
        self.binding(name).map_or(Shape::Unknown, Binding::shape)
    }

    /// What an expression certainly is.
    pub(crate) fn shape_of(&self, expression: &Expression) -> Shape {
        match expression {
            Expression::Var(Var::Name(name)) => self.shape(name),
            Expression::TableConstructor(_) => Shape::Table,
            Expression::Function(_) => Shape::Function,
            Expression::FunctionCall(call) => Chain::of(self, call).result,
            Expression::Parentheses { expression, .. }
            | Expression::TypeAssertion { expression, .. } => self.shape_of(expression),
            _ => Shape::Unknown,
        }
    }

    /// The name means nothing in the script, and is the global of that name.
    pub(crate) fn is_global(&self, token: &TokenReference, name: &str) -> bool {
        name_of(token) == name && self.index(token).is_none()
    }
}

struct Resolver {
    names: Names,
    scopes: Vec<HashMap<String, usize>>,
}

impl Resolver {
    fn declare(&mut self, token: &TokenReference, role: Role, shape: Shape) -> usize {
        let (name, span) = (name_of(token).to_owned(), span_of_token(token));
        let index = self.names.bindings.len();
        self.names.uses.insert(span.start, index);
        if let Some(scope) = self.scopes.last_mut() {
            scope.insert(name.clone(), index);
        }
        self.names.bindings.push(Binding {
            name,
            span,
            role,
            shape,
            reads: 0,
            writes: 0,
        });
        index
    }

    fn found(&mut self, token: &TokenReference) -> Option<usize> {
        let name = name_of(token);
        let index = self.scopes.iter().rev().find_map(|scope| scope.get(name));
        let index = index.copied()?;
        self.names.uses.insert(span_of_token(token).start, index);
        Some(index)
    }

    fn read(&mut self, token: &TokenReference) {
        match self.found(token) {
            Some(index) => self.names.bindings[index].reads += 1,
            None => self.global(token, false),
        }
    }

    fn write(&mut self, token: &TokenReference) {
        match self.found(token) {
            Some(index) => self.names.bindings[index].writes += 1,
            None => self.global(token, true),
        }
    }

    fn global(&mut self, token: &TokenReference, writes: bool) {
        self.names.globals.push(GlobalUse {
            name: name_of(token).to_owned(),
            span: span_of_token(token),
            writes,
        });
    }

    fn block(&mut self, block: &Block) {
        self.scopes.push(HashMap::new());
        self.statements(block);
        self.scopes.pop();
    }

    fn statements(&mut self, block: &Block) {
        for statement in block.stmts() {
            self.statement(statement);
        }
        if let Some(LastStmt::Return(returned)) = block.last_stmt() {
            self.expressions(returned.returns());
        }
    }

    fn statement(&mut self, statement: &Stmt) {
        match statement {
            Stmt::Assignment(assignment) => {
                self.expressions(assignment.expressions());
                for target in assignment.variables() {
                    self.target(target);
                }
            }
            Stmt::CompoundAssignment(assignment) => {
                self.expression(assignment.rhs());
                if let Var::Name(name) = assignment.lhs() {
                    self.read(name);
                }
                self.target(assignment.lhs());
            }
            Stmt::LocalAssignment(local) => self.locals(local.names(), local.expressions()),
            Stmt::ConstAssignment(local) => self.locals(local.names(), local.expressions()),
            Stmt::LocalFunction(function) => {
                self.declare(function.name(), Role::Function, Shape::Function);
                self.function(function.body(), None);
            }
            Stmt::ConstFunction(function) => {
                self.declare(function.name(), Role::Function, Shape::Function);
                self.function(function.body(), None);
            }
            Stmt::FunctionDeclaration(function) => {
                let name = function.name();
                if let Some(first) = name.names().iter().next() {
                    let whole = name.names().len() == 1 && name.method_name().is_none();
                    match whole {
                        true => self.write(first),
                        false => self.read(first),
                    }
                }
                self.function(function.body(), name.method_name());
            }
            Stmt::FunctionCall(call) => self.call(call),
            Stmt::Do(inner) => self.block(inner.block()),
            Stmt::While(inner) => {
                self.expression(inner.condition());
                self.block(inner.block());
            }
            Stmt::Repeat(inner) => {
                // Its condition sees what its body declares.
                self.scopes.push(HashMap::new());
                self.statements(inner.block());
                self.expression(inner.until());
                self.scopes.pop();
            }
            Stmt::NumericFor(inner) => {
                self.expression(inner.start());
                self.expression(inner.end());
                if let Some(step) = inner.step() {
                    self.expression(step);
                }
                self.scopes.push(HashMap::new());
                self.declare(inner.index_variable(), Role::Loop, Shape::Unknown);
                self.statements(inner.block());
                self.scopes.pop();
            }
            Stmt::GenericFor(inner) => {
                self.expressions(inner.expressions());
                self.scopes.push(HashMap::new());
                for name in inner.names() {
                    self.declare(name, Role::Loop, Shape::Unknown);
                }
                self.statements(inner.block());
                self.scopes.pop();
            }
            Stmt::If(inner) => {
                self.branch(inner.binding(), inner.condition(), inner.block());
                for other in inner.else_if().into_iter().flatten() {
                    self.branch(other.binding(), other.condition(), other.block());
                }
                if let Some(block) = inner.else_block() {
                    self.block(block);
                }
            }
            // Types name no values.
            _ => {}
        }
    }

    fn branch(
        &mut self,
        binding: Option<&IfConditionBinding>,
        condition: &Expression,
        block: &Block,
    ) {
        self.expression(condition);
        self.scopes.push(HashMap::new());
        if let Some(binding) = binding {
            self.declare(binding.name(), Role::Local, Shape::Unknown);
        }
        self.statements(block);
        self.scopes.pop();
    }

    fn locals<'a>(
        &mut self,
        names: impl IntoIterator<Item = &'a TokenReference>,
        values: &'a full_moon::ast::punctuated::Punctuated<Expression>,
    ) {
        self.expressions(values);
        let mut shapes = Vec::new();
        for value in values {
            shapes.push(self.names.shape_of(value));
        }
        let mut shapes = shapes.into_iter();
        for name in names {
            let shape = shapes.next().unwrap_or(Shape::Unknown);
            self.declare(name, Role::Local, shape);
        }
    }

    fn target(&mut self, target: &Var) {
        match target {
            Var::Name(name) => self.write(name),
            Var::Expression(inner) => self.variable(inner),
            _ => {}
        }
    }

    fn variable(&mut self, variable: &VarExpression) {
        self.prefix(variable.prefix());
        variable.suffixes().for_each(|suffix| self.suffix(suffix));
    }

    fn call(&mut self, call: &FunctionCall) {
        self.prefix(call.prefix());
        // The function that `workflow` gets is handed the door to the world, whatever it calls it.
        let declares =
            matches!(call.prefix(), Prefix::Name(name) if self.names.is_global(name, "workflow"));
        for suffix in call.suffixes() {
            match suffix {
                Suffix::Call(Call::AnonymousCall(given)) if declares => {
                    for argument in arguments(given) {
                        match argument {
                            Expression::Function(function) => self.run_function(function.body()),
                            other => self.expression(other),
                        }
                    }
                }
                suffix => self.suffix(suffix),
            }
        }
    }

    fn prefix(&mut self, prefix: &Prefix) {
        match prefix {
            Prefix::Name(name) => self.read(name),
            Prefix::Expression(inner) => self.expression(inner),
            _ => {}
        }
    }

    fn suffix(&mut self, suffix: &Suffix) {
        match suffix {
            Suffix::Index(Index::Brackets { expression, .. }) => self.expression(expression),
            Suffix::Call(Call::AnonymousCall(given)) => self.given(given),
            Suffix::Call(Call::MethodCall(method)) => self.given(method.args()),
            _ => {}
        }
    }

    fn given(&mut self, given: &FunctionArgs) {
        match given {
            FunctionArgs::Parentheses { arguments, .. } => self.expressions(arguments),
            FunctionArgs::TableConstructor(table) => self.table(table),
            _ => {}
        }
    }

    fn expressions<'a>(&mut self, list: impl IntoIterator<Item = &'a Expression>) {
        for expression in list {
            self.expression(expression);
        }
    }

    fn expression(&mut self, expression: &Expression) {
        match expression {
            Expression::BinaryOperator { lhs, rhs, .. } => {
                self.expression(lhs);
                self.expression(rhs);
            }
            Expression::Parentheses { expression, .. }
            | Expression::UnaryOperator { expression, .. }
            | Expression::TypeAssertion { expression, .. } => self.expression(expression),
            Expression::Function(function) => self.function(function.body(), None),
            Expression::FunctionCall(call) => self.call(call),
            Expression::TableConstructor(table) => self.table(table),
            Expression::Var(Var::Name(name)) => self.read(name),
            Expression::Var(Var::Expression(inner)) => self.variable(inner),
            Expression::InterpolatedString(text) => self.expressions(text.expressions()),
            Expression::IfExpression(inner) => {
                self.chosen(inner.binding(), inner.condition(), inner.if_expression());
                for other in inner.else_if_expressions().into_iter().flatten() {
                    self.chosen(other.binding(), other.condition(), other.expression());
                }
                self.expression(inner.else_expression());
            }
            _ => {}
        }
    }

    fn chosen(
        &mut self,
        binding: Option<&IfConditionBinding>,
        condition: &Expression,
        value: &Expression,
    ) {
        self.expression(condition);
        self.scopes.push(HashMap::new());
        if let Some(binding) = binding {
            self.declare(binding.name(), Role::Local, Shape::Unknown);
        }
        self.expression(value);
        self.scopes.pop();
    }

    fn table(&mut self, table: &TableConstructor) {
        for field in table.fields() {
            match field {
                Field::ExpressionKey { key, value, .. } => {
                    self.expression(key);
                    self.expression(value);
                }
                Field::NameKey { value, .. } => self.expression(value),
                Field::NoKey(value) => self.expression(value),
                _ => {}
            }
        }
    }

    fn function(&mut self, body: &FunctionBody, method: Option<&TokenReference>) {
        self.enter(body, method.is_some(), |_| false);
    }

    fn run_function(&mut self, body: &FunctionBody) {
        self.enter(body, false, |at| at == 0);
    }

    fn enter(&mut self, body: &FunctionBody, method: bool, is_ctx: impl Fn(usize) -> bool) {
        self.scopes.push(HashMap::new());
        if method && let Some(scope) = self.scopes.last_mut() {
            // `self` is declared by the colon, and nobody has to use it.
            scope.insert("self".to_owned(), self.names.bindings.len());
            self.names.bindings.push(Binding {
                name: "self".to_owned(),
                span: 0..0,
                role: Role::Parameter,
                shape: Shape::Unknown,
                reads: 0,
                writes: 0,
            });
        }
        for (at, parameter) in body.parameters().iter().enumerate() {
            if let Parameter::Name(name) = parameter {
                // By convention a library's functions call it `ctx` too.
                let ctx = is_ctx(at) || name_of(name) == "ctx";
                let shape = if ctx { Shape::CTX } else { Shape::Unknown };
                self.declare(name, Role::Parameter, shape);
            }
        }
        self.statements(body.block());
        self.scopes.pop();
    }
}
