//! Devices that are not to be worked on, because their workers say that they compute wrongly.
//!
//! A device is fenced until the daemon is started again: what was found out about it by known answers is no
//! accident that passes, and its owner has to see to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

/// Device ids, and why each is fenced.
#[derive(Debug, Clone)]
pub(super) struct Fences(Arc<watch::Sender<BTreeMap<String, String>>>);

impl Fences {
    pub(super) fn new() -> Self {
        Fences(Arc::new(watch::Sender::new(BTreeMap::new())))
    }

    pub(super) fn fence(&self, device: &str, why: String) {
        tracing::error!(device, why, "a device is fenced: it gets no more tasks");
        self.0.send_modify(|fenced| {
            fenced.insert(device.to_owned(), why);
        });
    }

    pub(super) fn why(&self, device: &str) -> Option<String> {
        self.0.borrow().get(device).cloned()
    }

    pub(super) fn watch(&self) -> FenceWatch {
        FenceWatch(self.0.subscribe())
    }
}

/// Tells of devices that are fenced after it was made.
#[derive(Debug)]
pub struct FenceWatch(watch::Receiver<BTreeMap<String, String>>);

impl FenceWatch {
    /// Waits for the next device that is fenced, for ever if none is, and gives all that are, each with the reason.
    pub async fn next(&mut self) -> BTreeMap<String, String> {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        self.0.borrow_and_update().clone()
    }
}
