//! Ours against the stock prover: the same values, the same bytes, and errors instead of proofs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use froben_circuits::config::{
    Challenge, Challenger, Domain, StockPcs, Val, challenger, fri, stock, val_mmcs,
};
use froben_circuits::params::LOG_MERKLE_CAP;
use froben_circuits::{Circuit, Params, Witness, prove, verify};
use froben_opencl::{Control, Device, Error, Session, SessionOptions};
use froben_recursion::{Builder, ProvingKey};
use p3_challenger::{CanObserve, FieldChallenger};
use p3_commit::{Mmcs, OpeningRequest, Pcs, UnivariateStarkPcs};
use p3_dft::{Radix2DitParallel, TwoAdicSubgroupDft};
use p3_field::{Field, PrimeCharacteristicRing};
use p3_fri::FriProverError;
use p3_matrix::Matrix;
use p3_matrix::dense::RowMajorMatrix;
use p3_uni_stark::StarkGenericConfig;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::*;

fn device() -> Option<Device> {
    match Device::discover() {
        Ok(devices) => devices.into_iter().next(),
        Err(error) => {
            println!("SKIP: {error}");
            None
        }
    }
}

fn session() -> Option<&'static Arc<Session>> {
    static SESSION: OnceLock<Option<Arc<Session>>> = OnceLock::new();
    SESSION
        .get_or_init(|| Some(Arc::new(Session::open(&device()?).unwrap())))
        .as_ref()
}

/// A session that has too little memory for a proof.
fn small_session(memory_bytes: u64) -> Option<Arc<Session>> {
    let options = SessionOptions {
        memory_limit_bytes: Some(memory_bytes),
        ..SessionOptions::default()
    };
    Some(Arc::new(Session::open_with(&device()?, options).unwrap()))
}

/// The search for a proof of work takes what any thread finds first; with one thread there is one
/// answer, and two runs of a prover can be compared.
fn with_one_thread<R: Send>(run: impl FnOnce() -> R + Send) -> R {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    pool.unwrap().install(run)
}

fn matrix(seed: u64, height: usize, width: usize) -> RowMajorMatrix<Val> {
    RowMajorMatrix::rand(&mut SmallRng::seed_from_u64(seed), height, width)
}

fn bytes(proof: &impl serde::Serialize) -> Vec<u8> {
    postcard::to_allocvec(proof).unwrap()
}

fn witness(len: usize) -> Witness {
    let bytes = (0..len).map(|i| (7 * i + i / 251) as u8).collect();
    Witness::compute(bytes, 3).unwrap()
}

#[test]
fn proofs_are_byte_for_byte_those_of_the_stock_prover() {
    let Some(session) = session() else { return };
    let witness = witness(1000);
    let dev = Circuit::ALL.map(|circuit| (circuit, Params::Dev));
    for (circuit, params) in dev
        .into_iter()
        .chain([(Circuit::Poseidon2, Params::Standard)])
    {
        let before = session.stats();
        let (ours, theirs) = with_one_thread(|| {
            let config = opencl(params, session);
            let ours = prove(&config, circuit, &witness).unwrap();
            assert_eq!(config.pcs().device_error(), None);
            (ours, prove(&stock(params), circuit, &witness).unwrap())
        });
        assert!(ours == theirs, "{circuit}, {params}");
        verify(params, circuit, &witness.statement, &ours).unwrap();
        let ran = session.stats().since(&before);
        for kernel in [
            "ntt_pass_babybear",
            "fri_fold_babybear",
            "merkle_leaves_babybear_16",
            "merkle_nodes_babybear_16",
        ] {
            assert!(
                ran.kernels.contains_key(kernel),
                "{circuit}: {kernel} in {ran:?}"
            );
        }
    }
}

/// A circuit that touches each of the tables that a tree's circuits are proved by.
fn circuit() -> froben_recursion::Circuit {
    let mut b = Builder::new();
    let [x, y] = [b.input(), b.input()];
    let sum = b.add(x, y);
    let [one, two, ..] = b.permute([x, y, sum, x]);
    let point = b.horner_all(&[one, two, sum], y);
    let entries = b.entries(two);
    let list = b.list(&entries);
    let position = b.one();
    let chosen = b.choose(list, position);
    let bits = b.bits(chosen);
    let again = b.number(&bits);
    b.assert_equal(chosen, again);
    b.publish(&[point, again]);
    b.finish()
}

