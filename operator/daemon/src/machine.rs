//! This machine as the coordinator holds it: takes tasks, and stops them.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use froben_model::{Assignment, LeaseToken};
use froben_schema::convert;
use froben_schema::operator_capnp::{machine, registration};
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore};
use tokio::task::spawn_local;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::Outbox;
use crate::attempt::{Reporter, report, report_late};
use crate::blobs::Carrier;
use crate::keystore::Keystore;
use crate::workers::{Pool, RunTask};

/// Reports under way, of all attempts: half of what the coordinator takes from one peer.
const REPORTS: usize = 32;

/// One registered machine. Dropping it stops its attempts.
pub(crate) struct Machine {
    pool: Arc<Pool>,
    /// Where worker processes are minded.
    workers: Handle,
    blobs: Arc<Carrier>,
    keys: Arc<Keystore>,
    patience: Duration,
    registration: OnceCell<registration::Client>,
    attempts: RefCell<HashMap<LeaseToken, CancellationToken>>,
    /// Whether values of earlier sessions are being told.
    telling: Cell<bool>,
    /// Whether it takes nothing more.
    draining: Cell<bool>,
    /// Told of each attempt that is over, and when the values of earlier sessions are told.
    over: Notify,
    reports: Arc<Semaphore>,
    outbox: Arc<Outbox>,
    /// Cancelled at the end of the session.
    stop: CancellationToken,
    _stop: DropGuard,
}

impl Machine {
    pub(crate) fn new(
        pool: Arc<Pool>,
        workers: Handle,
        blobs: Arc<Carrier>,
        keys: Arc<Keystore>,
        patience: Duration,
        outbox: Arc<Outbox>,
    ) -> Rc<Machine> {
        let stop = CancellationToken::new();
        Rc::new(Machine {
            pool,
            workers,
            blobs,
            keys,
            patience,
            registration: OnceCell::new(),
            attempts: RefCell::default(),
            telling: Cell::new(false),
            draining: Cell::new(false),
            over: Notify::new(),
            reports: Arc::new(Semaphore::new(REPORTS)),
            outbox,
            _stop: stop.clone().drop_guard(),
            stop,
        })
    }

    /// Says where to report; once, before any task can come.
    pub(crate) fn registered(&self, registration: registration::Client) {
        let first = self.registration.set(registration).is_ok();
        debug_assert!(first, "a machine registers once");
    }

    /// Tells what earlier sessions could not; once, when the machine is registered.
    pub(crate) fn tell_late(self: &Rc<Self>) {
        let Some(reporter) = self.reporter() else {
            return;
        };
        self.telling.set(true);
        let (machine, stop) = (Rc::downgrade(self), self.stop.child_token());
        spawn_local(async move {
            report_late(reporter, stop).await;
            if let Some(machine) = machine.upgrade() {
                machine.telling.set(false);
                machine.over.notify_one();
            }
        });
    }

    fn reporter(&self) -> Option<Reporter> {
        Some(Reporter {
            registration: self.registration.get()?.clone(),
            patience: self.patience,
            reports: self.reports.clone(),
            outbox: self.outbox.clone(),
        })
    }

    /// Takes nothing more from here on; how many attempts are left.
    pub(crate) fn drain(&self) -> usize {
        self.draining.set(true);
        self.attempts.borrow().len()
    }

    /// Until no attempt is left, and all is told.
    pub(crate) async fn idle(&self) {
        while self.telling.get() || !self.attempts.borrow().is_empty() {
            self.over.notified().await;
        }
    }

    /// Stops every attempt.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    fn start(self: Rc<Self>, assignment: Assignment) -> Result<(), String> {
        let Assignment {
            token,
            kind,
            input,
            items,
            device,
            cpu_cores,
            ram_bytes,
            vram_bytes,
            timeout_ms,
            keys,
        } = assignment;
        let Some(reporter) = self.reporter() else {
            return Err("the machine is not registered yet".to_owned());
        };
        if self.stop.is_cancelled() {
            return Err("the machine is stopping".to_owned());
        }
        if self.draining.get() {
            return Err("the machine is about to leave".to_owned());
        }
        if self.attempts.borrow().contains_key(&token) {
            return Err("the attempt runs already".to_owned());
        }
        let keys = self.keys.files(&keys)?;
        let task = RunTask {
            kind,
            input,
            items,
            device,
            cpu_cores,
            ram_bytes,
            vram_bytes,
            timeout_ms,
            keys,
        };
        // What the pool spawns belongs to the workers' runtime, not to this thread.
        let running = {
            let _context = self.workers.enter();
            self.pool.start(task, self.blobs.clone())
        };
        let running = running.map_err(|refusal| refusal.to_string())?;
        let cancelled = self.stop.child_token();
        self.attempts.borrow_mut().insert(token, cancelled.clone());
        // Weak: an attempt does not keep its machine.
        let machine = Rc::downgrade(&self);
        spawn_local(async move {
            report(reporter, token, running, cancelled).await;
            if let Some(machine) = machine.upgrade() {
                machine.attempts.borrow_mut().remove(&token);
                machine.over.notify_one();
            }
        });
        Ok(())
    }
}

impl machine::Server for Machine {
    async fn assign(
        self: Rc<Self>,
        params: machine::AssignParams,
        mut results: machine::AssignResults,
    ) -> Result<(), capnp::Error> {
        let mut answer = results.get().init_answer();
        let read = convert::read_assignment(params.get()?.get_task()?);
        match read
            .map_err(|error| error.to_string())
            .and_then(|task| self.start(task))
        {
            Ok(()) => answer.set_accepted(()),
            Err(why) => answer.set_refused(why),
        }
        Ok(())
    }

    async fn cancel(
        self: Rc<Self>,
        params: machine::CancelParams,
        _results: machine::CancelResults,
    ) -> Result<(), capnp::Error> {
        let token = convert::read_token(params.get()?.get_token()?)?;
        if let Some(attempt) = self.attempts.borrow_mut().remove(&token) {
            attempt.cancel();
        }
        self.outbox.forget(&token);
        Ok(())
    }

    async fn ping(
        self: Rc<Self>,
        _params: machine::PingParams,
        _results: machine::PingResults,
    ) -> Result<(), capnp::Error> {
        Ok(())
    }
}
