//! Devices that go wrong, by bugs planted in the sources.

use super::*;
use crate::field::{BabyBear4, Elements};
use crate::fold::Fold;

fn device() -> Option<Device> {
    match Device::discover() {
        Ok(devices) => devices.into_iter().next(),
        Err(error) => {
            println!("SKIP: {error}");
            None
        }
    }
}

fn open_patched(patch: Patch) -> Option<Result<Session>> {
    let options = SessionOptions {
        storage: Storage::None,
        ..SessionOptions::default()
    };
    Some(Session::open_patched(&device()?, options, patch))
}

/// Each bug stands for a class: steps of a transform, arithmetic, order of rows, roots, cosets.
#[test]
fn a_device_that_computes_wrongly_does_not_open() {
    let bugs: [(&str, Patch); 6] = [
        ("a butterfly", |s| {
            s.replace("x[1] = f_sub(sum, b)", "x[1] = f_add(sum, b)")
        }),
        ("a modulus", |s| {
            s.replace("#define MU 0x88000001u", "#define MU 0x88000003u")
        }),
        ("the order of rows", |s| {
            s.replace("reverse_bits(row, reverse_log_n)", "row")
        }),
        ("the order of rows in a tile", |s| {
            s.replace("reverse_bits(row, at->log_k)", "row")
        }),
        ("a node", |s| {
            s.replace("(block << done) << (levels - 1)", "block << done")
        }),
        ("a coset", |s| {
            s.replace("shift[done + levels - 1]", "shift[0]")
        }),
    ];
    for (bug, patch) in bugs {
        let Some(opened) = open_patched(patch) else {
            return;
        };
        assert!(
            matches!(opened, Err(Error::WrongAnswer { .. })),
            "{bug}: {opened:?}"
        );
    }
}

/// A session for transforms opens all the same: nothing of the hash was compiled for it.
#[test]
fn a_device_that_hashes_wrongly_builds_no_tree() {
    let bugs: [(&str, Patch); 6] = [
        ("a round constant", |s| {
            s.replace("constants + 4 * WIDTH)", "constants + 4 * WIDTH + 1)")
        }),
        ("a matrix", |s| {
            s.replace("_add(left, x01)", "_add(left, x23)")
        }),
        ("a diagonal", |s| {
            s.replace("f_shrink(s[9], 8)", "f_shrink(s[9], 7)")
        }),
        ("a block", |s| s.replace("at += take;", "at += RATE;")),
        ("a child", |s| {
            s.replace("from + 2 * (ulong)node", "from + (ulong)node")
        }),
        ("an injected row", |s| {
            s.replace("pass <= inject", "pass < 1")
        }),
    ];
    for (bug, patch) in bugs {
        let Some(opened) = open_patched(patch) else {
            return;
        };
        let session = opened.expect("the device opens");
        let leaf = crate::LeafMatrix {
            values: vec![p3_baby_bear::BabyBear::default()].into(),
            columns: 1,
        };
        let built = crate::MerkleBabyBear::new(&session).build(vec![leaf]);
        assert!(
            matches!(built, Err(Error::WrongAnswer { .. })),
            "{bug}: {built:?}"
        );
    }
}

/// The kernels of a multiplication are tested before its first use, so the session opens.
#[test]
fn a_device_that_multiplies_wrongly_is_not_believed() {
    let bugs: [(&str, Patch); 9] = [
        ("a window without its carry", |s| {
            s.replace(")) + carry;", "));")
        }),
        ("infinity among the bases", |s| {
            s.replace("scalar = f_zero();", "{}")
        }),
        ("stored scalars", |s| {
            s.replace("scalar = f_number(scalar)", "{}")
        }),
        ("a sign", |s| s.replace("i | (digit & 0x80000000u)", "i")),
        ("a bucket", |s| {
            s.replace("keys[at] = bucket;", "keys[at] = bucket ^ 1;")
        }),
        ("equal points", |s| {
            s.replace("same_x & same_y &", "~same_x & same_y &")
                .replace("(f_is_zero(r))", "(!f_is_zero(r))")
        }),
        ("a head", |s| {
            s.replace("if (has_head) head_keys", "if (false) head_keys")
                .replace("head_keys[run] = key;", "")
        }),
        ("a segment's place", |s| {
            s.replace("point_double(&before);", "")
        }),
        ("a modulus", |s| {
            s.replace(
                "#define P3 0x30644e72e131a029ul",
                "#define P3 0x30644e72e131a02aul",
            )
        }),
    ];
    let base = crate::INFINITY;
    for (bug, patch) in bugs {
        for gpu_layout in [false, true] {
            let Some(device) = Device::discover()
                .ok()
                .and_then(|all| all.into_iter().next())
            else {
                println!("SKIP: no device");
                return;
            };
            let options = SessionOptions {
                gpu_layout,
                ..SessionOptions::default()
            };
            let session = Session::open_patched(&device, options, patch).expect("it opens");
            let result = crate::MsmBn254::new(&session).msm(
                vec![base].into(),
                vec![[1, 0, 0, 0]],
                crate::ScalarForm::Canonical,
            );
            assert!(
                matches!(result, Err(Error::WrongAnswer { .. })),
                "{bug}, gpu layout {gpu_layout}: {result:?}"
            );
        }
    }
}

