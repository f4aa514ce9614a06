//! What the sandbox, here or at a coordinator, has against a script set, at its place in the files.

use std::ops::Range;

use froben_model::revision::ScriptProblem;
use froben_script::Code;

use crate::finding::{Finding, Severity};
use crate::guard::on_deep_stack;
use crate::source::{Source, Sources};
use crate::syntax::place;

/// Each problem as a finding in the files that it is about. A problem of a file that is not there keeps
/// its path and loses its line.
pub fn findings(problems: &[ScriptProblem], sources: &Sources) -> Vec<Finding> {
    let one = |problem| finding(problem, sources);
    problems.iter().map(one).collect()
}

fn finding(problem: &ScriptProblem, sources: &Sources) -> Finding {
    let ScriptProblem {
        code,
        path,
        line,
        message,
        hint,
    } = problem;
    let span = sources.get(path).map(|text| {
        let source = Source::new(path, text);
        match line {
            0 => whole(&source, code),
            _ => on_deep_stack(|| place(&source, problem)),
        }
    });
    Finding::new(Severity::Error, code.clone(), path, span, message.as_str()).hint(hint.as_str())
}

/// Where a fault of a whole file shows: a pipeline that returns nothing lacks it at its end.
fn whole(source: &Source<'_>, code: &str) -> Range<usize> {
    let last = u32::try_from(source.text.trim_end().matches('\n').count() + 1).unwrap_or(1);
    match code == Code::NotAPipeline.as_str() {
        true => source.aim(last, ""),
        false => source.aim(1, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Paint, render};

    #[test]
    fn what_a_coordinator_says_shows_the_line_of_the_clients_file() {
        let path = "pipelines/x.lua".to_string();
        let sources = Sources::from([(path.clone(), "local x = 1\nx.y(nil)\n".to_string())]);
        let problem = |code: &str, path: &str, line| ScriptProblem {
            code: code.to_string(),
            path: path.to_string(),
            line,
            message: "attempt to call `y`".to_string(),
            hint: "mend it".to_string(),
        };
        let shown = |problem| {
            let findings = findings(&[problem], &sources);
            render(&findings[0], &sources, Paint::Plain)
        };
        // A newer coordinator may know codes that this program does not.
        expect_test::expect![[r#"
            error[FRB-XXX-999]: attempt to call `y`
             --> pipelines/x.lua:2:3
              |
            2 | x.y(nil)
              |   ^
              |
              = help: mend it"#]]
        .assert_eq(&shown(problem("FRB-XXX-999", &path, 2)));
        for (path, line) in [("", 0), ("lib/elsewhere.lua", 3), ("pipelines/x.lua", 99)] {
            let shown = shown(problem("FRB-LUA-013", path, line));
            assert!(shown.contains(path) && shown.contains("mend it"), "{shown}");
        }
    }
}
