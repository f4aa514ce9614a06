//! The scripts of every world: one pipeline in three revisions.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use froben_engine::by_hand::Scripts;
use froben_engine::engine::{Engine, Serving};
use froben_engine::input::Input;
use froben_engine::{Capacity, Rules};
use froben_journal::{
    Batch, Error, MemoryStore, Origin, RevisionHash, ScriptSet, Served, Store, revision_hash,
};
use froben_script::{Limits, Revision};

/// What is served when nothing was served before; what makes the same calls; what makes others.
pub(crate) const REVISIONS: usize = 3;

pub(crate) struct Checked {
    pub(crate) hash: RevisionHash,
    pub(crate) revision: Arc<Revision>,
    scripts: ScriptSet,
}

impl Checked {
    /// Checked once, for all seeds.
    pub(crate) fn all() -> &'static [Checked; REVISIONS] {
        static ALL: LazyLock<[Checked; REVISIONS]> = LazyLock::new(|| {
            let shipped = include_str!("../scripts/batch.lua");
            let other = shipped.replace("\"spare\"", "\"another\"");
            assert_ne!(shipped, other, "invariant: there is a task of this name");
            [
                Checked::of(shipped),
                Checked::of(&format!("{shipped}-- The same once more.\n")),
                Checked::of(&other),
            ]
        });
        &ALL
    }

    fn of(pipeline: &str) -> Self {
        let file = |path: &str, source: &str| (path.to_owned(), source.to_owned());
        let files = BTreeMap::from([
            file("pipelines/batch.lua", pipeline),
            file(
                "lib/retry.lua",
                include_str!("../../../scripts/lib/retry.lua"),
            ),
            file(
                "lib/chunk.lua",
                include_str!("../../../scripts/lib/chunk.lua"),
            ),
            file(
                "lib/options.lua",
                include_str!("../../../scripts/lib/options.lua"),
            ),
        ]);
        let revision = Revision::check(&files, &Limits::default())
            .unwrap_or_else(|problems| panic!("invariant: our own scripts check: {problems:?}"));
        let scripts = ScriptSet { files };
        Checked {
            hash: revision_hash(&scripts),
            scripts,
            revision: Arc::new(revision),
        }
    }

    pub(crate) fn named(hash: RevisionHash) -> &'static Self {
        let named = Self::all().iter().find(|checked| checked.hash == hash);
        named.expect("invariant: nothing else is ever served")
    }
}

/// A coordinator that starts: it serves what was served last, and is told its rules before it reads the
/// journal.
pub(crate) fn start(
    store: &MemoryStore,
    seed: u64,
    rules: Rules,
) -> Result<(Engine, Scripts, u64), Error> {
    for Checked { hash, scripts, .. } in Checked::all() {
        store.put_revision(*hash, scripts)?;
    }
    let entry = match store.newest_served()? {
        Some(entry) => entry,
        None => serve_first(store)?,
    };
    let epoch = store.next_epoch()?;
    let shared: Arc<dyn Store> = Arc::new(store.clone());
    let [first, others @ ..] = Checked::all();
    let scripts = Scripts::new(shared, first.hash, first.revision.clone());
    for Checked { hash, revision, .. } in others {
        scripts.keep(*hash, revision.clone());
    }
    let revision = Checked::named(entry.revision).revision.clone();
    let serving = Serving { entry, revision };
    let mut engine = Engine::new(epoch, seed, rules.policy, serving, Capacity::default());
    engine.handle(0, Input::Rules(rules));
    Ok((engine, scripts, epoch))
}

fn serve_first(store: &MemoryStore) -> Result<Served, Error> {
    let entry = Served {
        index: 1,
        revision: Checked::all()[0].hash,
        time_ms: 0,
        by: "the simulator".to_owned(),
        origin: Origin::Start,
        note: String::new(),
    };
    let served = vec![entry.clone()];
    store.commit(&Batch {
        served,
        ..Batch::default()
    })?;
    Ok(entry)
}
