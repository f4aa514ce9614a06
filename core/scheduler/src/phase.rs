//! The life of a machine's session: it serves, it may be drained, and it is gone.
//!
//! What it has free, and which kinds it is not offered for a while, are no phases of the whole machine: see
//! [`crate::machine`] and [`crate::bench`].

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Serving,
    /// It finishes what it has.
    Draining,
    /// What it had has been freed.
    Gone,
}

/// What may happen to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Happening {
    /// An attempt is placed on it.
    Assign,
    /// An attempt on it is over.
    Release,
    Drain,
    Leave,
}

/// The phase after what happened; `None` if it cannot happen.
pub(crate) fn next(phase: Phase, happening: Happening) -> Option<Phase> {
    match (phase, happening) {
        (Phase::Serving, Happening::Assign) => Some(Phase::Serving),
        (Phase::Serving | Phase::Draining, Happening::Release) => Some(phase),
        (Phase::Serving, Happening::Drain) => Some(Phase::Draining),
        (Phase::Serving | Phase::Draining, Happening::Leave) => Some(Phase::Gone),
        (Phase::Draining | Phase::Gone, Happening::Assign | Happening::Drain)
        | (Phase::Gone, Happening::Release | Happening::Leave) => None,
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn every_pair_is_a_phase_or_cannot_be() {
        let mut table = String::new();
        for phase in [Phase::Serving, Phase::Draining, Phase::Gone] {
            for happening in [
                Happening::Assign,
                Happening::Release,
                Happening::Drain,
                Happening::Leave,
            ] {
                let after = next(phase, happening);
                let after = after.map_or("-".into(), |phase| format!("{phase:?}"));
                table += &format!("{after:<9}");
            }
            table = format!("{} <- {phase:?}\n", table.trim_end());
        }
        // Assign, Release, Drain, Leave
        expect![[r#"
            Serving  Serving  Draining Gone <- Serving
            -        Draining -        Gone <- Draining
            -        -        -        - <- Gone
        "#]]
        .assert_eq(&table);
    }
}
