use std::marker::PhantomData;

use froben_opencl::{Fold, Session};
use p3_field::extension::{BinomialExtensionField, BinomiallyExtendable};
use p3_field::{BasedVectorSpace, ExtensionField, PrimeCharacteristicRing, TwoAdicField};
use p3_fri::{FriFoldingStrategy, TwoAdicFriFolding};
use p3_matrix::dense::RowMajorMatrix;

use crate::{BabyBears, Goldilockses, KoalaBears, Twin, elements, native, sessions};

fn check<T: Twin, E: ExtensionField<T::Theirs> + TwoAdicField>(
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
    let ours = Fold::<T::Ours>::new(session)
        .fold(words(evaluations), log_arity as u32, &words(vec![beta]))
        .expect("a fold");
    assert!(
        ours == words(theirs),
        "2^{log_rows} rows, arity 2^{log_arity}"
    );
}

fn agrees<T: Twin<Theirs: BinomiallyExtendable<D>>, const D: usize>()
where
    BinomialExtensionField<T::Theirs, D>: ExtensionField<T::Theirs> + TwoAdicField,
{
    type Challenge<T, const D: usize> = BinomialExtensionField<<T as Twin>::Theirs, D>;
    let random = Challenge::<T, D>::reconstitute_from_base(elements::<T::Theirs>(6, 2 * D))[1];
    let betas = [
        Challenge::<T, D>::ZERO,
        Challenge::<T, D>::ONE,
        Challenge::<T, D>::NEG_ONE,
        random,
    ];
    for session in sessions() {
        for log_arity in 1..=5 {
            for log_rows in 0..=7 {
                for beta in betas {
                    check::<T, _>(session, log_rows, log_arity, beta);
                }
            }
        }
    }
    if let Some(session) = native() {
        check::<T, _>(session, 15, 1, random);
        check::<T, _>(session, 13, 3, random);
    }
}

#[test]
fn agrees_with_plonky3() {
    agrees::<BabyBears, 4>();
    agrees::<KoalaBears, 4>();
    agrees::<Goldilockses, 2>();
}
