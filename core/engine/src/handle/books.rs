//! Looks into the ledger.

use froben_journal::{Account, Balance, Body, Posting, Store};
use froben_model::{OperatorId, SeekerId, WorkflowId};

use super::{Busy, EngineHandle};

/// Who looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Viewer {
    Operator(OperatorId),
    Seeker(SeekerId),
    /// An admin.
    All,
}

/// An account, from some entry on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    pub postings: Vec<Posting>,
    /// What it holds after its newest entry.
    pub balance: Balance,
}

impl Viewer {
    fn may_see(&self, store: &dyn Store, account: &Account) -> Result<bool, froben_journal::Error> {
        Ok(match (self, account) {
            (Viewer::All, _) => true,
            (Viewer::Operator(own), Account::Operator(operator)) => own == operator,
            (Viewer::Seeker(own), Account::Seeker(seeker)) => own == seeker,
            (Viewer::Seeker(own), Account::Budget(workflow) | Account::Held(workflow)) => {
                seeker_of(store, *workflow)?.as_ref() == Some(own)
            }
            (Viewer::Operator(_), _) | (Viewer::Seeker(_), Account::Operator(_)) => false,
        })
    }
}

fn seeker_of(
    store: &dyn Store,
    workflow: WorkflowId,
) -> Result<Option<SeekerId>, froben_journal::Error> {
    let first = store.read(workflow, 0, 1)?.pop();
    Ok(match first.map(|(_, record)| record.body) {
        Some(Body::Submitted(submitted)) => Some(submitted.seeker),
        _ => None,
    })
}

impl EngineHandle {
    /// What operators and seekers hold, as far as the viewer may see it.
    pub async fn accounts(&self, viewer: Viewer) -> Result<Vec<(Account, Balance)>, Busy> {
        self.read_journal(move |store| {
            let own = match viewer {
                Viewer::Operator(operator) => Account::Operator(operator),
                Viewer::Seeker(seeker) => Account::Seeker(seeker),
                Viewer::All => {
                    let mut all = store.balances()?;
                    all.retain(|(account, _)| {
                        matches!(account, Account::Operator(_) | Account::Seeker(_))
                    });
                    return Ok(all);
                }
            };
            let balance = store.balance(&own)?;
            Ok(vec![(own, balance)])
        })
        .await
    }

    /// Entries of an account from the index `from` on, the oldest first. `None`: there is no such account
    /// that the viewer may see.
    pub async fn statement(
        &self,
        viewer: Viewer,
        account: Account,
        from: u64,
        limit: usize,
    ) -> Result<Option<Statement>, Busy> {
        self.read_journal(move |store| {
            if !viewer.may_see(store, &account)? {
                return Ok(None);
            }
            Ok(Some(Statement {
                postings: store.postings(Some(&account), from, limit)?,
                balance: store.balance(&account)?,
            }))
        })
        .await
    }
}
