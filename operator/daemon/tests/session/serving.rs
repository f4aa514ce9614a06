//! Tasks, from the coordinator to a worker process and back.

use std::sync::Arc;
use std::time::Duration;

use froben_model::view::DelegationState;
use froben_model::{BlobRef, Value, limits};
use froben_operator::session::{Ended, Stop, Terms, hopeless, serve};
use froben_operator::workers::{Pool, Program, RuntimeDir, Timing, WorkerSpec, probe};
use froben_protocol::Role as WorkerRole;
use froben_wire::{Disposition, Policy, Role};
use tokio::runtime::{Handle, Runtime};
use tokio::task::{JoinHandle, spawn_local};

use crate::network::{Network, PATIENCE, eventually, run, worker};

/// A pool of scripted workers on a runtime of its own.
struct Workers {
    runtime: Option<Runtime>,
    pool: Arc<Pool>,
}

impl Workers {
    fn start() -> Workers {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let timing = Timing {
            hello: PATIENCE,
            term: Duration::from_millis(300),
            kill: Duration::from_millis(600),
            ..Timing::default()
        };
        let pool = runtime.block_on(async {
            let sockets = RuntimeDir::create().unwrap();
            let spec = WorkerSpec::new(worker());
            let report = probe(
                &spec,
                &[WorkerRole::Cpu, WorkerRole::Device],
                &sockets,
                &timing,
            )
            .await
            .unwrap();
            Pool::open(vec![Program { spec, report }], sockets, timing, 2)
        });
        Workers {
            runtime: Some(runtime),
            pool: Arc::new(pool),
        }
    }

    fn handle(&self) -> &Handle {
        self.runtime.as_ref().unwrap().handle()
    }

    fn terms(&self, network: &Network, identity: std::path::PathBuf) -> Terms {
        Terms {
            prices: Vec::new(),
            keys: Arc::default(),
            coordinator: network.address.clone(),
            identity,
            label: "m1".to_owned(),
            policy: Policy::OPERATOR,
            drain_within: PATIENCE,
            pool: self.pool.clone(),
            workers: self.handle().clone(),
            outbox: Arc::default(),
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        let runtime = self.runtime.take().unwrap();
        runtime.block_on(self.pool.shutdown());
        runtime.shutdown_timeout(Duration::from_secs(1));
    }
}

struct Session {
    stop: Stop,
    ended: JoinHandle<Result<Ended, froben_wire::Error>>,
}

impl Session {
    /// Serves, and waits until the machine is registered.
    async fn begin(network: &Network, terms: Terms) -> Session {
        let stop = Stop::default();
        let told = stop.clone();
        let ended = spawn_local(async move { serve(&terms, &told, |_, _| ()).await });
        eventually(async || (network.machines().await == ["op/m1"]).then_some(())).await;
        Session { stop, ended }
    }

