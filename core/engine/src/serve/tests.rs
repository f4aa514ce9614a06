//! Changes of the revision, one at a time: what is compared, what is written, what a crash leaves.

use std::collections::BTreeMap;
use std::sync::Arc;

use froben_journal::{MemoryStore, Origin, ScriptSet, Served, Store, revision_hash};
use froben_model::view::WorkflowState;
use froben_model::{SeekerId, Value, WorkflowId};
use froben_scheduler::Policy;

use super::{Applied, Change, NotServed, Outcome, Serve, Sources, at_start, check};
use crate::driver::{Capacity, Config, Running};
use crate::effect::{Answer, Effect};
use crate::engine::{Engine, Step};
use crate::handle::{Busy, EngineHandle};
use crate::input::{Input, Ticket};
use crate::rules::Rules;

/// A set whose one pipeline tells which one it is.
pub(super) fn set(n: u64) -> ScriptSet {
    of("pipelines/which.lua", &which(n))
}

pub(super) fn which(n: u64) -> String {
    format!(
        r#"
return workflow("which", {{ output = {{ n = "integer" }} }}, function(ctx)
  local gate = ctx:delegate {{
    kind = "test.gate/1", key = "gate", items = {{ {n} }}, timeout = "1h", queue_timeout = "1h",
    needs = {{ cpu_cores = 1, ram = "1MiB", shared = true }} }}
  local result = gate:await()
  ctx:log("through the gate of {n}")
  if not result.ok then ctx:fail(result.err.class) end
  return {{ n = {n} }}
end)
"#
    )
}

pub(super) fn of(path: &str, source: &str) -> ScriptSet {
    ScriptSet {
        files: BTreeMap::from([(path.to_string(), source.to_string())]),
    }
}

pub(super) fn apply(check_index: Option<u64>) -> Change {
    Change {
        by: "ada".to_string(),
        origin: Origin::Apply,
        note: "a note".to_string(),
        check_index,
    }
}

pub(super) fn start(store: &MemoryStore, folder: ScriptSet) -> Running {
    let config = Config {
        rules: Rules::default(),
        seed: 7,
        scripts: folder,
        capacity: Capacity::default(),
    };
    Running::start(Arc::new(store.clone()), config).expect("it starts")
}

pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(future)
}

pub(super) fn history(store: &MemoryStore) -> Vec<(u64, ScriptSet, Origin)> {
    let entries = store.history(1, usize::MAX).expect("it can be read");
    let entry = |entry: Served| {
        let set = store.revision(entry.revision).expect("it can be read");
        (
            entry.index,
            set.expect("its sources are kept"),
            entry.origin,
        )
    };
    entries.into_iter().map(entry).collect()
}

fn served(outcome: Result<Applied, NotServed>) -> Served {
    match outcome {
        Ok(Applied::Served(entry)) => entry,
        other => panic!("it is not served: {other:?}"),
    }
}

/// An engine as it comes up on `store`.
fn engine(store: &MemoryStore, folder: ScriptSet) -> Engine {
    let serving = at_start(store, folder, 1000).expect("it can be served");
    Engine::new(1, 7, Policy::default(), serving, Capacity::default())
}

fn input(ticket: u64, check_index: Option<u64>, set: &ScriptSet) -> Input {
    Input::Serve(Serve {
        ticket: Ticket(ticket),
        check_index,
        hash: revision_hash(set),
        revision: Arc::new(check::check(set).expect("it checks")),
        by: "ada".to_string(),
        origin: Origin::Apply,
        note: String::new(),
    })
}

fn outcome(step: &Step) -> &Outcome {
    match &step.effects[..] {
        [
            Effect::Reply {
                ticket: _,
                answer: Answer::Serve(outcome),
            },
        ] => outcome,
        other => panic!("one answer, not {other:?}"),
    }
}

