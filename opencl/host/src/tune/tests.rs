//! Files of tunings: what is used of them and what is not, on a real device.

use std::fs;
use std::path::Path;

use super::file::{Entry, TuningFile};
use super::targets::Context;
use super::*;
use crate::device::Device;
use crate::error::Error;
use crate::field::{BabyBear, Field, Goldilocks};
use crate::hash::BabyBear16;
use crate::session::{Session, SessionOptions};
use crate::storage::Storage;

fn device() -> Option<Device> {
    match Device::discover() {
        Ok(devices) => devices.into_iter().next(),
        Err(error) => {
            println!("SKIP: {error}");
            None
        }
    }
}

const FOLD: Operation = Operation::FriFold {
    degree: 4,
    log_arity: 3,
};

const PERMUTE: Operation = Operation::Poseidon2Permute;

const LAYOUT: Tuning = Tuning {
    vector_width: 4,
    group_size: 1,
    tile_bytes: 8 << 10,
    levels: 6,
};

fn target(operation: Operation) -> Target {
    let names = (operation.name(), BabyBear::NAME);
    let found = targets().find(|target| (target.kernel(), target.field()) == names);
    found.expect("it can be tuned")
}

fn entry(operation: Operation, layout: Tuning) -> Entry {
    Entry {
        kernel: operation.name().to_owned(),
        field: BabyBear::NAME.to_owned(),
        source: target(operation).source_hash(),
        default_ns: 2,
        best_ns: 1,
        layout: layout.into(),
    }
}

fn file(device: &Device, folder: &Path) -> TuningFile {
    let storage = Storage::Folder(folder.to_owned());
    TuningFile::new(&storage, device).expect("a folder")
}

fn of_pass(tunings: &Tunings) -> Option<Tuning> {
    tunings.get(Operation::NttPass { inverse: false }, BabyBear::NAME)
}

#[test]
fn what_is_saved_is_loaded_and_each_kernel_has_one_entry() {
    let Some(device) = device() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let file = file(&device, dir.path());
    assert_eq!(of_pass(&file.load()), None);
    let other = Tuning {
        levels: 7,
        ..LAYOUT
    };
    for (operation, layout) in [
        (Operation::NttPass { inverse: false }, other),
        (FOLD, other),
        (Operation::NttPass { inverse: false }, LAYOUT),
    ] {
        file.save(entry(operation, layout)).expect("saved");
    }
    let tunings = file.load();
    assert_eq!(of_pass(&tunings), Some(LAYOUT));
    assert_eq!(tunings.get(FOLD, BabyBear::NAME), Some(other));
    assert_eq!(
        tunings.get(Operation::NttPass { inverse: false }, Goldilocks::NAME),
        None
    );
    let text = fs::read_to_string(file.path()).expect("a file");
    assert_eq!(text.matches("[[kernel]]").count(), 2, "{text}");
    assert!(text.contains("froben-operator tune"), "{text}");
}

#[test]
fn what_cannot_be_used_leaves_the_defaults() {
    let Some(device) = device() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let file = file(&device, dir.path());
    file.save(entry(Operation::NttPass { inverse: false }, LAYOUT))
        .expect("saved");
    let good = fs::read_to_string(file.path()).expect("a file");
    let bad = |from: &str, to: &str| {
        assert!(good.contains(from), "{from} is not in {good}");
        good.replacen(from, to, 1)
    };
    let source = target(Operation::NttPass { inverse: false }).source_hash();
    for text in [
        bad("format = 1", "format = 2"),
        bad("key = \"", "key = \"0"),
        bad(&source, "0"),
        bad("ntt_pass", "ntt_passage"),
        bad("babybear", "bear"),
        bad("vector_width = 4", "vector_width = 3"),
        bad("vector_width = 4", "vector_width = -4"),
        // Would abort the process if it were launched.
        bad("tile_bytes = 8192", "tile_bytes = 1099511627776"),
        bad("tile_bytes = 8192", ""),
        bad("levels = 6", "levels = 6\nheight = 1"),
        good[..good.len() / 2].to_owned(),
        String::new(),
        "\u{0}\u{1}".to_owned(),
    ] {
        fs::write(file.path(), &text).expect("written");
        assert_eq!(of_pass(&file.load()), None, "{text}");
    }
    fs::write(file.path(), [0xff, 0xfe]).expect("written");
    assert_eq!(of_pass(&file.load()), None);
    // What is broken is written anew.
    file.save(entry(Operation::NttPass { inverse: false }, LAYOUT))
        .expect("saved");
    assert_eq!(of_pass(&file.load()), Some(LAYOUT));
}

