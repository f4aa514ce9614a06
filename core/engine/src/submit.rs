//! A seeker's request becomes a workflow.

use froben_journal::{Body, Submitted};
use froben_model::view::Failure;
use froben_model::{SeekerId, WorkflowId, limits};

use crate::effect::{Answer, Effect, Launch, ScriptCommand};
use crate::engine::{Engine, refusal};
use crate::input::Submit;

/// An idempotency key.
const KEY_BYTES: usize = 128;

/// Pipelines that are listed for whoever named none of them.
const LISTED: usize = 20;

/// What to say to somebody who named a pipeline that is not among the `known`.
pub fn meant<'a>(name: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    if let Some(meant) = froben_script::nearest(name, known.clone()) {
        return format!("did you mean `{meant}`?");
    }
    let known: Vec<&str> = known.into_iter().collect();
    let listed = known[..known.len().min(LISTED)].join(", ");
    match known.len().saturating_sub(LISTED) {
        0 => format!("this coordinator serves {listed}"),
        more => format!(
            "this coordinator serves {listed} and {more} more: `froben pipelines` lists them all"
        ),
    }
}

impl Engine {
    pub(crate) fn submit(&mut self, submit: Submit) {
        let ticket = submit.ticket;
        let answer = self.try_submit(submit);
        self.reply(ticket, Answer::Submitted(answer));
    }

    /// The workflow that a key has started. No key is no key.
    pub(crate) fn started_by(
        &self,
        seeker: &SeekerId,
        idempotency_key: &str,
    ) -> Result<Option<WorkflowId>, Failure> {
        if idempotency_key.len() > KEY_BYTES {
            let why = format!("an idempotency key has at most {KEY_BYTES} bytes");
            return Err(refusal("FRB-SUB-005", why));
        }
        if idempotency_key.is_empty() {
            return Ok(None);
        }
        let key = (seeker.clone(), idempotency_key.to_string());
        Ok(self.by_key.get(&key).copied())
    }

    fn try_submit(&mut self, submit: Submit) -> Result<WorkflowId, Failure> {
        let Submit {
            ticket: _,
            workflow,
            seed,
            seeker,
            pipeline,
            input,
            idempotency_key,
            terms,
        } = submit;
        if let Some(started) = self.started_by(&seeker, &idempotency_key)? {
            return Ok(started);
        }
        let pipelines = self.serving.revision.pipelines();
        let Some(info) = pipelines.get(&pipeline) else {
            let meant = meant(&pipeline, pipelines.keys().map(String::as_str));
            let pipeline: String = limits::one_line(&pipeline).chars().take(64).collect();
            let why = format!("there is no pipeline `{pipeline}`; {meant}");
            return Err(refusal("FRB-SUB-001", why));
        };
        input
            .check_limits("the input")
            .map_err(|error| refusal("FRB-SUB-002", error.to_string()))?;
        froben_script::check_input(info, &input).map_err(|why| refusal("FRB-SUB-002", why))?;
        // Written down with its defaults, so that whoever looks at it sees what it ran with.
        let input = info.with_defaults(input);
        self.check_room(&seeker)?;
        let submitted = Submitted {
            pipeline: pipeline.clone(),
            revision: self.serving.hash(),
            seeker,
            idempotency_key,
            input: input.clone(),
            seed,
            parent: None,
            forked_from: None,
            budget: terms.budget,
            wanted_by_ms: terms.wanted_by_ms,
        };
        self.begin(workflow, Body::Submitted(submitted));
        if let Some(begun) = self.live.get_mut(&workflow) {
            begun.script_runs = true;
        }
        let revision = self.serving.hash();
        let launch = Launch {
            workflow,
            revision,
            pipeline,
            input,
            seed,
            started_ms: self.now,
        };
        self.step
            .effects
            .push(Effect::Script(ScriptCommand::Start(launch)));
        Ok(workflow)
    }

    /// Whether the seeker may have one more workflow. Children have places of their own.
    pub(crate) fn check_room(&self, seeker: &SeekerId) -> Result<(), Failure> {
        let own = self.live_of.get(seeker).copied().unwrap_or(0);
        let (limit, whose) = match (self.capacity.live_of_one, self.capacity.live) {
            (limit, _) if own >= limit => (limit, "workflows of yours"),
            (_, limit) if self.live_of.values().sum::<usize>() >= limit => {
                (limit, "workflows of all seekers together")
            }
            _ => return Ok(()),
        };
        let why = format!(
            "{limit} {whose} are live, which is as many as this coordinator takes; submit again when \
             some are over"
        );
        Err(refusal("FRB-SUB-004", why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_near_is_offered_and_a_list_ends_somewhere() {
        let known: Vec<String> = (0..LISTED + 3).map(|n| format!("prove-{n:03}")).collect();
        let known = || known.iter().map(String::as_str);
        let near = meant("prove_007", known());
        assert_eq!(near, "did you mean `prove-007`?");
        let strange = meant("compress", known());
        assert!(
            strange.ends_with("prove-019 and 3 more: `froben pipelines` lists them all"),
            "{strange}"
        );
        let few = meant("compress", known().take(2));
        assert_eq!(few, "this coordinator serves prove-000, prove-001");
    }
}
