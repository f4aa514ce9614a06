//! What a planner may rely on: the figures follow from the question, and move the right way.

use std::collections::BTreeMap;
use std::path::Path;

use froben_journal::ScriptSet;
use froben_model::Value;
use froben_sim::forecast::{Forecast, Job, PlayError, Profile, Question, forecast};

fn job(pipeline: &str, settings: &[(&str, i64)]) -> Job {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts");
    let mut files = BTreeMap::new();
    for path in [
        "lib/chunk.lua",
        "lib/era.lua",
        "lib/join.lua",
        "lib/options.lua",
        "lib/retry.lua",
        pipeline,
    ] {
        let text = std::fs::read_to_string(scripts.join(path)).expect("a script of ours");
        files.insert(path.to_owned(), text);
    }
    let job = Job::of(&ScriptSet { files }, pipeline).expect("it checks");
    let input = settings
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Value::Int(*value)));
    let job = job.expect("it is a pipeline").with_input(input.collect());
    job.expect("it fits").0
}

fn question(machines: usize) -> Question {
    Question {
        machines,
        seeds: 12,
        from: 1,
        workflows: 1,
        before: 0,
        price: None,
        compare: true,
    }
}

fn ask(job: &Job, profile: &Profile, question: &Question) -> Result<Forecast, (u64, PlayError)> {
    forecast(job, profile, question, &|_, _| {})
}

fn era() -> Profile {
    Profile::shipped("era").expect("it is shipped")
}

#[test]
fn the_same_question_has_the_same_answer() {
    let job = job("pipelines/era_circuits.lua", &[]);
    let first = ask(&job, &era(), &question(33)).expect("it ends well");
    assert_eq!(ask(&job, &era(), &question(33)), Ok(first.clone()));
    let other = Question {
        from: 1000,
        ..question(33)
    };
    assert_ne!(ask(&job, &era(), &other), Ok(first));
}

#[test]
fn all_of_the_time_is_accounted_for() {
    let job = job("pipelines/era_batch.lua", &[]);
    let found = ask(&job, &era(), &question(33)).expect("it ends well");
    assert!(found.makespan_s.p50 <= found.makespan_s.p95);
    assert!((0.0..=1.0).contains(&found.utilisation) && found.utilisation > 0.0);
    assert!(found.busy_cost < found.fleet_cost);
    let kinds: Vec<_> = found.kinds.iter().map(|kind| kind.kind.as_str()).collect();
    assert_eq!(kinds.len(), 7, "{kinds:?}");
    let basic = found.kinds.iter().find(|kind| kind.kind == "era.basic/1");
    assert!(basic.expect("it is there").items >= 500.0);
    // This script never sleeps, so the way back from the end is as long as the run.
    for from in 1..=6 {
        let one = Question {
            seeds: 1,
            from,
            compare: false,
            ..question(33)
        };
        let found = ask(&job, &era(), &one).expect("it ends well");
        let path: f64 = found.kinds.iter().map(|kind| kind.path_s).sum();
        assert!((path - found.makespan_s.p50).abs() < 1e-6, "{found:?}");
    }
}

#[test]
fn an_idle_fleet_is_paid_for_and_a_price_is_a_factor() {
    let job = job("pipelines/era_circuits.lua", &[("jobs", 100)]);
    let at = |price: f64, machines: usize| {
        let question = Question {
            price: Some(price),
            compare: false,
            ..question(machines)
        };
        ask(&job, &era(), &question).expect("it ends well")
    };
    let (one, three, large) = (at(1.0, 20), at(3.0, 20), at(1.0, 200));
    assert!((three.fleet_cost - 3.0 * one.fleet_cost).abs() < 1e-9);
    assert!(large.fleet_cost > 3.0 * one.fleet_cost);
    assert!(large.utilisation < one.utilisation);
}

