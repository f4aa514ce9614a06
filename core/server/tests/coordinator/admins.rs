//! What an admin may do, and nobody else.

use std::collections::BTreeMap;

use froben_model::revision::{Origin, Plan, Served};
use froben_model::{ScriptSet, Value, limits};
use froben_schema::admin_capnp::change;
use froben_schema::common_capnp::PROTOCOL_VERSION;
use froben_schema::convert;
use froben_wire::{Disposition, Error, FaultCode, Role, call};

use crate::host::{Admin, Coordinator, PATIENCE, run};

fn code(error: &Error) -> Option<FaultCode> {
    match error {
        Error::Fault(fault) => Some(fault.code),
        _ => None,
    }
}

fn set(n: u32) -> ScriptSet {
    let source =
        format!(r#"return workflow("answer", {{}}, function(ctx) return {{ n = {n} }} end)"#);
    ScriptSet {
        files: BTreeMap::from([("pipelines/answer.lua".to_owned(), source)]),
    }
}

/// What became of a change, with what matters of it.
#[derive(Debug, PartialEq)]
enum Changed {
    Served(u64),
    Unchanged(u64),
    Moved(u64),
    Broken(Vec<String>),
    NoEntry(u64),
}

fn read(change: change::Reader<'_>) -> Changed {
    let index = |entry| convert::read_served(entry).unwrap().index;
    match change.which().unwrap() {
        change::Served(entry) => Changed::Served(index(entry.unwrap())),
        change::Unchanged(entry) => Changed::Unchanged(index(entry.unwrap())),
        change::Moved(entry) => Changed::Moved(index(entry.unwrap())),
        change::Broken(problems) => {
            let problems = convert::read_problems(problems.unwrap()).unwrap();
            Changed::Broken(problems.into_iter().map(|problem| problem.code).collect())
        }
        change::NoEntry(newest) => Changed::NoEntry(newest),
    }
}

impl Admin {
    async fn apply(&self, set: &ScriptSet, index: u64, note: &str) -> Result<Changed, Error> {
        let mut request = self.session.apply_request();
        request.get().set_check_index(index);
        request.get().set_note(note);
        convert::write_script_set(set, request.get().init_scripts());
        let answer = call("applying", PATIENCE, request.send().promise).await?;
        Ok(read(answer.get().unwrap().get_change().unwrap()))
    }

    async fn rollback(&self, to: u64, index: u64) -> Result<Changed, Error> {
        let mut request = self.session.rollback_request();
        request.get().set_to(to);
        request.get().set_check_index(index);
        let answer = call("rolling back", PATIENCE, request.send().promise).await?;
        Ok(read(answer.get().unwrap().get_change().unwrap()))
    }

    async fn plan(&self, set: &ScriptSet) -> Result<Plan, Error> {
        let mut request = self.session.plan_request();
        convert::write_script_set(set, request.get().init_scripts());
        let answer = call("planning", PATIENCE, request.send().promise).await?;
        Ok(convert::read_plan(answer.get().unwrap().get_plan().unwrap()).unwrap())
    }

    async fn history(&self, before: u64, limit: u32) -> Vec<Served> {
        let mut request = self.session.history_request();
        request.get().set_before(before);
        request.get().set_limit(limit);
        let answer = call("asking", PATIENCE, request.send().promise).await;
        let answer = answer.unwrap();
        let entries = answer.get().unwrap().get_entries().unwrap();
        let entries = entries.iter();
        entries.map(|e| convert::read_served(e).unwrap()).collect()
    }

    async fn sources(&self, name: &str) -> Result<ScriptSet, Error> {
        let mut request = self.session.sources_request();
        request.get().set_revision(name);
        let answer = call("asking", PATIENCE, request.send().promise).await?;
        let set = answer.get().unwrap().get_scripts().unwrap();
        Ok(convert::read_script_set(set).unwrap())
    }
}

#[test]
fn only_an_admin_gets_in_and_by_the_seekers_door_too() {
    let coordinator = Coordinator::start();
    run(async {
        for role in [Role::Seeker, Role::Operator] {
            let link = coordinator.dial(role, "eve").await;
            let mut request = link.coordinator.admin_request();
            request.get().set_protocol_version(PROTOCOL_VERSION);
            let error = call("asking", PATIENCE, request.send().promise).await;
            let error = error.err().unwrap();
            assert_eq!(code(&error), Some(FaultCode::WrongRole), "{error}");
            assert_eq!(error.disposition(), Disposition::Denied);
            let text = error.to_string();
            assert!(text.contains("--role admin"), "{text}");
        }
        let link = coordinator.dial(Role::Admin, "ada").await;
        let mut request = link.coordinator.admin_request();
        request.get().set_protocol_version(PROTOCOL_VERSION + 1);
        let error = call("asking", PATIENCE, request.send().promise).await;
        assert_eq!(code(&error.err().unwrap()), Some(FaultCode::Version));

        let mut request = link.coordinator.seeker_request();
        request.get().set_protocol_version(PROTOCOL_VERSION);
        call("asking", PATIENCE, request.send().promise)
            .await
            .unwrap();
        let mut request = link.coordinator.operator_request();
        request.get().set_protocol_version(PROTOCOL_VERSION);
        let error = call("asking", PATIENCE, request.send().promise).await;
        assert_eq!(code(&error.err().unwrap()), Some(FaultCode::WrongRole));
    });
}

#[test]
fn a_change_from_plan_to_rollback() {
    let coordinator = Coordinator::start();
    run(async {
        let (ada, bob) = (
            coordinator.admin("ada").await,
            coordinator.admin("bob").await,
        );
        let seeker = coordinator.seeker("sue").await;
        let plan = ada.plan(&set(1)).await.unwrap();
        assert_eq!(
            (plan.serving.index, plan.serving.origin),
            (1, Origin::Start)
        );
        let names: Vec<_> = plan.before.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["keep", "squares"]);
        assert_eq!(plan.after[0].name, "answer");

        // Both have seen entry 1; one of them is faster.
        let (first, second) = (set(1), set(2));
        let (first, second) = tokio::join!(
            ada.apply(&first, 1, "the first"),
            bob.apply(&second, 1, "no, mine"),
        );
        let (first, second) = (first.unwrap(), second.unwrap());
        let ada_won = first == Changed::Served(2);
        let (won, lost) = match ada_won {
            true => (first, second),
            false => (second, first),
        };
        assert_eq!((won, lost), (Changed::Served(2), Changed::Moved(2)));

        let id = seeker.submit("answer", Value::Nil, "").await.unwrap();
        assert!(id.is_ok(), "{id:?}");
        let gone = seeker.submit("keep", Value::Nil, "").await.unwrap();
        assert_eq!(gone.unwrap_err(), "FRB-SUB-001");

        let served = set(if ada_won { 1 } else { 2 });
        assert_eq!(
            ada.apply(&served, 2, "").await.unwrap(),
            Changed::Unchanged(2)
        );
        assert_eq!(ada.rollback(7, 2).await.unwrap(), Changed::NoEntry(2));
        assert_eq!(ada.rollback(1, 1).await.unwrap(), Changed::Moved(2));
        assert_eq!(ada.rollback(0, 2).await.unwrap(), Changed::Served(3));
        let history = ada.history(0, 10).await;
        let shown: Vec<_> = history
            .iter()
            .map(|entry| (entry.index, entry.origin, entry.by.as_str()))
            .collect();
        let winner = if ada_won { "ada" } else { "bob" };
        assert_eq!(
            shown,
            [
                (3, Origin::Rollback, "ada"),
                (2, Origin::Apply, winner),
                (1, Origin::Start, "coordinator"),
            ]
        );
        let note = if ada_won { "the first" } else { "no, mine" };
        assert_eq!(history[1].note, note);
        assert_eq!(ada.history(3, 1).await, history[1..2]);

        let name = history[1].revision.to_string();
        assert_eq!(ada.sources(&name[..10]).await.unwrap(), served);
        for (name, expected) in [
            ("ffffffffff", FaultCode::NoSuchRevision),
            ("nonsense", FaultCode::Invalid),
            ("", FaultCode::Invalid),
        ] {
            let error = ada.sources(name).await.unwrap_err();
            assert_eq!(code(&error), Some(expected), "{name}: {error}");
        }
    });
}

