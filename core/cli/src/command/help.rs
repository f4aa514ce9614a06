//! Topics that `--help` has no room for.

use crate::error::{Error, Exit};

pub(crate) fn run(topic: Option<&str>) -> Result<(), Error> {
    match topic {
        Some("exit-codes") => {
            println!("{:>4}  done", 0);
            for exit in Exit::ALL {
                println!("{:>4}  {}", exit.code(), exit.meaning());
            }
            Ok(())
        }
        Some(other) => Err(Error::usage(format!("there is no topic `{other}`"))
            .hint("topics: exit-codes; for commands, `froben COMMAND --help`")),
        None => {
            Err(Error::usage("which topic?")
                .hint("topics: exit-codes; for commands, `froben --help`"))
        }
    }
}
