//! What machines have to say: that they come and go, and what became of their attempts.

use froben_model::{ItemError, ItemReport, LeaseToken, MachineId, MachineSpec};
use froben_scheduler::SessionId;
use tokio::sync::mpsc;

use super::{Busy, EngineHandle, unexpected};
use crate::driver::{Message, lock};
use crate::effect::{Answer, MachineCommand, Receipt};
use crate::input::Input;
use crate::rules::Rules;

impl EngineHandle {
    /// A machine is connected; what it is to do comes through `commands`. When the channel closes, the
    /// engine has given the session up.
    pub fn machine_joined(
        &self,
        machine: MachineId,
        spec: MachineSpec,
        commands: mpsc::Sender<MachineCommand>,
    ) -> SessionId {
        let mut routes = lock(&self.routes);
        let session = SessionId(routes.fresh());
        routes.machines.insert(session, commands);
        drop(routes);
        self.tell(Input::MachineJoined {
            session,
            machine,
            spec,
        });
        session
    }

    /// It is about to leave, and is given nothing more.
    pub fn drain(&self, session: SessionId) {
        self.tell(Input::Drain { session });
    }

    pub fn machine_left(&self, session: SessionId, reason: String) {
        lock(&self.routes).machines.remove(&session);
        self.tell(Input::MachineLeft { session, reason });
    }

    /// Goes by these rules from here on.
    pub fn rules(&self, rules: Rules) {
        self.tell(Input::Rules(rules));
    }

    pub fn accepted(&self, token: LeaseToken) {
        self.tell(Input::Accepted { token });
    }

    pub fn refused(&self, token: LeaseToken, reason: String) {
        self.tell(Input::Refused { token, reason });
    }

    /// An item of an attempt that the machine of this session was given.
    pub async fn item(
        &self,
        session: SessionId,
        token: LeaseToken,
        report: ItemReport,
    ) -> Result<Receipt, Busy> {
        let item = |ticket| Input::Item {
            ticket,
            session,
            token,
            report,
        };
        match self.ask(item).await? {
            Answer::Receipt(receipt) => Ok(receipt),
            other => unexpected(&other),
        }
    }

    pub async fn finish(
        &self,
        token: LeaseToken,
        failure: Option<ItemError>,
    ) -> Result<Receipt, Busy> {
        match self
            .ask(|ticket| Input::Finish {
                ticket,
                token,
                failure,
            })
            .await?
        {
            Answer::Receipt(receipt) => Ok(receipt),
            other => unexpected(&other),
        }
    }

    /// A worker's line. Dropped when the engine is busy.
    pub fn log(&self, token: LeaseToken, line: String) {
        if let Ok(place) = self.lines.clone().try_acquire_owned() {
            let input = Input::Log { token, line };
            let _ = self.engine.send(Message::Placed(input, place));
        }
    }
}