#[test]
fn proofs_of_circuits_are_byte_for_byte_those_of_the_stock_prover() {
    let Some(session) = session() else { return };
    let inputs = [Challenge::TWO, Challenge::from_u32(77)];
    for params in Params::ALL {
        let (ours, theirs, key) = with_one_thread(|| {
            let config = opencl(params, session);
            let key = ProvingKey::new(&config, circuit(), None).unwrap();
            let ours = key.prove(&config, &inputs).unwrap();
            assert_eq!(config.pcs().device_error(), None);
            let config = stock(params);
            let stock_key = ProvingKey::<StockPcs>::new(&config, circuit(), None).unwrap();
            assert_eq!(key.verifying(), stock_key.verifying(), "{params}");
            let theirs = stock_key.prove(&config, &inputs).unwrap();
            (ours, theirs, stock_key.verifying())
        });
        assert!(bytes(&ours) == bytes(&theirs), "{params}");
        key.verify(params, &ours.0, &ours.1).unwrap();
    }
}

#[test]
fn a_device_that_fails_ends_the_proof_with_its_own_error() {
    let Some(session) = small_session(10 << 10) else {
        return;
    };
    let config = opencl(Params::Dev, &session);
    assert!(prove(&config, Circuit::Poseidon2, &witness(1000)).is_err());
    let error = config.pcs().device_error();
    assert!(
        matches!(error, Some(Error::OutOfDeviceMemory { .. })),
        "{error:?}"
    );

    // What the configuration makes from now on would rest on zeros.
    let pcs = config.pcs();
    let domain = natural_domain(pcs, 8);
    let result = Pcs::<Challenge, Challenger>::commit(pcs, [(domain, matrix(1, 8, 2))]);
    assert!(matches!(result, Err(ProverError::Device(_))));
}

/// Before the first launch, between launches and after the last of them.
#[test]
fn a_proof_that_nobody_wants_ends_and_the_next_one_is_made() {
    let Some(session) = session() else { return };
    let witness = witness(1000);
    let prove_until = |launches: u64| {
        let asked = AtomicU64::new(0);
        let control = Control::until(move || asked.fetch_add(1, Ordering::Relaxed) >= launches);
        let config = opencl(Params::Dev, &Arc::new(session.controlled(&control)));
        let proof = with_one_thread(|| prove(&config, Circuit::Poseidon2, &witness));
        (
            proof.ok(),
            config.pcs().device_error().cloned(),
            control.progress(),
        )
    };
    let (whole, failed, progress) = prove_until(u64::MAX);
    assert!(whole.is_some() && failed.is_none());
    assert!(progress.launches_done > 20, "{progress:?}");
    assert_eq!(progress.launches_done, progress.launches_planned);
    for launches in [0, 1, 7, progress.launches_done / 2] {
        let (proof, failed, ended) = prove_until(launches);
        assert!(proof.is_none(), "after {launches}");
        assert!(
            matches!(failed, Some(Error::Cancelled { .. })),
            "{failed:?}"
        );
        assert!(ended.launches_done <= launches, "{ended:?}");
    }
    let (again, failed, _) = prove_until(u64::MAX);
    assert!(again == whole && failed.is_none());
}

/// The evaluations and their extension fit the device, the first layer of FRI does not.
#[test]
fn a_device_that_fails_in_the_folding_ends_the_opening() {
    let Some(session) = small_session(16 << 10) else {
        return;
    };
    let pcs = OpenClPcs::new(session, val_mmcs(), fri(Params::Dev));
    let commit = [(natural_domain(&pcs, 512), matrix(1, 512, 1))];
    let (_, data) = Pcs::<Challenge, Challenger>::commit(&pcs, commit).unwrap();
    let request = OpeningRequest {
        prover_data: &data,
        points: vec![vec![Challenge::TWO]],
    };
    let opened = pcs.open(vec![request], &mut challenger());
    assert!(matches!(
        opened,
        Err(ProverError::Device(Error::OutOfDeviceMemory { .. }))
    ));
}

