//! Trails as text: a line for a delegation that went well, the whole story of one that did not.

use std::fmt::Write;

use froben_model::trail::{AttemptEnd, AttemptTrail, Cause, Claimed, DelegationTrail, Fault};
use froben_model::view::{DelegationState, LogLine};
use froben_model::{ErrorClass, Needs, TimeMs};
use serde_json::json;

use crate::output::text::{bytes, seconds};

/// Columns of a line of somebody else's words; the rest goes on below.
const WIDTH: usize = 100;

/// One delegation. `told` in full or, if all went well at once, on one line.
pub(crate) fn trail(trail: &DelegationTrail, in_full: bool, now: TimeMs) -> String {
    let mut text = headline(trail, now);
    let plain = !trail.had_failures() && trail.attempts.len() <= 1;
    if plain && !in_full {
        if let Some(attempt) = trail.attempts.last() {
            let _ = write!(text, "  {}", place(attempt));
        }
        return text;
    }
    let asked = asked(&trail.needs);
    if !asked.is_empty() {
        let _ = write!(text, "\n  asks for {asked}");
    }
    if let Some(workflow) = trail.kept_from {
        let _ = write!(text, "\n  kept from {workflow}");
    }
    for attempt in &trail.attempts {
        text.push('\n');
        text.push_str(&self::attempt(attempt, trail));
    }
    if let Some(cause) = &trail.cause {
        let at = trail.ended_ms.unwrap_or(trail.queued_ms);
        let line = format!("{}  ended: {}", times(at, trail), blame(cause));
        let _ = write!(text, "\n{}", folded(&line, 4, 30));
    }
    text
}

fn headline(trail: &DelegationTrail, now: TimeMs) -> String {
    let DelegationTrail {
        call,
        key,
        kind,
        state,
        items_total,
        items_ok,
        queued_ms,
        ended_ms,
        attempts,
        ..
    } = trail;
    let key = if key.is_empty() { "-" } else { key };
    let took = seconds(ended_ms.unwrap_or(now).saturating_sub(*queued_ms));
    let items = match (items_ok, items_total) {
        (ok, total) if ok == total => plural(u64::from(*total), "item"),
        (ok, total) => format!("{ok} of {}", plural(u64::from(*total), "item")),
    };
    let tries = match attempts.len() {
        1 => String::new(),
        count => format!(", {}", plural(count as u64, "attempt")),
    };
    format!("{call} {key}  {kind}  {state}, {items}{tries}, {took}")
}

fn plural(count: u64, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

fn asked(needs: &Needs) -> String {
    let Needs {
        cpu_cores,
        ram_bytes,
        vram_bytes,
        shared,
    } = *needs;
    let mut parts = Vec::new();
    if cpu_cores > 0 {
        parts.push(plural(u64::from(cpu_cores), "core"));
    }
    if ram_bytes > 0 {
        parts.push(format!("{} of memory", bytes(ram_bytes)));
    }
    if vram_bytes > 0 {
        parts.push(format!("a device with {}", bytes(vram_bytes)));
    } else if !shared {
        parts.push("a machine's cores to itself".to_owned());
    }
    parts.join(", ")
}

/// Where it ran.
fn place(attempt: &AttemptTrail) -> String {
    match &attempt.device {
        Some(device) => format!("{} on {device}", attempt.machine),
        None => attempt.machine.to_string(),
    }
}

fn attempt(attempt: &AttemptTrail, trail: &DelegationTrail) -> String {
    let head = format!(
        "attempt {}  {}  {}",
        attempt.number,
        place(attempt),
        claims(attempt)
    );
    let mut lines = vec![folded(&head, 2, 13)];
    let mut line = |at: TimeMs, what: &str| {
        let line = format!("{}  {what}", times(at, trail));
        lines.push(folded(&line, 4, 30));
    };
    line(attempt.queued_ms, "queued");
    line(attempt.assigned_ms, "assigned");
    if let Some(at) = attempt.started_ms {
        line(at, "started");
    }
    let came = u64::from(attempt.items_ok) + u64::from(attempt.items_failed);
    if let Some(at) = attempt.first_item_ms {
        let failed = match attempt.items_failed {
            0 => String::new(),
            failed => format!(", {failed} failed"),
        };
        match came {
            1 => line(at, &format!("1 item{failed}")),
            _ => line(at, &format!("first of {came} items{failed}")),
        }
    }
    if let Some(at) = attempt.last_item_ms.filter(|_| came > 1) {
        line(at, "last item");
    }
    match (attempt.ended_ms, &attempt.cause) {
        (Some(at), Some(cause)) => line(at, &format!("{}: {}", ended(attempt), blame(cause))),
        (Some(at), None) => match winner(attempt, trail) {
            Some(winner) => line(at, &format!("stopped: attempt {winner} had the last item")),
            None => line(at, ended(attempt)),
        },
        (None, _) => {}
    }
    if !attempt.log.is_empty() {
        lines.push("    its worker's last lines".to_owned());
        for LogLine { time_ms, text, .. } in &attempt.log {
            let line = format!("{}  {text}", since(*time_ms, trail));
            lines.push(folded(&line, 17, 30));
        }
    }
    lines.join("\n")
}

/// What it holds of the machine, and what it costs.
fn claims(attempt: &AttemptTrail) -> String {
    let Some(Claimed {
        cpu_cores,
        ram_bytes,
        vram_bytes,
        price,
    }) = attempt.claimed
    else {
        return "claims unknown".to_owned();
    };
    let mut parts = vec![plural(u64::from(cpu_cores), "core"), bytes(ram_bytes)];
    if vram_bytes > 0 {
        parts.push(format!("{} on the device", bytes(vram_bytes)));
    }
    let price = match price.is_zero() {
        true => String::new(),
        false => format!(", at {price} an item"),
    };
    format!("claims {}{price}", parts.join(", "))
}

/// The attempt that was faster than this one, beside it.
fn winner(attempt: &AttemptTrail, trail: &DelegationTrail) -> Option<u32> {
    let mut others = trail
        .attempts
        .iter()
        .filter(|a| a.ended_ms == attempt.ended_ms);
    let winner = others.find(|other| other.end == AttemptEnd::Succeeded)?;
    (attempt.end == AttemptEnd::Cancelled).then_some(winner.number)
}

fn ended(attempt: &AttemptTrail) -> &'static str {
    match attempt.end {
        AttemptEnd::Open => "still runs",
        AttemptEnd::Succeeded => "succeeded",
        AttemptEnd::Failed => "failed",
        AttemptEnd::TimedOut => "timed out",
        AttemptEnd::Cancelled => "cancelled",
        AttemptEnd::Requeued => "given back",
    }
}

