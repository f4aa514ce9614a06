//! What a seeker does to a workflow as a whole, over the wire.

use froben_journal::{Body, Export};
use froben_model::view::{Failure, WorkflowState};
use froben_model::{Value, WorkflowId};
use froben_schema::convert;
use froben_schema::seeker_capnp::seeker_session::{export_answer, migrate_answer, submit_answer};
use froben_wire::{Disposition, Error, blobs, call};

use crate::host::{Coordinator, PATIENCE, Seeker, eventually, run};

fn input() -> Value {
    Value::map([("n", Value::Int(3))])
}

fn total() -> Value {
    Value::map([("total", Value::Int(25))])
}

impl Seeker {
    async fn pause(&self, id: WorkflowId, paused: bool) -> Result<WorkflowState, Error> {
        let state = match paused {
            true => {
                let mut request = self.session.pause_request();
                request.get().set_id(id.to_string());
                let answer = call("pausing", PATIENCE, request.send().promise).await?;
                answer.get().unwrap().get_state().unwrap()
            }
            false => {
                let mut request = self.session.resume_request();
                request.get().set_id(id.to_string());
                let answer = call("resuming", PATIENCE, request.send().promise).await?;
                answer.get().unwrap().get_state().unwrap()
            }
        };
        Ok(convert::read_workflow_state(state))
    }

    async fn fork(&self, id: WorkflowId, step: &str) -> Result<Result<WorkflowId, Failure>, Error> {
        self.fork_by("", id, step, "").await
    }

    async fn fork_by(
        &self,
        key: &str,
        id: WorkflowId,
        step: &str,
        revision: &str,
    ) -> Result<Result<WorkflowId, Failure>, Error> {
        let mut request = self.session.fork_request();
        request.get().set_id(id.to_string());
        request.get().set_step(step);
        request.get().set_revision(revision);
        request.get().set_idempotency_key(key);
        let answer = call("forking", PATIENCE, request.send().promise).await?;
        let answer = answer.get().unwrap().get_answer().unwrap();
        Ok(match answer.which().unwrap() {
            submit_answer::Id(id) => Ok(id.unwrap().to_str().unwrap().parse().unwrap()),
            submit_answer::Refused(why) => Err(convert::read_failure(why.unwrap()).unwrap()),
        })
    }

    /// Whether it has moved.
    async fn migrate(
        &self,
        id: WorkflowId,
        revision: &str,
        dry_run: bool,
    ) -> Result<Result<bool, Failure>, Error> {
        let mut request = self.session.migrate_request();
        request.get().set_id(id.to_string());
        request.get().set_revision(revision);
        request.get().set_dry_run(dry_run);
        let answer = call("migrating", PATIENCE, request.send().promise).await?;
        let answer = answer.get().unwrap().get_answer().unwrap();
        Ok(match answer.which().unwrap() {
            migrate_answer::Done(done) => Ok(done.unwrap().get_switched()),
            migrate_answer::Refused(why) => Err(convert::read_failure(why.unwrap()).unwrap()),
        })
    }

    async fn export(&self, id: WorkflowId, keep_names: bool) -> Result<Vec<u8>, Error> {
        let mut request = self.session.export_request();
        request.get().set_id(id.to_string());
        request.get().set_keep_names(keep_names);
        let answer = call("exporting", PATIENCE, request.send().promise).await?;
        let answer = answer.get().unwrap().get_answer().unwrap();
        let export_answer::File(file) = answer.which().unwrap() else {
            panic!("it is refused");
        };
        let file = file.unwrap();
        let blob = convert::read_blob(file.get_blob().unwrap()).unwrap();
        let mut bytes = Vec::new();
        blobs::fetch_from(&file.get_reader().unwrap(), &blob, &mut bytes, PATIENCE).await?;
        Ok(bytes)
    }
}

#[test]
fn a_paused_workflow_takes_no_machine_until_it_is_resumed() {
    let coordinator = Coordinator::start();
    run(async {
        let ada = coordinator.seeker("ada").await;
        let id = ada.submit("squares", input(), "").await.unwrap().unwrap();
        for _ in 0..2 {
            let state = ada.pause(id, true).await.unwrap();
            assert_eq!(state, WorkflowState::Paused);
        }
        let mut machine = coordinator.machine("op", "m1").await;
        let detail = ada.status(id).await.unwrap();
        assert_eq!(detail.summary.state, WorkflowState::Paused);
        assert!(detail.waiting[0].contains("resume"), "{:?}", detail.waiting);
        // Another workflow gets the machine at once.
        let other = ada.submit("squares", input(), "").await.unwrap().unwrap();
        let task = machine.task().await;
        assert_eq!(task.token.workflow, other);
        machine.work(&task).await;
        ada.wait(other, WorkflowState::Succeeded).await;

        let state = ada.pause(id, false).await.unwrap();
        assert_eq!(state, WorkflowState::Running);
        let task = machine.task().await;
        assert_eq!(task.token.workflow, id);
        machine.work(&task).await;
        ada.wait(id, WorkflowState::Succeeded).await;
        // Over is over.
        let state = ada.pause(id, true).await.unwrap();
        assert_eq!(state, WorkflowState::Succeeded);
    });
}

