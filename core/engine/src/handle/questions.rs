//! What is asked about workflows, pipelines and machines. Nothing here changes anything.

use froben_journal::{RevisionHash, Seq, Store};
use froben_model::trail::{TrailPage, TrailQuery};
use froben_model::view::{
    Failure, LogLine, MachineView, PipelineInfo, ProfileView, WhyView, WorkflowDetail,
    WorkflowSummary,
};
use froben_model::{SeekerId, WorkflowId};

use super::lines::log_lines;
use super::{Busy, EngineHandle, unexpected};
use crate::effect::{Answer, Found};
use crate::engine::refusal;
use crate::input::Input;
use crate::offline;
use crate::revisions::Revisions;
use crate::trail::Trails;
use crate::workflow::Workflow;

/// Records that a look for trails reads at once.
const PAGE: usize = 1000;
/// Keys that a refusal names.
const LISTED: usize = 6;

impl EngineHandle {
    /// `None`: the seeker has no such workflow.
    pub async fn status(
        &self,
        seeker: SeekerId,
        workflow: WorkflowId,
    ) -> Result<Option<WorkflowDetail>, Busy> {
        match self.find(seeker, workflow).await? {
            Found::Nowhere => Ok(None),
            Found::Live(detail) => Ok(Some(*detail)),
            Found::Journal => {
                let detail = self
                    .read_journal(move |store| {
                        let records = offline::records(store, workflow)?;
                        Ok(Workflow::replay(workflow, &records).map(|w| w.detail()))
                    })
                    .await?;
                detail
                    .map(Some)
                    .map_err(|misfit| Busy::Journal(misfit.to_string()))
            }
        }
    }

    /// Why a delegation is where it is. `None`: the seeker has no such workflow.
    pub async fn why(
        &self,
        seeker: SeekerId,
        workflow: WorkflowId,
        which: String,
    ) -> Result<Option<Result<WhyView, Failure>>, Busy> {
        match self
            .ask(|ticket| Input::Why {
                ticket,
                seeker,
                workflow,
                which,
            })
            .await?
        {
            Answer::Why(why) => Ok(why),
            other => unexpected(&other),
        }
    }

    pub(super) async fn find(&self, seeker: SeekerId, workflow: WorkflowId) -> Result<Found, Busy> {
        match self
            .ask(|ticket| Input::Status {
                ticket,
                seeker,
                workflow,
            })
            .await?
        {
            Answer::Detail(found) => Ok(found),
            other => unexpected(&other),
        }
    }

    /// The newest first.
    pub async fn list(&self, seeker: SeekerId, limit: usize) -> Result<Vec<WorkflowSummary>, Busy> {
        match self
            .ask(|ticket| Input::List {
                ticket,
                seeker,
                limit,
            })
            .await?
        {
            Answer::List(list) => Ok(list),
            other => unexpected(&other),
        }
    }

    /// A workflow as a file that replays anywhere. `None`: the seeker has no such workflow.
    pub async fn export(
        &self,
        seeker: SeekerId,
        workflow: WorkflowId,
        keep_names: bool,
    ) -> Result<Option<Result<Vec<u8>, Failure>>, Busy> {
        if matches!(self.find(seeker, workflow).await?, Found::Nowhere) {
            return Ok(None);
        }
        let export = move |store: &dyn Store, revisions: &Revisions| {
            offline::export(store, revisions, workflow, keep_names)
        };
        self.replay_journal(export).await.map(Some)
    }

    /// The revision that new workflows get.
    pub async fn newest(&self) -> Result<RevisionHash, Busy> {
        match self.ask(|ticket| Input::Newest { ticket }).await? {
            Answer::Newest(hash) => Ok(hash),
            other => unexpected(&other),
        }
    }

    /// Log lines from `from` on, the oldest first; `None`: the seeker has no such workflow.
    pub async fn logs(
        &self,
        seeker: SeekerId,
        workflow: WorkflowId,
        from: Seq,
        limit: usize,
    ) -> Result<Option<Vec<LogLine>>, Busy> {
        if matches!(self.find(seeker, workflow).await?, Found::Nowhere) {
            return Ok(None);
        }
        self.read_journal(move |store| log_lines(store, workflow, from, limit))
            .await
            .map(Some)
    }

    /// What became of the delegations that are asked for; `None`: the seeker has no such workflow.
    pub async fn trail(
        &self,
        seeker: SeekerId,
        workflow: WorkflowId,
        query: TrailQuery,
    ) -> Result<Option<Result<TrailPage, Failure>>, Busy> {
        if matches!(self.find(seeker, workflow).await?, Found::Nowhere) {
            return Ok(None);
        }
        self.replay_journal(move |store, _| trail(store, workflow, &query))
            .await
            .map(Some)
    }

    pub async fn pipelines(&self) -> Result<Vec<PipelineInfo>, Busy> {
        match self.ask(|ticket| Input::Pipelines { ticket }).await? {
            Answer::Pipelines(pipelines) => Ok(pipelines),
            other => unexpected(&other),
        }
    }

    pub async fn machines(&self) -> Result<Vec<MachineView>, Busy> {
        match self.ask(|ticket| Input::Machines { ticket }).await? {
            Answer::Machines(machines) => Ok(machines),
            other => unexpected(&other),
        }
    }

    /// What kinds of tasks are known to take.
    pub async fn profiles(&self) -> Result<Vec<ProfileView>, Busy> {
        match self.ask(|ticket| Input::Profiles { ticket }).await? {
            Answer::Profiles(profiles) => Ok(profiles),
            other => unexpected(&other),
        }
    }
}

fn trail(
    store: &dyn Store,
    workflow: WorkflowId,
    query: &TrailQuery,
) -> offline::Answered<TrailPage> {
    let mut trails = Trails::default();
    let mut from = 0;
    loop {
        let page = store.read(workflow, from, PAGE)?;
        let Some((last, _)) = page.last() else { break };
        from = last + 1;
        page.iter()
            .for_each(|(seq, record)| trails.apply(*seq, record));
    }
    if trails.knows(&query.which) {
        return Ok(Ok(trails.page(query)));
    }
    let which: String = query.which.chars().take(80).collect();
    let keys = trails.keys(LISTED);
    let keyed = match keys.is_empty() {
        true => "it has handed out nothing".to_string(),
        false => format!("its first keys are `{}`", keys.join("`, `")),
    };
    let why = format!("no delegation has the number or the key `{which}`: {keyed}");
    Ok(Err(refusal("FRB-WFL-004", why)))
}