/// What went wrong, and whose fault it was. That a task was given back is nobody's, unless the machine was
/// silent.
fn blame(cause: &Cause) -> String {
    let Cause {
        class,
        message,
        fault,
    } = cause;
    let fault = match (class, fault) {
        (None, Fault::Platform) => String::new(),
        (_, fault) => format!(" (the {fault}'s fault)"),
    };
    let class = class.map_or("", ErrorClass::name);
    match format!("{class}{fault}").trim_start() {
        "" => message.clone(),
        whose => format!("{whose}: {message}"),
    }
}

/// The time of day in UTC, and since the delegation was handed out.
fn times(at: TimeMs, trail: &DelegationTrail) -> String {
    let ms = at % 86_400_000;
    let (h, m, s) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!(
        "{h:02}:{m:02}:{s:02}.{:03}  {}",
        ms % 1000,
        since(at, trail)
    )
}

fn since(at: TimeMs, trail: &DelegationTrail) -> String {
    let since = at.saturating_sub(trail.queued_ms);
    format!("{:>11}", format!("+{}.{:03} s", since / 1000, since % 1000))
}

/// Behind `indent` blanks, broken at blanks to so many columns; what goes on is indented by `further`.
fn folded(line: &str, indent: usize, further: usize) -> String {
    let mut folded = " ".repeat(indent);
    let mut column = indent;
    let mut begin = true;
    for word in line.split_inclusive(' ') {
        let width = word.trim_end().chars().count();
        if !begin && column + width > WIDTH && column > further {
            folded.truncate(folded.trim_end().len());
            folded.push('\n');
            folded.push_str(&" ".repeat(further));
            column = further;
        }
        folded.push_str(word);
        column += word.chars().count();
        begin = false;
    }
    folded
}

pub(crate) fn json(trail: &DelegationTrail) -> serde_json::Value {
    let DelegationTrail {
        call,
        key,
        kind,
        state,
        needs:
            Needs {
                cpu_cores,
                ram_bytes,
                vram_bytes,
                shared,
            },
        items_total,
        items_ok,
        items_failed,
        queued_ms,
        ended_ms,
        cause,
        kept_from,
        attempts,
    } = trail;
    json!({
        "call": call.0,
        "name": call.to_string(),
        "key": key,
        "kind": kind.as_str(),
        "state": DelegationState::name(*state),
        "needs": { "cpu_cores": cpu_cores, "ram_bytes": ram_bytes, "vram_bytes": vram_bytes, "shared": shared },
        "items_total": items_total,
        "items_ok": items_ok,
        "items_failed": items_failed,
        "queued_ms": queued_ms,
        "ended_ms": ended_ms,
        "cause": cause.as_ref().map(json_cause),
        "kept_from": kept_from.map(|workflow| workflow.to_string()),
        "attempts": attempts.iter().map(json_attempt).collect::<Vec<_>>(),
    })
}

