//! The ledger's end of the coordinator's RPC, for whoever has a certificate.

use std::time::Duration;

use froben_model::ledger::{Account, Balance, Posting};
use froben_schema::seeker_capnp::ledger;
use froben_schema::{common_capnp, convert};
use froben_wire::{Error, Identity, Link, Policy, call, dial, failed};

pub(crate) struct Ledger {
    /// Holds the connection open.
    link: Link,
    session: ledger::Client,
}

impl Ledger {
    /// *Errors*: unreachable, no answer in time.
    pub(crate) async fn connect(address: &str, identity: &Identity) -> Result<Ledger, Error> {
        let link = dial(address, identity, Policy::SEEKER).await?;
        let mut request = link.coordinator.ledger_request();
        request
            .get()
            .set_protocol_version(common_capnp::PROTOCOL_VERSION);
        const WHAT: &str = "opening the ledger";
        let opened = call(WHAT, link.patience(), request.send().promise).await?;
        let session = opened.get().and_then(|answer| answer.get_ledger());
        let session = session.map_err(|error| failed(WHAT, &error))?;
        Ok(Ledger { link, session })
    }

    fn patience(&self) -> Duration {
        self.link.patience()
    }

    /// What the accounts hold that the identity may see, those of single workflows apart.
    pub(crate) async fn accounts(&self) -> Result<Vec<(Account, Balance)>, Error> {
        let request = self.session.accounts_request();
        ask!(self, "asking for the accounts", request, |answer| {
            let accounts = answer.get_accounts()?;
            let read = accounts.iter().map(|holding| {
                let account = holding.get_account()?.to_str()?.parse();
                let account = account.map_err(|e: froben_model::Error| malformed(e.to_string()))?;
                Ok((account, read_balance(holding.get_balance()?)?))
            });
            read.collect()
        })
    }

    /// Entries from the index `from` on, at most `limit`, and what the account holds in all.
    pub(crate) async fn postings(
        &self,
        account: &Account,
        from: u64,
        limit: u32,
    ) -> Result<(Vec<Posting>, Balance), Error> {
        let mut request = self.session.postings_request();
        let mut params = request.get();
        params.set_account(account.to_string());
        params.set_from(from);
        params.set_limit(limit);
        ask!(self, "asking for an account", request, |answer| {
            let postings = answer.get_postings()?.iter();
            let postings = postings.map(|posting| Ok(convert::read_posting(posting)?));
            let postings = postings.collect::<Result<_, capnp::Error>>()?;
            Ok((postings, read_balance(answer.get_balance()?)?))
        })
    }
}

fn read_balance(text: capnp::text::Reader<'_>) -> Result<Balance, capnp::Error> {
    let read = text.to_str()?.parse();
    read.map_err(|error| malformed(format!("a balance is no number: {error}")))
}

fn malformed(why: String) -> capnp::Error {
    capnp::Error::failed(why)
}
