//! The house style, which nobody has to think about.

mod numerals;

use std::time::Duration;

use full_moon::ast::Ast;
use similar::TextDiff;
use stylua_lib::{Config, IndentType, LuaVersion, OutputVerification};

use crate::finding::Finding;
use crate::guard::{PATIENCE, in_time, quietly};
use crate::source::Source;
use crate::syntax::{SyntaxError, UNREAD, parse, too_much};

use numerals::Narrowed;

/// After this a diff is no longer the shortest.
const DIFF_TIME: Duration = Duration::from_millis(500);

/// Why a source was not formatted.
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
/// *Errors*: the source does not parse, with the place; or the formatter panics on it, or takes longer than
/// it is given.
pub fn format(path: &str, text: &str) -> Result<String, FormatError> {
    let (of, owned) = (path.to_owned(), text.to_owned());
    in_time(PATIENCE, move || formatted(&Source::new(&of, &owned)))
        .unwrap_or_else(|| Err(too_much("formatter")))
        .map_err(|error| FormatError(Box::new(error.finding(path))))
}

fn formatted(source: &Source<'_>) -> Result<String, SyntaxError> {
    let tree = parse(source)?;
    let Some(narrow) = Narrowed::of(source.text, &tree) else {
        return styled(tree).map_err(gave_up);
    };
    drop(tree);
    let tree = parse(&Source::new(source.path, &narrow.text))?;
    let formatted = styled(tree).and_then(|formatted| narrow.restore(&formatted));
    formatted.map_err(gave_up)
}

fn styled(tree: Ast) -> Result<String, String> {
    let formatted =
        quietly(|| stylua_lib::format_ast(tree, style(), None, OutputVerification::Full))?;
    formatted
        .map(|tree| tree.to_string())
        .map_err(|error| error.to_string())
}

fn gave_up(why: String) -> SyntaxError {
    SyntaxError {
        code: UNREAD.into(),
        span: 0..0,
        message: froben_model::limits::one_line(&format!("the formatter gave up: {why}")),
        hint: "the file was left as it is".to_owned(),
    }
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

    /// The formatter's own comparison knows no numeral of more than 63 bits, and panics.
    #[test]
    fn numerals_of_any_width_are_formatted_and_kept() {
        let untidy = "local p,q = 0xFFFF_FFFF_0000_0001,  0x10\n\
                      return   p, q, `{0xffffffffffffffff}`, 0b1111, 1e300, .5\n";
        let tidy = format("lib/x.lua", untidy).expect("it parses");
        expect![[r#"
            local p, q = 0xFFFF_FFFF_0000_0001, 0x10
            return p, q, `{0xffffffffffffffff}`, 0b1111, 1e300, 0.5
        "#]]
        .assert_eq(&tidy);
        for (prefix, digit) in [("0x", "f"), ("0b", "1"), ("0x", "0"), ("", "9")] {
            let long = format!("return {prefix}{}\n", digit.repeat(200_000));
            match format("lib/x.lua", &long) {
                Ok(tidy) => assert!(tidy == long, "{prefix}{digit}"),
                Err(FormatError(finding)) => assert!(finding.code == "FRB-LUA-001", "{finding:?}"),
            }
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
