use std::process::Command;
use std::{env, thread};

use froben_opencl::{
    BabyBear, BabyBear4, Device, Elements, Error, Fold, NttBabyBear, Session, SessionOptions,
};
use p3_field::PrimeCharacteristicRing as _;
use p3_field::PrimeField32;

use crate::{device, elements, native};

const P: u32 = 0x7800_0001;

fn values(count: usize) -> Elements<BabyBear> {
    elements::<p3_baby_bear::BabyBear>(7, count).into()
}

#[test]
fn a_device_is_listed_once_and_found_by_its_identity() {
    let Some(device) = device() else { return };
    let devices = Device::discover().expect("a device was just found");
    let same = devices.iter().filter(|other| other.id == device.id);
    assert_eq!(same.count(), 1);
    assert_eq!(
        Device::find(&device.id).expect("it was listed").name,
        device.name
    );
    assert!(!device.name.is_empty() && !device.driver_version.is_empty());
    assert!(device.global_memory_bytes >= device.max_allocation_bytes);
    assert!(matches!(
        Device::find("pci:ffff:ff:1f.7"),
        Err(Error::UnknownDevice { .. })
    ));
}

#[test]
fn shapes_without_a_meaning_are_refused_before_anything_is_launched() {
    let Some(session) = native() else { return };
    let (ntt, fold) = (NttBabyBear::new(session), Fold::<BabyBear4>::new(session));
    let beta = values(4);
    let refused = [
        ("no columns", ntt.dft_batch(values(8), 0)),
        ("no rows", ntt.dft_batch(values(0), 3)),
        ("half a row", ntt.dft_batch(values(7), 2)),
        ("three rows", ntt.idft_batch(values(6), 2)),
        (
            "past the subgroups",
            ntt.coset_lde_batch(values(2), 2, 28, 1),
        ),
        (
            "a shift in the billions",
            ntt.coset_lde_batch(values(2), 2, u32::MAX, 1),
        ),
        ("a coset at zero", ntt.coset_idft_batch(values(4), 1, 0)),
        ("a short challenge", fold.fold(values(16), 1, &values(3))),
        ("arity one", fold.fold(values(16), 0, &beta)),
        ("an arity past the layer", fold.fold(values(16), 3, &beta)),
        ("three elements", fold.fold(values(12), 1, &beta)),
        ("half an element", fold.fold(values(18), 1, &beta)),
        ("an empty layer", fold.fold(values(0), 1, &beta)),
    ];
    for (name, result) in refused {
        assert!(matches!(result, Err(Error::Shape(_))), "{name}: {result:?}");
    }
}

#[test]
fn words_that_are_no_elements_are_refused() {
    let Some(session) = native() else { return };
    for word in [P, P + 1, u32::MAX] {
        let mut bad = values(16).into_words();
        bad[5] = word;
        match Elements::<BabyBear>::new(bad) {
            Err(Error::NotCanonical {
                index: 5,
                word: shown,
                ..
            }) => {
                assert_eq!(shown, format!("{word:x}"));
            }
            other => panic!("{other:?}"),
        }
        let ntt = NttBabyBear::new(session);
        let refused = ntt.coset_lde_batch(values(16), 2, 1, word);
        assert!(
            matches!(refused, Err(Error::NotCanonical { .. })),
            "{refused:?}"
        );
    }
}

#[test]
fn what_does_not_fit_goes_in_panels_and_what_cannot_is_refused() {
    let (Some(device), Some(whole)) = (device(), native()) else {
        return;
    };
    // Room for the tables and a few of the 37 columns of 2^10 rows, extended by two.
    let open = |memory_limit_bytes| {
        let options = SessionOptions {
            memory_limit_bytes: Some(memory_limit_bytes),
            ..SessionOptions::default()
        };
        Session::open_with(&device, options).expect("the device opens")
    };
    let tight = open(96 << 10);
    let (input, columns) = (values(37 << 10), 37);
    let shift = p3_baby_bear::BabyBear::from_u32(31).to_unique_u32();
    let lde = |session| NttBabyBear::new(session).coset_lde_batch(input.clone(), columns, 1, shift);
    assert!(lde(&tight).expect("in panels") == lde(whole).expect("at once"));
    assert!(tight.stats().launches() > 8, "{:?}", tight.stats());

    let fold = Fold::<BabyBear4>::new(&tight);
    let result = fold.fold(values(1 << 16), 1, &values(4));
    assert!(
        matches!(result, Err(Error::OutOfDeviceMemory { .. })),
        "{result:?}"
    );
    assert!(lde(&tight).is_ok(), "a refusal leaves the session usable");

    // Not even the root of a column.
    let options = SessionOptions {
        max_allocation_bytes: Some(2 << 10),
        ..SessionOptions::default()
    };
    let tiny = Session::open_with(&device, options).expect("the device opens");
    let result = NttBabyBear::new(&tiny).dft_batch(values(1 << 20), 1);
    match result {
        Err(Error::OutOfDeviceMemory {
            needed_bytes,
            available_bytes,
            ..
        }) => assert!(needed_bytes > available_bytes, "{needed_bytes}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_session_serves_many_threads() {
    let Some(session) = native() else { return };
    let expected = NttBabyBear::new(session)
        .dft_batch(values(640), 5)
        .expect("a dft");
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let result = NttBabyBear::new(session).dft_batch(values(640), 5);
                    assert!(result.expect("a dft") == expected);
                }
            });
        }
    });
}

#[test]
fn what_ran_is_counted() {
    let Some(device) = device() else { return };
    let options = SessionOptions {
        gpu_layout: true,
        ..SessionOptions::default()
    };
    let session = Session::open_with(&device, options).expect("the device opens");
    assert_eq!(session.stats().launches(), 0, "the self-test is not work");
    let before = session.stats();
    NttBabyBear::new(&session)
        .coset_lde_batch(values(96), 3, 1, 1)
        .expect("an lde");
    Fold::<BabyBear4>::new(&session)
        .fold(values(32), 2, &values(4))
        .expect("a fold");
    let stats = session.stats().since(&before);
    let launches: Vec<_> = stats
        .kernels
        .iter()
        .map(|(name, kernel)| (name.as_str(), kernel.launches, kernel.bytes))
        .collect();
    assert_eq!(
        launches,
        [
            // Two runs of 16 words to 4, with two roots each.
            ("fri_fold_babybear", 1, 4 * 2 * (16 + 4 + 2)),
            // 96 words once, then 192.
            ("ntt_pass_babybear", 2, 4 * 2 * (96 + 192)),
            ("ntt_spread_babybear", 1, 4 * (96 + 192)),
        ]
    );
    assert!(stats.uploaded_bytes >= 4 * (96 + 32));
    assert_eq!(stats.downloaded_bytes, 4 * (192 + 8));
}

/// The loader reads its list of drivers once a process, so the empty list needs a process.
#[test]
fn without_a_driver_the_tests_are_skipped_with_a_reason() {
    let child = Command::new(env::current_exe().expect("this test's own binary"))
        .args(["--exact", "session::what_ran_is_counted", "--nocapture"])
        .env("OCL_ICD_VENDORS", "/nonexistent")
        .output()
        .expect("the child runs");
    let stdout = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{stdout}");
    assert!(
        stdout.contains("SKIP: no opencl driver is installed"),
        "{stdout}"
    );
}
