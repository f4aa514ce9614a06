//! The running fingerprint: a gadget shared by the circuits.
//!
//! A row of `K` byte places adds `power * (b_0 + b_1 r + ... + b_{K-1} r^{K-1})` to the sum and
//! multiplies `power` by `r^K`; the point `r` comes from the public values, so that its powers cost
//! no degree. A counter beside it adds up the bytes that are data. At the last row both must be what
//! the public values say.
//!
//! The gadget does not know where the bytes come from: that a row's bytes are those the hash takes,
//! in order, and that bytes which are not data are passed as 0, is the caller's to constrain.

use p3_air::AirBuilder;
use p3_field::extension::BinomiallyExtendable;
use p3_field::{Algebra, PrimeCharacteristicRing};

use crate::config::{Challenge, Val};
use crate::field;
use crate::public;

/// Cells that the gadget takes.
pub(crate) const COUNT: usize = 9;

/// The gadget's cells in one row; each holds the value before the row's own bytes.
#[derive(Clone, Copy)]
pub(crate) struct Columns<T> {
    /// Sum so far.
    sum: [T; 4],
    /// `r` to the number of byte places so far.
    power: [T; 4],
    /// Bytes of data so far.
    count: T,
}

impl<T: Copy> Columns<T> {
    /// Reads the cells from a row's slice of [`COUNT`].
    pub(crate) fn read(cells: &[T]) -> Self {
        Self {
            sum: core::array::from_fn(|i| cells[i]),
            power: core::array::from_fn(|i| cells[4 + i]),
            count: cells[8],
        }
    }
}

/// What one row adds.
pub(crate) struct Row<E, const K: usize> {
    /// The row's bytes in order, 0 where the place is not data; degree at most 2.
    pub(crate) bytes: [E; K],
    /// How many of them are data; degree at most 3.
    pub(crate) count: E,
    /// 1 if the row takes bytes, 0 if not, and then `bytes` and `count` are 0; degree at most 2.
    pub(crate) absorbs: E,
}

/// Constrains the running fingerprint and the count.
///
/// The last row adds nothing, and is constrained to have nothing to add.
pub(crate) fn eval<AB: AirBuilder<F = Val>, const K: usize>(
    builder: &mut AB,
    local: &Columns<AB::Var>,
    next: &Columns<AB::Var>,
    row: Row<AB::Expr, K>,
) {
    let point = public::challenge(builder, public::POINT);
    let claimed = public::challenge(builder, public::FINGERPRINT);
    let len = public::value(builder, public::LEN);
    let Row {
        bytes,
        count,
        absorbs,
    } = row;

    let sum: [AB::Expr; 4] = local.sum.map(Into::into);
    let power: [AB::Expr; 4] = local.power.map(Into::into);

    {
        let mut first = builder.when_first_row();
        first.assert_zeros(local.sum);
        first.assert_eq_arrays(local.power, one::<AB::Expr>());
        first.assert_zero(local.count);
    }

    let added = mul(&power, &horner(&bytes, &point));
    let step = power_of(&point, K);
    let stepped = mul(&power, &step);
    {
        let mut transition = builder.when_transition();
        for i in 0..4 {
            transition.assert_eq(next.sum[i], sum[i].clone() + added[i].clone());
            transition.assert_eq(
                next.power[i],
                power[i].clone() + absorbs.clone() * (stepped[i].clone() - power[i].clone()),
            );
        }
        transition.assert_eq(next.count, count.clone() + local.count);
    }
    {
        let mut last = builder.when_last_row();
        last.assert_eq_arrays(local.sum, claimed);
        last.assert_eq(local.count, len);
        last.assert_zero(count);
    }
}

/// The gadget's state while a trace is filled.
pub(crate) struct Running {
    r: Challenge,
    sum: Challenge,
    power: Challenge,
    count: usize,
}

impl Running {
    /// The state before the first row.
    pub(crate) fn new(r: Challenge) -> Self {
        Self {
            r,
            sum: Challenge::ZERO,
            power: Challenge::ONE,
            count: 0,
        }
    }

    /// Fills the gadget's cells of a row, then takes those of its bytes that are data.
    ///
    /// `places` is how many byte places the row has, 0 if it takes none.
    pub(crate) fn fill_where(
        &mut self,
        cells: &mut [Val],
        bytes: impl IntoIterator<Item = (u8, bool)>,
        places: usize,
    ) {
        cells[..4].copy_from_slice(&field::coefficients(self.sum));
        cells[4..8].copy_from_slice(&field::coefficients(self.power));
        cells[8] = Val::from_usize(self.count);

        let mut power = self.power;
        for (byte, is_data) in bytes {
            if is_data {
                self.sum += power * Val::from_u8(byte);
                self.count += 1;
            }
            power *= self.r;
        }
        self.power *= self.r.exp_u64(places as u64);
    }
}

fn one<E: PrimeCharacteristicRing>() -> [E; 4] {
    [E::ONE, E::ZERO, E::ZERO, E::ZERO]
}

/// The product in the challenge field, modulo `X^4 - W`.
fn mul<E: Algebra<Val>>(a: &[E; 4], b: &[E; 4]) -> [E; 4] {
    core::array::from_fn(|k| {
        let mut low = E::ZERO;
        let mut high = E::ZERO;
        for (i, a) in a.iter().enumerate() {
            let term = a.clone() * b[(4 + k - i) % 4].clone();
            if i <= k {
                low += term;
            } else {
                high += term;
            }
        }
        low + high * <Val as BinomiallyExtendable<4>>::W
    })
}

/// The value at `point` of the polynomial with these coefficients, lowest first.
fn horner<E: Algebra<Val>>(coefficients: &[E], point: &[E; 4]) -> [E; 4] {
    let mut value = [E::ZERO, E::ZERO, E::ZERO, E::ZERO];
    for coefficient in coefficients.iter().rev() {
        value = mul(&value, point);
        value[0] += coefficient.clone();
    }
    value
}

/// `point` to the power `n`.
fn power_of<E: Algebra<Val>>(point: &[E; 4], n: usize) -> [E; 4] {
    let mut power = one();
    for bit in (0..usize::BITS - n.leading_zeros()).rev() {
        power = mul(&power, &power);
        if n >> bit & 1 == 1 {
            power = mul(&power, point);
        }
    }
    power
}
