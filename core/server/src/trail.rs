//! What became of a seeker's delegations: an answer holds as many as a message has room for, and says where
//! to go on.

use froben_model::CallId;
use froben_model::trail::{AttemptTrail, DelegationTrail, TrailPage, TrailQuery};
use froben_schema::convert;
use froben_schema::seeker_capnp::seeker_session;

use crate::answer::{busy, first_that_fit, text};
use crate::seeker::{Seeker, no_such_workflow, workflow};

/// A call's number or the key of a delegation.
const WHICH_BYTES: usize = 256;
/// Delegations in one answer.
const ENTRIES: u32 = 1000;
/// Of a delegation that had very many attempts, the newest.
const ATTEMPTS: usize = 64;

pub(crate) async fn answer(
    seeker: &Seeker,
    params: seeker_session::TrailParams,
    mut results: seeker_session::TrailResults,
) -> Result<(), capnp::Error> {
    let params = params.get()?;
    let id = workflow(params.get_id()?)?;
    let query = TrailQuery {
        which: text("a delegation", params.get_which()?, WHICH_BYTES)?,
        failed: params.get_failed_only(),
        from: CallId(params.get_from()),
        limit: params.get_limit().clamp(1, ENTRIES) as usize,
    };
    let found = seeker.peer.engine.trail(seeker.id.clone(), id, query).await;
    let found = found.map_err(busy)?.ok_or_else(|| no_such_workflow(id))?;
    let answer = results.get().init_answer();
    match found {
        Ok(page) => convert::write_trails(&that_fits(page), answer.init_page()),
        Err(failure) => convert::write_failure(&failure, answer.init_refused()),
    }
    Ok(())
}

/// As much of a page as a message holds; the next one begins behind it.
fn that_fits(mut page: TrailPage) -> TrailPage {
    for trail in &mut page.delegations {
        let older = trail.attempts.len().saturating_sub(ATTEMPTS);
        trail.attempts.drain(..older);
    }
    let fit = first_that_fit(&page.delegations, weight).len();
    if let Some(left_out) = page.delegations.get(fit) {
        page.next = Some(left_out.call);
        page.delegations.truncate(fit);
    }
    page
}

/// Bytes of a trail in a message, generously.
fn weight(trail: &DelegationTrail) -> usize {
    let cause = trail.cause.as_ref().map_or(0, |cause| cause.message.len());
    let attempts = trail.attempts.iter().map(|attempt: &AttemptTrail| {
        let cause = attempt
            .cause
            .as_ref()
            .map_or(0, |cause| cause.message.len());
        let lines = attempt.log.iter();
        let log = lines.map(|line| 64 + line.source.len() + line.text.len());
        512 + attempt.device.as_ref().map_or(0, String::len) + cause + log.sum::<usize>()
    });
    512 + trail.key.len() + cause + attempts.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use froben_model::trail::{AttemptEnd, Cause};
    use froben_model::view::{DelegationState, LogLine};
    use froben_model::{ErrorClass, Kind, MachineId, Needs, limits};

    use super::*;

    fn long_trail(call: u64, attempts: u32) -> DelegationTrail {
        let long = "x".repeat(limits::TEXT_BYTES);
        let cause = Some(Cause::of(ErrorClass::WorkerFailed, long.clone()));
        let line = LogLine {
            seq: 1,
            time_ms: 1,
            source: "op/m".to_owned(),
            text: long.clone(),
        };
        let attempt = |number| AttemptTrail {
            number,
            machine: MachineId::new("op/m").unwrap(),
            device: Some(long.clone()),
            claimed: None,
            queued_ms: 1,
            assigned_ms: 1,
            started_ms: None,
            items_ok: 0,
            items_failed: 0,
            first_item_ms: None,
            last_item_ms: None,
            ended_ms: None,
            end: AttemptEnd::Failed,
            cause: cause.clone(),
            log: vec![line.clone(); 8],
        };
        DelegationTrail {
            call: CallId(call),
            key: "k".repeat(256),
            kind: Kind::new("a/1").unwrap(),
            state: DelegationState::Failed,
            needs: Needs::default(),
            items_total: 1,
            items_ok: 0,
            items_failed: 1,
            queued_ms: 1,
            ended_ms: None,
            cause: cause.clone(),
            kept_from: None,
            attempts: (1..=attempts).map(attempt).collect(),
        }
    }

    #[test]
    fn the_longest_trails_fit_a_message_and_go_on_in_the_next() {
        let delegations = (1..=1000).map(|call| long_trail(call, 100)).collect();
        let page = that_fits(TrailPage {
            delegations,
            next: None,
        });
        let shown = page.delegations.len() as u64;
        assert!(shown >= 1);
        assert_eq!(page.next, Some(CallId(shown + 1)));
        let newest = page.delegations[0].attempts.last().map(|a| a.number);
        assert_eq!(newest, Some(100));
        let mut message = capnp::message::Builder::new_default();
        convert::write_trails(&page, message.init_root());
        assert!(message.size_in_words() * 8 < limits::MESSAGE_BYTES);
    }

    #[test]
    fn short_trails_are_a_page() {
        let page = TrailPage {
            delegations: vec![long_trail(1, 1)],
            next: Some(CallId(9)),
        };
        assert_eq!(that_fits(page.clone()), page);
    }
}