    async fn ended(self) -> Ended {
        let ended = tokio::time::timeout(PATIENCE, self.ended).await;
        ended.expect("in time").unwrap().unwrap()
    }
}

#[test]
fn blobs_go_through_a_worker_and_come_back() {
    let (network, workers) = (Network::start(), Workers::start());
    let terms = workers.terms(&network, network.issue(Role::Operator, "op"));
    run(async {
        let session = Session::begin(&network, terms).await;
        for size in [0, 1, limits::CHUNK_BYTES, 3 * limits::CHUNK_BYTES + 17] {
            let bytes: Vec<u8> = (0..size).map(|i| (i * 7) as u8).collect();
            let blob = network.blobs.put(bytes.clone().into()).await.unwrap();
            let id = network.submit("echo", Value::Blob(blob)).await;
            let value = network.outcome(id, "value").await;
            let expected = [bytes.as_slice(), b"!"].concat();
            assert_eq!(value, Some(Value::Blob(BlobRef::of(&expected))), "{size}");
            let stored = network.blobs.get(BlobRef::of(&expected), 1 << 24).await;
            assert!(stored.unwrap() == expected, "{size}");
        }
        // A task for a device names it in the trail.
        let input = Value::map([("what", Value::text("echo")), ("device", Value::Bool(true))]);
        let id = network.submit_input(input).await;
        assert_eq!(
            network.outcome(id, "value").await,
            Some(Value::text("nothing"))
        );
        let detail = network.status(id).await;
        let device = detail.delegations[0].device.clone();
        assert!(device.is_some_and(|d| d.starts_with("pci:")), "{detail:?}");

        session.stop.now.cancel();
        assert_eq!(session.ended().await, Ended::Stopped);
        eventually(async || network.machines().await.is_empty().then_some(())).await;
    });
}

#[test]
fn what_goes_wrong_in_a_worker_is_told() {
    let (network, workers) = (Network::start(), Workers::start());
    let terms = workers.terms(&network, network.issue(Role::Operator, "op"));
    run(async {
        let session = Session::begin(&network, terms).await;
        let missing = Value::Blob(BlobRef::of(b"never uploaded"));
        for (what, data, class) in [
            ("refuse", Value::Nil, "bad_request"),
            ("leave", Value::Nil, "worker_failed"),
            ("echo", missing, "bad_request"),
        ] {
            let id = network.submit(what, data).await;
            let told = network.outcome(id, "class").await;
            assert_eq!(told, Some(Value::text(class)), "{what}");
        }
        session.stop.now.cancel();
        session.ended().await;
    });
}

#[test]
fn a_cancelled_task_frees_its_worker() {
    let (network, workers) = (Network::start(), Workers::start());
    let terms = workers.terms(&network, network.issue(Role::Operator, "op"));
    run(async {
        let session = Session::begin(&network, terms).await;
        // More than there are workers.
        for _ in 0..4 {
            let id = network.submit("wait", Value::Nil).await;
            network.wait_running(id).await;
            network.cancel(id).await;
        }
        let id = network.submit("echo", Value::Int(5)).await;
        assert_eq!(network.outcome(id, "value").await, Some(Value::Int(5)));
        session.stop.now.cancel();
        session.ended().await;
    });
}

#[test]
fn a_machine_that_leaves_finishes_what_it_has_and_takes_nothing_more() {
    let (network, workers) = (Network::start(), Workers::start());
    let terms = workers.terms(&network, network.issue(Role::Operator, "op"));
    run(async {
        let session = Session::begin(&network, terms).await;
        let last = network.submit("doze", Value::Int(7)).await;
        network.wait_running(last).await;
        session.stop.drained.cancel();
        eventually(async || network.is_draining("op/m1").await.then_some(())).await;
        let next = network.submit("echo", Value::Nil).await;
        assert_eq!(session.ended().await, Ended::Stopped);
        let detail = network.status(last).await;
        let delegation = &detail.delegations[0];
        assert_eq!(delegation.state, DelegationState::Succeeded, "{detail:?}");
        assert_eq!(network.outcome(last, "value").await, Some(Value::Int(7)));
        let waits = network.status(next).await.delegations[0].state;
        assert_eq!(waits, DelegationState::Queued);
        eventually(async || network.machines().await.is_empty().then_some(())).await;
        network.cancel(next).await;
    });
}

#[test]
fn what_does_not_end_in_time_is_stopped_when_the_machine_leaves() {
    let (network, workers) = (Network::start(), Workers::start());
    let mut terms = workers.terms(&network, network.issue(Role::Operator, "op"));
    terms.drain_within = Duration::from_millis(300);
    run(async {
        let session = Session::begin(&network, terms).await;
        let id = network.submit("wait", Value::Nil).await;
        network.wait_running(id).await;
        session.stop.drained.cancel();
        assert_eq!(session.ended().await, Ended::Stopped);
        let class = network.outcome(id, "class").await;
        assert_eq!(class, Some(Value::text("disconnected")));
    });
}

#[test]
fn a_lost_coordinator_stops_the_work_and_the_next_session_begins_afresh() {
    let (mut network, workers) = (Network::start(), Workers::start());
    let identity = network.issue(Role::Operator, "op");
    let terms = workers.terms(&network, identity);
    run(async {
        let session = Session::begin(&network, terms.clone()).await;
        let waiting = network.submit("wait", Value::Nil).await;
        network.wait_running(waiting).await;
        network.close().await;
        assert!(matches!(session.ended().await, Ended::Lost(_)));
        // The attempt ended with the connection.
        let class = network.outcome(waiting, "class").await;
        assert_eq!(class, Some(Value::text("disconnected")));

        network.open();
        let session = Session::begin(&network, terms).await;
        let id = network.submit("echo", Value::Int(1)).await;
        assert_eq!(network.outcome(id, "value").await, Some(Value::Int(1)));
        session.stop.now.cancel();
        session.ended().await;
    });
}

#[test]
fn who_is_not_let_in_is_told_why() {
    let (network, workers) = (Network::start(), Workers::start());
    let terms = workers.terms(&network, network.issue(Role::Seeker, "ada"));
    run(async {
        let stop = Stop::default();
        let never = |_: &_, _: &_| panic!("a seeker was registered");
        let error = serve(&terms, &stop, never).await.unwrap_err();
        assert_eq!(error.disposition(), Disposition::Denied, "{error}");
        assert!(hopeless(&error));
        let nowhere = Terms {
            coordinator: "127.0.0.1:1".to_owned(),
            ..terms
        };
        let never = |_: &_, _: &_| panic!("nobody listens there");
        let error = serve(&nowhere, &stop, never).await.unwrap_err();
        assert_eq!(error.disposition(), Disposition::Unreachable, "{error}");
        assert!(!hopeless(&error));
    });
}