fn natural_domain(pcs: &impl Pcs<Challenge, Challenger, Domain = Domain>, height: usize) -> Domain {
    Pcs::<Challenge, Challenger>::natural_domain_for_degree(pcs, height)
}

/// The pieces of an opening that an AIR of one trace never shows: several matrices in a commitment,
/// of several heights and widths, the same point in many of them, and a matrix opened nowhere.
#[test]
fn openings_of_mixed_batches_are_those_of_the_stock_scheme() {
    let Some(session) = session() else { return };
    let mut random = SmallRng::seed_from_u64(11);
    let [z, w, v]: [Challenge; 3] = random.random();
    let rounds: [&[(usize, usize, &[Challenge])]; 3] = [
        &[(64, 3, &[z, w]), (16, 17, &[z]), (64, 1, &[w])],
        &[(256, 8, &[v])],
        &[(32, 2, &[z, v, w]), (256, 5, &[z]), (16, 4, &[])],
    ];
    let ours = OpenClPcs::on_device(Arc::clone(session), Params::Dev);
    let stock_trees = OpenClPcs::new(Arc::clone(session), val_mmcs(), fri(Params::Dev));
    let theirs = StockPcs::new(Radix2DitParallel::default(), val_mmcs(), fri(Params::Dev));
    let theirs = with_one_thread(|| open(&theirs, &rounds));
    assert!(with_one_thread(|| open(&ours, &rounds)) == theirs);
    assert!(with_one_thread(|| open(&stock_trees, &rounds)) == theirs);
}

/// Commits to random matrices of the given shapes, opens them and encodes all that results.
fn open<P>(pcs: &P, rounds: &[&[(usize, usize, &[Challenge])]]) -> Vec<u8>
where
    P: UnivariateStarkPcs<Challenge, Challenger, Domain = Domain>,
    Challenger: CanObserve<P::Commitment>,
{
    let mut challenger = challenger();
    let mut encoded = Vec::new();
    let committed: Vec<_> = (0..)
        .zip(rounds)
        .map(|(seed, round)| {
            let evaluations = round.iter().map(|&(height, width, _)| {
                (
                    pcs.natural_domain_for_degree(height),
                    matrix(seed, height, width),
                )
            });
            let (commitment, data) = pcs.commit(evaluations).unwrap();
            encoded.extend(bytes(&commitment));
            challenger.observe(commitment);
            data
        })
        .collect();
    let requests = committed
        .iter()
        .zip(rounds)
        .map(|(data, round)| OpeningRequest {
            prover_data: data,
            points: round.iter().map(|(_, _, points)| points.to_vec()).collect(),
        })
        .collect();
    let (values, proof) = pcs.open(requests, &mut challenger).unwrap();
    encoded.extend(bytes(&values));
    encoded.extend(bytes(&proof));
    encoded
}

#[test]
fn a_height_that_cannot_be_folded_is_refused_before_anything_is_observed() {
    let Some(session) = session() else { return };
    let pcs = OpenClPcs::new(Arc::clone(session), val_mmcs(), fri(Params::Dev));
    let commit = [(natural_domain(&pcs, 8), matrix(1, 8, 1))];
    let (_, data) = Pcs::<Challenge, Challenger>::commit(&pcs, commit).unwrap();
    let request = OpeningRequest {
        prover_data: &data,
        points: vec![vec![Challenge::TWO]],
    };
    let mut transcript = challenger();
    let refused = pcs.open(vec![request], &mut transcript);
    assert!(matches!(
        refused,
        Err(ProverError::Fri(FriProverError::InputHeightTooSmall {
            log_input_height: 4,
            log_final_height: 4,
        }))
    ));
    let mut untouched = challenger();
    let next: Challenge = transcript.sample_algebra_element();
    let expected: Challenge = untouched.sample_algebra_element();
    assert_eq!(next, expected);
}

/// Every transform of `input`, in natural order.
fn transforms<D: TwoAdicSubgroupDft<Val>>(
    dft: &D,
    input: &RowMajorMatrix<Val>,
) -> [RowMajorMatrix<Val>; 6] {
    let (input, shift) = (|| input.clone(), Val::GENERATOR);
    [
        dft.dft_batch(input()).to_row_major_matrix(),
        dft.coset_dft_batch(input(), shift).to_row_major_matrix(),
        dft.idft_batch(input()),
        dft.coset_idft_batch(input(), shift),
        dft.coset_lde_batch(input(), 2, shift).to_row_major_matrix(),
        dft.lde_batch(input(), 1).to_row_major_matrix(),
    ]
}

