use std::fs;

use super::*;
use crate::error::{Error, Result};
use crate::session::{Patch, Session, SessionOptions};
use crate::stats::ProgramStats;

fn cache(device: [&str; 6]) -> Cache {
    Cache {
        folder: None,
        device: device.map(str::to_owned),
        reads: true,
    }
}

#[test]
fn the_key_knows_everything_that_the_binary_depends_on() {
    let device = ["gpu", "maker", "platform", "1.0", "d", "p"];
    let key = cache(device).key("source", "options");
    assert_eq!(key, cache(device).key("source", "options"));
    assert_ne!(key, cache(device).key("source ", "options"));
    assert_ne!(key, cache(device).key("source", "option"));
    // Parts that run together to the same text.
    assert_ne!(key, cache(device).key("ssource", "option"));
    for part in 0..device.len() {
        let mut other = device;
        other[part] = "another";
        assert_ne!(key, cache(other).key("source", "options"), "part {part}");
    }
}

#[test]
fn a_file_that_is_not_whole_is_known_for_what_it_is() {
    let (key, other) = (blake3::hash(b"key"), blake3::hash(b"other"));
    let binary: Vec<u8> = (0..=255).collect();
    let file = encode(&key, &binary);
    assert_eq!(file.len(), HEADER_BYTES + binary.len());
    assert_eq!(decode(&file, &key), Ok(&binary[..]));
    assert_eq!(decode(&file, &other), Err(Fault::Key));
    for length in 0..file.len() {
        let cut = decode(&file[..length], &key);
        let expected = match length.checked_sub(HEADER_BYTES) {
            None => Fault::Short,
            Some(found) => Fault::Length {
                stated: 256,
                found: found as u64,
            },
        };
        assert_eq!(cut, Err(expected), "cut to {length}");
    }
    // Any bit, wherever it lies.
    for at in 0..file.len() {
        let mut spoilt = file.clone();
        spoilt[at] ^= 1 << (at % 8);
        assert!(decode(&spoilt, &key).is_err(), "byte {at}");
    }
    let mut longer = file;
    longer.push(0);
    assert_eq!(
        decode(&longer, &key),
        Err(Fault::Length {
            stated: 256,
            found: 257
        })
    );
}

fn device() -> Option<Device> {
    match Device::discover() {
        Ok(devices) => devices.into_iter().next(),
        Err(error) => {
            println!("SKIP: {error}");
            None
        }
    }
}

fn open(device: &Device, folder: &Path, patch: Patch) -> Result<Session> {
    let options = SessionOptions {
        storage: Storage::Folder(folder.to_owned()),
        ..SessionOptions::default()
    };
    Session::open_patched(device, options, patch)
}

/// Opens and says where the programs came from.
fn programs(device: &Device, folder: &Path) -> ProgramStats {
    let session = open(device, folder, str::to_owned).expect("the device opens");
    session.stats().programs
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder.join("programs"))
        .expect("programs were kept")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files
}

#[test]
fn a_second_session_compiles_nothing_and_a_spoilt_file_costs_one_program() {
    let Some(device) = device() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let first = programs(&device, dir.path());
    assert!(first.compiled > 0, "{first:?}");
    let all = first.compiled;
    assert_eq!(first.loaded, 0);
    let none = ProgramStats {
        compiled: 0,
        loaded: all,
    };
    assert_eq!(programs(&device, dir.path()), none);

    let files = files(dir.path());
    assert_eq!(files.len() as u64, all);
    let path = &files[0];
    let good = fs::read(path).expect("a file");
    let mut flipped = good.clone();
    flipped[HEADER_BYTES + 100] ^= 1;
    let mut stale = good.clone();
    stale[12] ^= 1;
    let cut = good[..good.len() / 2].to_vec();
    // Whole and of the right key, but nothing that a driver ever made.
    let mut key = [0; HASH_BYTES];
    key.copy_from_slice(&good[12..12 + HASH_BYTES]);
    let strange = encode(&blake3::Hash::from_bytes(key), b"no program");
    for (what, bytes) in [
        ("flipped", flipped),
        ("stale", stale),
        ("cut", cut),
        ("empty", Vec::new()),
        ("strange", strange),
    ] {
        fs::write(path, bytes).expect("written");
        let mended = ProgramStats {
            compiled: 1,
            loaded: all - 1,
        };
        assert_eq!(programs(&device, dir.path()), mended, "{what}");
        assert_eq!(programs(&device, dir.path()), none, "{what}");
    }
}

#[test]
fn a_folder_that_cannot_be_used_costs_only_time() {
    let Some(device) = device() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    // A file where the folder should be.
    fs::write(dir.path().join("programs"), b"in the way").expect("written");
    let made = programs(&device, dir.path());
    assert!(made.compiled > 0 && made.loaded == 0, "{made:?}");
}

const BUG: Patch = |source| source.replace("x[1] = f_sub(sum, b)", "x[1] = f_add(sum, b)");

/// A driver can make a bad binary once and a good one the next time; a file can be exchanged.
#[test]
fn a_kept_program_that_answers_wrongly_is_compiled_anew_before_the_device_is_blamed() {
    let Some(device) = device() else { return };
    let (good, bad) = (tempfile::tempdir(), tempfile::tempdir());
    let (good, bad) = (good.expect("a folder"), bad.expect("a folder"));
    let all = programs(&device, good.path()).compiled;
    assert!(matches!(
        open(&device, bad.path(), BUG),
        Err(Error::WrongAnswer { .. })
    ));
    // The wrong kernel's binary, as if it had been made of the right source.
    let pass = |folder: &Path| {
        let mut files = files(folder).into_iter();
        files
            .find(|path| path.to_string_lossy().contains("ntt_pass_babybear"))
            .expect("a pass was kept")
    };
    let path = pass(good.path());
    let right = fs::read(&path).expect("a file");
    let mut key = [0; HASH_BYTES];
    key.copy_from_slice(&right[12..12 + HASH_BYTES]);
    let wrong = fs::read(pass(bad.path())).expect("a file");
    let exchanged = encode(&blake3::Hash::from_bytes(key), &wrong[HEADER_BYTES..]);
    fs::write(&path, exchanged).expect("written");

    let mended = programs(&device, good.path());
    assert!(mended.loaded > 0 && mended.compiled == all, "{mended:?}");
    let after = programs(&device, good.path());
    assert_eq!((after.compiled, after.loaded), (0, all));

    // What is wrong when it is compiled anew, too, is the device's own fault.
    let again = open(&device, bad.path(), BUG);
    assert!(matches!(again, Err(Error::WrongAnswer { .. })), "{again:?}");
}
