use froben_opencl::{
    BabyBear, BabyBear16, Error, Goldilocks8, KoalaBear16, LeafMatrix, Merkle, MerkleBabyBear,
    MerkleHash, Session, SessionOptions,
};
use p3_field::Field;
use p3_matrix::Matrix;
use p3_matrix::dense::RowMajorMatrix;
use p3_merkle_tree::MerkleTree;
use p3_symmetric::{CryptographicPermutation, PaddingFreeSponge, TruncatedPermutation};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{BabyBears, Goldilockses, KoalaBears, Twin, device, elements, native, sessions};

type Packing<T> = <<T as Twin>::Theirs as Field>::Packing;

/// Every digest of every layer of the tree over matrices of the given heights and widths.
fn check<T, P, const WIDTH: usize, const DIGEST: usize>(
    session: &Session,
    permutation: &(
         impl CryptographicPermutation<[T::Theirs; WIDTH]>
         + CryptographicPermutation<[Packing<T>; WIDTH]>
     ),
    shapes: &[(usize, usize)],
) where
    T: Twin,
    P: MerkleHash<Field = T::Ours>,
    [T::Theirs; DIGEST]: Serialize + DeserializeOwned,
{
    let matrices: Vec<_> = (1..)
        .zip(shapes)
        .map(|(seed, &(rows, columns))| {
            RowMajorMatrix::<T::Theirs>::new(elements(seed, rows * columns), columns)
        })
        .collect();
    let leaves = matrices.iter().map(|matrix| LeafMatrix {
        values: T::words(&matrix.values),
        columns: matrix.width(),
    });
    let ours = Merkle::<P>::new(session).build(leaves.collect());
    let ours = ours.expect("a tree");

    let sponge = PaddingFreeSponge::<_, WIDTH, DIGEST, DIGEST>::new(permutation.clone());
    let compress = TruncatedPermutation::<_, 2, DIGEST, WIDTH>::new(permutation.clone());
    let theirs = MerkleTree::<_, _, _, 2, DIGEST>::new::<Packing<T>, Packing<T>, _, _>(
        &sponge, &compress, matrices,
    );
    let layers: Vec<_> = ours.layers().collect();
    assert_eq!(layers.len(), theirs.num_layers(), "{shapes:?}");
    // A tree shows its layers only to a serializer, their padding too.
    let mut theirs = serde_json::to_value(&theirs).expect("a tree is plain data");
    let theirs: Vec<Vec<[T::Theirs; DIGEST]>> =
        serde_json::from_value(theirs["digest_layers"].take()).expect("layers of digests");
    for (index, (layer, digests)) in layers.iter().zip(&theirs).enumerate() {
        assert!(
            *layer == T::words(digests.as_flattened()).words(),
            "{}, {shapes:?}, layer {index}",
            P::NAME
        );
    }
}

const WIDTHS: [usize; 7] = [1, 7, 8, 9, 16, 17, 100];

fn agrees<T, P, const WIDTH: usize, const DIGEST: usize>(
    permutation: &(
         impl CryptographicPermutation<[T::Theirs; WIDTH]>
         + CryptographicPermutation<[Packing<T>; WIDTH]>
     ),
) where
    T: Twin,
    P: MerkleHash<Field = T::Ours>,
    [T::Theirs; DIGEST]: Serialize + DeserializeOwned,
{
    for session in sessions() {
        for rows in [1, 2, 3, 4, 7, 15, 16, 17, 33, 128] {
            for columns in WIDTHS {
                check::<T, P, WIDTH, DIGEST>(session, permutation, &[(rows, columns)]);
            }
        }
        let batches: [&[(usize, usize)]; 10] = [
            &[(1, 3), (1, 5)],
            &[(64, 3), (64, 5)],
            &[(64, 3), (64, 5), (64, 8), (64, 1)],
            &[(64, 16), (32, 9)],
            &[(1, 4), (64, 7), (2, 2), (64, 9), (32, 1), (1, 1)],
            &[(16, 8), (256, 5), (64, 1), (16, 3), (256, 12)],
            &[(7, 2), (4, 3), (2, 8), (1, 9)],
            &[(9, 2), (5, 8), (3, 3), (2, 1), (1, 7)],
            &[
                (100, 1),
                (50, 2),
                (25, 3),
                (13, 4),
                (7, 5),
                (4, 6),
                (2, 7),
                (1, 8),
            ],
            &[(65, 20), (33, 20), (33, 1), (17, 2)],
        ];
        for batch in batches {
            check::<T, P, WIDTH, DIGEST>(session, permutation, batch);
        }
    }
    let Some(session) = native() else { return };
    // Several panels of rows, the last one short.
    check::<T, P, WIDTH, DIGEST>(session, permutation, &[(20_000, 40), (10_000, 11)]);
    check::<T, P, WIDTH, DIGEST>(session, permutation, &[(9_999, 33), (9_999, 50)]);
}

#[test]
fn trees_are_those_of_plonky3() {
    agrees::<BabyBears, BabyBear16, 16, 8>(&p3_baby_bear::default_babybear_poseidon2_16());
    agrees::<KoalaBears, KoalaBear16, 16, 8>(&p3_koala_bear::default_koalabear_poseidon2_16());
    agrees::<Goldilockses, Goldilocks8, 8, 4>(&p3_goldilocks::default_goldilocks_poseidon2_8());
}

fn leaves(rows: usize, columns: usize) -> LeafMatrix<BabyBear> {
    LeafMatrix {
        values: BabyBears::words(&elements(3, rows * columns)),
        columns,
    }
}

#[test]
fn what_is_no_tree_is_refused() {
    let Some(session) = native() else { return };
    let merkle = MerkleBabyBear::new(session);
    let ragged = LeafMatrix {
        values: BabyBears::words(&elements(4, 7)),
        columns: 2,
    };
    let no_columns = LeafMatrix {
        values: vec![].into(),
        columns: 0,
    };
    for (name, matrices) in [
        ("no matrix", vec![]),
        ("half a row", vec![ragged]),
        ("no columns", vec![no_columns]),
        ("no rows", vec![leaves(0, 3)]),
        ("three rows under four", vec![leaves(4, 1), leaves(3, 1)]),
    ] {
        let result = merkle.build(matrices);
        assert!(matches!(result, Err(Error::Shape(_))), "{name}: {result:?}");
    }
}

#[test]
fn leaves_need_not_fit_the_device_but_digests_must() {
    let (Some(device), Some(whole)) = (device(), native()) else {
        return;
    };
    let options = SessionOptions {
        memory_limit_bytes: Some(128 << 10),
        ..SessionOptions::default()
    };
    let tight = Session::open_with(&device, options).expect("the device opens");
    // 400 KiB of leaves, 64 KiB of digests.
    let build = |session| MerkleBabyBear::new(session).build(vec![leaves(1 << 10, 100)]);
    assert!(build(&tight).expect("in panels") == build(whole).expect("at once"));
    let result = MerkleBabyBear::new(&tight).build(vec![leaves(1 << 12, 1)]);
    assert!(
        matches!(result, Err(Error::OutOfDeviceMemory { .. })),
        "{result:?}"
    );
}