#[test]
fn a_session_uses_what_was_measured_and_tests_it() {
    let Some(device) = device() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    file(&device, dir.path())
        .save(entry(Operation::NttPass { inverse: false }, LAYOUT))
        .expect("saved");
    let options = |gpu_layout| SessionOptions {
        storage: Storage::Folder(dir.path().to_owned()),
        gpu_layout,
        ..SessionOptions::default()
    };
    let used = |session: &Session| {
        let used = session
            .run(|engine| Ok(engine.tuning::<BabyBear>(Operation::NttPass { inverse: false })));
        used.expect("it answers")
    };
    let session = Session::open_with(&device, options(false)).expect("the device opens");
    assert_eq!(used(&session), LAYOUT);
    // Of another layout nothing was measured.
    let gpu = Session::open_with(&device, options(true)).expect("the device opens");
    assert_ne!(used(&gpu), LAYOUT);

    // A lane of four is wrong here, others are right: what was kept is blamed before the device.
    let wrong_at_four = |source: &str| {
        source.replace(
            "x[1] = f_sub(sum, b)",
            "x[1] = VW == 4 ? f_add(sum, b) : f_sub(sum, b)",
        )
    };
    let session = Session::open_patched(&device, options(false), wrong_at_four)
        .expect("the default layout is right");
    assert_ne!(used(&session), LAYOUT);
}

#[test]
fn a_wrong_candidate_is_left_out_and_a_wrong_default_is_an_error() {
    let Some(device) = device() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let options = || SessionOptions {
        storage: Storage::Folder(dir.path().to_owned()),
        ..SessionOptions::default()
    };
    let fold = || target(FOLD);
    let default = Session::open_with(&device, options())
        .and_then(|session| session.run(|engine| Ok(engine.shape::<BabyBear>(FOLD))))
        .expect("the device opens");
    if (default.vector_width, default.group_size) != (8, 1) {
        return println!("SKIP: the bugs are planted for lanes of 8, and these are {default:?}");
    }
    let half = |source: &str| {
        source.replace(
            "folded = f_halve(folded)",
            "folded = VW == 4 ? folded : f_halve(folded)",
        )
    };
    let session = Session::open_patched(&device, options(), half).expect("the default is right");
    let tuned = fold().tune(&session, |_, _| ()).expect("measured");
    assert_eq!(
        (tuned.candidates, tuned.rejected.len()),
        (3, 1),
        "{tuned:?}"
    );
    assert!(
        tuned.rejected[0].starts_with("lane 4, group 1"),
        "{tuned:?}"
    );
    assert!(!tuned.layout.starts_with("lane 4"), "{tuned:?}");
    assert!(tuned.best_ns <= tuned.default_ns && tuned.best_ns > 0);
    assert_eq!(tuned.not_kept, None);
    let kept = file(&device, dir.path()).load();
    assert!(kept.get(FOLD, BabyBear::NAME).is_some());

    // Right at the sizes of the self-test, and wrong at the one that is timed.
    let large = |source: &str| {
        source.replace(
            "folded = f_halve(folded)",
            "folded = rows > 10000 ? folded : f_halve(folded)",
        )
    };
    let session = Session::open_patched(&device, options(), large).expect("small ones are right");
    let tuned = fold().tune(&session, |_, _| ());
    assert!(matches!(tuned, Err(Error::WrongAnswer { .. })), "{tuned:?}");
}

