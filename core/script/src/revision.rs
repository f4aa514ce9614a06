//! A script set that was checked as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use froben_model::limits::{SCRIPT_BYTES, SCRIPT_PATH_BYTES};
use froben_model::revision::ScriptProblem;

pub use crate::signature::PipelineInfo;

use crate::limits::{CHECK_MS, FILES, Limits, SET_BYTES};
use crate::sandbox::{Debug, Sandbox, compile_with, location};
use crate::slice::thread_cpu_ns;
use crate::verbs::Chunks;
use crate::{Code, Failure, source, suggest};

/// What is wrong with a script set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub code: Code,
    /// The file; empty if it is the set as a whole.
    pub path: String,
    /// 0 if it is the file as a whole.
    pub line: u32,
    pub message: String,
    /// What to do.
    pub hint: &'static str,
}

impl From<Problem> for ScriptProblem {
    fn from(problem: Problem) -> Self {
        let Problem {
            code,
            path,
            line,
            message,
            hint,
        } = problem;
        ScriptProblem {
            code: code.as_str().to_string(),
            path,
            line,
            message: froben_model::limits::one_line(&message),
            hint: hint.to_string(),
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: ", self.code)?;
        match (self.path.as_str(), self.line) {
            ("", _) => write!(f, "{}", self.message),
            (path, 0) => write!(f, "{path}: {}", self.message),
            (path, line) => write!(f, "{path}:{line}: {}", self.message),
        }
    }
}

impl Problem {
    fn new(code: Code, path: &str, message: impl Into<String>) -> Self {
        Problem {
            code,
            path: path.to_owned(),
            line: 0,
            message: message.into(),
            hint: hint(code),
        }
    }

    pub(crate) fn of(path: &str, failure: &Failure) -> Self {
        match location(&failure.message) {
            Some((at, line, rest)) => Problem {
                line,
                ..Problem::new(failure.code, at, rest)
            },
            None => {
                let message = failure.message.strip_prefix(&format!("{path}: "));
                Problem::new(failure.code, path, message.unwrap_or(&failure.message))
            }
        }
    }
}

fn hint(code: Code) -> &'static str {
    match code {
        Code::Syntax => "correct the line; scripts are Luau, a Lua 5.1 with additions",
        Code::NotAPipeline => {
            "end the file with `return workflow(name, options, function(ctx, input) ... end)`"
        }
        Code::Require => {
            "modules are files in lib/ of the same set and must not need each other in a circle"
        }
        Code::Cpu | Code::Memory | Code::Quota => {
            "the top level of a file only declares; move work into the workflow's function"
        }
        Code::ScriptSet => {
            "a set has files pipelines/NAME.lua and lib/NAME.lua, each at most 256 KiB"
        }
        _ => "correct the line",
    }
}

/// An immutable set of scripts: compiled, and its pipelines known. Cheap to clone.
#[derive(Clone)]
pub struct Revision {
    chunks: Arc<Chunks>,
    pipelines: Arc<BTreeMap<String, PipelineInfo>>,
}

impl Revision {
    /// Checks `files`, sources by path: compiles every one, and evaluates each of `pipelines/` in a
    /// sandbox of its own to read what it declares. The files together have [`CHECK_MS`] of CPU time for
    /// that, so that a check ends soon whatever is in them.
    ///
    /// *Errors*: every problem that was found, by path; a set with any is not a revision.
    pub fn check(files: &BTreeMap<String, String>, limits: &Limits) -> Result<Self, Vec<Problem>> {
        Self::check_with(files, limits, Debug::Lines)
    }

    /// The same, compiled so that a script's locals have names: [`crate::Vm::standings`] shows them.
    pub fn check_for_replay(
        files: &BTreeMap<String, String>,
        limits: &Limits,
    ) -> Result<Self, Vec<Problem>> {
        Self::check_with(files, limits, Debug::Locals)
    }