#[test]
fn of_two_who_saw_the_same_index_one_is_served() {
    let store = MemoryStore::new();
    let mut engine = engine(&store, set(1));
    let first = engine.handle(1, input(1, Some(1), &set(2)));
    let second = engine.handle(1, input(2, Some(1), &set(3)));
    let Outcome::Served(entry) = outcome(&first) else {
        panic!("{first:?}");
    };
    assert_eq!((entry.index, entry.revision), (2, revision_hash(&set(2))));
    assert_eq!(first.batch.served, std::slice::from_ref(entry));
    assert_eq!(outcome(&second), &Outcome::Moved(entry.clone()));
    assert!(second.batch.is_empty(), "{second:?}");
    // The same again, and whichever index it is.
    let same = engine.handle(1, input(3, Some(2), &set(2)));
    assert_eq!(outcome(&same), &Outcome::Unchanged(entry.clone()));
    assert!(same.batch.is_empty(), "{same:?}");
    let third = engine.handle(1, input(4, None, &set(3)));
    assert!(matches!(outcome(&third), Outcome::Served(entry) if entry.index == 3));
}

#[test]
fn the_store_refuses_what_an_engine_that_lost_track_would_append() {
    let store = MemoryStore::new();
    let (mut one, mut other) = (engine(&store, set(1)), engine(&store, set(1)));
    let first = one.handle(1, input(1, Some(1), &set(2)));
    let second = other.handle(1, input(1, Some(1), &set(3)));
    store.put_revision(revision_hash(&set(2)), &set(2)).unwrap();
    store.commit(&first.batch).expect("the next entry");
    let refused = store.commit(&second.batch);
    assert!(
        matches!(
            refused,
            Err(froben_journal::Error::HistoryMoved {
                index: 2,
                newest: 2
            })
        ),
        "{refused:?}"
    );
}

#[test]
fn a_crash_before_the_entry_is_durable_leaves_the_old_one() {
    let store = MemoryStore::new();
    let mut engine = engine(&store, set(1));
    // Checked, sources durable, decided; then the crash.
    store.put_revision(revision_hash(&set(2)), &set(2)).unwrap();
    let step = engine.handle(1, input(1, Some(1), &set(2)));
    assert!(!step.batch.is_empty());
    let store = store.crash();
    let serving = at_start(&store, set(1), 2000).expect("it can be served");
    assert_eq!(serving.hash(), revision_hash(&set(1)));
    assert_eq!(history(&store), [(1, set(1), Origin::Start)]);
}

#[test]
fn a_crash_right_after_the_entry_leaves_the_new_one_served() {
    let store = MemoryStore::new();
    let mut engine = engine(&store, set(1));
    store.put_revision(revision_hash(&set(2)), &set(2)).unwrap();
    let step = engine.handle(1, input(1, Some(1), &set(2)));
    store.commit(&step.batch).expect("it is the next");
    // Nobody was told; the admin asks again.
    let store = store.crash();
    let running = start(&store, set(1));
    block_on(async {
        let now = running.handle.serving().await.unwrap();
        assert_eq!(now.entry.revision, revision_hash(&set(2)));
        let again = running.handle.apply(set(2), apply(Some(1))).await.unwrap();
        assert_eq!(again, Err(NotServed::Moved(now.entry)));
    });
    running.stop();
    let expected = [(1, set(1), Origin::Start), (2, set(2), Origin::Apply)];
    assert_eq!(history(&store), expected);
}

