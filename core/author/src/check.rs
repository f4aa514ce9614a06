//! A script set as the coordinator will judge it, and more: everything that is wrong, at once.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;

use froben_model::revision::ScriptProblem;
use froben_script::{Code, Limits, Problem, Revision};

use crate::files::SERVED;
use crate::finding::{Finding, Severity, sort};
use crate::lint::{LintOptions, lint};
use crate::problem::findings;
use crate::source::{Source, Sources};
use crate::syntax::{TOO_MUCH, UNREAD};
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
    let mut said = Said::of(sources);
    let (mut set, mut specs) = (Sources::new(), Sources::new());
    for (path, text) in sources {
        match path.split_once('/').map(|(folder, _)| folder) {
            Some(folder) if SERVED.contains(&folder) => {
                set.insert(path.clone(), text.clone());
            }
            Some("spec") => {
                specs.insert(path.clone(), text.clone());
            }
            _ => said.add(elsewhere(path)),
        }
    }
    lint(sources, &options.lint)
        .into_iter()
        .for_each(|finding| said.add(finding));
    let (problems, mut sound) = declarations(&set);
    said.add_news(problems);
    if let Some(types) = &options.types {
        // What the parser cannot read has no types here, and what is not Luau has none at all.
        let unread = [Code::Syntax.as_str(), UNREAD, TOO_MUCH];
        let unread = said.paths_with(&unread);
        sound.retain(|path, _| !unread.contains(path));
        specs.retain(|path, _| !unread.contains(path));
        said.add_news(types.check(&sound, &set));
        if !specs.is_empty() {
            said.add_news(types.check_specs(&sound, &specs, &set));
        }
    }
    let mut findings = said.findings;
    sort(&mut findings);
    findings
}

/// What was said so far, and what of it makes another finding a repetition.
struct Said<'a> {
    findings: Vec<Finding>,
    sources: BTreeMap<&'a str, Source<'a>>,
    /// By path, code and span.
    same: HashSet<(String, Cow<'static, str>, Option<Range<usize>>)>,
    /// Lines of which an error was told.
    errors: HashSet<(String, u32)>,
}

impl<'a> Said<'a> {
    fn of(sources: &'a Sources) -> Self {
        let source =
            |(path, text): (&'a String, &'a String)| (path.as_str(), Source::new(path, text));
        Said {
            findings: Vec::new(),
            sources: sources.iter().map(source).collect(),
            same: HashSet::new(),
            errors: HashSet::new(),
        }
    }

    fn add(&mut self, finding: Finding) {
        let Finding {
            path, code, span, ..
        } = &finding;
        self.same.insert((path.clone(), code.clone(), span.clone()));
        if let (true, Some(line)) = (finding.is_error(), self.line(&finding)) {
            self.errors.insert((path.clone(), line));
        }
        self.findings.push(finding);
    }

    /// Adds what was not said before.
    fn add_news(&mut self, news: Vec<Finding>) {
        for finding in news {
            if !self.covers(&finding) {
                self.add(finding);
            }
        }
    }

    /// Whether something already said makes `finding` a repetition: the same code at the same place, or a
    /// lint's error on the same line, which says it better than whoever stumbled over it.
    fn covers(&self, finding: &Finding) -> bool {
        let Finding {
            path, code, span, ..
        } = finding;
        let at_the_line = [Code::Runtime.as_str(), Code::NotAPipeline.as_str(), MISFIT];
        let line = self
            .line(finding)
            .filter(|_| at_the_line.contains(&code.as_ref()));
        self.same
            .contains(&(path.clone(), code.clone(), span.clone()))
            || line.is_some_and(|line| self.errors.contains(&(path.clone(), line)))
    }

    fn line(&self, finding: &Finding) -> Option<u32> {
        let start = finding.span.as_ref()?.start;
        Some(self.sources.get(finding.path.as_str())?.line_of(start))
    }

    fn paths_with(&self, codes: &[&str]) -> BTreeSet<String> {
        let found = self.findings.iter();
        let found = found.filter(|finding| codes.contains(&finding.code.as_ref()));
        found.map(|finding| finding.path.clone()).collect()
    }
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
