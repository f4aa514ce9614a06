//! One connection to the coordinator, from dialling to its end.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use froben_model::{Amount, Kind, MachineId, MachineSpec, OperatorId};
use froben_schema::common_capnp::PROTOCOL_VERSION;
use froben_schema::convert;
use froben_schema::operator_capnp::{machine, registration};
use froben_wire::{Disposition, Error, Fault, FaultCode, Identity, Policy, call, dial, failed};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::Outbox;
use crate::keystore::Keystore;
use crate::life::say;
use crate::machine::Machine;
use crate::workers::{FenceWatch, Pool};
use crate::{blobs, offer};

/// What a session needs to know.
#[derive(Clone)]
pub struct Terms {
    /// `HOST:PORT`.
    pub coordinator: String,
    /// Read anew for each session, so that a renewed certificate is used.
    pub identity: PathBuf,
    pub label: String,
    /// What an item of a kind costs.
    pub prices: Vec<(Kind, Amount)>,
    /// What the keystore holds.
    pub keys: Arc<Keystore>,
    pub policy: Policy,
    /// How long a machine that is about to leave finishes what it has.
    pub drain_within: Duration,
    pub pool: Arc<Pool>,
    /// The runtime of the worker processes.
    pub workers: Handle,
    /// What one session could not tell, the next one does.
    pub outbox: Arc<Outbox>,
}

/// When to end.
#[derive(Debug, Clone)]
pub struct Stop {
    pub now: CancellationToken,
    /// When what runs is over: nothing new is taken. A child of `now`.
    pub drained: CancellationToken,
}

impl Default for Stop {
    fn default() -> Self {
        let now = CancellationToken::new();
        Stop {
            drained: now.child_token(),
            now,
        }
    }
}

/// How a session that had begun ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// As asked for.
    Stopped,
    /// The connection is gone; why.
    Lost(String),
    /// The machine has to register again without the devices that compute wrongly; which, and why.
    Fenced(BTreeMap<String, String>),
}

/// Connects, registers the machine, and takes tasks until the connection ends or it is to stop.
/// Whatever runs for this session is stopped then. `registered` hears of success once.
///
/// *Errors*: whatever comes before the machine is registered.
pub async fn serve(
    terms: &Terms,
    stop: &Stop,
    registered: impl FnOnce(&MachineId, &MachineSpec),
) -> Result<Ended, Error> {
    let identity = Identity::load(&terms.identity)?;
    let operator = OperatorId::new(identity.subject.name.clone()).map_err(word)?;
    // Before what it would tell of is read.
    let mut fences = terms.pool.watch_fences();
    let spec = offer::spec(operator.clone(), terms);
    let id = MachineId::of(&operator, &terms.label).map_err(word)?;

    let link = dial(&terms.coordinator, &identity, terms.policy).await?;
    let mut request = link.coordinator.operator_request();
    request.get().set_protocol_version(PROTOCOL_VERSION);
    let what = "opening an operator's session";
    let opened = call(what, link.patience(), request.send().promise).await;
    let session = opened.and_then(|answer| {
        let session = answer.get().and_then(|answer| answer.get_session());
        session.map_err(|error| failed(what, &error))
    });
    let session = match session {
        Ok(session) => session,
        Err(error) => {
            link.connection.close().await;
            return Err(error);
        }
    };

    let store = session.blobs_request().send().pipeline.get_blobs();
    let carrier = blobs::carry(store, link.patience());
    let machine = Machine::new(
        terms.pool.clone(),
        terms.workers.clone(),
        carrier,
        terms.keys.clone(),
        link.patience(),
        terms.outbox.clone(),
    );
    let mut request = session.register_request();
    convert::write_machine(&spec, request.get().init_spec());
    let client: machine::Client = capnp_rpc::new_client_from_rc(machine.clone());
    request.get().set_machine(client);
    let sent = request.send();
    let registration = sent.pipeline.get_registration();
    machine.registered(registration.clone());
    if let Err(error) = call("registering the machine", link.patience(), sent.promise).await {
        link.connection.close().await;
        return Err(error);
    }
    registered(&id, &spec);
    machine.tell_late();

    let cutter = link.connection.cutter();
    let ended = tokio::select! {
        reason = cutter.ended() => Ended::Lost(reason),
        () = stop.now.cancelled() => Ended::Stopped,
        () = drained(terms, &machine, &registration, link.patience(), stop) => Ended::Stopped,
        fenced = fenced(&mut fences, &machine) => Ended::Fenced(fenced),
    };
    machine.stop();
    // Unregisters, so that the coordinator need not find out.
    drop(registration);
    link.connection.close().await;
    Ok(ended)
}

/// Until a device is fenced and nothing runs any more: what is registered cannot be changed, and a machine that
/// refuses what is offered for one of its devices is passed over with all of them.
async fn fenced(fences: &mut FenceWatch, machine: &Machine) -> BTreeMap<String, String> {
    let fenced = fences.next().await;
    machine.drain();
    machine.idle().await;
    fenced
}

/// Until the machine was told to leave and what it had is over, or its time for that is.
async fn drained(
    terms: &Terms,
    machine: &Machine,
    registration: &registration::Client,
    patience: Duration,
    stop: &Stop,
) {
    stop.drained.cancelled().await;
    let left = machine.drain();
    if left > 0 {
        let within = terms.drain_within;
        say(&format!(
            "tasks to finish: {left}, within {within:?}; tell it once more to stop at once"
        ));
        let asked = registration.drain_request().send().promise;
        let what = "telling the coordinator that the machine leaves";
        if let Err(error) = call(what, patience, asked).await {
            say(&error.to_string());
        }
    }
    if tokio::time::timeout(terms.drain_within, machine.idle())
        .await
        .is_err()
    {
        say("the time for what ran is over; it is stopped");
    }
}

fn word(error: froben_model::Error) -> Error {
    Error::Fault(Fault::new(FaultCode::Invalid, error.to_string()))
}

/// Whether trying again can help, or a person must act first.
pub fn hopeless(error: &Error) -> bool {
    match error.disposition() {
        Disposition::Denied
        | Disposition::Invalid
        | Disposition::NotFound
        | Disposition::Unexpected => true,
        Disposition::Unreachable | Disposition::Timeout | Disposition::Busy => false,
    }
}
