//! Permutations and trees against Plonky3's packed ones, the permutation over BN254 against its
//! scalar one.

use froben_opencl::{
    BabyBear16, KoalaBear16, LeafMatrix, Merkle, MerkleHash, Permute, PermuteBn254, Poseidon2,
    Session,
};
use p3_baby_bear::{BabyBear, default_babybear_poseidon2_16};
use p3_bn254::{Bn254, Poseidon2Bn254};
use p3_commit::Mmcs;
use p3_field::{Field, PackedValue, PrimeCharacteristicRing, PrimeField};
use p3_koala_bear::{KoalaBear, default_koalabear_poseidon2_16};
use p3_matrix::dense::RowMajorMatrix;
use p3_maybe_rayon::prelude::*;
use p3_merkle_tree::MerkleTreeMmcs;
use p3_poseidon2::ExternalLayerConstants;
use p3_symmetric::{
    CryptographicPermutation, PaddingFreeSponge, Permutation, TruncatedPermutation,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::contest::{Contender, contest};
use crate::elements;
use crate::ntt::Peer;
use crate::table::Table;

const WIDTH: usize = 16;
const DIGEST: usize = 8;

/// States, each permuted so often that the way to the device and back does not count.
const STATES: usize = 1 << 14;
const TIMES: u32 = 32;

fn permutations<T, P>(
    session: &Session,
    table: &Table,
    permutation: &impl Permutation<[T::Packing; WIDTH]>,
) where
    T: Peer<Ours = P::Field>,
    P: Poseidon2,
{
    let name = format!("{} poseidon2 {WIDTH}, {STATES} x {TIMES}", T::NAME);
    if !table.wants(&name) {
        return;
    }
    let states = elements::<T>(STATES * WIDTH);
    let permute = Permute::<P>::new(session);
    let ours = Contender::new("ours", |watch| {
        let states = T::ours(states.clone());
        T::theirs(watch.measure(|| permute.permute(states, TIMES).expect("permutations")))
    });
    let lanes = T::Packing::WIDTH;
    let theirs = Contender::new("p3 packed", |watch| {
        let pack = |states: &[T]| -> [T::Packing; WIDTH] {
            std::array::from_fn(|word| T::Packing::from_fn(|lane| states[lane * WIDTH + word]))
        };
        let mut packed: Vec<_> = states.chunks_exact(lanes * WIDTH).map(pack).collect();
        watch.measure(|| {
            packed.par_iter_mut().for_each(|state| {
                for _ in 0..TIMES {
                    permutation.permute_mut(state);
                }
            });
        });
        let unpack = |state: &[T::Packing; WIDTH]| -> Vec<T> {
            (0..lanes)
                .flat_map(|lane| state.map(|word| word.as_slice()[lane]))
                .collect()
        };
        packed.iter().flat_map(unpack).collect()
    });
    table.row(&name, 1.0, &contest(vec![ours, theirs]));
}

const LOG_LEAVES: u32 = 18;
const COLUMNS: usize = 16;
const CAP_HEIGHT: usize = 4;

fn trees<T, P>(
    session: &Session,
    table: &Table,
    permutation: &(
         impl CryptographicPermutation<[T; WIDTH]> + CryptographicPermutation<[T::Packing; WIDTH]>
     ),
) where
    T: Peer<Ours = P::Field>,
    P: MerkleHash,
    [T; DIGEST]: Serialize + DeserializeOwned,
{
    let name = format!("{} merkle 2^{LOG_LEAVES} x {COLUMNS}", T::NAME);
    if !table.wants(&name) {
        return;
    }
    let values = elements::<T>(COLUMNS << LOG_LEAVES);
    let merkle = Merkle::<P>::new(session);
    // Neither side gives its layers for nothing, so they are compared whole only the first time; later
    // turns compare caps, which vouch for what is below.
    let mut is_first = true;
    let ours = Contender::new("ours", |watch| {
        let leaves = vec![LeafMatrix {
            values: T::ours(values.clone()),
            columns: COLUMNS,
        }];
        let tree = watch.measure(|| merkle.build(leaves).expect("a tree"));
        let (digests, lengths) = tree.into_parts();
        let mut digests = T::theirs(digests);
        let below: usize = lengths
            .iter()
            .filter(|&&length| length > 1 << CAP_HEIGHT)
            .sum();
        let above = (2 << CAP_HEIGHT) - 1;
        assert_eq!(digests.len(), (below + above) * DIGEST, "a layer too many");
        if !std::mem::take(&mut is_first) {
            digests.drain(..below * DIGEST);
            digests.truncate(DIGEST << CAP_HEIGHT);
        }
        digests
    });
    let sponge = PaddingFreeSponge::<_, WIDTH, DIGEST, DIGEST>::new(permutation.clone());
    let compress = TruncatedPermutation::<_, 2, DIGEST, WIDTH>::new(permutation.clone());
    let mmcs = MerkleTreeMmcs::<T::Packing, T::Packing, _, _, 2, DIGEST>::new(
        sponge, compress, CAP_HEIGHT,
    );
    let mut is_first = true;
    let theirs = Contender::new("p3 MerkleTreeMmcs", |watch| {
        let leaves = vec![RowMajorMatrix::new(values.clone(), COLUMNS)];
        let (cap, tree) = watch.measure(|| mmcs.commit(leaves));
        if !std::mem::take(&mut is_first) {
            return (0..1 << CAP_HEIGHT).flat_map(|at| cap[at]).collect();
        }
        // A tree shows its layers only to a serializer.
        let mut tree = serde_json::to_value(&tree).expect("a tree is plain data");
        let layers: Vec<Vec<[T; DIGEST]>> =
            serde_json::from_value(tree["digest_layers"].take()).expect("layers of digests");
        layers.into_iter().flatten().flatten().collect()
    });
    table.row(&name, 1.0, &contest(vec![ours, theirs]));
}

const BN254_STATES: usize = 1 << 11;
const BN254_TIMES: u32 = 8;

/// `2^256`, by which the kernels' form of an element differs from its number.
fn scale() -> Bn254 {
    Bn254::TWO.exp_u64(256)
}

/// Plonky3 has the rounds of this permutation but not its constants.
fn plonky3_bn254() -> Poseidon2Bn254<3> {
    let unscaled = scale().inverse();
    let constants = PermuteBn254::round_constants().into_iter();
    let constants: Vec<_> = constants
        .map(|words| Bn254::new(words) * unscaled)
        .collect();
    let external = |constants: &[Bn254]| constants.as_chunks().0.to_vec();
    Poseidon2Bn254::new(
        ExternalLayerConstants::new(external(&constants[..12]), external(&constants[68..])),
        constants[12..68].to_vec(),
    )
}

fn bn254(session: &Session, table: &Table) {
    let name = format!("bn254 poseidon2 3, {BN254_STATES} x {BN254_TIMES}");
    if !table.wants(&name) {
        return;
    }
    let scale = scale();
    let stored = |element: Bn254| -> [u64; 4] {
        let digits = (element * scale).as_canonical_biguint().to_u64_digits();
        std::array::from_fn(|digit| digits.get(digit).copied().unwrap_or(0))
    };
    // Squares of squares are without a pattern soon.
    let mut element = Bn254::from_u64(3);
    let mut next = || {
        element = element * element + Bn254::ONE;
        element
    };
    let states: Vec<[Bn254; 3]> = (0..BN254_STATES)
        .map(|_| std::array::from_fn(|_| next()))
        .collect();
    let words: Vec<_> = states.iter().map(|state| state.map(stored)).collect();
    let permute = PermuteBn254::new(session);
    let ours = Contender::new("ours", |watch| {
        let words = words.clone();
        watch.measure(|| permute.permute(words, BN254_TIMES).expect("permutations"))
    });
    let permutation = plonky3_bn254();
    let theirs = Contender::new("p3 Poseidon2Bn254", |watch| {
        let mut states = states.clone();
        watch.measure(|| {
            states.par_iter_mut().for_each(|state| {
                for _ in 0..BN254_TIMES {
                    permutation.permute_mut(state);
                }
            });
        });
        states.into_iter().map(|state| state.map(stored)).collect()
    });
    table.row(&name, 2.5, &contest(vec![ours, theirs]));
}

pub(crate) fn run(session: &Session, table: &Table) {
    let (babybear, koalabear) = (
        default_babybear_poseidon2_16(),
        default_koalabear_poseidon2_16(),
    );
    permutations::<BabyBear, BabyBear16>(session, table, &babybear);
    permutations::<KoalaBear, KoalaBear16>(session, table, &koalabear);
    trees::<BabyBear, BabyBear16>(session, table, &babybear);
    trees::<KoalaBear, KoalaBear16>(session, table, &koalabear);
    bn254(session, table);
}
