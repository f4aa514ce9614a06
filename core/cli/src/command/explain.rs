//! `froben explain`: the page of an error code or a lint.

use froben_author::{explain, pages};

use crate::args::Explain;
use crate::error::{Error, Exit};

pub(crate) fn run(args: &Explain) -> Result<(), Error> {
    let Some(code) = &args.code else {
        for page in pages() {
            println!("{:20}  {}", page.name, page.title);
        }
        return Ok(());
    };
    match explain(code) {
        Ok(page) => {
            println!("{}", page.trim_end());
            Ok(())
        }
        Err(meant) => {
            let error = Error::new(Exit::NotFound, format!("there is no page about `{code}`"));
            Err(match meant {
                Some(meant) => error.hint(format!("did you mean `{meant}`?")),
                None => error.hint("`froben explain` lists them all"),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_code_is_not_found() {
        let ask = |code: &str| {
            run(&Explain {
                code: Some(code.to_string()),
            })
        };
        assert!(ask("FRB-LUA-001").is_ok());
        let error = ask("FRB-LUA-00I").expect_err("there is none");
        assert_eq!(error.exit, Exit::NotFound);
        assert!(error.hint.is_some_and(|hint| hint.contains("FRB-LUA-001")));
    }
}
