//! `froben ca`: the private CA of a network.

use std::time::Duration;

use froben_model::resources::parse_duration_ms;
use froben_wire::{
    Ca, Entry, Issued, Request, RevocationList, Role, Subject, Validity, Which, date,
};
use serde_json::json;

use crate::args;
use crate::error::Error;
use crate::output::text;

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
        args::Ca::Revoke(revoke) => run_revoke(revoke),
        args::Ca::List(list) => run_list(&list),
        args::Ca::Crl(args::Crl { ca, valid }) => {
            let ca = Ca::load(&ca)?;
            let list = ca.renew_list(duration(&valid)?)?;
            tell(&ca, &list);
            Ok(())
        }
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
    let request = Request {
        role: role.into(),
        name,
        dns: Vec::new(),
        ips: Vec::new(),
        validity: Validity::lasting(duration(&valid)?),
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

fn run_revoke(revoke: args::Revoke) -> Result<(), Error> {
    let args::Revoke {
        ca,
        which: args::Which { name, serial, cert },
        role,
        valid,
    } = revoke;
    let which = match (name, serial, cert) {
        (Some(name), _, _) => Which::Name {
            name,
            role: role.map(Role::from),
        },
        (_, Some(serial), _) => Which::Serial(serial.parse().map_err(Error::usage)?),
        (_, _, Some(cert)) => Which::File(cert),
        (None, None, None) => return Err(Error::usage("give --name, --serial or --cert")),
    };
    let ca = Ca::load(&ca)?;
    let (serials, list) = ca.revoke(&which, duration(&valid)?)?;
    for serial in serials {
        println!("revoked {serial}");
    }
    tell(&ca, &list);
    Ok(())
}

/// What there is now, and what to do with it.
fn tell(ca: &Ca, list: &RevocationList) {
    let (number, len) = (list.number, list.len());
    let until = list.until_s.map(date).unwrap_or_default();
    let path = ca.list_path();
    println!(
        "list {number}, {len} revoked, until {until}: {}",
        path.display()
    );
    eprintln!(
        "hint: coordinators take it from where their `--crl` points, within a second of a change"
    );
}

fn run_list(list: &args::Issued) -> Result<(), Error> {
    let entries = Ca::load(&list.ca)?.entries()?;
    match list.output {
        args::Format::Json => {
            let entries: Vec<_> = entries.iter().map(as_json).collect();
            println!("{}", json!(entries));
        }
        args::Format::Text => {
            let mut rows = text::table(&["serial", "role", "name", "issued", "until", "revoked"]);
            for Entry { issued, revoked_s } in &entries {
                let Issued {
                    serial,
                    subject: Subject { role, name },
                    at_s,
                    until_s,
                } = issued;
                rows.add_row([
                    serial.to_string(),
                    role.to_string(),
                    name.clone(),
                    date(*at_s),
                    date(*until_s),
                    revoked_s.map(date).unwrap_or_default(),
                ]);
            }
            println!("{}", text::text(&rows));
        }
    }
    Ok(())
}

fn as_json(entry: &Entry) -> serde_json::Value {
    let Entry { issued, revoked_s } = entry;
    let Issued {
        serial,
        subject: Subject { role, name },
        at_s,
        until_s,
    } = issued;
    json!({
        "serial": serial.to_string(),
        "role": role.name(),
        "name": name,
        "issued_s": at_s,
        "until_s": until_s,
        "revoked_s": revoked_s,
    })
}

fn duration(text: &str) -> Result<Duration, Error> {
    let ms = parse_duration_ms(text).map_err(|error| Error::usage(error.to_string()))?;
    Ok(Duration::from_millis(ms))
}

impl From<args::RoleArg> for Role {
    fn from(role: args::RoleArg) -> Role {
        match role {
            args::RoleArg::Coordinator => Role::Coordinator,
            args::RoleArg::Operator => Role::Operator,
            args::RoleArg::Seeker => Role::Seeker,
            args::RoleArg::Admin => Role::Admin,
        }
    }
}
