//! `froben fmt`: scripts in the house style.

use std::fs;
use std::path::Path;

use froben_author::{FormatError, Sources, diff, files, format};

use crate::args::Fmt;
use crate::error::{Error, Exit};
use crate::output::findings;

pub(crate) fn run(args: &Fmt) -> Result<(), Error> {
    let Fmt { paths, check } = args;
    let (mut refused, mut changed) = (0, 0);
    for path in paths {
        for path in files::find(path)? {
            match one(&path, *check)? {
                Outcome::Tidy => {}
                Outcome::Changed => changed += 1,
                Outcome::Refused => refused += 1,
            }
        }
    }
    if refused > 0 {
        let why = format!("{} not formatted", count(refused, "file was", "files were"));
        return Err(Error::new(Exit::Script, why));
    }
    if *check && changed > 0 {
        let why = format!("{} not formatted", count(changed, "file is", "files are"));
        return Err(Error::new(Exit::Script, why)
            .code("FRB-CHK-002")
            .hint("run `froben fmt` without --check"));
    }
    Ok(())
}

enum Outcome {
    Tidy,
    Changed,
    Refused,
}

fn one(path: &Path, check: bool) -> Result<Outcome, Error> {
    let before = files::read_one(path)?;
    let shown = path.display().to_string();
    let after = match format(&shown, &before) {
        Ok(after) => after,
        Err(FormatError(finding)) => {
            findings::print_one(&finding, &Sources::from([(shown, before)]));
            return Ok(Outcome::Refused);
        }
    };
    if after == before {
        return Ok(Outcome::Tidy);
    }
    if check {
        let formatted = format!("{shown} (formatted)");
        print!("{}", diff([&shown, &formatted], &before, &after));
    } else {
        replace(path, &after)?;
        eprintln!("formatted {shown}");
    }
    Ok(Outcome::Changed)
}

/// Puts the new text in place as a whole: an interrupted write must not cost an author his script.
fn replace(path: &Path, text: &str) -> Result<(), Error> {
    let wrong = |error: std::io::Error| Error::file("write", path, &error);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    fs::write(&beside, text).map_err(wrong)?;
    let permissions = fs::metadata(path).map_err(wrong)?.permissions();
    fs::set_permissions(&beside, permissions).map_err(wrong)?;
    fs::rename(&beside, path).map_err(wrong)
}

/// `1 file is`, `2 files are`.
fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(path: &Path, check: bool) -> Fmt {
        let paths = vec![path.to_owned()];
        Fmt { paths, check }
    }

    #[test]
    fn files_are_formatted_in_place_and_checked_without_writing() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("x.lua");
        fs::write(&file, "local x   = 1\nreturn x\n").expect("a file");
        let error = run(&args(dir.path(), true)).expect_err("it is not formatted");
        assert_eq!(
            (error.exit, error.code.as_deref()),
            (Exit::Script, Some("FRB-CHK-002"))
        );
        run(&args(dir.path(), false)).expect("it is formatted");
        let text = fs::read_to_string(&file).expect("a file");
        assert_eq!(text, "local x = 1\nreturn x\n");
        run(&args(&file, true)).expect("it is tidy now");
        let left: Vec<_> = fs::read_dir(dir.path()).expect("a folder").collect();
        assert_eq!(left.len(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_broken_file_is_named_and_the_others_are_formatted() {
        let dir = tempfile::tempdir().expect("a folder");
        fs::write(dir.path().join("a.lua"), "return (\n").expect("a file");
        fs::write(dir.path().join("b.lua"), "return   1\n").expect("a file");
        let error = run(&args(dir.path(), false)).expect_err("one is broken");
        assert_eq!(error.exit, Exit::Script);
        let text = fs::read_to_string(dir.path().join("b.lua")).expect("a file");
        assert_eq!(text, "return 1\n");
        let error = run(&args(&dir.path().join("none"), false)).expect_err("no such file");
        assert_eq!(error.exit, Exit::NotFound);
    }
}
