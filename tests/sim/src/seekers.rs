//! What seekers and admins want of the coordinator, and what it promises them.

use froben_engine::effect::{Answer, Effect, Found, Receipt};
use froben_engine::input::{Fork, Input, Submit, Ticket};
use froben_engine::serve::Serve;
use froben_journal::Origin;
use froben_model::{Amount, SeekerId, Terms, Value, WorkflowId};

use crate::agenda::Due;
use crate::plan::Wish;
use crate::revisions::Checked;
use crate::world::{World, broken, seeker};

/// How long a seeker waits before it asks again.
const ASK_AGAIN_MS: u64 = 5_000;

impl World {
    /// Of a workflow of the plan, or of a fork: those are counted behind.
    pub(crate) fn seeker(&self, number: usize) -> SeekerId {
        let workflows = self.plan.workflows.len();
        match number.checked_sub(workflows) {
            Some(fork) => seeker(self.plan.forks[fork].workflow),
            None => seeker(number),
        }
    }

    /// What it is to return.
    pub(crate) fn expected(&self, number: usize) -> Value {
        let fork = number.checked_sub(self.plan.workflows.len());
        let wish = fork.map(|fork| &self.plan.forks[fork]);
        let plan = &self.plan.workflows[wish.map_or(number, |wish| wish.workflow)];
        let (n, child) = match wish.is_some_and(|wish| wish.child) {
            true => (plan.n / 2, false),
            false => (plan.n, plan.child),
        };
        let sum = |n: i64| (1..=n).map(|n| n * n).sum::<i64>();
        let total = sum(n) + if child { sum(n / 2) } else { 0 };
        Value::map([("total", Value::Int(total))])
    }

    /// Whether it may fail for want of money.
    pub(crate) fn is_scant(&self, number: usize) -> bool {
        let fork = number.checked_sub(self.plan.workflows.len());
        let source = fork.map_or(number, |fork| self.plan.forks[fork].workflow);
        self.plan.workflows[source].is_scant()
    }

    /// A seeker submits until it is told what its workflow is called; it is the same one each time.
    pub(crate) fn submit(&mut self, number: usize) -> Option<Input> {
        if self.told.contains_key(&number) {
            return None;
        }
        self.agenda
            .add(self.now + ASK_AGAIN_MS, Due::Submit(number));
        let plan = &self.plan.workflows[number];
        let text = |text: &String| Value::text(text);
        let max_price = plan.max_price.map(|price| Amount(price).to_string());
        let input = Value::map([
            ("n", Value::Int(plan.n)),
            ("child", Value::Bool(plan.child)),
            ("checked", Value::Bool(plan.checked)),
            ("scant", Value::Bool(plan.is_scant())),
            ("keyed", Value::Bool(plan.keyed)),
            ("max_price", max_price.as_ref().map_or(Value::Nil, text)),
            ("avoid", plan.avoid.as_ref().map_or(Value::Nil, text)),
        ]);
        let terms = Terms {
            budget: plan.budget.map(Amount),
            wanted_by_ms: plan.within_ms.map(|within| self.now + within),
        };
        let ticket = self.fleet.ticket();
        self.submits.insert(ticket, number);
        let workflow = self.new_workflow();
        Some(Input::Submit(Submit {
            ticket,
            workflow,
            seed: self.plan.seed,
            seeker: self.seeker(number),
            pipeline: "batch".to_owned(),
            input,
            idempotency_key: format!("workflow {number}"),
            terms,
        }))
    }

    pub(crate) fn serve(&mut self, which: usize) -> Input {
        let Checked { hash, revision, .. } = &Checked::all()[which];
        Input::Serve(Serve {
            ticket: self.fleet.ticket(),
            check_index: None,
            hash: *hash,
            revision: revision.clone(),
            by: "an admin".to_owned(),
            origin: Origin::Apply,
            note: String::new(),
        })
    }

    /// The workflow that a wish is about, if it is known already.
    fn wished(&self, wish: &Wish) -> Option<WorkflowId> {
        let workflow = *self.told.get(&wish.workflow)?;
        match wish.child {
            true => self.checks.child_of(workflow),
            false => Some(workflow),
        }
    }