/// Through the trait, as Plonky3 calls it, with and without a device.
#[test]
fn transforms_are_those_of_the_cpu() {
    let Some(session) = session() else { return };
    let fault = Fault::default();
    let on_device = OpenClDft::new(Arc::clone(session), fault.clone());
    let oracle = Radix2DitParallel::default();
    for dft in [on_device, OpenClDft::default()] {
        for (height, width) in [(1, 1), (1, 4), (2, 3), (64, 5), (512, 2)] {
            let input = matrix(7, height, width);
            let (ours, theirs) = (transforms(&dft, &input), transforms(&oracle, &input));
            assert!(ours == theirs, "{height} x {width}");
        }
    }
    assert_eq!(fault.get(), None);
}

/// Commits and opens each leaf, some leaves twice and all at once, through the trait as Plonky3 calls
/// it; every opening is verified, and all that was made comes back encoded.
fn trees<M: Mmcs<Val>>(mmcs: &M, shapes: &[(usize, usize)]) -> Vec<u8> {
    let matrices = (1..).zip(shapes);
    let matrices = matrices.map(|(seed, &(height, width))| matrix(seed, height, width));
    let (commitment, data) = mmcs.commit(matrices.collect());
    let matrices = mmcs.get_matrices(&data);
    let dimensions: Vec<_> = matrices.iter().map(|matrix| matrix.dimensions()).collect();
    let mut encoded = bytes(&commitment);
    let height = mmcs.get_max_height(&data);
    for index in 0..height {
        let opening = mmcs.open_batch(index, &data);
        let verified = mmcs.verify_batch(&commitment, &dimensions, index, (&opening).into());
        verified.expect("an opening holds");
        let (values, proof) = opening.unpack();
        encoded.extend(bytes(&values));
        encoded.extend(bytes(&proof));
    }
    let some = [0, height - 1, height / 3, height / 3, height / 2, 0];
    let all: Vec<_> = (0..height).rev().collect();
    for indices in [&some[..], &some[..1], &all] {
        let (values, proof) = mmcs.open_multi_batch(indices, &data);
        let verified = mmcs.verify_multi_batch(&commitment, &dimensions, indices, &values, &proof);
        verified.expect("an opening of several holds");
        encoded.extend(bytes(&values));
        encoded.extend(bytes(&proof));
    }
    encoded
}

/// Above, at and below the height of the cap, and heights that are no powers of two where the stock
/// scheme has trees of them.
#[test]
fn trees_are_those_of_the_stock_scheme() {
    let Some(session) = session() else { return };
    let fault = Fault::default();
    let ours = OpenClMmcs::new(Arc::clone(session), fault.clone());
    let shapes: [&[(usize, usize)]; 9] = [
        &[(1, 1)],
        &[(2, 9)],
        &[(1 << LOG_MERKLE_CAP, 3)],
        &[(2 << LOG_MERKLE_CAP, 8)],
        &[(128, 1)],
        &[(64, 3), (64, 17), (32, 8), (4, 2), (1, 5)],
        &[(16, 2), (128, 4), (32, 1), (128, 7)],
        &[(63, 5), (32, 1), (63, 2)],
        &[(127, 2), (64, 8), (16, 3)],
    ];
    for shapes in shapes {
        assert!(
            trees(&ours, shapes) == trees(&val_mmcs(), shapes),
            "{shapes:?}"
        );
    }
    assert_eq!(fault.get(), None);
}

#[test]
fn a_device_that_fails_in_a_tree_is_noted_and_leaves_zeros() {
    let Some(session) = small_session(16 << 10) else {
        return;
    };
    let fault = Fault::default();
    let mmcs = OpenClMmcs::new(session, fault.clone());
    let (cap, _) = mmcs.commit_matrix(matrix(1, 512, 2));
    assert!(matches!(fault.get(), Some(Error::OutOfDeviceMemory { .. })));
    assert_eq!(cap.num_roots(), 1 << LOG_MERKLE_CAP);
    assert!(cap.roots().iter().flatten().all(|&word| word == Val::ZERO));
}
