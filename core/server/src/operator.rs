//! An operator's session: machines register here, and report here.

use std::rc::Rc;

use froben_engine::Receipt;
use froben_model::{ErrorClass, ItemError, ItemOutcome, ItemReport, MachineId, OperatorId, limits};
use froben_schema::convert;
use froben_schema::operator_capnp::{self, operator_session, registration};
use tokio::sync::mpsc;

use crate::answer::{busy, fault, invalid, line, of_blobs};
use crate::blobs::Store;
use crate::door::{Hold, Peer};
use crate::machine::{self, Seat};

/// Commands that may wait for one machine. The engine gives up a machine that lets them pile up.
const COMMANDS: usize = 256;

pub(crate) struct Operator {
    peer: Rc<Peer>,
    id: OperatorId,
}

impl Operator {
    pub(crate) fn new(peer: Rc<Peer>, id: OperatorId) -> Operator {
        Operator { peer, id }
    }
}

impl operator_session::Server for Operator {
    async fn register(
        self: Rc<Self>,
        params: operator_session::RegisterParams,
        mut results: operator_session::RegisterResults,
    ) -> Result<(), capnp::Error> {
        let params = params.get()?;
        let spec = convert::read_machine(params.get_spec()?, &self.id).map_err(invalid)?;
        let id = MachineId::of(&self.id, &spec.label).map_err(|e| invalid(e.into()))?;
        let client = params.get_machine()?;
        let hold = self.peer.machines.take()?;

        let (sender, commands) = mpsc::channel(COMMANDS);
        let session = self.peer.engine.machine_joined(id.clone(), spec, sender);
        tracing::info!(machine = %id, "a machine is registered");
        let seat = Seat::new(self.peer.clone(), id, session);
        machine::attend(&seat, client, commands);
        let registration = Registration { seat, _hold: hold };
        results
            .get()
            .set_registration(capnp_rpc::new_client(registration));
        Ok(())
    }

    async fn blobs(
        self: Rc<Self>,
        _params: operator_session::BlobsParams,
        mut results: operator_session::BlobsResults,
    ) -> Result<(), capnp::Error> {
        let store = Store {
            peer: self.peer.clone(),
        };
        results.get().set_blobs(capnp_rpc::new_client(store));
        Ok(())
    }
}

/// One machine's session as the daemon holds it; dropping it unregisters the machine.
struct Registration {
    seat: Rc<Seat>,
    _hold: Hold,
}

impl Registration {
    /// A value whose blobs are all in the store. One that names a blob which nobody has uploaded is its
    /// sender's fault, and would otherwise look like that of whoever reads it.
    async fn stored(&self, outcome: ItemOutcome) -> Result<ItemOutcome, capnp::Error> {
        let Ok(value) = &outcome else {
            return Ok(outcome);
        };
        for blob in value.blobs() {
            if !self.seat.peer.blobs.has(blob).await.map_err(of_blobs)? {
                return Ok(Err(ItemError {
                    class: ErrorClass::InvalidResult,
                    message: format!("the value names blob {}, which is not stored", blob.hash),
                    operator: None,
                }));
            }
        }
        Ok(outcome)
    }
}

impl registration::Server for Registration {
    async fn item(
        self: Rc<Self>,
        params: registration::ItemParams,
        mut results: registration::ItemResults,
    ) -> Result<(), capnp::Error> {
        let params = params.get()?;
        let token = convert::read_token(params.get_token()?).map_err(invalid)?;
        let outcome = convert::read_outcome(params.get_outcome()?).map_err(invalid)?;
        let device = line(params.get_device()?);
        let device = (!device.is_empty()).then_some(device);
        let usage = convert::read_usage(params.get_usage()?);
        let index = params.get_index();
        if index as usize >= limits::ITEMS {
            let text = format!(
                "there is no item {index}: a task has at most {}",
                limits::ITEMS
            );
            return Err(fault(froben_wire::FaultCode::Invalid, text));
        }
        // Also of an attempt of before: whose it was, the engine knows.
        let report = ItemReport {
            index,
            outcome: self.stored(outcome).await?,
            device,
            usage,
        };
        let engine = &self.seat.peer.engine;
        let told = engine.item(self.seat.session, token, report).await;
        let receipt = self.seat.learned(token, told.map_err(busy)?);
        results.get().set_receipt(write_receipt(receipt));
        Ok(())
    }

    async fn finish(
        self: Rc<Self>,
        params: registration::FinishParams,
        mut results: registration::FinishResults,
    ) -> Result<(), capnp::Error> {
        let params = params.get()?;
        let token = convert::read_token(params.get_token()?).map_err(invalid)?;
        let failure = match params.has_failure() {
            true => Some(convert::read_item_error(params.get_failure()?).map_err(invalid)?),
            false => None,
        };
        let receipt = match self.seat.holds(&token) {
            true => {
                let told = self.seat.peer.engine.finish(token, failure).await;
                let receipt = told.map_err(busy)?;
                self.seat.over(&token);
                receipt
            }
            false => Receipt::Stale,
        };
        results.get().set_receipt(write_receipt(receipt));
        Ok(())
    }

    async fn log(
        self: Rc<Self>,
        params: registration::LogParams,
        _results: registration::LogResults,
    ) -> Result<(), capnp::Error> {
        let params = params.get()?;
        let token = convert::read_token(params.get_token()?).map_err(invalid)?;
        if self.seat.holds(&token) {
            self.seat.peer.engine.log(token, line(params.get_line()?));
        }
        Ok(())
    }

    async fn drain(
        self: Rc<Self>,
        _params: registration::DrainParams,
        _results: registration::DrainResults,
    ) -> Result<(), capnp::Error> {
        tracing::info!(machine = %self.seat.id, "a machine is about to leave");
        self.seat.peer.engine.drain(self.seat.session);
        Ok(())
    }

    async fn ping(
        self: Rc<Self>,
        _params: registration::PingParams,
        _results: registration::PingResults,
    ) -> Result<(), capnp::Error> {
        Ok(())
    }
}

fn write_receipt(receipt: Receipt) -> operator_capnp::Receipt {
    match receipt {
        Receipt::Recorded => operator_capnp::Receipt::Recorded,
        Receipt::Stale => operator_capnp::Receipt::Stale,
    }
}
