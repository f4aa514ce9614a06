//! Values that were made and could not be told, because the connection broke first.
//!
//! A value that is late still counts while its item is missing, so they are kept from one session to the
//! next and told when the machine is registered again. Failures are not: the coordinator has its own word
//! for what became of the attempt.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use froben_model::{ItemReport, LeaseToken};

/// So many values are kept; the oldest make room.
const KEPT: usize = 64;

/// Of all sessions of a machine.
#[derive(Debug, Default)]
pub struct Outbox(Mutex<Letters>);

#[derive(Debug, Default)]
struct Letters {
    by_number: BTreeMap<u64, (LeaseToken, ItemReport)>,
    next: u64,
}

impl Outbox {
    fn letters(&self) -> std::sync::MutexGuard<'_, Letters> {
        // Whoever panicked had put a letter in or taken one out, and nothing else.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a value until it is told. `None` for what is not kept.
    pub(crate) fn keep(&self, token: LeaseToken, report: &ItemReport) -> Option<u64> {
        if report.outcome.is_err() {
            return None;
        }
        let mut letters = self.letters();
        let number = letters.next;
        letters.next += 1;
        letters.by_number.insert(number, (token, report.clone()));
        if letters.by_number.len() > KEPT {
            letters.by_number.pop_first();
        }
        Some(number)
    }

    /// It was told, or nobody wants to hear of it.
    pub(crate) fn told(&self, number: Option<u64>) {
        if let Some(number) = number {
            self.letters().by_number.remove(&number);
        }
    }

    /// The coordinator does not want the attempt's values any more.
    pub(crate) fn forget(&self, token: &LeaseToken) {
        let of_it = |(other, _): &mut (LeaseToken, ItemReport)| other != token;
        self.letters().by_number.retain(|_, letter| of_it(letter));
    }

    /// Takes what an earlier session could not tell, the oldest first.
    pub(crate) fn take(&self) -> Vec<(LeaseToken, ItemReport)> {
        let letters = std::mem::take(&mut self.letters().by_number);
        letters.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use froben_model::{CallId, ErrorClass, ItemError, Value, WorkflowId};

    use super::*;

    fn token(call: u64) -> LeaseToken {
        LeaseToken {
            workflow: WorkflowId([0; 16]),
            call: CallId(call),
            attempt: 1,
            epoch: 1,
        }
    }

    fn value(index: u32) -> ItemReport {
        ItemReport::new(index, Ok(Value::Nil))
    }

    fn taken(outbox: &Outbox) -> Vec<(u64, u32)> {
        let taken = outbox.take().into_iter();
        taken
            .map(|(token, report)| (token.call.0, report.index))
            .collect()
    }

    #[test]
    fn what_was_told_or_is_not_wanted_is_not_kept() {
        let outbox = Outbox::default();
        let told = outbox.keep(token(1), &value(0));
        outbox.keep(token(1), &value(1));
        outbox.keep(token(2), &value(0));
        outbox.told(told);
        outbox.forget(&token(2));
        assert_eq!(taken(&outbox), [(1, 1)]);
        assert_eq!(taken(&outbox), []);
    }

    #[test]
    fn failures_are_not_kept() {
        let outbox = Outbox::default();
        let failure = ItemError {
            class: ErrorClass::WorkerFailed,
            message: "it broke".to_owned(),
            operator: None,
        };
        let report = ItemReport::new(0, Err(failure));
        assert_eq!(outbox.keep(token(1), &report), None);
        assert_eq!(taken(&outbox), []);
    }

    #[test]
    fn the_newest_are_kept() {
        let outbox = Outbox::default();
        for index in 0..KEPT as u32 + 2 {
            outbox.keep(token(1), &value(index));
        }
        let taken = taken(&outbox);
        assert_eq!((taken.len(), taken[0]), (KEPT, (1, 2)));
    }
}
