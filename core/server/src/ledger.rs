//! The books, as far as whoever is connected may see them.

use std::rc::Rc;

use froben_engine::Viewer;
use froben_model::ledger::Account;
use froben_schema::convert::{list_len, write_posting};
use froben_schema::seeker_capnp::ledger;
use froben_wire::FaultCode;

use crate::answer::{self, busy, fault};
use crate::door::Peer;

/// Entries in one answer.
const ENTRIES: u32 = 1000;
/// Accounts in one answer.
const ACCOUNTS: usize = 10_000;
/// An account's name.
const NAME_BYTES: usize = 128;

pub(crate) struct Ledger {
    peer: Rc<Peer>,
    viewer: Viewer,
}

impl Ledger {
    pub(crate) fn new(peer: Rc<Peer>, viewer: Viewer) -> Ledger {
        Ledger { peer, viewer }
    }
}

impl ledger::Server for Ledger {
    async fn accounts(
        self: Rc<Self>,
        _params: ledger::AccountsParams,
        mut results: ledger::AccountsResults,
    ) -> Result<(), capnp::Error> {
        let accounts = self.peer.engine.accounts(self.viewer.clone()).await;
        let mut accounts = accounts.map_err(busy)?;
        accounts.truncate(ACCOUNTS);
        let mut list = results.get().init_accounts(list_len(accounts.len()));
        for (i, (account, balance)) in (0..).zip(&accounts) {
            let mut holding = list.reborrow().get(i);
            holding.set_account(account.to_string());
            holding.set_balance(balance.to_string());
        }
        Ok(())
    }

    async fn postings(
        self: Rc<Self>,
        params: ledger::PostingsParams,
        mut results: ledger::PostingsResults,
    ) -> Result<(), capnp::Error> {
        let params = params.get()?;
        let name = answer::text("an account", params.get_account()?, NAME_BYTES)?;
        let account: Account = name
            .parse()
            .map_err(|error: froben_model::Error| fault(FaultCode::Invalid, error.to_string()))?;
        let limit = params.get_limit().min(ENTRIES) as usize;
        let engine = &self.peer.engine;
        let statement = engine.statement(self.viewer.clone(), account, params.get_from(), limit);
        let Some(statement) = statement.await.map_err(busy)? else {
            let why = format!("there is no account {name} that you may see");
            return Err(fault(FaultCode::WrongRole, why));
        };
        let mut results = results.get();
        results.set_balance(statement.balance.to_string());
        let mut list = results.init_postings(list_len(statement.postings.len()));
        for (i, posting) in (0..).zip(&statement.postings) {
            write_posting(posting, list.reborrow().get(i));
        }
        Ok(())
    }
}
