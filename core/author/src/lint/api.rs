//! What the registry of verbs says, as the lints ask it.

use froben_script::spec::SPEC_VERBS;
use froben_script::{ArgType, Key, OBJECTS, VERBS, Verb};

/// The words of an object of the host's, such as `delegate` of `ctx`.
pub(crate) fn words(variable: &str) -> impl Iterator<Item = &'static str> + Clone {
    methods(variable).map(|(word, _)| word)
}

/// What `variable:word` is.
pub(crate) fn verb(variable: &str, word: &str) -> Option<&'static Verb> {
    let found = methods(variable).find(|(known, _)| *known == word);
    found.map(|(_, verb)| verb)
}

fn methods(variable: &str) -> impl Iterator<Item = (&'static str, &'static Verb)> + Clone {
    let method = |verb: &'static Verb| Some((verb.method()?, verb));
    let methods = VERBS.iter().filter_map(method);
    let variable = variable.to_owned();
    methods.filter_map(move |((of, word), verb)| (of == variable).then_some((word, verb)))
}

/// The verbs that are global functions.
pub(crate) fn functions() -> impl Iterator<Item = &'static Verb> {
    VERBS.iter().filter(|verb| verb.method().is_none())
}

/// Whether a script is a spec, and has the verbs of specs.
pub(crate) fn is_spec(path: &str) -> bool {
    path.split('/').rev().skip(1).any(|folder| folder == "spec")
}

/// The words that specs have beside those of pipelines.
pub(crate) fn spec_words() -> impl Iterator<Item = &'static str> + Clone {
    SPEC_VERBS.iter().map(|verb| verb.name)
}

/// What the global function `name` takes, in a spec or elsewhere.
pub(crate) fn parameters(name: &str, spec: bool) -> Option<&'static [Key]> {
    let of_specs = SPEC_VERBS.iter().filter(|_| spec);
    let of_specs = of_specs.map(|verb| (verb.name, verb.params));
    let mut known = functions()
        .map(|verb| (verb.name, verb.params))
        .chain(of_specs);
    known
        .find(|(known, _)| *known == name)
        .map(|(_, params)| params)
}

/// Whether a call of it that is not looked at is a mistake.
pub(crate) fn result_matters(verb: &Verb) -> bool {
    let never = verb.returns.iter().any(|typed| typed.luau == "never");
    // A fiber may well be left to itself: an error in it is lost to nobody.
    !verb.returns.is_empty() && !never && !["ctx:spawn", "fiber:await"].contains(&verb.name)
}

/// The variable of the object that a verb gives back.
pub(crate) fn result(verb: &Verb) -> Option<&'static str> {
    let given = verb.returns.first()?.luau.split('<').next()?;
    let object = OBJECTS.iter().find(|object| object.name == given);
    object
        .map(|object| object.variable)
        .filter(|variable| !variable.is_empty())
}

/// The keys that a table for this parameter may have.
pub(crate) fn keys(arg: ArgType) -> Option<&'static [Key]> {
    match arg {
        ArgType::Options(table) => Some(table.keys),
        _ => None,
    }
}

/// The keys of the table that `ctx:delegate` takes.
pub(crate) fn task_keys() -> &'static [Key] {
    let params = verb("ctx", "delegate").map_or(&[][..], |verb| verb.params);
    params
        .first()
        .and_then(|task| keys(task.arg))
        .unwrap_or_default()
}

/// A parameter that is a table of options, whose own name authors never write.
pub(crate) fn is_options_table(key: &Key) -> bool {
    let params = VERBS.iter().flat_map(|verb| verb.params);
    let of_specs = SPEC_VERBS.iter().flat_map(|verb| verb.params);
    let mut params = params.chain(of_specs);
    keys(key.arg).is_some() && params.any(|param| std::ptr::eq(param, key))
}
