//! How many connections there may be: in all, and of one identity.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use froben_wire::Subject;

/// Connections by who made them. Clones share the counts.
#[derive(Clone, Default)]
pub(crate) struct Admission {
    by_subject: Arc<Mutex<HashMap<Subject, usize>>>,
}

/// One connection that is let in; dropping it makes room.
pub(crate) struct Admitted {
    admission: Admission,
    subject: Subject,
}

impl Admission {
    /// `None` if `subject` has `limit` connections already.
    pub(crate) fn admit(&self, subject: &Subject, limit: usize) -> Option<Admitted> {
        let mut counts = self.counts();
        let count = counts.entry(subject.clone()).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Admitted {
            admission: self.clone(),
            subject: subject.clone(),
        })
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, HashMap<Subject, usize>> {
        // Counting cannot panic half-way.
        self.by_subject
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut counts = self.admission.counts();
        if let Some(count) = counts.get_mut(&self.subject) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.subject);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use froben_wire::Role;

    use super::*;

    #[test]
    fn one_identity_does_not_take_the_room_of_another() {
        let admission = Admission::default();
        let subject = |name: &str| Subject {
            role: Role::Operator,
            name: name.into(),
        };
        let (a, b) = (subject("a"), subject("b"));
        let first = admission.admit(&a, 2);
        let second = admission.admit(&a, 2);
        assert!(first.is_some() && second.is_some());
        assert!(admission.admit(&a, 2).is_none());
        assert!(admission.admit(&b, 2).is_some());
        drop(first);
        assert!(admission.admit(&a, 2).is_some());
        drop(second);
        assert!(admission.counts().is_empty());
    }
}
