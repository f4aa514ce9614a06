//! One attempt: what its worker says, told to the coordinator.

use std::sync::Arc;
use std::time::Duration;

use froben_model::{ErrorClass, ItemError, ItemReport, LeaseToken, limits};
use froben_schema::convert;
use froben_schema::operator_capnp::{Receipt, registration};
use froben_wire::{Disposition, call, failed};
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::Outbox;
use crate::workers::{Level, Running, WorkerEvent};

/// Items of one attempt that wait for their receipts.
const ITEMS: usize = 8;
/// Before a report that the coordinator was too busy for is repeated.
const PAUSE: Duration = Duration::from_millis(250);

/// What becomes of the attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// The coordinator has it on disk.
    Recorded,
    /// Nobody wants to hear of the attempt any more.
    Over,
    /// The connection is gone.
    Lost,
}

/// Where reports go.
pub(crate) struct Reporter {
    pub(crate) registration: registration::Client,
    pub(crate) patience: Duration,
    /// Reports under way, of all attempts.
    pub(crate) reports: Arc<Semaphore>,
    /// What cannot be told over this connection.
    pub(crate) outbox: Arc<Outbox>,
}

/// Tells what happens in `running` until it ends, is cancelled, or nobody wants it: then the worker
/// is stopped, by dropping `running`.
pub(crate) async fn report(
    reporter: Reporter,
    token: LeaseToken,
    mut running: Running,
    cancelled: CancellationToken,
) {
    let mut receipts = FuturesUnordered::new();
    let mut end: Option<Option<ItemError>> = None;
    loop {
        if let Some(failure) = end.take_if(|_| receipts.is_empty()) {
            tokio::select! {
                _ = reporter.finish(token, failure) => {}
                () = cancelled.cancelled() => {}
            }
            return;
        }
        let listening = end.is_none() && receipts.len() < ITEMS;
        tokio::select! {
            () = cancelled.cancelled() => return,
            Some(told) = receipts.next() => match told {
                Told::Recorded => {}
                Told::Over => {
                    tracing::info!(%token, "the attempt is over");
                    reporter.outbox.forget(&token);
                    return;
                }
                Told::Lost => return,
            },
            event = running.next(), if listening => match event {
                Some(WorkerEvent::Item { index, outcome, device, usage }) => {
                    receipts.push(reporter.item(token, ItemReport { index, outcome, device, usage }));
                }
                Some(WorkerEvent::Log { level, line }) => reporter.log(token, level, &line),
                Some(WorkerEvent::Finished { failure, peak_ram_bytes }) => {
                    let ended = failure.as_ref().map_or("done", |failure| failure.class.name());
                    tracing::info!(%token, ended, peak_ram_bytes, "an attempt has ended");
                    end = Some(failure);
                }
                None => end = Some(None),
            },
        }
    }
}

/// Tells what earlier sessions could not.
pub(crate) async fn report_late(reporter: Reporter, cancelled: CancellationToken) {
    let late = reporter.outbox.take().into_iter();
    let mut receipts: FuturesUnordered<_> = late
        .map(|(token, report)| reporter.item(token, report))
        .collect();
    let all = async {
        let (mut counted, mut too_late) = (0, 0);
        while let Some(told) = receipts.next().await {
            counted += usize::from(told == Told::Recorded);
            too_late += usize::from(told == Told::Over);
        }
        if counted + too_late > 0 {
            tracing::info!(counted, too_late, "told what an earlier session could not");
        }
    };
    tokio::select! {
        () = cancelled.cancelled() => {}
        () = all => {}
    }
}

impl Reporter {
    /// Reports an item until it is recorded. It counts once, however often it is told. Until then a value is
    /// in the outbox.
    fn item(&self, token: LeaseToken, report: ItemReport) -> impl Future<Output = Told> {
        let kept = self.outbox.keep(token, &report);
        async move {
            let told = self.tell(token, report).await;
            if told != Told::Lost {
                self.outbox.told(kept);
            }
            told
        }
    }

    async fn tell(&self, token: LeaseToken, report: ItemReport) -> Told {
        let ItemReport {
            index,
            mut outcome,
            device,
            usage,
        } = report;
        let Ok(_turn) = self.reports.acquire().await else {
            return Told::Lost;
        };
        let mut refused = false;
        loop {
            let mut request = self.registration.item_request();
            let mut item = request.get();
            convert::write_token(&token, item.reborrow().init_token());
            item.set_index(index);
            convert::write_outcome(&outcome, item.reborrow().init_outcome());
            if let Some(device) = &device {
                item.reborrow().set_device(device);
            }
            convert::write_usage(&usage, item.init_usage());
            let what = "reporting an item";
            let told = call(what, self.patience, request.send().promise).await;
            let receipt = told.and_then(|answer| {
                let receipt = answer.get().and_then(|answer| Ok(answer.get_receipt()?));
                receipt.map_err(|error| failed(what, &error))
            });
            match receipt {
                Ok(Receipt::Recorded) => return Told::Recorded,
                Ok(Receipt::Stale) => return Told::Over,
                Err(error) => match error.disposition() {
                    Disposition::Busy | Disposition::Timeout => tokio::time::sleep(PAUSE).await,
                    Disposition::Invalid if !refused => {
                        // The worker's result, not the link, is at fault; the script should know.
                        refused = true;
                        let message = format!("the coordinator refused the result: {error}");
                        outcome = Err(ItemError {
                            class: ErrorClass::WorkerFailed,
                            message: limits::one_line(&message),
                            operator: None,
                        });
                    }
                    Disposition::Unreachable => {
                        tracing::info!(%token, index, %error, "an item could not be reported");
                        return Told::Lost;
                    }
                    _ => {
                        tracing::warn!(%token, index, %error, "an item is not taken");
                        return Told::Over;
                    }
                },
            }
        }
    }

    async fn finish(&self, token: LeaseToken, failure: Option<ItemError>) {
        loop {
            let mut request = self.registration.finish_request();
            convert::write_token(&token, request.get().init_token());
            if let Some(failure) = &failure {
                convert::write_item_error(failure, request.get().init_failure());
            }
            let told = call("reporting the end", self.patience, request.send().promise).await;
            match told.map_err(|error| (error.disposition(), error)) {
                Err((Disposition::Busy | Disposition::Timeout, _)) => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err((_, error)) => {
                    tracing::info!(%token, %error, "the end could not be reported");
                    return;
                }
                Ok(_) => return,
            }
        }
    }

    /// Passes a worker's line on, unless reports are waiting already.
    fn log(&self, token: LeaseToken, level: Level, line: &str) {
        if level < Level::Info {
            tracing::debug!(%token, line, "worker");
            return;
        }
        let Ok(turn) = self.reports.clone().try_acquire_owned() else {
            return;
        };
        let mut request = self.registration.log_request();
        convert::write_token(&token, request.get().init_token());
        request.get().set_line(limits::one_line(line));
        let (sent, patience) = (request.send().promise, self.patience);
        tokio::task::spawn_local(async move {
            let _turn = turn;
            let _ = call("passing on a line", patience, sent).await;
        });
    }
}