    fn check_with(
        files: &BTreeMap<String, String>,
        limits: &Limits,
        debug: Debug,
    ) -> Result<Self, Vec<Problem>> {
        let mut problems = check_set(files);
        let mut chunks = Chunks::new();
        if problems.is_empty() {
            for (path, source) in files {
                match compile_with(source, debug) {
                    Ok(bytecode) => {
                        chunks.insert(path.clone(), bytecode);
                    }
                    Err(message) => problems.push(syntax_problem(path, &message)),
                }
            }
        }
        problems.extend(circles(files));
        if !problems.is_empty() {
            return Err(problems);
        }

        let chunks = Arc::new(chunks);
        let mut pipelines: BTreeMap<String, PipelineInfo> = BTreeMap::new();
        let started_ns = thread_cpu_ns();
        for path in files.keys().filter(|path| path.starts_with("pipelines/")) {
            let spent_ms = thread_cpu_ns().saturating_sub(started_ns) / 1_000_000;
            if spent_ms >= CHECK_MS {
                let message = format!(
                    "the files before it took {spent_ms} ms to evaluate, a set has {CHECK_MS} ms"
                );
                problems.push(Problem::new(Code::Cpu, path, message));
                break;
            }
            let evaluated = Sandbox::new(chunks.clone(), path, limits, 0)
                .and_then(|sandbox| sandbox.evaluate());
            match evaluated {
                Ok((_, info)) => match pipelines.get(&info.name) {
                    None => {
                        pipelines.insert(info.name.clone(), info);
                    }
                    Some(other) => {
                        let twice =
                            format!("the name `{}` is that of {} already", info.name, other.path);
                        problems.push(Problem::new(Code::NotAPipeline, path, twice));
                    }
                },
                Err(failure) => problems.push(Problem::of(path, &failure)),
            }
        }
        match problems.is_empty() {
            true => Ok(Revision {
                chunks,
                pipelines: Arc::new(pipelines),
            }),
            false => Err(problems),
        }
    }

    /// The pipelines by name.
    pub fn pipelines(&self) -> &BTreeMap<String, PipelineInfo> {
        &self.pipelines
    }

    /// *Errors*: [`Code::UnknownPipeline`], with the name that may have been meant.
    pub fn pipeline(&self, name: &str) -> Result<&PipelineInfo, Failure> {
        find(&self.pipelines, name).map_err(|why| Failure::new(Code::UnknownPipeline, why))
    }

    /// The pipelines, for whoever keeps them.
    pub(crate) fn known(&self) -> Arc<BTreeMap<String, PipelineInfo>> {
        self.pipelines.clone()
    }

    /// This revision and one more file, which returns a workflow and may lie outside `pipelines/`.
    pub(crate) fn with_file(
        &self,
        path: &str,
        bytecode: Vec<u8>,
        limits: &Limits,
    ) -> Result<Self, Failure> {
        let mut chunks = (*self.chunks).clone();
        chunks.insert(path.to_owned(), bytecode);
        let chunks = Arc::new(chunks);
        let (_, info) = Sandbox::new(chunks.clone(), path, limits, 0)?.evaluate()?;
        let mut pipelines = (*self.pipelines).clone();
        if let Some(other) = pipelines.insert(info.name.clone(), info.clone()) {
            let twice = format!("the name `{}` is that of {} already", info.name, other.path);
            return Err(Failure::new(Code::NotAPipeline, twice));
        }
        Ok(Revision {
            chunks,
            pipelines: Arc::new(pipelines),
        })
    }

    pub(crate) fn chunks(&self) -> Arc<Chunks> {
        self.chunks.clone()
    }
}

/// A pipeline by its name, or the name that may have been meant.
pub(crate) fn find<'a>(
    pipelines: &'a BTreeMap<String, PipelineInfo>,
    name: &str,
) -> Result<&'a PipelineInfo, String> {
    pipelines.get(name).ok_or_else(|| {
        let hint = match pipelines.is_empty() {
            true => "; the script set has none".to_owned(),
            false => suggest::hint(name, pipelines.keys().map(String::as_str)),
        };
        let name: String = name.chars().take(80).collect();
        format!("there is no pipeline `{name}`{hint}")
    })
}

fn check_set(files: &BTreeMap<String, String>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let bytes: usize = files.values().map(String::len).sum();
    if files.len() > FILES {
        let message = format!("{} files, the limit is {FILES}", files.len());
        problems.push(Problem::new(Code::ScriptSet, "", message));
    }
    if bytes > SET_BYTES {
        let message = format!("{bytes} bytes of sources, the limit is {SET_BYTES}");
        problems.push(Problem::new(Code::ScriptSet, "", message));
    }
    for (path, source) in files {
        if !is_script_path(path) {
            let path: String = path.chars().filter(|c| !c.is_control()).take(80).collect();
            let message = "not a path of a script: pipelines/NAME.lua or lib/NAME.lua is";
            problems.push(Problem::new(Code::ScriptSet, &path, message));
        }
        if source.len() > SCRIPT_BYTES {
            let message = format!("{} bytes, the limit is {SCRIPT_BYTES}", source.len());
            problems.push(Problem::new(Code::ScriptSet, path, message));
        }
    }
    problems
}

