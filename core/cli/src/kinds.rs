//! Which kinds of task there are machines for.

use std::collections::BTreeSet;
use std::env;

use froben_model::Kind;

use crate::args::Remote;
use crate::error::Error;
use crate::session::{Session, block_on};

/// What the command line names, or else what the machines offer of the coordinator that the environment
/// names; `None` if neither does.
pub(crate) fn known(named: Option<&[String]>) -> Result<Option<BTreeSet<String>>, Error> {
    if let Some(named) = named {
        for kind in named {
            Kind::new(kind.as_str()).map_err(|error| Error::usage(format!("--kinds: {error}")))?;
        }
        return Ok(Some(named.iter().cloned().collect()));
    }
    let (Some(coordinator), Some(identity)) = (
        env::var("FROBEN_COORDINATOR").ok(),
        env::var_os("FROBEN_IDENTITY"),
    ) else {
        return Ok(None);
    };
    let remote = Remote {
        coordinator,
        identity: identity.into(),
    };
    // An author on a train lints all the same.
    Ok(offered(&remote)
        .inspect_err(|error| eprintln!("kinds are not checked: {}", error.message))
        .ok())
}

fn offered(remote: &Remote) -> Result<BTreeSet<String>, Error> {
    block_on(async {
        let mut session = Session::new(remote)?;
        let machines = session.client().await?.machines().await?;
        let kinds = machines.iter().flat_map(|machine| &machine.kinds);
        Ok(kinds.map(|kind| kind.as_str().to_owned()).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;

    #[test]
    fn kinds_that_are_named_must_be_kinds() {
        let named = |kinds: &[&str]| {
            let kinds: Vec<_> = kinds.iter().map(|kind| kind.to_string()).collect();
            known(Some(&kinds))
        };
        assert_eq!(
            named(&["a/1"]).expect("one kind"),
            Some(["a/1".to_owned()].into())
        );
        assert_eq!(
            named(&["a/1", "b"]).expect_err("no version").exit,
            Exit::Usage
        );
    }
}
