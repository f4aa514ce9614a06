//! Tells an author at once of a kind that nobody offers, for which a workflow would wait in vain.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use froben_model::view::{DelegationState, MachineView, WorkflowDetail, WorkflowSummary};
use froben_model::{Kind, WorkflowId};

use crate::command::submit::PATIENCE;
use crate::error::Error;
use crate::session::Session;

/// Between two looks, and before the first: whatever moves needs none.
const EVERY: Duration = Duration::from_secs(2);
/// The newest workflows, among which children are looked for, and how many of these are asked.
const LISTED: u32 = 50;
const ASKED: usize = 4;

pub(crate) struct Lack {
    id: WorkflowId,
    looked: Instant,
    /// Kinds that were told.
    told: BTreeSet<Kind>,
}

impl Lack {
    pub(crate) fn new(id: WorkflowId) -> Lack {
        let (looked, told) = (Instant::now(), BTreeSet::new());
        Lack { id, looked, told }
    }

    pub(crate) fn due(&self) -> bool {
        self.looked.elapsed() >= EVERY
    }

    /// A line for the kinds that the workflow or its children wait for, that no machine offers and that
    /// were not told yet.
    pub(crate) async fn look(
        &mut self,
        session: &mut Session,
        detail: &WorkflowDetail,
    ) -> Result<Option<String>, Error> {
        self.looked = Instant::now();
        let quiet = |_: &froben_wire::Error| {};
        let list = session.insist(PATIENCE, quiet, async |client| client.list(LISTED).await);
        let children = children(self.id, &list.await?);
        let mut wanted = queued(detail);
        for child in children.into_iter().take(ASKED) {
            let status = session.insist(PATIENCE, quiet, async |client| client.status(child).await);
            wanted.extend(queued(&status.await?));
        }
        wanted.retain(|kind| !self.told.contains(kind));
        if wanted.is_empty() {
            return Ok(None);
        }
        let machines = session.insist(PATIENCE, quiet, async |client| client.machines().await);
        let lacking = not_offered(wanted, &machines.await?);
        self.told.extend(lacking.iter().cloned());
        Ok(line(self.id, &lacking))
    }
}

fn queued(detail: &WorkflowDetail) -> BTreeSet<Kind> {
    let queued = detail.delegations.iter();
    let queued = queued.filter(|delegation| delegation.state == DelegationState::Queued);
    queued.map(|delegation| delegation.kind.clone()).collect()
}

/// Those of `list`, the newest first, that run below `id`.
fn children(id: WorkflowId, list: &[WorkflowSummary]) -> Vec<WorkflowId> {
    let mut below = vec![id];
    for summary in list.iter().rev().filter(|summary| !summary.state.ended()) {
        if summary.parent.is_some_and(|parent| below.contains(&parent)) {
            below.push(summary.id);
        }
    }
    below.split_off(1)
}

fn not_offered(mut wanted: BTreeSet<Kind>, machines: &[MachineView]) -> BTreeSet<Kind> {
    wanted.retain(|kind| machines.iter().all(|machine| !machine.kinds.contains(kind)));
    wanted
}

fn line(id: WorkflowId, lacking: &BTreeSet<Kind>) -> Option<String> {
    let kinds = lacking.iter().map(|kind| format!("`{kind}`"));
    let kinds: Vec<String> = kinds.collect();
    (!kinds.is_empty()).then(|| {
        format!(
            "froben dev: {id} waits for {}, which no connected operator offers; `froben machines` \
             lists what they offer, `froben status {id}` has the reason",
            kinds.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use froben_model::MachineId;

    use super::*;

    #[test]
    fn only_what_no_machine_offers_is_told() {
        let kind = |name: &str| Kind::new(name).expect("a kind");
        let machine = MachineView {
            name: MachineId::new("one/machine").expect("a name"),
            cpu_cores: 1,
            ram_bytes: 1,
            devices: Vec::new(),
            kinds: vec![kind("a.b/1")],
            attempts: 0,
            draining: false,
            succeeded: 0,
            failed: 0,
        };
        let wanted = BTreeSet::from([kind("a.b/1"), kind("example.greet/1")]);
        let lacking = not_offered(wanted, &[machine]);
        assert_eq!(lacking, [kind("example.greet/1")].into());
        let id = WorkflowId([7; 16]);
        let said = line(id, &lacking).expect("there is one");
        assert!(
            said.contains("`example.greet/1`, which no connected operator offers"),
            "{said}"
        );
        assert_eq!(line(id, &BTreeSet::new()), None);
    }
}