#[test]
fn one_machine_of_two_is_missed() {
    let job = job("pipelines/era_circuits.lua", &[]);
    let found = ask(&job, &era(), &question(2)).expect("it ends well");
    let [fewer, more @ ..] = &found.changes[..] else {
        panic!("{:?}", found.changes);
    };
    assert_eq!(fewer.machines, 1);
    assert!(fewer.makespan_s.p50 > 1.5 * found.makespan_s.p50);
    assert_eq!(more.len(), 2, "one of each class: {more:?}");
    for more in more {
        assert_eq!(more.machines, 3);
        assert!(more.makespan_s.p50 < found.makespan_s.p50, "{more:?}");
    }
    let alone = ask(&job, &era(), &question(1)).expect("it ends well");
    let machines: Vec<_> = alone.changes.iter().map(|it| it.machines).collect();
    assert_eq!(machines, [2, 2], "nobody asks what no machine does");
}

#[test]
fn one_more_is_of_each_class_in_turn() {
    let job = job("pipelines/era_circuits.lua", &[]);
    let shipped = include_str!("../profiles/era.toml");
    // A class that no fleet has, quicker than the other.
    let text = shipped.replacen("share = 0.25", "share = 0", 1);
    let text = text.replacen("1.0\nprice = 0.90", "8.0\nprice = 0.90", 1);
    let profile = Profile::parse(&text).expect("a profile");
    let one = Question {
        seeds: 1,
        ..question(2)
    };
    let found = ask(&job, &profile, &one).expect("it ends well");
    let [fewer, consumer, datacentre] = &found.changes[..] else {
        panic!("{:?}", found.changes);
    };
    for (change, class, price) in [
        (fewer, "consumer 24 GiB", 0.4),
        (consumer, "consumer 24 GiB", 3.0 * 0.4),
        (datacentre, "datacentre 48 GiB", 2.0 * 0.4 + 0.9),
    ] {
        assert_eq!(change.class, class);
        // Of one seed, the cost is that of its makespan.
        let hourly = change.fleet_cost / change.makespan_s.p50 * 3600.0;
        assert!((hourly - price).abs() < 1e-9, "{hourly}: {change:?}");
    }
    assert!(datacentre.makespan_s.p50 < consumer.makespan_s.p50);
}

#[test]
fn the_one_that_is_missed_is_the_last_of_the_fleet() {
    let job = job("pipelines/era_circuits.lua", &[]);
    for (machines, class, price) in [(3, "consumer 24 GiB", 0.4), (4, "datacentre 48 GiB", 0.9)] {
        let one = Question {
            seeds: 1,
            ..question(machines)
        };
        let found = ask(&job, &era(), &one).expect("it ends well");
        let fewer = &found.changes[0];
        assert_eq!(fewer.class, class);
        let hourly = |cost: f64, makespan_s: f64| cost / makespan_s * 3600.0;
        let saved = hourly(found.fleet_cost, found.makespan_s.p50)
            - hourly(fewer.fleet_cost, fewer.makespan_s.p50);
        assert!((saved - price).abs() < 1e-9, "{saved}: {fewer:?}");
    }
}

#[test]
fn wide_pieces_wait_longer_for_a_slow_machine() {
    let at = |piece: i64| {
        let job = job("pipelines/era_circuits.lua", &[("piece", piece)]);
        let question = Question {
            seeds: 40,
            compare: false,
            ..question(33)
        };
        ask(&job, &era(), &question).expect("it ends well")
    };
    let (wide, narrow) = (at(32).makespan_s, at(16).makespan_s);
    assert!(wide.p50 > 1.2 * narrow.p50, "{wide:?} {narrow:?}");
}

#[test]
fn what_cannot_be_done_is_said() {
    let job = job("pipelines/era_batch.lua", &[]);
    let shipped = include_str!("../profiles/era.toml");
    for (from, to, words) in [
        // The pipeline asks for 22 GiB, the task takes more.
        ("\"20GiB\"", "\"60GiB\"", "out_of_memory"),
        ("era.node/1", "era.knot/1", "offers era.node/1"),
        ("[\"24GiB\"]", "[]", ""),
    ] {
        let profile = Profile::parse(&shipped.replacen(from, to, 1)).expect("a profile");
        let question = Question {
            seeds: 1,
            compare: false,
            ..question(8)
        };
        match (ask(&job, &profile, &question), words) {
            (Ok(_), "") => {}
            (Err((1, error)), words) if !words.is_empty() => {
                assert!(error.to_string().contains(words), "{error}");
            }
            (other, _) => panic!("{to}: {other:?}"),
        }
    }
}