#[test]
fn a_fork_keeps_what_was_proved() {
    let coordinator = Coordinator::start();
    run(async {
        let ada = coordinator.seeker("ada").await;
        let mut machine = coordinator.machine("op", "m1").await;
        let id = ada.submit("squares", input(), "").await.unwrap().unwrap();
        let task = machine.task().await;
        machine.work(&task).await;
        ada.wait(id, WorkflowState::Succeeded).await;

        // Behind the delegation: nothing is handed out again.
        let fork = ada.fork(id, "2").await.unwrap().unwrap();
        let detail = ada.wait(fork, WorkflowState::Succeeded).await;
        assert_eq!(detail.summary.output, total());
        // From it: all of it.
        let fork = ada.fork(id, "square").await.unwrap().unwrap();
        let task = machine.task().await;
        assert_eq!(task.token.workflow, fork);
        machine.work(&task).await;
        ada.wait(fork, WorkflowState::Succeeded).await;

        let refused = ada.fork(id, "circle").await.unwrap().unwrap_err();
        assert_eq!(refused.code, "FRB-WFL-004", "{refused}");
        assert!(refused.message.contains("from 1 to 3"), "{refused}");
    });
}

#[test]
fn a_key_forks_once() {
    let coordinator = Coordinator::start();
    run(async {
        let ada = coordinator.seeker("ada").await;
        let bob = coordinator.seeker("bob").await;
        let mut ids = Vec::new();
        for seeker in [&ada, &bob] {
            let id = seeker.submit("squares", input(), "k0").await.unwrap();
            let id = id.unwrap();
            let fork = seeker.fork_by("k1", id, "1", "").await.unwrap().unwrap();
            // Whatever it asks for the second time, it is the first that counts.
            for (step, revision) in [("1", ""), ("1", "newest"), ("square", ""), ("nonsense", "")] {
                let again = seeker.fork_by("k1", id, step, revision).await.unwrap();
                assert_eq!(again, Ok(fork), "{step}");
            }
            // Submits and forks share the keys of a seeker.
            let submitted = seeker.submit("squares", input(), "k1").await.unwrap();
            assert_eq!(submitted, Ok(fork));
            assert_eq!(seeker.fork_by("k0", id, "1", "").await.unwrap(), Ok(id));
            // Another key, or none, is another fork.
            let other = seeker.fork_by("k2", id, "1", "").await.unwrap().unwrap();
            let third = seeker.fork(id, "1").await.unwrap().unwrap();
            ids.extend([id, fork, other, third]);
        }
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 8);
        let long = ada.fork_by(&"k".repeat(129), ids[0], "1", "").await;
        assert!(long.is_err() || long.unwrap().is_err());
    });
}

#[test]
fn a_migration_is_tried_before_it_is_done() {
    let coordinator = Coordinator::start();
    run(async {
        let ada = coordinator.seeker("ada").await;
        let id = ada.submit("squares", input(), "").await.unwrap().unwrap();
        // While a script runs it can't be moved; this one waits once its delegation is there.
        eventually(async || {
            let detail = ada.status(id).await.unwrap();
            (!detail.delegations.is_empty()).then_some(())
        })
        .await;
        let same = ada.migrate(id, "newest", true).await.unwrap();
        assert_eq!(same, Ok(false));
        let moved = ada.migrate(id, "newest", false).await.unwrap();
        assert_eq!(moved, Ok(true));
        let unknown = ada.migrate(id, &"0".repeat(64), false).await.unwrap();
        assert_eq!(unknown.unwrap_err().code, "FRB-WFL-005");
        let error = ada.migrate(id, "12", false).await.unwrap_err();
        assert_eq!(error.disposition(), Disposition::Invalid, "{error}");
    });
}

#[test]
fn an_export_is_whole_and_names_nobody() {
    let coordinator = Coordinator::start();
    run(async {
        let ada = coordinator.seeker("ada").await;
        let mut machine = coordinator.machine("op-7", "m1").await;
        let id = ada.submit("squares", input(), "my-key").await.unwrap();
        let id = id.unwrap();
        let task = machine.task().await;
        machine.work(&task).await;
        ada.wait(id, WorkflowState::Succeeded).await;

        for keep_names in [false, true] {
            let bytes = ada.export(id, keep_names).await.unwrap();
            let export = Export::read(&bytes).unwrap();
            assert_eq!((export.workflow, export.pseudonyms), (id, !keep_names));
            let last = export.records.last().map(|record| record.body.clone());
            assert!(matches!(last, Some(Body::Finished(_))), "{last:?}");
            let text = format!("{:?}", export.records);
            assert!(!text.contains("my-key"));
            for name in ["ada", "op-7"] {
                assert_eq!(text.contains(name), keep_names, "{name}");
            }
        }
    });
}

#[test]
fn somebody_elses_workflow_is_none() {
    let coordinator = Coordinator::start();
    run(async {
        let ada = coordinator.seeker("ada").await;
        let bob = coordinator.seeker("bob").await;
        let id = ada.submit("squares", input(), "").await.unwrap().unwrap();
        let errors = [
            bob.pause(id, true).await.err(),
            bob.pause(id, false).await.err(),
            bob.fork(id, "1").await.err(),
            bob.migrate(id, "newest", true).await.err(),
            bob.export(id, true).await.err(),
        ];
        for error in errors {
            let error = error.unwrap();
            assert_eq!(error.disposition(), Disposition::NotFound, "{error}");
        }
    });
}
