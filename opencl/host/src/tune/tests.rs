//! Files of tunings: what is used of them and what is not, on a real device.

use std::fs;
use std::path::Path;

use super::file::{Entry, TuningFile, source_hash};
use super::*;
use crate::device::Device;
use crate::error::Error;
use crate::field::{BabyBear, Field, Goldilocks};
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

const LAYOUT: Tuning = Tuning {
    vector_width: 4,
    group_size: 1,
    tile_bytes: 8 << 10,
    levels: 6,
};

fn entry(operation: Operation, layout: Tuning) -> Entry {
    Entry {
        kernel: operation.name().to_owned(),
        field: BabyBear::NAME.to_owned(),
        source: source_hash::<BabyBear>(operation),
        default_ns: 2,
        best_ns: 1,
        layout,
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
    let source = source_hash::<BabyBear>(Operation::NttPass { inverse: false });
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
    let fold = || {
        let mut targets = targets();
        targets
            .find(|target| (target.kernel(), target.field()) == ("fri_fold", "babybear"))
            .expect("folding can be tuned")
    };
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
    let tuned = fold().tune(&session).expect("measured");
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
    let tuned = fold().tune(&session);
    assert!(matches!(tuned, Err(Error::WrongAnswer { .. })), "{tuned:?}");
}
