//! Calls that end between their launches, and what they say of how far they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use froben_opencl::{
    BabyBear, BabyBear4, BabyBear16, Control, Elements, Error, Fold, INFINITY, LeafMatrix,
    MerkleBabyBear, MsmBn254, NttBabyBear, Permute, Progress, Result, ScalarForm, Session,
    SessionOptions,
};

use crate::{device, elements, native};

/// Does something on a session and says what came out.
type Call = fn(&Session) -> Result<Vec<u64>>;

fn values(count: usize) -> Elements<BabyBear> {
    elements::<p3_baby_bear::BabyBear>(11, count).into()
}

fn widened(elements: Elements<BabyBear>) -> Vec<u64> {
    elements.words().iter().map(|&word| word.into()).collect()
}

const CALLS: [(&str, Call); 8] = [
    ("dft", |session| {
        NttBabyBear::new(session)
            .dft_batch(values(16 << 12), 16)
            .map(widened)
    }),
    ("long dft", |session| {
        NttBabyBear::new(session)
            .dft_batch(values(1 << 17), 1)
            .map(widened)
    }),
    ("idft", |session| {
        NttBabyBear::new(session)
            .idft_batch(values(3 << 15), 3)
            .map(widened)
    }),
    ("lde", |session| {
        NttBabyBear::new(session)
            .coset_lde_batch(values(5 << 12), 5, 2, 7)
            .map(widened)
    }),
    ("fold", |session| {
        Fold::<BabyBear4>::new(session)
            .fold(values(4 << 12), 7, &values(4))
            .map(widened)
    }),
    ("tree", |session| {
        let leaves = [(1 << 10, 9), (1 << 10, 40), (1 << 4, 3)].map(|(rows, columns)| LeafMatrix {
            values: values(rows * columns),
            columns,
        });
        let layers = MerkleBabyBear::new(session).build(leaves.into())?;
        Ok(widened(layers.into_parts().0))
    }),
    ("permutation", |session| {
        Permute::<BabyBear16>::new(session)
            .permute(values(16 << 9), 2)
            .map(widened)
    }),
    ("msm", |session| {
        let scalars = (0..600).map(|word| [word, word, 1, word]).collect();
        let sum = MsmBn254::new(session).msm(
            Arc::new([INFINITY; 600]),
            scalars,
            ScalarForm::Canonical,
        )?;
        Ok(sum.concat())
    }),
];

/// In the device's own layout and in that of a GPU, with room for the whole and for a part.
fn sessions() -> impl Iterator<Item = Session> {
    let layouts = [(false, None), (true, None), (true, Some(700 << 10))];
    layouts
        .into_iter()
        .filter_map(|(gpu_layout, memory_limit_bytes)| {
            let options = SessionOptions {
                gpu_layout,
                memory_limit_bytes,
                ..SessionOptions::default()
            };
            Some(Session::open_with(&device()?, options).expect("the device opens"))
        })
}

fn is_possible(result: &Result<Vec<u64>>) -> bool {
    // The tables of a multiplication do not fit the small session.
    !matches!(result, Err(Error::OutOfDeviceMemory { .. }))
}

#[test]
fn all_that_was_planned_is_done_and_counted() {
    for session in sessions() {
        for (name, call) in CALLS {
            if !is_possible(&call(&session)) {
                continue;
            }
            let control = Control::new();
            assert_eq!(control.progress(), Progress::default());
            let before = session.stats();
            call(&session.controlled(&control)).expect(name);
            let launches = session.stats().since(&before).launches();
            let Progress {
                launches_done,
                launches_planned,
            } = control.progress();
            assert_eq!(launches_planned, launches, "{name}");
            assert_eq!(launches_done, launches, "{name}");
        }
    }
}

/// Before the first launch, and after each.
#[test]
fn a_call_ends_wherever_it_is_cancelled_and_the_session_goes_on() {
    for session in sessions() {
        for (name, call) in CALLS {
            let expected = call(&session);
            if !is_possible(&expected) {
                continue;
            }
            let expected = expected.expect(name);
            session.take_peak_bytes().expect("a session");
            let tables = session.take_peak_bytes().expect("a session");
            let mut ends = 0;
            loop {
                let asked = Arc::new(AtomicU64::new(0));
                let control = Control::until(move || asked.fetch_add(1, Ordering::Relaxed) >= ends);
                let result = call(&session.controlled(&control));
                session.take_peak_bytes().expect("a session");
                let left = session.take_peak_bytes().expect("a session");
                assert!(
                    left <= tables,
                    "{name}: memory is free after {ends} launches"
                );
                match result {
                    Err(Error::Cancelled { launches_done, .. }) => {
                        assert!(launches_done <= ends, "{name}: {launches_done} of {ends}");
                    }
                    other => {
                        assert!(other.expect(name) == expected, "{name}");
                        break;
                    }
                }
                ends += 1;
                // A few places are as good as all of a long call.
                if ends == 12 {
                    break;
                }
            }
            assert!(ends > 1, "{name}");
            assert!(call(&session).expect(name) == expected, "{name}");
        }
    }
}

#[test]
fn what_is_cancelled_before_it_begins_launches_nothing() {
    let Some(session) = native() else { return };
    let control = Control::new();
    let held = session.controlled(&control);
    control.clone().cancel();
    for (name, call) in CALLS {
        let refused = call(&held);
        assert!(
            matches!(
                refused,
                Err(Error::Cancelled {
                    launches_done: 0,
                    launches_planned: 0,
                    ..
                })
            ),
            "{name}: {refused:?}"
        );
    }
    assert!(control.is_cancelled());
}

/// Thousands of launches, of which no more than a few are waited for.
#[test]
fn another_thread_ends_a_call_that_goes_on() {
    let Some(session) = native() else { return };
    let control = Control::new();
    let held = session.controlled(&control);
    let call = thread::spawn(move || {
        loop {
            NttBabyBear::new(&held).dft_batch(values(16 << 16), 16)?;
        }
    });
    while control.progress().launches_done == 0 {
        thread::yield_now();
    }
    control.cancel();
    let ended: Result<()> = call.join().expect("no panic");
    assert!(matches!(ended, Err(Error::Cancelled { .. })), "{ended:?}");
}
