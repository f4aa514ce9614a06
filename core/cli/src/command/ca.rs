//! `froben ca`: the private CA of a network.

use std::time::Duration;

use froben_model::resources::parse_duration_ms;
use froben_wire::{Ca, Request, Role, Validity};

use crate::args;
use crate::error::Error;

pub(crate) fn run(command: args::Ca) -> Result<(), Error> {
    match command {
        args::Ca::Init { dir } => {
            Ca::init(&dir)?;
            println!("made a CA in {}", dir.display());
            eprintln!(
                "hint: issue certificates with `froben ca issue --ca {} ...`",
                dir.display()
            );
            Ok(())
        }
        args::Ca::Issue(issue) => run_issue(issue),
    }
}

fn run_issue(issue: args::Issue) -> Result<(), Error> {
    let args::Issue {
        ca,
        role,
        name,
        out,
        valid,
    } = issue;
    let lifetime = parse_duration_ms(&valid).map_err(|error| Error::usage(error.to_string()))?;
    let request = Request {
        role: match role {
            args::RoleArg::Coordinator => Role::Coordinator,
            args::RoleArg::Operator => Role::Operator,
            args::RoleArg::Seeker => Role::Seeker,
            args::RoleArg::Admin => Role::Admin,
        },
        name,
        dns: Vec::new(),
        ips: Vec::new(),
        validity: Validity::lasting(Duration::from_millis(lifetime)),
    };
    Ca::load(&ca)?.issue(&request, &out)?;
    println!(
        "issued {} {} in {}",
        request.role.name(),
        request.name,
        out.display()
    );
    Ok(())
}