/// Entries of other versions stand beside ours: they are left alone, and ours are used.
#[test]
fn an_entry_that_is_not_known_costs_itself_alone() {
    let Some(device) = device() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let file = file(&device, dir.path());
    let pass = Operation::NttPass { inverse: false };
    file.save(entry(pass, LAYOUT)).expect("saved");
    let old = fs::read_to_string(file.path()).expect("a file");
    let of_msm = MsmTuning {
        group_size: 1,
        groups: 8,
        run: 4096,
        wider: [0, 1, 0, -1],
    };
    let msm = targets().find(|target| target.kernel() == "msm");
    let msm = Entry {
        kernel: "msm".to_owned(),
        field: "bn254".to_owned(),
        source: msm.expect("it can be tuned").source_hash(),
        default_ns: 2,
        best_ns: 1,
        layout: of_msm.into(),
    };
    // As a version that knows no such kernel left it, and one that keeps something else.
    for more in [
        "kernel = \"fri_fold2\"\nfield = \"babybear\"\nsource = \"0\"\ndefault_ns = 2\nbest_ns = 1\n\
         [kernel.layout]\nvector_width = 8\ngroup_size = 1\ntile_bytes = 8192\nlevels = 6\n",
        "kernel = \"ntt_pass\"\nfield = \"other\"\nlayout = 7\n",
        "later = true\n",
    ] {
        fs::write(file.path(), format!("{old}\n[[kernel]]\n{more}")).expect("written");
        assert_eq!(of_pass(&file.load()), Some(LAYOUT), "{more}");
        file.save(msm.clone()).expect("saved");
        let tunings = file.load();
        assert_eq!(of_pass(&tunings), Some(LAYOUT), "{more}");
        assert_eq!(tunings.msm(), Some(of_msm), "{more}");
        let text = fs::read_to_string(file.path()).expect("a file");
        assert_eq!(text.matches("[[kernel]]").count(), 3, "{text}");
    }
    // What the device cannot run is not used, and what is of another kind neither.
    for bad in [
        MsmTuning { run: 12, ..of_msm },
        MsmTuning { run: 0, ..of_msm },
        MsmTuning {
            groups: 0,
            ..of_msm
        },
        MsmTuning {
            group_size: 3,
            ..of_msm
        },
        MsmTuning {
            group_size: 1 << 20,
            ..of_msm
        },
        MsmTuning {
            wider: [9; 4],
            ..of_msm
        },
    ] {
        let layout = bad.into();
        file.save(Entry {
            layout,
            ..msm.clone()
        })
        .expect("saved");
        assert_eq!(file.load().msm(), None, "{bad:?}");
    }
    let layout = LAYOUT.into();
    file.save(Entry { layout, ..msm }).expect("saved");
    assert_eq!(file.load().msm(), None);
    let layout = of_msm.into();
    file.save(Entry {
        layout,
        ..entry(pass, LAYOUT)
    })
    .expect("saved");
    assert_eq!(of_pass(&file.load()), None);
}

/// A source of one element a lane must not be launched in lanes of four, whatever a file says.
#[test]
fn lanes_that_the_sources_do_not_have_are_refused() {
    let Some(device) = device() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let file = file(&device, dir.path());
    let permutation = Operation::Poseidon2Permute;
    let target = targets().find(|target| target.field() == "bn254_3");
    let target = target.expect("it can be tuned");
    for (vector_width, used) in [(1, true), (4, true), (2, false), (16, false)] {
        let layout = Tuning {
            vector_width,
            ..LAYOUT
        };
        let entry = Entry {
            kernel: target.kernel().to_owned(),
            field: "bn254_3".to_owned(),
            source: target.source_hash(),
            default_ns: 2,
            best_ns: 1,
            layout: layout.into(),
        };
        file.save(entry).expect("saved");
        let kept = file.load().get(permutation, "bn254_3");
        assert_eq!(kept.is_some(), used, "{layout:?}");
    }
}

