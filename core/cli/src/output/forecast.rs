//! A planner's answer, for people and for programs.

use froben_sim::forecast::{Change, Forecast, KindUse, Spread};
use serde_json::json;

use crate::output::text::{table, text as lines};

pub(crate) fn text(forecast: &Forecast, priced: bool) -> String {
    let Forecast {
        seeds,
        machines,
        slow_machines,
        makespan_s,
        workflow_s,
        utilisation,
        fleet_cost,
        busy_cost,
        kinds,
        changes,
    } = forecast;
    let mut all = table(&["", "median", "95 of 100"]);
    let row = |name: &str, spread: &Spread| [name.to_string(), s(spread.p50), s(spread.p95)];
    all.add_row(row("makespan", makespan_s));
    if workflow_s != makespan_s {
        all.add_row(row("one workflow", workflow_s));
    }
    let mut parts = vec![
        format!("{machines} machines, {slow_machines:.1} of them slow on average; {seeds} seeds"),
        lines(&all),
        format!(
            "GPUs worked {:.0} % of the time; cost {fleet_cost:.2} for the whole fleet until the end, \
             {busy_cost:.2} for the time that machines worked{}",
            utilisation * 100.0,
            if priced {
                ""
            } else {
                " (prices of the profile)"
            },
        ),
    ];
    let mut rows = table(&[
        "kind",
        "tasks",
        "items",
        "busy",
        "lost",
        "hedged",
        "won",
        "end waits for",
        "queued",
        "slowest 5 %",
    ]);
    for kind in kinds {
        rows.add_row([
            kind.kind.clone(),
            format!("{:.1}", kind.tasks),
            format!("{:.0}", kind.items),
            s(kind.busy_s),
            format!("{:.1}", kind.lost),
            format!("{:.1}", kind.hedges),
            format!("{:.1}", kind.hedges_won),
            s(kind.path_s),
            s(kind.path_wait_s),
            s(kind.path_slowest_s),
        ]);
    }
    parts.push(lines(&rows));
    parts.extend(kinds.iter().filter(|kind| kind.path_slowest_s > 0.0).max_by(tail).map(|kind| {
        format!(
            "tail: {}; in the slowest 5 % the end waits {} longer for it than on average; {:.0} % of \
             that wait is for slow machines, {:.0} % for machines that were lost",
            kind.kind,
            s(kind.path_slowest_s - kind.path_s),
            kind.slow_share * 100.0,
            kind.lost_share * 100.0,
        )
    }));
    if !changes.is_empty() {
        parts.push(compared(forecast));
    }
    parts.join("\n\n")
}

/// By how much more the end waits for it when it is slow.
fn tail(a: &&KindUse, b: &&KindUse) -> std::cmp::Ordering {
    let more = |kind: &KindUse| kind.path_slowest_s - kind.path_s;
    more(a).total_cmp(&more(b))
}

fn compared(forecast: &Forecast) -> String {
    let mut rows = table(&[
        "machines",
        "fleet",
        "median",
        "95 of 100",
        "cost of the fleet",
    ]);
    let mut row = |machines: usize, fleet: String, makespan_s: &Spread, fleet_cost: f64| {
        rows.add_row([
            machines.to_string(),
            fleet,
            s(makespan_s.p50),
            s(makespan_s.p95),
            format!("{fleet_cost:.2}"),
        ]);
    };
    let own = forecast.machines;
    row(
        own,
        "as asked".to_owned(),
        &forecast.makespan_s,
        forecast.fleet_cost,
    );
    for change in &forecast.changes {
        let Change {
            machines,
            class,
            makespan_s,
            fleet_cost,
        } = change;
        let how = if *machines < own { "fewer" } else { "more" };
        row(
            *machines,
            format!("one {how}: {class}"),
            makespan_s,
            *fleet_cost,
        );
    }
    lines(&rows)
}

fn s(seconds: f64) -> String {
    format!("{seconds:.1} s")
}

pub(crate) fn json(forecast: &Forecast) -> serde_json::Value {
    let Forecast {
        seeds,
        machines,
        slow_machines,
        makespan_s,
        workflow_s,
        utilisation,
        fleet_cost,
        busy_cost,
        kinds,
        changes,
    } = forecast;
    let spread = |spread: &Spread| json!({ "p50": spread.p50, "p95": spread.p95 });
    let kinds = kinds.iter().map(|kind| {
        let KindUse {
            kind,
            tasks,
            items,
            busy_s,
            lost,
            hedges,
            hedges_won,
            path_s,
            path_slowest_s,
            path_wait_s,
            slow_share,
            lost_share,
        } = kind;
        json!({
            "kind": kind, "tasks": tasks, "items": items, "busy_s": busy_s, "lost": lost,
            "hedges": hedges, "hedges_won": hedges_won,
            "path_s": path_s, "path_wait_s": path_wait_s, "path_slowest_s": path_slowest_s,
            "slow_share": slow_share, "lost_share": lost_share,
        })
    });
    let changes = changes.iter().map(|change| {
        let Change {
            machines,
            class,
            makespan_s,
            fleet_cost,
        } = change;
        json!({
            "machines": machines, "class": class, "makespan_s": spread(makespan_s),
            "fleet_cost": fleet_cost,
        })
    });
    json!({
        "seeds": seeds,
        "machines": machines,
        "slow_machines": slow_machines,
        "makespan_s": spread(makespan_s),
        "workflow_s": spread(workflow_s),
        "utilisation": utilisation,
        "fleet_cost": fleet_cost,
        "busy_cost": busy_cost,
        "kinds": kinds.collect::<Vec<_>>(),
        "changes": changes.collect::<Vec<_>>(),
    })
}
