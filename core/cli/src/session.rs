//! A command's conversation with the coordinator: connects when it must, and again when the connection
//! is lost.

use std::time::{Duration, Instant};

use froben_wire::{Disposition, Identity};

use crate::args::Remote;
use crate::client::Client;
use crate::error::{Error, Exit};

/// Between two tries to reach a coordinator that has gone.
const PAUSE: Duration = Duration::from_millis(500);

pub(crate) struct Session {
    address: String,
    identity: Identity,
    client: Option<Client>,
}

/// Runs a command that talks to the coordinator.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::new(Exit::Unexpected, format!("cannot start: {error}")))?;
    // RPC objects stay on their thread.
    tokio::task::LocalSet::new().block_on(&runtime, future)
}

impl Session {
    pub(crate) fn new(remote: &Remote) -> Result<Session, Error> {
        let Remote {
            coordinator,
            identity,
        } = remote;
        let identity = Identity::load(identity)?;
        Ok(Session {
            address: coordinator.clone(),
            identity,
            client: None,
        })
    }

    /// A connection, made now or earlier.
    pub(crate) async fn client(&mut self) -> Result<&Client, froben_wire::Error> {
        if self.client.is_none() {
            self.client = Some(Client::connect(&self.address, &self.identity).await?);
        }
        Ok(self
            .client
            .as_ref()
            .expect("invariant: it has just been set"))
    }

    /// Asks, and asks again while the coordinator is away or busy, for `patience` since it answered
    /// last. What is asked must be idempotent. `away` hears of every try that failed.
    pub(crate) async fn insist<T>(
        &mut self,
        patience: Duration,
        mut away: impl FnMut(&froben_wire::Error),
        ask: impl AsyncFn(&Client) -> Result<T, froben_wire::Error>,
    ) -> Result<T, Error> {
        let start = Instant::now();
        loop {
            let asked = match self.client().await {
                Ok(client) => ask(client).await,
                Err(error) => Err(error),
            };
            let error = match asked {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            match error.disposition() {
                Disposition::Unreachable | Disposition::Timeout => self.client = None,
                Disposition::Busy => {}
                Disposition::Denied
                | Disposition::NotFound
                | Disposition::Invalid
                | Disposition::Unexpected => return Err(error.into()),
            }
            if start.elapsed() >= patience {
                return Err(error.into());
            }
            away(&error);
            tokio::time::sleep(PAUSE).await;
        }
    }
}
