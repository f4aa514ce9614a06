use std::collections::BTreeSet;

use froben_model::trail::Fault;
use froben_model::{ErrorClass, MachineId};

use super::*;

fn busy() -> (Figures, Vec<MachineView>) {
    let mut of = OfKind {
        items_ok: 3,
        items_failed: 1,
        credited: Amount(1_234_567_000_001),
        queued_now: 2,
        reserved_now: 1,
        ..OfKind::default()
    };
    of.attempts.insert(Outcome::Succeeded, 2);
    of.attempts.insert(
        Outcome::Failed(ErrorClass::Disconnected, Fault::Operator),
        1,
    );
    of.attempts.insert(Outcome::Requeued(Fault::Platform), 4);
    of.ended.insert("succeeded", 2);
    (of.queue.count, of.queue.buckets[2]) = (1, 1);
    of.queue.sum = std::time::Duration::from_millis(7);
    let mut figures = Figures {
        submitted: 5,
        stale: 6,
        ..Figures::default()
    };
    figures.kinds.insert("a.b/1".to_owned(), of);
    figures.finished.insert("succeeded", 1);
    let machine = MachineView {
        name: MachineId::new("op/m").unwrap(),
        cpu_cores: 1,
        ram_bytes: 1,
        devices: Vec::new(),
        kinds: Vec::new(),
        attempts: 1,
        draining: false,
        succeeded: 0,
        failed: 0,
    };
    (figures, vec![machine])
}

fn page() -> String {
    let (figures, machines) = busy();
    text(figures, machines).unwrap()
}

#[test]
fn the_page_has_what_was_counted() {
    let page = page();
    for line in [
        r#"froben_delegation_attempts_total{kind="a.b/1",reason="disconnected",fault="operator"} 1"#,
        r#"froben_delegation_attempts_total{kind="a.b/1",reason="requeued",fault="platform"} 4"#,
        r#"froben_delegations_total{kind="a.b/1",outcome="succeeded"} 2"#,
        r#"froben_items_total{kind="a.b/1",outcome="failed"} 1"#,
        r#"froben_credited_total{kind="a.b/1"} 1234567.000001"#,
        r#"froben_queue_depth{kind="a.b/1"} 2"#,
        r#"froben_reservations{kind="a.b/1"} 1"#,
        r#"froben_delegation_queue_seconds_sum{kind="a.b/1"} 0.007"#,
        r#"froben_delegation_queue_seconds_bucket{le="0.005",kind="a.b/1"} 0"#,
        r#"froben_delegation_queue_seconds_bucket{le="0.01",kind="a.b/1"} 1"#,
        r#"froben_delegation_queue_seconds_bucket{le="+Inf",kind="a.b/1"} 1"#,
        r#"froben_results_rejected_total{reason="stale"} 6"#,
        r#"froben_machines{state="busy"} 1"#,
        r#"froben_machines{state="idle"} 0"#,
        "froben_workflows_begun_total 5",
        r#"froben_workflows_total{outcome="succeeded"} 1"#,
        "froben_journal_commit_seconds_count 0",
        "# EOF",
    ] {
        assert!(page.lines().any(|l| l == line), "{line}\n{page}");
    }
}

#[test]
fn the_manual_lists_each_metric_and_no_other() {
    let page = page();
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let shown: BTreeSet<String> = types
        .map(|line| match line.rsplit_once(' ') {
            Some((name, "counter")) => format!("{name}_total"),
            Some((name, _)) => name.to_owned(),
            None => panic!("{line}"),
        })
        .collect();
    let manual = include_str!("../../../../docs/metrics.md");
    let rows = manual.lines().filter_map(|line| line.strip_prefix("| `"));
    let listed: BTreeSet<String> = rows
        .filter_map(|row| Some(row.split_once(['`', '{'])?.0.to_owned()))
        .filter(|name| name.starts_with("froben_"))
        .collect();
    assert_eq!(listed, shown);
}