#[test]
fn what_is_used_later_is_tested_before() {
    let Some(opened) =
        open_patched(|s| s.replace("inverse_roots + row * pairs", "inverse_roots + row"))
    else {
        return;
    };
    let session = opened.expect("folding is not tested when it opens");
    let fold = |log_arity| {
        let values = Elements::new(vec![1; 16]).expect("small numbers");
        let beta = Elements::new(vec![1; 4]).expect("small numbers");
        Fold::<BabyBear4>::new(&session).fold(values, log_arity, &beta)
    };
    for _ in 0..2 {
        let refused = fold(2);
        assert!(
            matches!(refused, Err(Error::WrongAnswer { .. })),
            "{refused:?}"
        );
    }
    fold(1).expect("an arity without the bug");
}

#[test]
fn a_source_that_does_not_compile_shows_the_compilers_log() {
    let Some(opened) = open_patched(|s| s.replace("barrier(", "no_such_function(")) else {
        return;
    };
    match opened {
        Err(Error::BuildFailed { program, log, .. }) => {
            assert_eq!(program, "ntt_pass_babybear");
            assert!(log.contains("no_such_function"), "{log}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_call_held_of_the_memory_is_told_once() {
    let Some(opened) = open_patched(str::to_owned) else {
        return;
    };
    let session = opened.expect("the device opens");
    let bytes = 4 << 12;
    let transform = |rows: usize| {
        let words = Elements::new(vec![1; rows]).expect("ones");
        crate::NttBabyBear::new(&session)
            .dft_batch(words, 1)
            .unwrap();
        let held = session.take_peak_bytes().unwrap();
        let kept = session.take_peak_bytes().unwrap();
        assert!(kept + 4 * rows as u64 <= held, "only tables stay: {kept}");
        held
    };
    let small = transform(1 << 12);
    // Twice the words, where a smaller buffer may have been reused.
    assert!((bytes..=16 * bytes).contains(&small), "{small}");
    let large = transform(1 << 16);
    assert!((16 * bytes..=256 * bytes).contains(&large), "{large}");
}

#[test]
fn a_panic_of_the_driver_ends_the_session_and_is_told_to_everyone() {
    let Some(opened) = open_patched(str::to_owned) else {
        return;
    };
    let session = opened.expect("the device opens");
    for _ in 0..2 {
        let result = session.run::<()>(|_| panic!("unknown status -9999"));
        match result {
            Err(Error::SessionLost { reason, .. }) => {
                assert_eq!(reason, "unknown status -9999");
            }
            other => panic!("{other:?}"),
        }
    }
}

/// A buffer may be reused for less than it has room for. What was said to be there is there all the same.
#[test]
fn what_is_available_can_be_leased_to_the_last_byte() {
    let Some(device) = device() else { return };
    let options = SessionOptions {
        memory_limit_bytes: Some(1 << 20),
        storage: Storage::None,
        ..SessionOptions::default()
    };
    let session = Session::open_with(&device, options).expect("the device opens");
    session
        .run(|engine| {
            let available = engine.available_bytes() / 4;
            for parts in 1..=7 {
                // Left idle by a call before: as large as each part, or up to twice that.
                for idle in 0..=8 {
                    let part = available / parts;
                    let left = (0..parts.min(3))
                        .map(|_| engine.lease::<u32>((part + part * idle / 8).min(available / 3)))
                        .collect::<Result<Vec<_>>>()?;
                    drop(left);
                    let mut leases = (1..parts)
                        .map(|_| engine.lease::<u32>(part))
                        .collect::<Result<Vec<_>>>()?;
                    leases.push(engine.lease::<u32>(available - part * (parts - 1))?);
                    assert!(engine.available_bytes() < 4);
                    assert!(leases.iter().map(|lease| lease.bytes()).sum::<usize>() <= 1 << 20);
                }
            }
            Ok(())
        })
        .expect("what is available is there");
}

/// Some drivers end the process instead.
#[test]
fn more_local_memory_than_there_is_is_an_error_before_the_launch() {
    let open = |patch: Patch| {
        let options = SessionOptions {
            storage: Storage::None,
            ..SessionOptions::default()
        };
        device().map(|device| Session::open_untested(&device, options, patch).expect("it opens"))
    };
    let transform = |session: &Session| {
        let words = Elements::<crate::BabyBear>::new(vec![1; 1 << 22]).expect("ones");
        session.run(move |engine| {
            crate::ntt::Steps::<crate::BabyBear>::dft(4).run(engine, words.into_words(), 1 << 18)
        })
    };
    let refused = |result: Result<Vec<u32>>| match result {
        Err(Error::Driver { status, .. }) => assert!(status.contains("local memory"), "{status}"),
        other => panic!("{:?}", other.map(|words| words.len())),
    };

    // As an argument, by a layout that the device has no room for.
    let Some(session) = open(str::to_owned) else {
        return;
    };
    let local_bytes = usize::try_from(session.device().local_memory_bytes).expect("a size");
    let layout = |tile_bytes: usize| {
        session.run(move |engine| {
            let operation = crate::program::Operation::NttPass { inverse: false };
            let tuning = engine.tuning::<crate::BabyBear>(operation);
            engine.tune(
                operation,
                <crate::BabyBear as crate::field::Field>::NAME,
                crate::tune::Tuning {
                    tile_bytes,
                    ..tuning
                },
            );
            Ok(tuning.tile_bytes)
        })
    };
    let before = layout(4 * local_bytes).expect("a layout");
    refused(transform(&session));
    layout(before).expect("a layout");
    assert!(transform(&session).is_ok(), "the session goes on");

    // In the kernel itself.
    let planted = open(|s| {
        s.replace(
            "  Place at = {.log_k",
            "  __local uint more[1 << 26];\n  more[get_local_id(0)] = log_k;\n  \
             if (more[columns] == 7) return;\n  Place at = {.log_k",
        )
    });
    refused(transform(&planted.expect("a device was just found")));
}
