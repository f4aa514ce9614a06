//! A script set as the coordinator will judge it, and more: everything that is wrong, at once.

use std::collections::BTreeSet;

use froben_model::revision::ScriptProblem;
use froben_script::{Code, Limits, Problem, Revision};

use crate::files::SERVED;
use crate::finding::{Finding, Severity, sort};
use crate::guard::on_deep_stack;
use crate::lint::{LintOptions, lint};
use crate::problem::findings;
use crate::source::{Source, Sources};
use crate::types::{MISFIT, TypeChecker};

/// What is held against the set beside syntax and declarations.
#[derive(Debug, Default)]
pub struct CheckOptions {
    pub lint: LintOptions,
    /// `None` leaves types out.
    pub types: Option<TypeChecker>,
}

/// Checks the scripts of a folder, specs among them: syntax, declarations, lints, types. In order of place; the set is
/// acceptable if none is an error.
pub fn check(sources: &Sources, options: &CheckOptions) -> Vec<Finding> {
    let mut findings = Vec::new();
    let (mut set, mut specs) = (Sources::new(), Sources::new());
    for (path, text) in sources {
        match path.split_once('/').map(|(folder, _)| folder) {
            Some(folder) if SERVED.contains(&folder) => {
                set.insert(path.clone(), text.clone());
            }
            Some("spec") => {
                specs.insert(path.clone(), text.clone());
            }
            _ => findings.push(elsewhere(path)),
        }
    }
    findings.extend(lint(sources, &options.lint));
    let (problems, sound) = declarations(&set);
    for finding in problems {
        if !covered(&findings, &finding, sources) {
            findings.push(finding);
        }
    }
    if let Some(types) = &options.types {
        let mut said = types.check(&sound);
        let syntax = Code::Syntax.as_str();
        let broken = findings.iter().filter(|finding| finding.code == syntax);
        let broken: BTreeSet<&str> = broken.map(|finding| finding.path.as_str()).collect();
        specs.retain(|path, _| !broken.contains(path.as_str()));
        if !specs.is_empty() {
            said.extend(types.check_specs(&sound, &specs));
        }
        for finding in said {
            if !covered(&findings, &finding, sources) {
                findings.push(finding);
            }
        }
    }
    sort(&mut findings);
    findings
}

fn elsewhere(path: &str) -> Finding {
    let message = "the coordinator does not read this file";
    let hint = "pipelines go in pipelines/, modules in lib/, specs in spec/";
    Finding::new(
        Severity::Warning,
        Code::ScriptSet.as_str(),
        path,
        None,
        message,
    )
    .hint(hint)
}

/// What the sandbox says of the set, and the sources that parse. A set is refused at its first fault; so
/// that an author hears of them all, what parses is tried again without the rest.
fn declarations(set: &Sources) -> (Vec<Finding>, Sources) {
    let limits = Limits::default();
    let Err(mut problems) = Revision::check(set, &limits) else {
        return (Vec::new(), set.clone());
    };
    let broken: BTreeSet<String> = problems
        .iter()
        .filter(|problem| matches!(problem.code, Code::Syntax | Code::ScriptSet))
        .map(|problem| problem.path.clone())
        .collect();
    let mut sound = set.clone();
    sound.retain(|path, _| !broken.contains(path));
    if !broken.is_empty()
        && sound.len() < set.len()
        && let Err(more) = Revision::check(&sound, &limits)
    {
        // Whoever requires a broken module fails for it only.
        let own = |problem: &Problem| problem.code != Code::Require;
        problems.extend(more.into_iter().filter(own));
    }
    let problems: Vec<_> = problems.into_iter().map(ScriptProblem::from).collect();
    (findings(&problems, set), sound)
}

/// Whether something already said makes `finding` a repetition: the same code at the same place, or a
/// lint's error on the same line, which says it better than whoever stumbled over it.
fn covered(findings: &[Finding], finding: &Finding, sources: &Sources) -> bool {
    let line = |finding: &Finding| {
        let start = finding.span.as_ref()?.start;
        let text = sources.get(&finding.path)?;
        Some(Source::new(&finding.path, text).place(start).line)
    };
    let at_the_line = [Code::Runtime.as_str(), Code::NotAPipeline.as_str(), MISFIT];
    let repeats = at_the_line.contains(&finding.code.as_ref());
    findings.iter().any(|said| {
        let same_line =
            said.path == finding.path && line(said).is_some() && line(said) == line(finding);
        let same =
            said.path == finding.path && said.code == finding.code && said.span == finding.span;
        same || (repeats && same_line && said.is_error())
    })
}
