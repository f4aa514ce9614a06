use std::marker::PhantomData;

use froben_opencl::{FoldBabyBear, Session, words};
use p3_baby_bear::BabyBear;
use p3_field::extension::BinomialExtensionField;
use p3_field::{BasedVectorSpace, PrimeCharacteristicRing};
use p3_fri::{FriFoldingStrategy, TwoAdicFriFolding};
use p3_matrix::dense::RowMajorMatrix;

use crate::{elements, native, sessions};

type Challenge = BinomialExtensionField<BabyBear, 4>;

fn challenges(seed: u64, count: usize) -> Vec<Challenge> {
    Challenge::reconstitute_from_base(elements(seed, 4 * count))
}

fn check(session: &Session, log_rows: usize, log_arity: usize, beta: Challenge) {
    let evaluations = challenges(5, 1 << (log_rows + log_arity));
    let strategy = TwoAdicFriFolding::<(), ()>(PhantomData);
    let layer = RowMajorMatrix::new(evaluations.clone(), 1 << log_arity);
    let theirs: Vec<Challenge> =
        FriFoldingStrategy::<BabyBear, Challenge>::fold_matrix(&strategy, beta, log_arity, layer);

    let values = words::from_babybear(Challenge::flatten_to_base(evaluations));
    let beta_words = words::from_babybear(Challenge::flatten_to_base(vec![beta]));
    let ours = FoldBabyBear::new(session)
        .fold(values, log_arity as u32, &beta_words)
        .expect("a fold");
    let ours = Challenge::reconstitute_from_base(words::to_babybear(ours));
    assert!(ours == theirs, "2^{log_rows} rows, arity 2^{log_arity}");
}

#[test]
fn agrees_with_plonky3() {
    let betas = [
        Challenge::ZERO,
        Challenge::ONE,
        Challenge::NEG_ONE,
        challenges(6, 2)[1],
    ];
    for session in sessions() {
        for log_arity in 1..=5 {
            for log_rows in 0..=7 {
                for beta in betas {
                    check(session, log_rows, log_arity, beta);
                }
            }
        }
    }
    if let Some(session) = native() {
        check(session, 15, 1, betas[3]);
        check(session, 13, 3, betas[3]);
    }
}
