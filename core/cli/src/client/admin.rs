//! The admin's end of the coordinator's RPC.

use std::time::Duration;

use froben_model::revision::{Plan, ScriptProblem, Served};
use froben_model::{RevisionHash, ScriptSet};
use froben_schema::admin_capnp::{admin_session, change};
use froben_schema::{common_capnp, convert};
use froben_wire::{Error, Identity, Link, Policy, call, dial, failed};

pub(crate) struct Admin {
    /// Holds the connection open.
    link: Link,
    session: admin_session::Client,
}

/// What became of a change that was asked for.
pub(crate) enum Changed {
    Served(Served),
    Unchanged(Served),
    Moved(Served),
    Broken(Vec<ScriptProblem>),
    NoEntry { newest: u64 },
}

impl Admin {
    /// *Errors*: unreachable, a certificate that does not open the door, no answer in time.
    pub(crate) async fn connect(address: &str, identity: &Identity) -> Result<Admin, Error> {
        let link = dial(address, identity, Policy::SEEKER).await?;
        let mut request = link.coordinator.admin_request();
        request
            .get()
            .set_protocol_version(common_capnp::PROTOCOL_VERSION);
        const WHAT: &str = "opening the admins' door";
        let opened = call(WHAT, link.patience(), request.send().promise).await?;
        let session = opened.get().and_then(|answer| answer.get_session());
        let session = session.map_err(|error| failed(WHAT, &error))?;
        Ok(Admin { link, session })
    }

    fn patience(&self) -> Duration {
        self.link.patience()
    }

    /// The newest entry of the history.
    pub(crate) async fn serving(&self) -> Result<Served, Error> {
        let request = self.session.serving_request();
        ask!(self, "asking for the history", request, |answer| {
            Ok(convert::read_served(answer.get_entry()?)?)
        })
    }

    pub(crate) async fn plan(&self, set: &ScriptSet) -> Result<Plan, Error> {
        let mut request = self.session.plan_request();
        convert::write_script_set(set, request.get().init_scripts());
        ask!(self, "checking the scripts", request, |answer| {
            Ok(convert::read_plan(answer.get_plan()?)?)
        })
    }

    pub(crate) async fn apply(
        &self,
        set: &ScriptSet,
        check_index: u64,
        note: &str,
    ) -> Result<Changed, Error> {
        let mut request = self.session.apply_request();
        let mut params = request.get();
        params.set_check_index(check_index);
        params.set_note(note);
        convert::write_script_set(set, params.init_scripts());
        ask!(self, "applying the scripts", request, |answer| {
            read_change(answer.get_change()?)
        })
    }

    /// `to`: an index, or the last entry but one.
    pub(crate) async fn rollback(
        &self,
        to: Option<u64>,
        check_index: u64,
        note: &str,
    ) -> Result<Changed, Error> {
        let mut request = self.session.rollback_request();
        let mut params = request.get();
        params.set_to(to.unwrap_or(0));
        params.set_check_index(check_index);
        params.set_note(note);
        ask!(self, "rolling back", request, |answer| {
            read_change(answer.get_change()?)
        })
    }

    /// Entries below the index `before`, the newest first; 0 means all.
    pub(crate) async fn history(&self, before: u64, limit: u32) -> Result<Vec<Served>, Error> {
        let mut request = self.session.history_request();
        let mut params = request.get();
        params.set_before(before);
        params.set_limit(limit);
        ask!(self, "asking for the history", request, |answer| {
            let list = answer.get_entries()?;
            list.iter()
                .map(|entry| Ok(convert::read_served(entry)?))
                .collect()
        })
    }

    /// The scripts of the revision whose name begins like this.
    pub(crate) async fn sources(&self, name: &str) -> Result<(RevisionHash, ScriptSet), Error> {
        let mut request = self.session.sources_request();
        request.get().set_revision(name);
        ask!(self, "asking for the scripts", request, |answer| {
            let hash = convert::read_bytes("a revision", answer.get_revision()?)?;
            let set = convert::read_script_set(answer.get_scripts()?)?;
            Ok((RevisionHash(hash), set))
        })
    }
}

fn read_change(change: change::Reader<'_>) -> Result<Changed, capnp::Error> {
    Ok(match change.which()? {
        change::Served(entry) => Changed::Served(convert::read_served(entry?)?),
        change::Unchanged(entry) => Changed::Unchanged(convert::read_served(entry?)?),
        change::Moved(entry) => Changed::Moved(convert::read_served(entry?)?),
        change::Broken(problems) => Changed::Broken(convert::read_problems(problems?)?),
        change::NoEntry(newest) => Changed::NoEntry { newest },
    })
}