fn json_attempt(attempt: &AttemptTrail) -> serde_json::Value {
    let AttemptTrail {
        number,
        machine,
        device,
        claimed,
        queued_ms,
        assigned_ms,
        started_ms,
        items_ok,
        items_failed,
        first_item_ms,
        last_item_ms,
        ended_ms,
        end,
        cause,
        log,
    } = attempt;
    json!({
        "attempt": number,
        "machine": machine.as_str(),
        "operator": machine.operator().as_str(),
        "device": device,
        "claimed": claimed.as_ref().map(json_claimed),
        "queued_ms": queued_ms,
        "assigned_ms": assigned_ms,
        "started_ms": started_ms,
        "items_ok": items_ok,
        "items_failed": items_failed,
        "first_item_ms": first_item_ms,
        "last_item_ms": last_item_ms,
        "ended_ms": ended_ms,
        "end": end.name(),
        "cause": cause.as_ref().map(json_cause),
        "log": log.iter().map(super::json::log_line).collect::<Vec<_>>(),
    })
}

fn json_claimed(claimed: &Claimed) -> serde_json::Value {
    let Claimed {
        cpu_cores,
        ram_bytes,
        vram_bytes,
        price,
    } = claimed;
    json!({
        "cpu_cores": cpu_cores,
        "ram_bytes": ram_bytes,
        "vram_bytes": vram_bytes,
        // A decimal, exact: as a number it would not be.
        "price": price.to_string(),
    })
}

