//! Calls of verbs: `ctx:delegate { ... }:await()`.

use froben_script::Verb;
use full_moon::ast::{Call, FunctionArgs, FunctionCall, Index, Prefix, Suffix};
use full_moon::tokenizer::TokenReference;

use super::api;
use super::names::{Names, Shape};
use super::tree::name_of;

/// One verb of a chain of calls.
pub(crate) struct Use<'a> {
    /// The variable of the object: `ctx`, `d`.
    pub(crate) object: &'static str,
    pub(crate) word: &'a TokenReference,
    pub(crate) given: &'a FunctionArgs,
    /// `None` if there is no such verb.
    pub(crate) verb: Option<&'static Verb>,
    /// Written with a dot, so that it lacks its object.
    pub(crate) dot: bool,
}

/// A chain of calls that begins with a name.
pub(crate) struct Chain<'a> {
    pub(crate) uses: Vec<Use<'a>>,
    /// What comes out at its end.
    pub(crate) result: Shape,
    /// The last call of the chain is the last of `uses`.
    pub(crate) ends_in_verb: bool,
}

impl<'a> Chain<'a> {
    pub(crate) fn of(names: &Names, call: &'a FunctionCall) -> Self {
        let mut chain = Chain {
            uses: Vec::new(),
            result: Shape::Unknown,
            ends_in_verb: false,
        };
        let Prefix::Name(first) = call.prefix() else {
            return chain;
        };
        chain.result = names.shape(first);
        let mut dotted: Option<&TokenReference> = None;
        for suffix in call.suffixes() {
            let Shape::Host(object) = chain.result else {
                chain.ends_in_verb = false;
                chain.result = Shape::Unknown;
                continue;
            };
            let (word, given, dot) = match (suffix, dotted.take()) {
                (Suffix::Call(Call::MethodCall(method)), None) => {
                    (method.name(), method.args(), false)
                }
                (Suffix::Call(Call::AnonymousCall(given)), Some(word)) => (word, &**given, true),
                (Suffix::Index(Index::Dot { name, .. }), None) => {
                    dotted = Some(name);
                    continue;
                }
                _ => {
                    chain.result = Shape::Unknown;
                    continue;
                }
            };
            let verb = api::verb(object, name_of(word));
            chain.uses.push(Use {
                object,
                word,
                given,
                verb,
                dot,
            });
            chain.ends_in_verb = true;
            let result = verb.and_then(api::result);
            chain.result = result.map_or(Shape::Unknown, Shape::Host);
        }
        if dotted.is_some() {
            chain.result = Shape::Unknown;
        }
        chain
    }
}
