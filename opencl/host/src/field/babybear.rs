use super::monty31::Monty31;

/// The field BabyBear, `2^31 - 2^27 + 1`, in Montgomery form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BabyBear;

impl Monty31 for BabyBear {
    const NAME: &'static str = "babybear";
    const SOURCE: &'static str = include_str!("../../../kernels/field/babybear.cl");
    const P: u32 = 0x7800_0001;
    const TWO_ADICITY: u32 = 27;
    const ROOT: u32 = 0x1a42_7a41;
}