#[test]
fn a_set_that_does_not_check_changes_nothing_and_says_why() {
    let many = (0..=256).map(|n| (format!("lib/m{n}.lua"), "return 1".to_string()));
    let circle = [
        ("lib/a.lua", r#"return require("lib/b")"#),
        ("lib/b.lua", r#"return require("lib/a")"#),
        ("pipelines/x.lua", r#"require("lib/a")"#),
    ];
    let big = format!("-- {}\n{}", "x".repeat(256 << 10), which(1));
    let heavy = (0..17).map(|n| {
        let source = format!("return '{}'", "x".repeat(255 << 10));
        (format!("lib/h{n}.lua"), source)
    });
    let twice = ["pipelines/a.lua", "pipelines/b.lua"].map(|path| (path.to_string(), which(1)));
    let cases: [(ScriptSet, &str, &str); 11] = [
        (ScriptSet::default(), "FRB-LUA-013", "no pipelines"),
        (of("lib/x.lua", "return 1"), "FRB-LUA-013", "no pipelines"),
        (of("../x.lua", "return 1"), "FRB-LUA-013", "not a path"),
        (
            ScriptSet {
                files: many.collect(),
            },
            "FRB-LUA-013",
            "257 files",
        ),
        (
            ScriptSet {
                files: heavy.collect(),
            },
            "FRB-LUA-013",
            "bytes of sources",
        ),
        (
            of("pipelines/big.lua", &big),
            "FRB-LUA-013",
            "pipelines/big.lua",
        ),
        (
            of("pipelines/x.lua", "\nreturn ("),
            "FRB-LUA-001",
            "pipelines/x.lua:2",
        ),
        (
            of("pipelines/x.lua", "local x = 1"),
            "FRB-LUA-009",
            "pipelines/x.lua",
        ),
        (
            of("pipelines/x.lua", "while true do end"),
            "FRB-LUA-003",
            "pipelines/x.lua:1",
        ),
        (
            ScriptSet {
                files: circle.map(|(path, text)| (path.into(), text.into())).into(),
            },
            "FRB-LUA-010",
            "lib/",
        ),
        (
            ScriptSet {
                files: twice.into(),
            },
            "FRB-LUA-009",
            "already",
        ),
    ];
    let store = MemoryStore::new();
    let running = start(&store, set(1));
    block_on(async {
        let handle = &running.handle;
        for (set, code, words) in cases {
            let plan = handle.plan(set.clone()).await.unwrap();
            for origin in [Origin::Apply, Origin::Folder] {
                let change = Change {
                    origin,
                    ..apply(None)
                };
                match handle.apply(set.clone(), change).await.unwrap() {
                    Err(NotServed::Broken(problems)) => {
                        let first = &problems[0];
                        assert_eq!(first.code, code, "{first}");
                        assert!(first.to_string().contains(words), "`{words}`: {first}");
                        assert!(!first.hint.is_empty(), "{first}");
                        assert_eq!(plan.problems, problems);
                    }
                    other => panic!("{code}: {other:?}"),
                }
            }
            assert_eq!(plan.after, []);
            assert_eq!(plan.before[0].name, "which");
        }
        assert_eq!(handle.serving().await.unwrap().entry.index, 1);
    });
    running.stop();
    assert_eq!(history(&store), [(1, set(1), Origin::Start)]);
}

/// A set over which the check panics, as if it had a fault.
fn faulty() -> ScriptSet {
    of(
        "pipelines/which.lua",
        &format!("{}{}", which(2), check::FAULTY),
    )
}

#[test]
fn a_check_that_panics_is_a_fault_and_no_reason_to_try_again() {
    let store = MemoryStore::new();
    let running = start(&store, set(1));
    block_on(async {
        let handle = &running.handle;
        for origin in [Origin::Apply, Origin::Folder] {
            let change = Change {
                origin,
                ..apply(None)
            };
            let refused = handle.apply(faulty(), change).await;
            let refused = refused.expect_err("nobody can tell whether it checks");
            assert!(matches!(refused, Busy::Broken { .. }), "{refused:?}");
            assert!(!refused.to_string().contains("again"), "{refused}");
        }
        let planned = handle.plan(faulty()).await;
        assert!(matches!(planned, Err(Busy::Broken { .. })), "{planned:?}");
        // Its place is free again, and nobody else has noticed.
        served(handle.apply(set(3), apply(Some(1))).await.unwrap());
        submit(handle, 1).await;
    });
    running.stop();
    let expected = [(1, set(1), Origin::Start), (2, set(3), Origin::Apply)];
    assert_eq!(history(&store), expected);
}

#[test]
fn a_check_that_panics_at_the_start_leaves_the_newest_entry_served() {
    let store = MemoryStore::new();
    let nothing = at_start(&store, faulty(), 1000);
    let why = nothing
        .err()
        .expect("there is nothing to serve")
        .to_string();
    for words in ["FRB-RPC-005", "the check itself has failed: planted"] {
        assert!(why.contains(words), "{why}");
    }
    start(&store, set(1)).stop();
    let store = store.crash();
    let running = start(&store, faulty());
    block_on(async {
        let now = running.handle.serving().await.unwrap();
        assert_eq!(now.entry.revision, revision_hash(&set(1)));
        submit(&running.handle, 1).await;
    });
    running.stop();
    assert_eq!(history(&store), [(1, set(1), Origin::Start)]);
    // The other way round: what was served can't be checked any more, and the folder can.
    let hash = revision_hash(&faulty());
    store.put_revision(hash, &faulty()).unwrap();
    let entry = Served {
        index: 2,
        revision: hash,
        time_ms: 2000,
        by: "ada".to_string(),
        origin: Origin::Apply,
        note: String::new(),
    };
    let batch = froben_journal::Batch {
        served: vec![entry],
        ..Default::default()
    };
    store.commit(&batch).expect("the next entry");
    let serving = at_start(&store, set(1), 3000).expect("the folder checks");
    assert_eq!(
        (serving.entry.index, serving.hash()),
        (3, revision_hash(&set(1)))
    );
}

#[test]
fn a_check_ends_soon_and_holds_nobody_up() {
    let loops = (0..256).map(|n| {
        let path = format!("pipelines/loop{n}.lua");
        (path, "while true do end".to_string())
    });
    let loops = ScriptSet {
        files: loops.collect(),
    };
    let store = MemoryStore::new();
    let running = start(&store, set(1));
    block_on(async {
        let handle = running.handle.clone();
        let mut checking =
            tokio::spawn(async move { handle.apply(loops, apply(Some(1))).await.unwrap() });
        let mut answered = 0;
        let refused = loop {
            tokio::select! {
                refused = &mut checking => break refused.unwrap(),
                asked = running.handle.pipelines() => {
                    asked.unwrap();
                    answered += 1;
                }
            }
        };
        // Each of the 256 may take half a second; together they have two.
        let Err(NotServed::Broken(problems)) = refused else {
            panic!("{refused:?}");
        };
        assert!(problems.len() < 20, "{}", problems.len());
        let last = problems.last().unwrap();
        assert!(last.message.contains("files before it"), "{last}");
        assert!(answered > 10, "the engine answered {answered} times");
    });
    running.stop();
}

#[test]
fn a_rollback_serves_an_older_entry_as_a_new_one() {
    let store = MemoryStore::new();
    let running = start(&store, set(1));
    block_on(async {
        let handle = &running.handle;
        let rollback = |check_index| Change {
            origin: Origin::Rollback,
            ..apply(Some(check_index))
        };
        let nothing = handle.rollback(None, rollback(1)).await.unwrap();
        let refused = NotServed::NoEntry {
            index: 0,
            newest: 1,
        };
        assert_eq!(nothing, Err(refused));

        for n in 2..=3 {
            served(handle.apply(set(n), apply(Some(n - 1))).await.unwrap());
        }
        let moved = handle.rollback(Some(1), rollback(2)).await.unwrap();
        assert!(matches!(moved, Err(NotServed::Moved(entry)) if entry.index == 3));
        let missing = handle.rollback(Some(9), rollback(3)).await.unwrap();
        let refused = NotServed::NoEntry {
            index: 9,
            newest: 3,
        };
        assert_eq!(missing, Err(refused));

        let entry = served(handle.rollback(Some(1), rollback(3)).await.unwrap());
        assert_eq!((entry.index, entry.revision), (4, revision_hash(&set(1))));
        // The last entry but one, and back.
        let entry = served(handle.rollback(None, rollback(4)).await.unwrap());
        assert_eq!((entry.index, entry.revision), (5, revision_hash(&set(3))));
        let same = handle.rollback(Some(3), rollback(5)).await.unwrap();
        assert!(matches!(same, Ok(Applied::Unchanged(entry)) if entry.index == 5));
    });
    running.stop();
    let origins: Vec<_> = history(&store).into_iter().map(|(_, _, o)| o).collect();
    let (a, r) = (Origin::Apply, Origin::Rollback);
    assert_eq!(origins, [Origin::Start, a, a, r, r]);
}

#[test]
fn a_plan_shows_pipelines_and_who_runs_what() {
    let store = MemoryStore::new();
    let running = start(&store, set(1));
    block_on(async {
        let handle = &running.handle;
        submit(handle, 2).await;
        served(handle.apply(set(2), apply(Some(1))).await.unwrap());
        submit(handle, 1).await;
        let mut next = set(3);
        let other = which(9).replace(r#""which""#, r#""other""#);
        next.files.insert("pipelines/other.lua".to_string(), other);
        let plan = handle.plan(next.clone()).await.unwrap();
        let names = |signatures: &[froben_model::revision::Signature]| {
            let names = signatures.iter().map(|signature| signature.name.clone());
            names.collect::<Vec<_>>()
        };
        assert_eq!(names(&plan.before), ["which"]);
        assert_eq!(names(&plan.after), ["other", "which"]);
        assert_eq!(plan.after[0].outputs[0].expected, "integer");
        assert_eq!((plan.serving.index, plan.known_as), (2, None));
        assert_eq!(plan.revision, revision_hash(&next));
        let (one, two) = (revision_hash(&set(1)), revision_hash(&set(2)));
        let mut live = vec![(one, 2), (two, 1)];
        live.sort();
        assert_eq!(plan.live, live);
        assert_eq!(plan.problems, []);
        let plan = handle.plan(set(1)).await.unwrap();
        assert_eq!(plan.known_as, Some(1));
        // It changed nothing.
        assert_eq!(handle.serving().await.unwrap().entry.index, 2);
    });
    running.stop();
}

#[test]
fn sources_are_found_by_name_and_the_history_is_read_backwards() {
    let store = MemoryStore::new();
    let running = start(&store, set(1));
    block_on(async {
        let handle = &running.handle;
        for n in 2..=30 {
            served(handle.apply(set(n), apply(Some(n - 1))).await.unwrap());
        }
        let name = revision_hash(&set(7)).to_string();
        for digits in [12, 64] {
            let found = handle.sources(name[..digits].parse().unwrap()).await;
            let expected = Sources::Found(revision_hash(&set(7)), set(7));
            assert_eq!(found.unwrap(), expected);
        }
        let nothing = "0123456789ab".parse().unwrap();
        assert_eq!(handle.sources(nothing).await.unwrap(), Sources::Nothing);
        for (before, limit, expected) in [
            (u64::MAX, 3, vec![30, 29, 28]),
            (30, 2, vec![29, 28]),
            (3, 9, vec![2, 1]),
            (1, 9, vec![]),
            (0, 9, vec![]),
            (9, 0, vec![]),
        ] {
            let entries = handle.history(before, limit).await.unwrap();
            let indexes: Vec<_> = entries.iter().map(|entry| entry.index).collect();
            assert_eq!(indexes, expected, "{limit} before {before}");
        }
    });
    running.stop();
}

pub(super) async fn submit(handle: &EngineHandle, n: usize) -> Vec<WorkflowId> {
    let mut ids = Vec::new();
    for _ in 0..n {
        let submitted = handle.submit(
            SeekerId::new("ada").expect("a name"),
            "which".to_string(),
            Value::Map(BTreeMap::new()),
            String::new(),
            froben_model::Terms::default(),
        );
        ids.push(submitted.await.unwrap().expect("it is taken"));
    }
    ids
}

#[test]
fn a_restart_keeps_every_workflow_on_its_revision() {
    let store = MemoryStore::new();
    let running = start(&store, set(1));
    let ids = block_on(async {
        let mut ids = submit(&running.handle, 1).await;
        served(running.handle.apply(set(2), apply(Some(1))).await.unwrap());
        ids.extend(submit(&running.handle, 1).await);
        ids
    });
    running.stop();
    let running = start(&store.crash(), set(1));
    block_on(async {
        let handle = &running.handle;
        let mut all = ids.clone();
        all.extend(submit(handle, 1).await);
        let _gate = super::load::Gate::open(handle);
        for (id, n) in all.into_iter().zip([1, 2, 2]) {
            let summary = super::load::ended(handle, "ada", id).await;
            assert_eq!(summary.state, WorkflowState::Succeeded);
            assert_eq!(summary.output, Value::map([("n", Value::Int(n))]));
        }
    });
    running.stop();
}
