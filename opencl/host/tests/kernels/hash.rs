use froben_opencl::{
    BabyBear16, BabyBear24, Elements, Error, Goldilocks8, Goldilocks12, KoalaBear16, KoalaBear24,
    LeafMatrix, MerkleGoldilocks, Permute, PermuteBn254, Poseidon2,
};
use p3_bn254::{Bn254, Poseidon2Bn254};
use p3_field::{Field, PrimeCharacteristicRing, PrimeField};
use p3_poseidon2::ExternalLayerConstants;
use p3_symmetric::Permutation;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::{BabyBears, Goldilockses, KoalaBears, Twin, elements, large_field_sessions, sessions};

fn agrees<T, P, const WIDTH: usize>(permutation: &impl Permutation<[T::Theirs; WIDTH]>)
where
    T: Twin,
    P: Poseidon2<Field = T::Ours>,
{
    for session in sessions() {
        for count in [0, 1, 7, 8, 9, 64, 1000] {
            let states: Vec<T::Theirs> = elements(8, WIDTH * count);
            let ours = Permute::<P>::new(session).permute(T::words(&states), 2);
            let (theirs, rest) = states.as_chunks::<WIDTH>();
            assert!(rest.is_empty());
            let theirs: Vec<_> = theirs
                .iter()
                .flat_map(|&state| permutation.permute(permutation.permute(state)))
                .collect();
            assert!(
                ours.expect("a permutation") == T::words(&theirs),
                "{}, {count} states",
                P::NAME
            );
        }
    }
}

#[test]
fn permutations_are_those_of_plonky3() {
    agrees::<BabyBears, BabyBear16, 16>(&p3_baby_bear::default_babybear_poseidon2_16());
    agrees::<BabyBears, BabyBear24, 24>(&p3_baby_bear::default_babybear_poseidon2_24());
    agrees::<KoalaBears, KoalaBear16, 16>(&p3_koala_bear::default_koalabear_poseidon2_16());
    agrees::<KoalaBears, KoalaBear24, 24>(&p3_koala_bear::default_koalabear_poseidon2_24());
    agrees::<Goldilockses, Goldilocks8, 8>(&p3_goldilocks::default_goldilocks_poseidon2_8());
    agrees::<Goldilockses, Goldilocks12, 12>(&p3_goldilocks::default_goldilocks_poseidon2_12());
}

/// Plonky3 may keep an element of Goldilocks as itself plus the modulus.
#[test]
fn every_form_of_an_element_hashes_alike() {
    const P: u64 = 0xffff_ffff_0000_0001;
    for session in sessions() {
        let hash = |words: Vec<u64>| {
            let states = Elements::new(words.clone()).expect("elements");
            let permuted = Permute::<Goldilocks8>::new(session).permute(states, 1);
            let leaf = LeafMatrix {
                values: Elements::new(words).expect("elements"),
                columns: 8,
            };
            let tree = MerkleGoldilocks::new(session).build(vec![leaf]);
            (permuted.expect("a permutation"), tree.expect("a tree"))
        };
        let small: Vec<u64> = (0..8).map(|i| i % 3).collect();
        let shifted = small.iter().map(|word| word + P).collect();
        assert_eq!(hash(small), hash(shifted));
    }
}

type Bn254Limbs = [u64; 4];

fn bn254(number: Bn254Limbs) -> Bn254 {
    Bn254::new(number)
}

/// As the kernels store it: times 2^256.
fn stored(element: Bn254) -> Bn254Limbs {
    let scaled = element * Bn254::TWO.exp_u64(256);
    let digits = scaled.as_canonical_biguint().to_u64_digits();
    std::array::from_fn(|digit| digits.get(digit).copied().unwrap_or(0))
}

/// Plonky3 has the rounds of this permutation but not its constants.
fn plonky3_bn254() -> Poseidon2Bn254<3> {
    let unscaled = Bn254::TWO.exp_u64(256).inverse();
    let constants = PermuteBn254::round_constants().into_iter();
    let constants: Vec<_> = constants.map(|words| bn254(words) * unscaled).collect();
    let external = |constants: &[Bn254]| constants.as_chunks().0.to_vec();
    Poseidon2Bn254::new(
        ExternalLayerConstants::new(external(&constants[..12]), external(&constants[68..])),
        constants[12..68].to_vec(),
    )
}

/// That the constants are the published ones is shown by the answer that zkhash 0.2 publishes.
#[test]
fn the_permutation_over_bn254_is_that_of_plonky3() {
    let number = |word| stored(bn254([word, 0, 0, 0]));
    let published = [
        [
            0x47f7_6005_4f4a_3033,
            0x8134_334d_a98e_a4f8,
            0xbcb1_929a_8265_0f32,
            0x0bb6_1d24_daca_55ee,
        ],
        [
            0x92de_fe7f_f8d0_3570,
            0x77a1_5d3f_74ca_6549,
            0xcbcc_8021_4f26_a302,
            0x303b_6f7c_86d0_43bf,
        ],
        [
            0x8629_6242_cf76_6ec8,
            0xe660_b145_9944_27cc,
            0xf861_7361_c3ba_7c52,
            0x1ed2_5194_542b_12ee,
        ],
    ];
    let edges = [
        [0; 4],
        [1, 0, 0, 0],
        [u64::MAX, 0, 0, 0],
        [u64::MAX, u64::MAX, u64::MAX, 0],
        [
            0x43e1_f593_f000_0000,
            0x2833_e848_79b9_7091,
            0xb850_45b6_8181_585d,
            0x3064_4e72_e131_a029,
        ],
    ];
    let mut random = SmallRng::seed_from_u64(9);
    let mut element = |index: usize| match index % 3 {
        0 => bn254(edges[random.random_range(0..edges.len())]),
        _ => bn254(random.random()),
    };
    let permutation = plonky3_bn254();
    for session in large_field_sessions() {
        let ours = PermuteBn254::new(session);
        let answer = ours.permute(vec![[number(0), number(1), number(2)]], 1);
        assert_eq!(
            answer.expect("a permutation"),
            [published.map(|n| stored(bn254(n)))]
        );
        for count in [0, 1, 3, 4, 5, 7, 8, 9, 64, 257] {
            let states: Vec<[Bn254; 3]> = (0..count)
                .map(|i| std::array::from_fn(|j| element(3 * i + j + i % 3)))
                .collect();
            let words = states.iter().map(|state| state.map(stored)).collect();
            let theirs = states
                .into_iter()
                .map(|state| permutation.permute(permutation.permute(state)).map(stored));
            let theirs: Vec<_> = theirs.collect();
            assert!(
                ours.permute(words, 2).expect("a permutation") == theirs,
                "{count} states"
            );
        }
        let above = [u64::MAX; 4];
        let refused = ours.permute(vec![[number(1), above, number(2)]], 1);
        assert!(matches!(refused, Err(Error::NotCanonical { index: 1, .. })));
    }
}
