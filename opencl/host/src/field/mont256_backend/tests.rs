//! A backend that answers wrongly is not used, whatever is wrong with it.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

use super::*;
use crate::hash::bn254::reference;
use crate::msm::MsmKernel;
use crate::program::bn254_program;
use crate::session::{Patch, Session, SessionOptions};
use crate::storage::Storage;
use crate::{MsmBn254, PermuteBn254, Result, ScalarForm};

const IFMA: Mont256Backend = Mont256Backend::Ifma { emulated: true };

/// A session that would compute by emulated IFMA; `None` where there is no device.
fn open(patch: Patch) -> Option<Session> {
    let device = match Device::discover() {
        Ok(devices) => devices.into_iter().next().expect("discovery finds one"),
        Err(error) => {
            println!("SKIP: {error}");
            return None;
        }
    };
    let options = SessionOptions {
        emulate_ifma: true,
        storage: Storage::None,
        ..SessionOptions::default()
    };
    Some(Session::open_patched(&device, options, patch).expect("large fields are tested later"))
}

fn backend(session: &Session) -> Mont256Backend {
    let layout = session.run(|engine| Ok(*engine.layout()));
    layout.expect("the session lives").mont256
}

/// One state, whose permutation must be right.
fn permute(session: &Session) -> Result<()> {
    let mut state = [[1, 0, 0, 0], [2, 0, 0, 0], [3, 0, 0, 0]];
    let permuted = PermuteBn254::new(session).permute(vec![state], 1)?;
    reference(&mut state);
    assert_eq!(permuted, [state]);
    Ok(())
}

/// Infinity times one; what the session computes is checked by its known answers before.
fn multiply(session: &Session) -> Result<()> {
    let bases = vec![crate::INFINITY].into();
    let sum = MsmBn254::new(session).msm(bases, vec![[1, 0, 0, 0]], ScalarForm::Canonical)?;
    assert_eq!(sum, crate::INFINITY);
    Ok(())
}

/// Each bug stands for a class: an instruction, a carry, a column, a constant, a reduction, an order of lanes.
#[test]
fn every_bug_of_the_fast_backend_is_found_and_the_next_is_used() {
    let bugs: [(&str, Patch); 9] = [
        ("the high half", |s| {
            s.replace("mul_hi(a, b) << 12 | (a * b) >> 52", "mul_hi(a, b) << 12")
        }),
        ("the carry of a cleared limb", |s| {
            s.replace("t[i + 1] += q >> 52;", "")
        }),
        ("the carry of the last", |s| {
            s.replace("t[LIMBS] += madd52lo", "madd52lo")
        }),
        ("columns of a square", |s| s.replace("t[i] += t[i];", ";")),
        ("a constant", |s| {
            s.replace("X(0xc93a3dee22c55ul)", "X(0xc93a3dee22c54ul)")
                .replace("X(0x82e644ee4c3d2ul)", "X(0x82e644ee4c3d3ul)")
        }),
        ("what clears the last limb", |s| {
            s.replace("(LANES)(MU & LIMB_MASK)", "(LANES)(MU >> 1 & LIMB_MASK)")
        }),
        ("what is added for P taken away", |s| {
            s.replace("LIMB_MASK) + (i == 0)", "LIMB_MASK)")
        }),
        ("the order of lanes", |s| {
            s.replace("elements[7].s)", "elements[6].s)")
        }),
        ("a source that does not compile", |s| {
            s.replace("defined(EMULATE_IFMA)", "defined(NOTHING)")
                .replace("__AVX512F__", "NOTHING_EITHER")
        }),
    ];
    for (number, (bug, patch)) in bugs.into_iter().enumerate() {
        let Some(session) = open(patch) else { return };
        assert_eq!(backend(&session), IFMA);
        // The multiplication takes longer to compile.
        let work = if number % 4 == 3 { multiply } else { permute };
        assert_eq!(work(&session), Ok(()), "{bug}");
        assert_eq!(backend(&session), Mont256Backend::Lanes, "{bug}");
    }
}

