//! `froben why`: why a delegation is where it is, machine by machine.

use std::fmt::Write as _;

use froben_model::view::{MachineReason, WhyView};
use serde_json::{Value as Json, json};

use crate::args::{Format, Why};
use crate::command::show::ask;
use crate::command::wait::parse_id;
use crate::command::workflow::refused;
use crate::error::Error;
use crate::output::print_json;

pub(crate) fn why(args: &Why) -> Result<(), Error> {
    let id = parse_id(&args.id)?;
    let found = ask(&args.query, async |client| {
        client.why(id, &args.which).await
    })?;
    let why = found.map_err(refused)?;
    match args.query.output {
        Format::Json => print_json(&why_json(&why)),
        Format::Text => print!("{}", text(&why)),
    }
    Ok(())
}

fn why_json(why: &WhyView) -> Json {
    let machine = |machine: &MachineReason| {
        json!({
            "machine": machine.machine.to_string(),
            "reason": machine.reason,
            "lasts": machine.lasts,
        })
    };
    json!({
        "call": why.call.0,
        "key": why.key,
        "kind": why.kind.to_string(),
        "state": why.state.name(),
        "waits": why.waits,
        "machines": why.machines.iter().map(machine).collect::<Vec<_>>(),
    })
}

/// What may change by itself first, since that is what it waits for.
fn text(why: &WhyView) -> String {
    let WhyView {
        call,
        key,
        kind,
        state,
        waits,
        machines,
    } = why;
    let mut text = format!("{call} {key}  {kind}  {}\n", state.name());
    if let Some(waits) = waits {
        let _ = writeln!(text, "waits: {waits}");
    }
    let width = machines.iter().map(|m| m.machine.as_str().len()).max();
    let width = width.unwrap_or(0);
    for lasts in [false, true] {
        for machine in machines.iter().filter(|machine| machine.lasts == lasts) {
            let (name, reason) = (machine.machine.as_str(), &machine.reason);
            let _ = writeln!(text, "  {name:<width$}  {reason}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use froben_model::CallId;
    use froben_model::view::DelegationState;

    use super::*;

    #[test]
    fn what_may_change_by_itself_comes_first() {
        let machine = |name: &str, reason: &str, lasts| MachineReason {
            machine: name.parse().expect("a name"),
            reason: reason.to_string(),
            lasts,
        };
        let why = WhyView {
            call: CallId(7),
            key: "prove/1".to_string(),
            kind: "data.prove/1".parse().expect("a kind"),
            state: DelegationState::Queued,
            waits: Some("2 machines offer data.prove/1: 1 busy, 1 too dear".to_string()),
            machines: vec![
                machine("op/a", "asks 2 for an item, which may cost 1", true),
                machine("op/gpu-2", "busy: no device with 8 GiB is free", false),
            ],
        };
        expect![[r#"
            #7 prove/1  data.prove/1  queued
            waits: 2 machines offer data.prove/1: 1 busy, 1 too dear
              op/gpu-2  busy: no device with 8 GiB is free
              op/a      asks 2 for an item, which may cost 1
        "#]]
        .assert_eq(&text(&why));
    }
}
