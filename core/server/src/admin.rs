//! An admin's session: which scripts new workflows run.

use std::rc::Rc;

use froben_engine::{Applied, Change, NotServed, Sources};
use froben_model::revision::{Origin, Plan, ScriptProblem};
use froben_model::{RevisionHash, RevisionPrefix, limits};
use froben_schema::admin_capnp::{admin_session, change};
use froben_schema::convert;
use froben_wire::FaultCode;

use crate::answer::{self, busy, fault, first_that_fit, invalid};
use crate::door::Peer;

/// Entries in one answer.
const ENTRIES: u32 = 1000;
/// Problems in one answer; more are counted.
const PROBLEMS: usize = 500;

pub(crate) struct Admin {
    peer: Rc<Peer>,
    name: String,
}

impl Admin {
    pub(crate) fn new(peer: Rc<Peer>, name: String) -> Admin {
        Admin { peer, name }
    }

    fn change(
        &self,
        origin: Origin,
        check_index: u64,
        note: capnp::text::Reader<'_>,
    ) -> Result<Change, capnp::Error> {
        let note = answer::text("a note", note, limits::NOTE_BYTES)?;
        Ok(Change {
            by: self.name.clone(),
            origin,
            note: limits::one_line(&note),
            check_index: Some(check_index),
        })
    }
}

impl admin_session::Server for Admin {
    async fn serving(
        self: Rc<Self>,
        _params: admin_session::ServingParams,
        mut results: admin_session::ServingResults,
    ) -> Result<(), capnp::Error> {
        let now = self.peer.engine.serving().await.map_err(busy)?;
        convert::write_served(&now.entry, results.get().init_entry());
        Ok(())
    }

    async fn plan(
        self: Rc<Self>,
        params: admin_session::PlanParams,
        mut results: admin_session::PlanResults,
    ) -> Result<(), capnp::Error> {
        let set = convert::read_script_set(params.get()?.get_scripts()?).map_err(invalid)?;
        let mut plan = self.peer.engine.plan(set).await.map_err(busy)?;
        shorten_plan(&mut plan);
        convert::write_plan(&plan, results.get().init_plan());
        Ok(())
    }

    async fn apply(
        self: Rc<Self>,
        params: admin_session::ApplyParams,
        mut results: admin_session::ApplyResults,
    ) -> Result<(), capnp::Error> {
        let params = params.get()?;
        let set = convert::read_script_set(params.get_scripts()?).map_err(invalid)?;
        let change = self.change(Origin::Apply, params.get_check_index(), params.get_note()?)?;
        let applied = self.peer.engine.apply(set, change).await.map_err(busy)?;
        write_change(applied, results.get().init_change());
        Ok(())
    }

    async fn rollback(
        self: Rc<Self>,
        params: admin_session::RollbackParams,
        mut results: admin_session::RollbackResults,
    ) -> Result<(), capnp::Error> {
        let params = params.get()?;
        let to = Some(params.get_to()).filter(|to| *to != 0);
        let (index, note) = (params.get_check_index(), params.get_note()?);
        let change = self.change(Origin::Rollback, index, note)?;
        let applied = self.peer.engine.rollback(to, change).await.map_err(busy)?;
        write_change(applied, results.get().init_change());
        Ok(())
    }

    async fn history(
        self: Rc<Self>,
        params: admin_session::HistoryParams,
        mut results: admin_session::HistoryResults,
    ) -> Result<(), capnp::Error> {
        let params = params.get()?;
        let before = match params.get_before() {
            0 => u64::MAX,
            before => before,
        };
        let limit = params.get_limit().min(ENTRIES) as usize;
        let entries = self.peer.engine.history(before, limit).await;
        let entries = entries.map_err(busy)?;
        let mut list = results.get().init_entries(convert::list_len(entries.len()));
        for (i, entry) in (0..).zip(&entries) {
            convert::write_served(entry, list.reborrow().get(i));
        }
        Ok(())
    }

    async fn sources(
        self: Rc<Self>,
        params: admin_session::SourcesParams,
        mut results: admin_session::SourcesResults,
    ) -> Result<(), capnp::Error> {
        let name = answer::text("a revision", params.get()?.get_revision()?, 64)?;
        let prefix: RevisionPrefix = name
            .parse()
            .map_err(|error: froben_model::Error| fault(FaultCode::Invalid, error.to_string()))?;
        match self.peer.engine.sources(prefix).await.map_err(busy)? {
            Sources::Found(hash, set) => {
                let mut results = results.get();
                results.set_revision(&hash.0);
                convert::write_script_set(&set, results.init_scripts());
                Ok(())
            }
            Sources::Nothing => Err(fault(
                FaultCode::NoSuchRevision,
                format!("no revision begins with {name}; `froben scripts history` lists them"),
            )),
            Sources::Ambiguous(hashes) => {
                let names: Vec<_> = hashes.iter().map(RevisionHash::short).collect();
                let names = names.join(", ");
                Err(fault(
                    FaultCode::NoSuchRevision,
                    format!("several revisions begin with {name}: {names}; give more digits"),
                ))
            }
        }
    }
}

fn write_change(applied: Result<Applied, NotServed>, mut builder: change::Builder<'_>) {
    match applied {
        Ok(Applied::Served(entry)) => convert::write_served(&entry, builder.init_served()),
        Ok(Applied::Unchanged(entry)) => convert::write_served(&entry, builder.init_unchanged()),
        Err(NotServed::Moved(newest)) => convert::write_served(&newest, builder.init_moved()),
        Err(NotServed::Broken(mut problems)) => {
            shorten_problems(&mut problems);
            let list = builder.init_broken(convert::list_len(problems.len()));
            convert::write_problems(&problems, list);
        }
        Err(NotServed::NoEntry { index: _, newest }) => builder.set_no_entry(newest),
    }
}

/// Leaves out problems that nobody would read any more, and says how many.
fn shorten_problems(problems: &mut Vec<ScriptProblem>) {
    let Some(more) = problems.len().checked_sub(PROBLEMS).filter(|n| *n > 0) else {
        return;
    };
    problems.truncate(PROBLEMS);
    if let Some(last) = problems.last_mut() {
        last.message = limits::one_line(&format!("{} (and {more} more problems)", last.message));
    }
}

/// Leaves out what an answer has no room for.
fn shorten_plan(plan: &mut Plan) {
    shorten_problems(&mut plan.problems);
    plan.live.truncate(PROBLEMS);
    let signatures: Vec<_> = plan.before.iter().chain(&plan.after).collect();
    let fit = first_that_fit(&signatures, |signature| {
        let fields = signature.inputs.iter().chain(&signature.outputs);
        let fields = fields.map(|f| 128 + f.name.len() + f.expected.len() + 2 * f.default.weight());
        256 + signature.name.len() + signature.path.len() + fields.sum::<usize>()
    });
    if fit.len() < signatures.len() {
        // Some of them would look as if the others were gone.
        plan.omitted = true;
        plan.before.clear();
        plan.after.clear();
    }
}