#[test]
fn without_a_bug_the_fast_backend_is_used() {
    let Some(session) = open(str::to_owned) else {
        return;
    };
    assert_eq!((permute(&session), multiply(&session)), (Ok(()), Ok(())));
    assert_eq!(backend(&session), IFMA);
}

#[test]
fn a_warning_names_what_is_not_used_and_what_is() {
    // A bug of every kind of vectors, in what comes after the field.
    let Some(session) = open(|s| s.replace("all = f_mul(d, all);", "all = f_mul(all, all);"))
    else {
        return;
    };
    tracing::subscriber::set_global_default(Warnings).expect("no other test has one");
    assert_eq!(multiply(&session), Ok(()));
    assert_eq!(backend(&session), Mont256Backend::Scalar);
    let warnings = WARNINGS.lock().unwrap_or_else(PoisonError::into_inner);
    for named in [
        "large fields fail their test in emulated AVX-512 IFMA; vectors of four is used",
        "large fields fail their test in vectors of four; one element a work-item is used",
    ] {
        assert!(warnings.iter().any(|warning| warning == named), "{named}");
    }
}

/// What the emulation leaves open: that compiler and assembler take the instructions as they are written.
#[test]
fn an_assembler_takes_the_instructions_where_there_is_one() {
    const NAMES: [&str; 7] = [
        "clang", "clang-20", "clang-19", "clang-18", "clang-17", "clang-16", "clang-15",
    ];
    let answers = |name: &&&str| {
        let mut version = Command::new(name);
        let version = version.arg("--version").stdout(Stdio::null());
        version.status().is_ok_and(|status| status.success())
    };
    let Some(clang) = NAMES.iter().find(answers) else {
        return println!("SKIP: no clang (Debian: apt-get install clang-15)");
    };
    let backend = Mont256Backend::Ifma { emulated: false };
    let dir = tempfile::tempdir().expect("a folder");
    let (source, object) = (dir.path().join("kernel.cl"), dir.path().join("kernel.o"));
    for (name, kernel) in [
        ("chains", MsmKernel::Chains.source(backend)),
        ("permutation", bn254_program(backend).1),
    ] {
        fs::write(&source, kernel).expect("written");
        // Its vectors of 512 bits are used although the compiler prefers 256 for this processor.
        let mut compile = Command::new(clang);
        let compile = compile
            .args("-x cl -cl-std=CL1.2 -Xclang -finclude-default-header -O2 -c".split(' '))
            .args(["-target", "x86_64-unknown-linux-gnu"])
            .args(["-march=skylake-avx512", "-DVW=8", "-DWGS=1"])
            .arg(&source)
            .arg("-o")
            .arg(&object);
        let output = compile.output().expect("it was just asked for its version");
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {log}");
        // EVEX.512.66.0F38.W1 B4 and B5: madd52lo and madd52hi of whole vectors.
        let code = fs::read(&object).expect("compiled");
        for (half, opcode) in [("low", 0xb4), ("high", 0xb5)] {
            let count = code.windows(6).filter(|bytes| {
                let map_0f38 = bytes[1] & 0b111 == 2;
                let w1_66 = bytes[2] & 0b1000_0011 == 0b1000_0001;
                let full_width = bytes[3] >> 5 & 0b11 == 0b10;
                bytes[0] == 0x62 && map_0f38 && w1_66 && full_width && bytes[4] == opcode
            });
            let count = count.count();
            assert!(
                count >= 100,
                "{name}: {count} multiplications of the {half} half"
            );
        }
    }
}

static WARNINGS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Collects the messages of warnings of all threads.
struct Warnings;

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Message);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Message;

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            let mut warnings = WARNINGS.lock().unwrap_or_else(PoisonError::into_inner);
            warnings.push(format!("{value:?}"));
        }
    }
}

#[test]
fn ifma_is_for_compilers_that_know_avx_512() {
    for (name, takes) in [
        ("pthread-skylake-avx512-Intel(R) Xeon(R) Processor", true),
        ("pthread-haswell-AMD EPYC 7763 64-Core Processor", false),
        ("cpu-znver4-AMD EPYC 9354", true),
        ("a name of another form", true),
    ] {
        assert_eq!(compiles_for_avx512(name), takes, "{name}");
    }
}
