//! The coordinator's end of one machine: carries the engine's commands to the daemon.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::future::Future;
use std::rc::{Rc, Weak};
use std::time::Duration;

use froben_engine::{MachineCommand, Receipt, SessionId};
use froben_model::{Assignment, LeaseToken, MachineId, limits};
use froben_schema::convert;
use froben_schema::operator_capnp::machine;
use froben_wire::call;
use tokio::sync::mpsc;
use tokio::task::spawn_local;

use crate::answer::line;
use crate::door::Peer;

/// The daemon answers at once and works later.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// A task as a message, with room for the envelope: a larger one would end the connection.
const TASK_BYTES: u64 = limits::MESSAGE_BYTES as u64 - (64 << 10);

/// A registered machine's place. It ends once, whichever way: unregistered, disconnected, cut.
pub(crate) struct Seat {
    pub(crate) peer: Rc<Peer>,
    pub(crate) id: MachineId,
    pub(crate) session: SessionId,
    /// Attempts that this session was given. Of no others does it accept, refuse or finish anything: a
    /// token is not a secret between operators that work on the same workflow.
    tokens: RefCell<HashSet<LeaseToken>>,
    left: Cell<bool>,
}

impl Seat {
    pub(crate) fn new(peer: Rc<Peer>, id: MachineId, session: SessionId) -> Rc<Seat> {
        Rc::new(Seat {
            peer,
            id,
            session,
            tokens: RefCell::default(),
            left: Cell::new(false),
        })
    }

    pub(crate) fn holds(&self, token: &LeaseToken) -> bool {
        self.tokens.borrow().contains(token)
    }

    /// The attempt is over, as far as this machine goes.
    pub(crate) fn over(&self, token: &LeaseToken) {
        self.tokens.borrow_mut().remove(token);
    }

    /// Takes note of what became of a message about `token`.
    pub(crate) fn learned(&self, token: LeaseToken, receipt: Receipt) -> Receipt {
        if receipt == Receipt::Stale {
            self.over(&token);
        }
        receipt
    }

    fn leave(&self, reason: &str) {
        if !self.left.replace(true) {
            tracing::info!(machine = %self.id, reason, "a machine is gone");
            let engine = &self.peer.engine;
            engine.machine_left(self.session, limits::one_line(reason));
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let reason = self.peer.cutter.end_reason();
        self.leave(reason.as_deref().unwrap_or("it was unregistered"));
    }
}

/// Starts the machine's heartbeat and carries commands to it, until its seat or connection ends.
///
/// Only the registration holds the seat: when the daemon drops it, everything here winds up.
pub(crate) fn attend(
    seat: &Rc<Seat>,
    client: machine::Client,
    mut commands: mpsc::Receiver<MachineCommand>,
) {
    let Peer { cutter, policy, .. } = &*seat.peer;
    let pinged = client.clone();
    let registered = Rc::downgrade(seat);
    // The daemon's own pings, and our answers, keep bytes flowing both ways. These are for a program
    // that does not answer, which has longer, so they can be fewer.
    cutter.beat(policy.call / 2, policy.call, move || {
        // Unregistered, there is nobody to ping; the connection may well live on.
        registered.upgrade()?;
        let ping = pinged.ping_request().send().promise;
        Some(async move { ping.await.map(drop) })
    });

    let cutter = cutter.clone();
    let weak = Rc::downgrade(seat);
    spawn_local(async move {
        let ended = cutter.ended();
        tokio::pin!(ended);
        loop {
            let command = tokio::select! {
                command = commands.recv() => command,
                reason = &mut ended => {
                    if let Some(seat) = weak.upgrade() {
                        seat.leave(&reason);
                    }
                    return;
                }
            };
            let Some(seat) = weak.upgrade() else { return };
            match command {
                Some(MachineCommand::Assign(task)) => {
                    seat.tokens.borrow_mut().insert(task.token);
                    let token = task.token;
                    // Sent here, so that a cancel that follows comes second; awaited elsewhere.
                    match offer(&client, &task) {
                        Ok(answer) => {
                            spawn_local(settle(weak.clone(), token, answer));
                        }
                        Err(why) => refuse(&seat, token, why),
                    }
                }
                Some(MachineCommand::Cancel(token)) => {
                    seat.over(&token);
                    let mut request = client.cancel_request();
                    convert::write_token(&token, request.get().init_token());
                    let sent = request.send().promise;
                    // Whether it heard makes no difference: its token holds nothing any more.
                    spawn_local(async move {
                        let _ = call("cancelling an attempt", ANSWER_WITHIN, sent).await;
                    });
                }
                Some(MachineCommand::Cut { reason }) => cutter.cut(&reason),
                None => {
                    cutter.cut("the coordinator has given the machine up");
                    return;
                }
            }
        }
    });
}

type Offered = capnp::capability::Promise<
    capnp::capability::Response<machine::assign_results::Owned>,
    capnp::Error,
>;

/// Sends a task. The error says why it cannot be sent at all.
fn offer(client: &machine::Client, task: &Assignment) -> Result<Offered, String> {
    let mut request = client.assign_request();
    convert::write_assignment(task, request.get().init_task());
    let size = request.get().into_reader().total_size();
    let bytes = size.map_err(|error| error.to_string())?.word_count * 8;
    if bytes > TASK_BYTES {
        return Err(format!(
            "the task is {bytes} bytes as a message, the limit is {TASK_BYTES}"
        ));
    }
    Ok(request.send().promise)
}

/// Waits for the daemon's answer to an offer.
async fn settle(seat: Weak<Seat>, token: LeaseToken, sent: impl Future<Output = Answer>) {
    let answer = call("offering a task", ANSWER_WITHIN, sent).await;
    let Some(seat) = seat.upgrade() else { return };
    if !seat.holds(&token) {
        return;
    }
    match answer
        .map_err(|error| error.to_string())
        .and_then(|answer| read(&answer))
    {
        Ok(Ok(())) => seat.peer.engine.accepted(token),
        Ok(Err(why)) | Err(why) => refuse(&seat, token, why),
    }
}

type Answer = Result<capnp::capability::Response<machine::assign_results::Owned>, capnp::Error>;

/// Whether the daemon took it; if not, why.
fn read(
    answer: &capnp::capability::Response<machine::assign_results::Owned>,
) -> Result<Result<(), String>, String> {
    let malformed = |error: capnp::Error| format!("its answer does not read: {}", error.extra);
    let answer = answer
        .get()
        .and_then(|r| r.get_answer())
        .map_err(malformed)?;
    match answer.which() {
        Ok(machine::answer::Accepted(())) => Ok(Ok(())),
        Ok(machine::answer::Refused(why)) => Ok(Err(line(why.map_err(malformed)?))),
        Err(capnp::NotInSchema(form)) => Err(format!("its answer has the unknown form {form}")),
    }
}

fn refuse(seat: &Seat, token: LeaseToken, why: String) {
    tracing::warn!(machine = %seat.id, %token, why, "a machine did not take a task");
    seat.over(&token);
    seat.peer.engine.refused(token, limits::one_line(&why));
}
