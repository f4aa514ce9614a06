//! `froben new`: a pipeline to begin with.

use std::iter;
use std::path::Path;

use froben_author::{TEMPLATES, Template, TemplateError};

use crate::args::New;
use crate::error::{Error, Exit};

pub(crate) fn run(args: &New) -> Result<(), Error> {
    let New {
        template,
        name,
        dir,
    } = args;
    let Some(wanted) = template else {
        for template in TEMPLATES {
            println!("{:10}  {}", template.name, template.summary);
        }
        return Ok(());
    };
    let found = TEMPLATES.iter().find(|template| template.name == wanted);
    let template = found.ok_or_else(|| {
        let names = TEMPLATES.map(|template| template.name).join(", ");
        Error::usage(format!("there is no template `{wanted}`")).hint(format!("templates: {names}"))
    })?;
    let name = name.as_deref().unwrap_or(template.name);
    for path in template.write(dir, name).map_err(refused)? {
        println!("{}", path.display());
    }
    eprint!("{}", next(template, dir, name));
    Ok(())
}

/// What to type next. The spec comes first: it needs nobody, while no operator offers the kinds of an
/// example.
fn next(template: &Template, dir: &Path, name: &str) -> String {
    let path = |within: &str| {
        dir.join(format!("{within}/{name}.lua"))
            .display()
            .to_string()
    };
    let (spec, pipeline) = (path("spec"), path("pipelines"));
    let options = template.options(&pipeline).concat();
    let dev = options.iter().map(|option| quoted(option));
    let dev: Vec<String> = iter::once(quoted(&pipeline)).chain(dev).collect();
    format!(
        "next, with simulated operators:\n  froben test {}\n\
         then on a network of your own, which runs it again whenever you save:\n  froben dev {}\n\
         for that, put a kind that an operator offers in the place of each `example.*`, which none \
         does: `froben machines` lists them, and docs/guide-author.md tells how to write your own\n",
        quoted(&spec),
        dev.join(" "),
    )
}

/// As one word of a shell's.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=,:+@%".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_string(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

fn refused(error: TemplateError) -> Error {
    let message = error.to_string();
    match error {
        TemplateError::Name(_) => Error::usage(message).hint("example: froben new fan-out squares"),
        TemplateError::Exists(_) => Error::usage(message).hint("give it another name"),
        TemplateError::Unwritable { .. } => Error::new(Exit::Unexpected, message),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_template_is_written_once() {
        let dir = tempfile::tempdir().expect("a folder");
        let args = |template: &str, name: &str| New {
            template: Some(template.to_string()),
            name: Some(name.to_string()),
            dir: dir.path().to_owned(),
        };
        run(&args("hello", "mine")).expect("it is written");
        assert!(dir.path().join("pipelines/mine.lua").is_file());
        assert!(dir.path().join("spec/mine.lua").is_file());
        for (template, name) in [("hello", "mine"), ("helo", "other"), ("hello", "No Name")] {
            assert_eq!(
                run(&args(template, name)).expect_err("refused").exit,
                Exit::Usage,
                "{name}"
            );
        }
    }

    #[test]
    fn the_next_command_is_whole() {
        for (name, options) in [
            ("hello", "--set name=Ada"),
            ("retry", "--set 'numbers=[1,2,3]'"),
            ("era-like", "--input 'batch=my scripts/pipelines/x.lua'"),
        ] {
            let template = TEMPLATES.iter().find(|template| template.name == name);
            let said = next(template.expect("it is one"), Path::new("my scripts"), "x");
            let dev = format!("\n  froben dev 'my scripts/pipelines/x.lua' {options}\n");
            assert!(said.contains(&dev), "{said}");
            let test = said.find("froben test 'my scripts/spec/x.lua'");
            assert!(test < said.find(&dev) && test.is_some(), "{said}");
        }
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }

    /// Each input that a template's pipeline needs is given.
    #[test]
    fn the_options_fit_the_pipeline() {
        for template in TEMPLATES {
            let files: BTreeMap<String, String> = template.files("x").into_iter().collect();
            let source = &files["pipelines/x.lua"];
            let (_, workflow) = source.split_once("return workflow(").expect("it is one");
            let (_, inputs) = workflow.split_once("input = { ").expect("it declares some");
            let (inputs, _) = inputs.split_once(" }").expect("they end");
            let declared = inputs.split(", ").map(|input| input.split_once(" = "));
            let declared: Vec<_> = declared.map(|input| input.expect("a type").0).collect();
            let options = template.options("FILE");
            let given = options.iter().map(|[_, given]| given.split_once('='));
            let given: Vec<_> = given.map(|given| given.expect("a value").0).collect();
            assert_eq!(given, declared, "{}", template.name);
        }
    }
}
