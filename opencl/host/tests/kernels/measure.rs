use froben_opencl::{Error, Session, SessionOptions, bench};

use crate::device;

#[test]
fn each_kernel_is_measured_with_its_own_name_and_traffic() {
    let Some(device) = device() else { return };
    let session = Session::open(&device).expect("the device opens");
    let copy = bench::copy(&session, 1).expect("a copy");
    assert_eq!((copy.kernel, copy.runs), ("copy", bench::LEAST_RUNS));
    assert_eq!(copy.bytes, 2 * 4 * copy.elements);
    for benchmark in bench::benchmarks() {
        let measured = benchmark.run(&session, 1).expect("it runs");
        let names = (benchmark.kernel(), benchmark.field());
        assert_eq!((measured.kernel, measured.field), names);
        assert_eq!(measured.runs, bench::LEAST_RUNS, "the least that counts");
        assert!(measured.median_ns > 0, "{measured:?}");
        // At least the larger of input and result goes over the bus once.
        let word_bytes = if names.1 == "goldilocks" { 8 } else { 4 };
        assert!(
            measured.bytes >= word_bytes * measured.elements,
            "{measured:?}"
        );
        let rate = measured.bytes_per_s() / measured.elements_per_s();
        let expected = measured.bytes as f64 / measured.elements as f64;
        assert!((rate - expected).abs() < 1e-6 * expected);
    }
}

#[test]
fn a_session_without_memory_cannot_be_measured_and_says_so() {
    let Some(device) = device() else { return };
    let options = SessionOptions {
        memory_limit_bytes: Some(1 << 20),
        ..SessionOptions::default()
    };
    let session = Session::open_with(&device, options).expect("the device opens");
    for benchmark in bench::benchmarks() {
        let refused = benchmark.run(&session, 1);
        assert!(
            matches!(refused, Err(Error::OutOfDeviceMemory { .. })),
            "{benchmark:?}: {refused:?}"
        );
    }
}
