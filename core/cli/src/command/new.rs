//! `froben new`: a pipeline to begin with.

use froben_author::{TEMPLATES, TemplateError};

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
    eprintln!(
        "next: `froben test {0}/spec/{name}.lua`, then `froben dev {0}/pipelines/{name}.lua`",
        dir.display()
    );
    Ok(())
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
}
