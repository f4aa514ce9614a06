//! The house style, which nobody has to think about.

use std::time::Duration;

use similar::TextDiff;
use stylua_lib::{Config, IndentType, LuaVersion, OutputVerification};

use crate::finding::Finding;
use crate::source::Source;
use crate::syntax::{SyntaxError, UNREAD, on_deep_stack, parse};

/// After this a diff is no longer the shortest.
const DIFF_TIME: Duration = Duration::from_millis(500);

/// Why a source was not formatted: it does not parse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.message)]
pub struct FormatError(pub Box<Finding>);

fn style() -> Config {
    // Calls keep their parentheses, or their lack of them: `ctx:delegate { ... }` reads as a form.
    Config {
        syntax: LuaVersion::Luau,
        column_width: 120,
        indent_type: IndentType::Spaces,
        indent_width: 2,
        call_parentheses: stylua_lib::CallParenType::Input,
        ..Config::default()
    }
}

/// Formats a source. What it means does not change: the result is parsed and compared.
///
/// *Errors*: the source does not parse, with the place.
pub fn format(path: &str, text: &str) -> Result<String, FormatError> {
    on_deep_stack(|| {
        let source = Source::new(path, text);
        let refused = |error: SyntaxError| FormatError(Box::new(error.finding(path)));
        drop(parse(&source).map_err(refused)?);
        stylua_lib::format_code(text, style(), None, OutputVerification::Full).map_err(|error| {
            let message = format!("the formatter gave up: {error}");
            refused(SyntaxError {
                code: UNREAD.into(),
                span: 0..0,
                message: froben_model::limits::one_line(&message),
                hint: "the file was left as it is".to_owned(),
            })
        })
    })
}

/// A unified diff, under the names of both sides; empty if they are the same.
pub fn diff(names: [&str; 2], before: &str, after: &str) -> String {
    if before == after {
        return String::new();
    }
    let diff = TextDiff::configure()
        .timeout(DIFF_TIME)
        .diff_lines(before, after);
    let [from, to] = names;
    diff.unified_diff().header(from, to).to_string()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn the_style_is_two_spaces_and_keeps_forms() {
        let untidy = "local d=ctx:delegate {kind='a/1'}\nif d then\n\treturn   d\nend\n";
        let tidy = format("lib/x.lua", untidy).expect("it parses");
        expect![[r#"
            local d = ctx:delegate { kind = "a/1" }
            if d then
              return d
            end
        "#]]
        .assert_eq(&tidy);
        assert_eq!(format("lib/x.lua", &tidy).expect("it parses"), tidy);
        expect![[r#"
            --- lib/x.lua
            +++ lib/x.lua (formatted)
            @@ -1,4 +1,4 @@
            -local d=ctx:delegate {kind='a/1'}
            +local d = ctx:delegate { kind = "a/1" }
             if d then
            -	return   d
            +  return d
             end
        "#]]
        .assert_eq(&diff(["lib/x.lua", "lib/x.lua (formatted)"], untidy, &tidy));
        assert_eq!(diff(["lib/x.lua"; 2], &tidy, &tidy), "");
    }

    #[test]
    fn what_does_not_parse_is_refused_with_its_place() {
        let FormatError(finding) = format("lib/x.lua", "local x =\n").expect_err("no value");
        assert_eq!(finding.code, "FRB-LUA-001");
        assert_eq!(finding.path, "lib/x.lua");
    }

    #[test]
    fn deep_nesting_is_refused_and_does_not_overflow() {
        let nested = |depth| format!("{}{}", "do\n".repeat(depth), "end\n".repeat(depth));
        assert!(format("lib/x.lua", &nested(150)).is_ok());
        for text in [nested(30_000), format!("return {}", "(".repeat(100_000))] {
            let FormatError(finding) = format("lib/x.lua", &text).expect_err("too deep");
            assert_eq!(finding.code, "FRB-LUA-001");
        }
    }

    #[test]
    fn our_own_scripts_are_formatted() {
        let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts");
        let sources = crate::files::read(scripts.as_ref()).expect("they can be read");
        assert!(sources.len() >= 3);
        for (path, text) in &sources {
            let formatted = format(path, text).expect("it parses");
            let change = diff([path, "formatted"], text, &formatted);
            assert_eq!(change, "", "run `froben fmt scripts`");
        }
    }
}
