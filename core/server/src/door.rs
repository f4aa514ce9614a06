//! What a connection gets first.

use std::cell::Cell;
use std::rc::Rc;

use froben_blobs::Blobs;
use froben_engine::{EngineHandle, Viewer};
use froben_model::{OperatorId, SeekerId};
use froben_schema::common_capnp::PROTOCOL_VERSION;
use froben_schema::convert::{list_len, write_profile};
use froben_schema::seeker_capnp::coordinator;
use froben_wire::{Cutter, FaultCode, Policy, Role, Subject};

use crate::admin::Admin;
use crate::answer::{busy, fault};
use crate::ledger::Ledger;
use crate::operator::Operator;
use crate::seeker::Seeker;

/// Profiles in one answer.
const PROFILES: usize = 10_000;

/// What the objects of one connection share.
pub(crate) struct Peer {
    pub(crate) subject: Subject,
    pub(crate) cutter: Cutter,
    pub(crate) engine: EngineHandle,
    pub(crate) blobs: Blobs,
    pub(crate) policy: Policy,
    pub(crate) readers: Held,
    pub(crate) writers: Held,
    pub(crate) machines: Held,
    pub(crate) exports: Held,
}

/// Objects of one sort that a peer holds.
pub(crate) struct Held {
    what: &'static str,
    limit: usize,
    count: Rc<Cell<usize>>,
}

/// One of them; dropping it makes room.
pub(crate) struct Hold(Rc<Cell<usize>>);

impl Held {
    pub(crate) fn at_most(limit: usize, what: &'static str) -> Held {
        Held {
            what,
            limit,
            count: Rc::default(),
        }
    }

    pub(crate) fn take(&self) -> Result<Hold, capnp::Error> {
        if self.count.get() >= self.limit {
            let Held { what, limit, .. } = self;
            return Err(fault(
                FaultCode::TooMany,
                format!("a connection may hold {limit} {what} at a time; drop some first"),
            ));
        }
        self.count.set(self.count.get() + 1);
        Ok(Hold(self.count.clone()))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// The front door: the certificate decides which way in is open.
pub(crate) struct Door {
    pub(crate) peer: Rc<Peer>,
}

impl Door {
    /// The name in the certificate, if it opens the door of `role`.
    fn open(&self, role: Role, version: u32) -> Result<&str, capnp::Error> {
        if version != PROTOCOL_VERSION {
            return Err(fault(
                FaultCode::Version,
                format!(
                    "this coordinator speaks protocol {PROTOCOL_VERSION}, you asked for {version}; use the same version on both sides"
                ),
            ));
        }
        let subject = &self.peer.subject;
        if !subject.role.opens(role) {
            let article = match role {
                Role::Coordinator | Role::Seeker => "a",
                Role::Operator | Role::Admin => "an",
            };
            return Err(fault(
                FaultCode::WrongRole,
                format!(
                    "your certificate is that of {subject}, and this needs {article} {role}'s; use another identity, or issue one with `froben ca issue --role {role}`"
                ),
            ));
        }
        Ok(&subject.name)
    }
}

impl coordinator::Server for Door {
    async fn operator(
        self: Rc<Self>,
        params: coordinator::OperatorParams,
        mut results: coordinator::OperatorResults,
    ) -> Result<(), capnp::Error> {
        let name = self.open(Role::Operator, params.get()?.get_protocol_version())?;
        let id = OperatorId::new(name).map_err(|e| fault(FaultCode::WrongRole, e.to_string()))?;
        let session = Operator::new(self.peer.clone(), id);
        results.get().set_session(capnp_rpc::new_client(session));
        Ok(())
    }

    async fn seeker(
        self: Rc<Self>,
        params: coordinator::SeekerParams,
        mut results: coordinator::SeekerResults,
    ) -> Result<(), capnp::Error> {
        let name = self.open(Role::Seeker, params.get()?.get_protocol_version())?;
        let id = SeekerId::new(name).map_err(|e| fault(FaultCode::WrongRole, e.to_string()))?;
        let session = Seeker::new(self.peer.clone(), id);
        results.get().set_session(capnp_rpc::new_client(session));
        Ok(())
    }

    async fn admin(
        self: Rc<Self>,
        params: coordinator::AdminParams,
        mut results: coordinator::AdminResults,
    ) -> Result<(), capnp::Error> {
        let name = self.open(Role::Admin, params.get()?.get_protocol_version())?;
        let session = Admin::new(self.peer.clone(), name.to_owned());
        results.get().set_session(capnp_rpc::new_client(session));
        Ok(())
    }

    async fn ledger(
        self: Rc<Self>,
        params: coordinator::LedgerParams,
        mut results: coordinator::LedgerResults,
    ) -> Result<(), capnp::Error> {
        let (role, version) = (self.peer.subject.role, params.get()?.get_protocol_version());
        let name = self.open(role, version)?;
        let wrong = |e: froben_model::Error| fault(FaultCode::WrongRole, e.to_string());
        let viewer = match role {
            Role::Operator => Viewer::Operator(OperatorId::new(name).map_err(wrong)?),
            Role::Seeker => Viewer::Seeker(SeekerId::new(name).map_err(wrong)?),
            Role::Admin | Role::Coordinator => Viewer::All,
        };
        let ledger = Ledger::new(self.peer.clone(), viewer);
        results.get().set_ledger(capnp_rpc::new_client(ledger));
        Ok(())
    }

    async fn profiles(
        self: Rc<Self>,
        params: coordinator::ProfilesParams,
        mut results: coordinator::ProfilesResults,
    ) -> Result<(), capnp::Error> {
        // An admin may see what an operator may.
        let role = match self.peer.subject.role {
            Role::Admin => Role::Admin,
            _ => Role::Operator,
        };
        self.open(role, params.get()?.get_protocol_version())?;
        let mut profiles = self.peer.engine.profiles().await.map_err(busy)?;
        profiles.truncate(PROFILES);
        let mut list = results.get().init_profiles(list_len(profiles.len()));
        for (i, profile) in (0..).zip(&profiles) {
            write_profile(profile, list.reborrow().get(i));
        }
        Ok(())
    }

    async fn ping(
        self: Rc<Self>,
        _params: coordinator::PingParams,
        mut results: coordinator::PingResults,
    ) -> Result<(), capnp::Error> {
        let mut answer = results.get();
        answer.set_protocol_version(PROTOCOL_VERSION);
        answer.set_server_version(env!("CARGO_PKG_VERSION"));
        Ok(())
    }
}
