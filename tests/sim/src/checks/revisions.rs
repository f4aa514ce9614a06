//! I8: a workflow keeps its revision, unless somebody moves it.

use std::collections::{BTreeMap, BTreeSet};

use froben_journal::{Body, RevisionHash, Served};
use froben_model::WorkflowId;

use super::workflow::Seen;

#[derive(Debug, Default)]
pub(super) struct Revisions {
    /// The newest of the history.
    served: Option<RevisionHash>,
    /// How many entries the history has.
    entries: u64,
    /// Which workflow somebody has moved where, or begun as a fork.
    pub(super) asked: BTreeSet<(WorkflowId, RevisionHash)>,
}

impl Revisions {
    pub(super) fn of_start(served: RevisionHash) -> Self {
        Revisions {
            served: Some(served),
            entries: 1,
            asked: BTreeSet::new(),
        }
    }

    /// The history goes on.
    pub(super) fn served(&mut self, entries: &[Served]) -> Result<(), String> {
        for entry in entries {
            self.entries += 1;
            must!(entry.index == self.entries, "the history has gaps");
            must!(
                self.served != Some(entry.revision),
                "what is served is served anew"
            );
            self.served = Some(entry.revision);
        }
        Ok(())
    }

    /// Looks at a record that is about to be taken in.
    pub(super) fn record(
        &self,
        workflows: &BTreeMap<WorkflowId, Seen>,
        workflow: WorkflowId,
        body: &Body,
    ) -> Result<(), String> {
        let asked = |revision| self.asked.contains(&(workflow, revision));
        match body {
            Body::Submitted(submitted) => {
                let revision = submitted.revision;
                let parent = submitted.parent.map(|parent| parent.workflow);
                let holds = match (parent, &submitted.forked_from) {
                    (Some(parent), _) => workflows
                        .get(&parent)
                        .is_some_and(|parent| parent.revision == Some(revision)),
                    (None, Some(_)) => asked(revision),
                    (None, None) => self.served == Some(revision),
                };
                must!(holds, "I8: it begins with another revision");
            }
            Body::Migrated { revision } => {
                must!(asked(*revision), "I8: nobody has asked for that");
            }
            _ => {}
        }
        Ok(())
    }
}
