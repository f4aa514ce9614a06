use std::marker::PhantomData;

use froben_opencl::{
    BabyBear4, BabyBear5, Extension, Fold, Goldilocks2, Goldilocks5, KoalaBear4, KoalaBear5,
    Session,
};
use p3_field::extension::{BinomialExtensionField, QuinticTrinomialExtensionField};
use p3_field::{ExtensionField, TwoAdicField};
use p3_fri::{FriFoldingStrategy, TwoAdicFriFolding};
use p3_matrix::dense::RowMajorMatrix;

use crate::{BabyBears, Goldilockses, KoalaBears, Twin, elements, native, sessions};

fn check<T: Twin, O: Extension<Base = T::Ours>, E: ExtensionField<T::Theirs> + TwoAdicField>(
    session: &Session,
    log_rows: usize,
    log_arity: usize,
    beta: E,
) {
    let count = E::DIMENSION << (log_rows + log_arity);
    let evaluations = E::reconstitute_from_base(elements::<T::Theirs>(5, count));
    let strategy = TwoAdicFriFolding::<(), ()>(PhantomData);
    let layer = RowMajorMatrix::new(evaluations.clone(), 1 << log_arity);
    let theirs: Vec<E> =
        FriFoldingStrategy::<T::Theirs, E>::fold_matrix(&strategy, beta, log_arity, layer);

    let words = |elements: Vec<E>| T::words(&E::flatten_to_base(elements));
    let ours = Fold::<O>::new(session)
        .fold(words(evaluations), log_arity as u32, &words(vec![beta]))
        .expect("a fold");
    assert!(
        ours == words(theirs),
        "2^{log_rows} rows, arity 2^{log_arity}"
    );
}

fn agrees<T: Twin, O: Extension<Base = T::Ours>, E: ExtensionField<T::Theirs> + TwoAdicField>() {
    assert_eq!(O::DEGREE, E::DIMENSION);
    let random = E::reconstitute_from_base(elements::<T::Theirs>(6, 2 * O::DEGREE))[1];
    let betas = [E::ZERO, E::ONE, E::NEG_ONE, random];
    for session in sessions() {
        // What is compiled for each arity is long where a run is in registers.
        for log_arity in if O::DEGREE == 4 { 1..=5 } else { 1..=3 } {
            for log_rows in 0..=7 {
                for beta in betas {
                    check::<T, O, E>(session, log_rows, log_arity, beta);
                }
            }
        }
    }
    if let Some(session) = native() {
        check::<T, O, E>(session, 15, 1, random);
        check::<T, O, E>(session, 13, 3, random);
    }
}

type Binomial<T, const D: usize> = BinomialExtensionField<<T as Twin>::Theirs, D>;

#[test]
fn agrees_with_plonky3() {
    agrees::<BabyBears, BabyBear4, Binomial<BabyBears, 4>>();
    agrees::<BabyBears, BabyBear5, Binomial<BabyBears, 5>>();
    agrees::<KoalaBears, KoalaBear4, Binomial<KoalaBears, 4>>();
    agrees::<KoalaBears, KoalaBear5, QuinticTrinomialExtensionField<p3_koala_bear::KoalaBear>>();
    agrees::<Goldilockses, Goldilocks2, Binomial<Goldilockses, 2>>();
    agrees::<Goldilockses, Goldilocks5, Binomial<Goldilockses, 5>>();
}