/// What is tried of hashes and of BN254: a lane that hashes wrongly is fast, and is not chosen.
#[test]
fn a_wrong_hash_is_left_out() {
    let Some(device) = device() else { return };
    let options = || SessionOptions {
        storage: Storage::None,
        ..SessionOptions::default()
    };
    let tune = |session: &Session, kernel: &str, name: &str| {
        let names = (kernel, name);
        let target = targets().find(|target| (target.kernel(), target.field()) == names);
        let told = std::sync::Mutex::new(0);
        let told = move |number, of| {
            let mut last = told.lock().expect("not poisoned");
            assert_eq!((number, *last < of), (*last + 1, true));
            *last = number;
        };
        let target = target.expect("it can be tuned");
        target.tune(session, told).expect("measured")
    };
    let native = Session::open_with(&device, options()).expect("the device opens");
    let width = native.run(|engine| Ok(engine.hash_shape::<BabyBear16>(PERMUTE).vector_width));
    if width.expect("it answers") != 16 {
        return println!("SKIP: the bugs are planted for lanes of 16 and less");
    }
    let wrong_at_eight = |source: &str| {
        source.replace(
            "t < times; t++) poseidon2(s, constants)",
            "t < (VW == 8 ? 0 : times); t++) poseidon2(s, constants)",
        )
    };
    let session = Session::open_patched(&device, options(), wrong_at_eight).expect("it opens");
    let tuned = tune(&session, "poseidon2_permute", "babybear_16");
    assert_eq!(
        (tuned.candidates, tuned.rejected.len()),
        (2, 1),
        "{tuned:?}"
    );
    assert!(tuned.rejected[0].starts_with("lane 8"), "{tuned:?}");
    assert!(tuned.layout.starts_with("lane 16"), "{tuned:?}");
    assert_eq!(tuned.best_ns, tuned.default_ns);

    // A tree that is right where it is small.
    let wrong_when_large = |source: &str| {
        source.replace(
            "from + 2 * (ulong)node",
            "from + (VW == 8 && nodes > 10000 ? 1 : 2) * (ulong)node",
        )
    };
    let session = Session::open_patched(&device, options(), wrong_when_large).expect("it opens");
    let tuned = tune(&session, "merkle_nodes", "koalabear_16");
    assert_eq!(tuned.rejected.len(), 1, "{tuned:?}");
    assert!(tuned.rejected[0].starts_with("lane 8"), "{tuned:?}");

    // Nothing is wrong with the field of BN254 and its two ways to compute.
    let tuned = tune(&native, "poseidon2_permute", "bn254_3");
    assert_eq!(
        (tuned.candidates, tuned.rejected.len()),
        (2, 0),
        "{tuned:?}"
    );
}

/// Windows of nine bits are skipped: nothing is faster.
#[test]
fn a_wrong_multiplication_is_left_out() {
    let Some(device) = device() else { return };
    let options = SessionOptions {
        storage: Storage::None,
        ..SessionOptions::default()
    };
    let skip = |source: &str| {
        source
            .replace(
                "if (begin >= totals[window]) continue;",
                "if (begin >= totals[window] || buckets_per_window == 256) continue;",
            )
            .replace(
                "  if (begin >= total) return;",
                "  if (begin >= total || buckets_per_window == 256) return;",
            )
    };
    let session = Session::open_patched(&device, options, skip).expect("it opens");
    let found = session.run(|engine| {
        let (file, told) = (None, &|_, _| ());
        let (found, tried) = msm::search_at(engine, &Context { file, told }, 12, &[12])?;
        Ok((found.layout, engine.msm_tuning(), found.rejected, tried))
    });
    let (layout, used, rejected, tried) = found.expect("the default is right");
    assert_eq!(used, layout);
    // Nine bits are one less than a processor's default, and one more than a GPU's.
    let nine = if layout.group_size == 1 { -1 } else { 1 };
    assert_ne!(layout.wider[0], nine, "{layout:?}");
    assert_eq!(rejected.len(), 1, "{rejected:?}");
    let named = format!("windows {nine:+} +0 +0 +0");
    assert!(rejected[0].contains(&named), "{rejected:?}");
    assert!(tried > 5, "{tried}");
}