#[test]
fn what_is_wrong_or_too_large_changes_nothing_and_the_session_lives_on() {
    let coordinator = Coordinator::start();
    run(async {
        let ada = coordinator.admin("ada").await;
        let of = |path: &str, source: String| ScriptSet {
            files: BTreeMap::from([(path.to_owned(), source)]),
        };
        let many = |n: usize, bytes: usize| ScriptSet {
            files: (0..n)
                .map(|i| (format!("lib/m{i}.lua"), "-".repeat(bytes)))
                .collect(),
        };
        for (bad, expected) in [
            (ScriptSet::default(), "FRB-LUA-013"),
            (of("pipelines/x.lua", "return (".to_owned()), "FRB-LUA-001"),
            (of("pipelines/x.lua", "local x".to_owned()), "FRB-LUA-009"),
            (of("/etc/passwd", String::new()), "FRB-LUA-013"),
            (many(257, 1), "FRB-LUA-013"),
            // More than a set may have, less than a message.
            (many(20, limits::SCRIPT_BYTES), "FRB-LUA-013"),
            (many(1, limits::SCRIPT_BYTES + 1), "FRB-LUA-013"),
        ] {
            let Changed::Broken(codes) = ada.apply(&bad, 1, "").await.unwrap() else {
                panic!("it was served: {expected}");
            };
            assert_eq!(codes[0], expected);
            let plan = ada.plan(&bad).await.unwrap();
            assert_eq!(plan.problems[0].code, expected);
        }
        let note = "n".repeat(limits::NOTE_BYTES + 1);
        let error = ada.apply(&set(1), 1, &note).await.unwrap_err();
        assert_eq!(code(&error), Some(FaultCode::Invalid), "{error}");
        assert_eq!(ada.history(0, 10).await.len(), 1);
        // A set as large as may be fits a message, both ways.
        let mut large = many(15, limits::SCRIPT_BYTES);
        large.files.extend(set(1).files);
        assert_eq!(
            ada.apply(&large, 1, "large").await.unwrap(),
            Changed::Served(2)
        );
        let name = ada.history(0, 1).await[0].revision.to_string();
        assert_eq!(ada.sources(&name).await.unwrap(), large);
    });
}

#[test]
fn a_plan_that_has_no_room_for_its_pipelines_says_so() {
    let coordinator = Coordinator::start();
    run(async {
        let ada = coordinator.admin("ada").await;
        let choices: Vec<_> = (0..64).map(|n| format!("'{n:0>250}'")).collect();
        let fields: Vec<_> = (0..60).map(|n| format!("f{n} = choices")).collect();
        let source = |n: usize| {
            format!(
                "local choices = {{ {} }}\nreturn workflow('p{n}', {{ input = {{ {} }} }}, function() end)",
                choices.join(", "),
                fields.join(", ")
            )
        };
        for (pipelines, fits) in [(4, true), (60, false)] {
            let files = (0..pipelines).map(|n| (format!("pipelines/p{n}.lua"), source(n)));
            let set = ScriptSet {
                files: files.collect(),
            };
            let plan = ada.plan(&set).await.unwrap();
            assert_eq!(plan.problems, []);
            assert_eq!(plan.omitted, !fits);
            assert_eq!(
                (plan.before.is_empty(), plan.after.is_empty()),
                (!fits, !fits)
            );
        }
    });
}