/// Modules that need each other, whether or not anything calls what needs them: one problem for each circle.
fn circles(files: &BTreeMap<String, String>) -> Vec<Problem> {
    let needs: BTreeMap<&str, Vec<(u32, &str)>> = files
        .iter()
        .filter_map(|(path, source)| Some((path.strip_suffix(".lua")?, source::required(source))))
        .collect();
    let mut problems = Vec::new();
    let mut done = BTreeSet::new();
    for start in needs.keys() {
        // The modules on the way here, each with how many of its needs were followed.
        let mut way: Vec<(&str, usize)> = vec![(start, 0)];
        while let Some((module, followed)) = way.last_mut() {
            let next = needs[*module].get(*followed).copied();
            *followed += 1;
            let Some((line, name)) = next else {
                done.insert(*module);
                way.pop();
                continue;
            };
            if done.contains(name) || !name.starts_with("lib/") || !needs.contains_key(name) {
                continue;
            }
            match way.iter().position(|(module, _)| *module == name) {
                None => way.push((name, 0)),
                Some(first) => {
                    let circle: Vec<&str> =
                        way[first..].iter().map(|(module, _)| *module).collect();
                    let path = format!("{}.lua", circle[circle.len() - 1]);
                    let message =
                        format!("a module needs itself: {} -> {name}", circle.join(" -> "));
                    problems.push(Problem {
                        line,
                        ..Problem::new(Code::Require, &path, message)
                    });
                }
            }
        }
    }
    problems
}

/// `pipelines/NAME.lua`, `lib/NAME.lua`, with folders of their own if need be.
fn is_script_path(path: &str) -> bool {
    let Some(stem) = path.strip_suffix(".lua") else {
        return false;
    };
    let Some((top, rest)) = stem.split_once('/') else {
        return false;
    };
    let fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_' || c == b'-';
    let named = |part: &str| !part.is_empty() && part.bytes().all(fits);
    path.len() <= SCRIPT_PATH_BYTES
        && ["pipelines", "lib"].contains(&top)
        && rest.split('/').all(named)
}

/// Luau says `3: Expected ...`.
pub(crate) fn syntax_problem(path: &str, message: &str) -> Problem {
    let (line, text) = message.split_once(':').unwrap_or(("", message));
    match line.trim().parse() {
        Ok(line) => Problem {
            line,
            ..Problem::new(Code::Syntax, path, text.trim())
        },
        Err(_) => Problem::new(Code::Syntax, path, message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circle_of_modules_is_found_without_running_any() {
        let file = |path: &str, source: &str| (format!("{path}.lua"), source.to_owned());
        let files = BTreeMap::from([
            file(
                "lib/a",
                "local M = {}\nfunction M.f() return require('lib/b') end\nreturn M",
            ),
            file(
                "lib/b",
                "--[[ require('lib/b') ]]\nlocal c = require \"lib/c\" return c",
            ),
            file("lib/c", "return require ( \"lib/a\" )"),
            file(
                "lib/d",
                "return { require('lib/a'), require('lib/a'), require('lib/none') }",
            ),
        ]);
        let found = circles(&files);
        let shown: Vec<String> = found
            .iter()
            .map(|problem| format!("{}:{}: {}", problem.path, problem.line, problem.message))
            .collect();
        let expected = "lib/c.lua:1: a module needs itself: lib/a -> lib/b -> lib/c -> lib/a";
        assert_eq!(shown, [expected]);
    }

    #[test]
    fn paths_stay_in_the_two_folders() {
        for (path, fits) in [
            ("pipelines/x.lua", true),
            ("lib/a/b-c_1.lua", true),
            ("lib/.lua", false),
            ("lib/../x.lua", false),
            ("/lib/x.lua", false),
            ("lib//x.lua", false),
            ("x.lua", false),
            ("spec/x.lua", false),
            ("lib/X.lua", false),
            ("lib/x.luau", false),
            ("lib/x.lua\n.lua", false),
        ] {
            assert_eq!(is_script_path(path), fits, "{path:?}");
        }
    }
}