fn json_cause(cause: &Cause) -> serde_json::Value {
    let Cause {
        class,
        message,
        fault,
    } = cause;
    json!({
        "class": class.map(ErrorClass::name),
        "message": message,
        "fault": fault.name(),
    })
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use froben_model::{Amount, CallId, Kind, MachineId};

    use super::*;

    const AT: TimeMs = 1_700_000_000_123;

    fn attempt(number: u32, end: AttemptEnd, cause: Option<Cause>) -> AttemptTrail {
        AttemptTrail {
            number,
            machine: MachineId::new("op-a/m1").unwrap(),
            device: Some("a device".to_owned()),
            claimed: (number == 1).then_some(Claimed {
                cpu_cores: 2,
                ram_bytes: 4 << 30,
                vram_bytes: 16 << 30,
                price: Amount(50_000),
            }),
            queued_ms: AT,
            assigned_ms: AT + 3,
            started_ms: Some(AT + 4),
            items_ok: 11,
            items_failed: 1,
            first_item_ms: Some(AT + 120),
            last_item_ms: Some(AT + 900),
            ended_ms: (end != AttemptEnd::Open).then_some(AT + 61_000),
            end,
            cause,
            log: Vec::new(),
        }
    }

    fn of(state: DelegationState, attempts: Vec<AttemptTrail>) -> DelegationTrail {
        DelegationTrail {
            call: CallId(3),
            key: "prove/1".to_owned(),
            kind: Kind::new("commitments.prove/1").unwrap(),
            state,
            needs: Needs {
                cpu_cores: 2,
                ram_bytes: 4 << 30,
                vram_bytes: 16 << 30,
                shared: false,
            },
            items_total: 12,
            items_ok: 12,
            items_failed: 0,
            queued_ms: AT,
            ended_ms: state.ended().then_some(AT + 61_000),
            cause: None,
            kept_from: None,
            attempts,
        }
    }

    fn check(trail: &DelegationTrail, in_full: bool, expected: Expect) {
        let text = self::trail(trail, in_full, AT + 90_000);
        expected.assert_eq(&text);
        let widest = text.lines().map(|line| line.chars().count()).max();
        assert!(widest.is_some_and(|widest| widest <= WIDTH), "{text}");
    }

    #[test]
    fn what_went_well_is_a_line_unless_it_is_asked_for() {
        let mut well = attempt(1, AttemptEnd::Succeeded, None);
        (well.items_ok, well.items_failed) = (12, 0);
        let well = of(DelegationState::Succeeded, vec![well]);
        check(
            &well,
            false,
            expect![
                "#3 prove/1  commitments.prove/1  succeeded, 12 items, 61.0 s  op-a/m1 on a device"
            ],
        );
        check(
            &well,
            true,
            expect![[r#"
                #3 prove/1  commitments.prove/1  succeeded, 12 items, 61.0 s
                  asks for 2 cores, 4.0 GiB of memory, a device with 16.0 GiB
                  attempt 1  op-a/m1 on a device  claims 2 cores, 4.0 GiB, 16.0 GiB on the device, at 0.05 an item
                    22:13:20.123     +0.000 s  queued
                    22:13:20.126     +0.003 s  assigned
                    22:13:20.127     +0.004 s  started
                    22:13:20.243     +0.120 s  first of 12 items
                    22:13:21.023     +0.900 s  last item
                    22:14:21.123    +61.000 s  succeeded"#]],
        );
    }

    #[test]
    fn of_two_attempts_at_once_it_is_told_which_won() {
        let mut slow = attempt(1, AttemptEnd::Cancelled, None);
        let mut fast = attempt(2, AttemptEnd::Succeeded, None);
        (slow.items_ok, slow.items_failed) = (5, 0);
        (fast.items_ok, fast.items_failed) = (7, 0);
        let trail = of(DelegationState::Succeeded, vec![slow, fast]);
        let text = self::trail(&trail, false, AT);
        assert!(
            text.contains("stopped: attempt 2 had the last item"),
            "{text}"
        );
        assert_eq!(text.matches("succeeded").count(), 2, "{text}");
    }

    #[test]
    fn what_went_wrong_is_told_in_full() {
        let why = "op-a/m1 left: the other side is silent, and has been so for longer than anybody who works \
                   with it would have thought possible";
        let mut lost = attempt(
            1,
            AttemptEnd::Failed,
            Some(Cause::of(ErrorClass::Disconnected, why.to_owned())),
        );
        lost.log = vec![LogLine {
            seq: 1,
            time_ms: AT + 500,
            source: "op-a/m1".to_owned(),
            text: "proved 7 of 12".to_owned(),
        }];
        let mut trail = of(DelegationState::Failed, vec![lost]);
        (trail.items_ok, trail.items_failed) = (11, 1);
        check(
            &trail,
            false,
            expect![[r#"
                #3 prove/1  commitments.prove/1  failed, 11 of 12 items, 61.0 s
                  asks for 2 cores, 4.0 GiB of memory, a device with 16.0 GiB
                  attempt 1  op-a/m1 on a device  claims 2 cores, 4.0 GiB, 16.0 GiB on the device, at 0.05 an item
                    22:13:20.123     +0.000 s  queued
                    22:13:20.126     +0.003 s  assigned
                    22:13:20.127     +0.004 s  started
                    22:13:20.243     +0.120 s  first of 12 items, 1 failed
                    22:13:21.023     +0.900 s  last item
                    22:14:21.123    +61.000 s  failed: disconnected (the operator's fault): op-a/m1 left: the other
                                              side is silent, and has been so for longer than anybody who works with
                                              it would have thought possible
                    its worker's last lines
                                    +0.500 s  proved 7 of 12"#]],
        );
    }

    #[test]
    fn one_that_nobody_took_says_so() {
        let mut trail = of(DelegationState::Failed, Vec::new());
        (trail.items_ok, trail.items_failed) = (0, 12);
        let why = "no machine took it within 1 m (3 machines offer it, none has 16.0 GiB)";
        trail.cause = Some(Cause::of(ErrorClass::NoCapacity, why.to_owned()));
        check(
            &trail,
            false,
            expect![[r#"
                #3 prove/1  commitments.prove/1  failed, 0 of 12 items, 0 attempts, 61.0 s
                  asks for 2 cores, 4.0 GiB of memory, a device with 16.0 GiB
                    22:14:21.123    +61.000 s  ended: no_capacity (the platform's fault): no machine took it within
                                              1 m (3 machines offer it, none has 16.0 GiB)"#]],
        );
    }

    #[test]
    fn one_that_runs_shows_what_has_come() {
        let back = Cause::given_back("its worker starts anew".to_owned(), false);
        let mut refused = attempt(1, AttemptEnd::Requeued, Some(back));
        (
            refused.first_item_ms,
            refused.last_item_ms,
            refused.started_ms,
        ) = (None, None, None);
        let runs = attempt(2, AttemptEnd::Open, None);
        check(
            &of(DelegationState::Running, vec![refused, runs]),
            false,
            expect![[r#"
                #3 prove/1  commitments.prove/1  running, 12 items, 2 attempts, 90.0 s
                  asks for 2 cores, 4.0 GiB of memory, a device with 16.0 GiB
                  attempt 1  op-a/m1 on a device  claims 2 cores, 4.0 GiB, 16.0 GiB on the device, at 0.05 an item
                    22:13:20.123     +0.000 s  queued
                    22:13:20.126     +0.003 s  assigned
                    22:14:21.123    +61.000 s  given back: its worker starts anew
                  attempt 2  op-a/m1 on a device  claims unknown
                    22:13:20.123     +0.000 s  queued
                    22:13:20.126     +0.003 s  assigned
                    22:13:20.127     +0.004 s  started
                    22:13:20.243     +0.120 s  first of 12 items, 1 failed
                    22:13:21.023     +0.900 s  last item"#]],
        );
    }
}