    /// A workflow moves to another revision, if that makes all its calls again.
    pub(crate) fn migrate(&mut self, number: usize) -> Result<Option<Input>, String> {
        let wish = self.plan.migrations[number].clone();
        let Some(workflow) = self.wished(&wish) else {
            return Ok(None);
        };
        let revision = Checked::all()[wish.revision].hash;
        let fits = self.scripts.fits(&self.store, workflow, revision);
        let Some(calls) = fits.map_err(broken)? else {
            return Ok(None);
        };
        self.checks.may_keep(workflow, revision);
        Ok(Some(Input::Migrate {
            ticket: self.fleet.ticket(),
            seeker: self.seeker(wish.workflow),
            workflow,
            revision,
            calls,
        }))
    }

    /// A workflow is forked, from any step, on any revision that makes the calls before it. Like a submit, it is
    /// asked for until there is an answer.
    pub(crate) fn fork(&mut self, fork: usize) -> Result<Option<Input>, String> {
        let number = self.plan.workflows.len() + fork;
        let wish = self.plan.forks[fork].clone();
        let source = self.wished(&wish);
        let Some(source) = source.filter(|_| !self.told.contains_key(&number)) else {
            return Ok(None);
        };
        let revision = Checked::all()[wish.revision].hash;
        let step = 1 + wish.step % (self.checks.calls(source) + 1);
        let records = self
            .scripts
            .cut(&self.store, source, &format!("#{step}"), revision);
        let Some(records) = records.map_err(broken)? else {
            return Ok(None);
        };
        let again = Due::Fork(fork);
        self.agenda.add(self.now + ASK_AGAIN_MS, again);
        let ticket = self.fleet.ticket();
        self.submits.insert(ticket, number);
        let workflow = self.new_workflow();
        self.checks.may_keep(workflow, revision);
        Ok(Some(Input::Fork(Fork {
            ticket,
            workflow,
            seeker: self.seeker(number),
            idempotency_key: format!("fork {fork}"),
            records,
        })))
    }

    fn new_workflow(&mut self) -> WorkflowId {
        let workflow = WorkflowId(u128::from(self.next_workflow).to_be_bytes());
        self.next_workflow += 1;
        workflow
    }

    /// I8: whatever is served, who runs keeps the revision that is his.
    fn everybody_keeps_his(&mut self) -> Result<(), String> {
        for (number, workflow) in &self.told {
            let status = Input::Status {
                ticket: Ticket(0),
                seeker: self.seeker(*number),
                workflow: *workflow,
            };
            for effect in self.engine.handle(self.now, status).effects {
                if let Effect::Reply {
                    ticket: _,
                    answer: Answer::Detail(Found::Live(detail)),
                } = effect
                {
                    self.checks
                        .shown_with(*workflow, &detail.summary.revision)?;
                }
            }
        }
        Ok(())
    }

    /// Whatever is promised has to be on the disk.
    pub(crate) fn answered(&mut self, ticket: Ticket, answer: Answer) -> Result<(), String> {
        match answer {
            Answer::Submitted(Ok(workflow)) => {
                if !self.checks.knows(workflow) {
                    return Err(format!("{workflow} was promised, and is not written down"));
                }
                if let Some(number) = self.submits.remove(&ticket) {
                    let before = self.told.insert(number, workflow);
                    if before.is_some_and(|before| before != workflow) {
                        return Err(format!("one key, two workflows: {before:?}, {workflow}"));
                    }
                }
            }
            Answer::Submitted(Err(refused)) => {
                return Err(format!("a submit is refused: {refused:?}"));
            }
            Answer::Serve(_) => self.everybody_keeps_his()?,
            Answer::Receipt(Receipt::Recorded) if self.fleet.forged.contains(&ticket) => {
                return Err("I4: an item counts that another machine was to send".to_owned());
            }
            Answer::Receipt(receipt) => match (receipt, self.fleet.asked.remove(&ticket)) {
                (Receipt::Stale, _) => self.stale += 1,
                (Receipt::Recorded, Some((token, index)))
                    if !self.checks.has_item(token, index) =>
                {
                    return Err(format!(
                        "item {index} of {token} was promised, and is not written down"
                    ));
                }
                (Receipt::Recorded, _) => {}
            },
            _ => {}
        }
        Ok(())
    }
}
