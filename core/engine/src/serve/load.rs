//! Hot reload under load: a thousand workflows run while the scripts change two hundred times.

use std::time::Duration;

use froben_journal::{MemoryStore, Origin, Store, revision_hash};
use froben_model::view::{WorkflowState, WorkflowSummary};
use froben_model::{
    ItemReport, Kind, MachineId, MachineSpec, OperatorId, SeekerId, Value, WorkflowId,
};
use tokio::sync::mpsc;

use super::tests::{apply, block_on, of, set, start};
use super::{Applied, Change, NotServed};
use crate::effect::MachineCommand;
use crate::handle::EngineHandle;

const RUNNING: usize = 1000;
const CHANGES: usize = 200;
/// As many live workflows as one seeker may have.
const OF_ONE: usize = 200;

/// A machine that lets workflows through: until it is there, they wait for it.
pub(super) struct Gate {
    task: tokio::task::JoinHandle<()>,
}

impl Gate {
    pub(super) fn open(handle: &EngineHandle) -> Gate {
        let (sender, mut commands) = mpsc::channel(4096);
        let spec = MachineSpec {
            operator: OperatorId::new("op").expect("a name"),
            label: "m1".to_string(),
            cpu_cores: 64,
            ram_bytes: 1 << 40,
            devices: Vec::new(),
            cpu_kinds: vec![Kind::new("test.gate/1").expect("a kind")],
            device_kinds: Vec::new(),
            keys: Vec::new(),
            prices: Vec::new(),
        };
        let machine = MachineId::new("op/m1").expect("a name");
        let session = handle.machine_joined(machine, spec, sender);
        let handle = handle.clone();
        let task = tokio::spawn(async move {
            while let Some(command) = commands.recv().await {
                let MachineCommand::Assign(task) = command else {
                    continue;
                };
                handle.accepted(task.token);
                for (index, input) in task.items {
                    let receipt = handle
                        .item(session, task.token, ItemReport::new(index, Ok(input)))
                        .await;
                    receipt.expect("the engine takes it");
                }
            }
        });
        Gate { task }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Waits for a workflow's end.
pub(super) async fn ended(handle: &EngineHandle, seeker: &str, id: WorkflowId) -> WorkflowSummary {
    let seeker = SeekerId::new(seeker).expect("a name");
    loop {
        let detail = handle.status(seeker.clone(), id).await.unwrap();
        let summary = detail.expect("it is the seeker's").summary;
        if summary.state.ended() {
            return summary;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A third of the changes do not check, each in a way of its own.
fn broken(change: usize) -> froben_journal::ScriptSet {
    match change % 4 {
        0 => of("pipelines/which.lua", &format!("return ( -- {change}")),
        1 => of("pipelines/which.lua", &format!("local x = {change}")),
        2 => of("lib/which.lua", &format!("return {change}")),
        _ => of("pipelines/which.lua", &format!("error('no: {change}')")),
    }
}

#[test]
fn a_thousand_workflows_live_through_two_hundred_changes() {
    let store = MemoryStore::new();
    let running = start(&store, set(0));
    let mut good = 0;
    block_on(async {
        let handle = &running.handle;
        // (seeker, workflow, the revision that it must keep)
        let mut workflows = Vec::new();
        let mut newest = 0;
        for n in 0..RUNNING - CHANGES {
            workflows.push(begin(handle, n, newest).await);
        }
        for change in 1..=CHANGES {
            let index = 1 + good;
            let outcome = match change % 3 {
                0 => handle.apply(broken(change), apply(Some(index))).await,
                // Now and then an older one comes back.
                _ if change % 10 == 0 => {
                    let rollback = Change {
                        origin: Origin::Rollback,
                        ..apply(Some(index))
                    };
                    handle.rollback(None, rollback).await
                }
                _ => handle.apply(set(change as u64), apply(Some(index))).await,
            };
            match outcome.expect("the engine answers") {
                Ok(Applied::Served(entry)) => {
                    assert_ne!(change % 3, 0, "a broken set was served");
                    good += 1;
                    assert_eq!(entry.index, 1 + good);
                    let revision = entry.revision;
                    let known = (0..=change as u64).find(|n| revision_hash(&set(*n)) == revision);
                    newest = known.expect("one of ours");
                }
                Err(NotServed::Broken(problems)) => {
                    assert_eq!(change % 3, 0, "{problems:?}");
                }
                other => panic!("change {change}: {other:?}"),
            }
            let n = RUNNING - CHANGES + change - 1;
            workflows.push(begin(handle, n, newest).await);
        }
        let live: u64 = handle.serving().await.unwrap().live.values().sum();
        assert_eq!(live as usize, RUNNING, "all of them run");

        let _gate = Gate::open(handle);
        for (seeker, id, n) in workflows {
            let summary = ended(handle, &seeker, id).await;
            assert_eq!(summary.failure, None, "{id}");
            assert_eq!(summary.state, WorkflowState::Succeeded);
            assert_eq!(summary.revision, revision_hash(&set(n)).to_string());
            assert_eq!(summary.output, Value::map([("n", Value::Int(n as i64))]));
        }
    });
    running.stop();
    let entries = store.history(1, usize::MAX).unwrap();
    assert_eq!(entries.len() as u64, 1 + good);
    assert_eq!(good as usize, CHANGES - CHANGES / 3);
}

async fn begin(handle: &EngineHandle, n: usize, revision: u64) -> (String, WorkflowId, u64) {
    let seeker = format!("seeker-{}", n / OF_ONE);
    let submitted = handle.submit(
        SeekerId::new(seeker.clone()).expect("a name"),
        "which".to_string(),
        Value::Map(Default::default()),
        String::new(),
        froben_model::Terms::default(),
    );
    let id = submitted.await.unwrap().expect("it is taken");
    (seeker, id, revision)
}
