use froben_journal::MemoryStore;

use super::super::tests::{history, of, set};
use super::*;

#[test]
fn what_is_served_at_start() {
    let broken = of("pipelines/which.lua", "return (");
    // What was served before, by index; the folder; what is served then and in which entry.
    let cases = [
        (vec![], set(1), Some((1, 1))),
        (vec![], broken.clone(), None),
        (vec![1, 2], set(2), Some((2, 2))),
        (vec![1, 2], set(1), Some((2, 2))),
        (vec![1, 2, 1], set(1), Some((3, 1))),
        (vec![1, 2], set(3), Some((3, 3))),
        (vec![1, 2], broken, Some((2, 2))),
        (vec![1, 2], ScriptSet::default(), Some((2, 2))),
    ];
    for (before, folder, expected) in cases {
        let store = MemoryStore::new();
        for (index, n) in (1..).zip(&before) {
            append(&store, index, &set(*n), true);
        }
        let serving = at_start(&store, folder.clone(), 2000);
        let Some((index, n)) = expected else {
            assert!(matches!(serving, Err(crate::Error::Scripts(_))));
            assert_eq!(history(&store), []);
            continue;
        };
        let serving = serving.expect("it can be served");
        let got = (serving.entry.index, serving.hash());
        assert_eq!(
            got,
            (index, revision_hash(&set(n))),
            "{before:?} {folder:?}"
        );
        assert_eq!(store.newest_served().unwrap(), Some(serving.entry));
        // A second start changes nothing more.
        let again = at_start(&store, folder, 3000).expect("it can be served");
        assert_eq!(again.entry.index, index, "{before:?}");
    }
}

fn append(store: &MemoryStore, index: u64, set: &ScriptSet, with_sources: bool) {
    let revision = revision_hash(set);
    if with_sources {
        store.put_revision(revision, set).unwrap();
    }
    let entry = Served {
        index,
        revision,
        time_ms: index,
        by: "ada".to_string(),
        origin: Origin::Apply,
        note: String::new(),
    };
    store
        .commit(&Batch {
            served: vec![entry],
            ..Batch::default()
        })
        .unwrap();
}

#[test]
fn a_newest_entry_that_can_not_be_served_gives_way_to_the_folder() {
    let broken = of("pipelines/which.lua", "return (");
    for with_sources in [true, false] {
        let store = MemoryStore::new();
        append(&store, 1, &set(1), true);
        append(&store, 2, &broken, with_sources);
        let serving = at_start(&store, set(1), 2000).expect("the folder checks");
        assert_eq!(
            (serving.entry.index, serving.hash()),
            (3, revision_hash(&set(1)))
        );
        assert!(
            serving.entry.note.contains("can't be served"),
            "{serving:?}",
            serving = serving.entry
        );

        let store = MemoryStore::new();
        append(&store, 1, &broken, with_sources);
        let refused = at_start(&store, broken.clone(), 2000);
        assert!(matches!(refused, Err(crate::Error::Scripts(_))));
    }
}
