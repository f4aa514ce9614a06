use super::monty31::Monty31;

/// The field KoalaBear, `2^31 - 2^24 + 1`, in Montgomery form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KoalaBear;

impl Monty31 for KoalaBear {
    const NAME: &'static str = "koalabear";
    const SOURCE: &'static str = include_str!("../../../kernels/field/koalabear.cl");
    const P: u32 = 0x7f00_0001;
    const TWO_ADICITY: u32 = 24;
    const ROOT: u32 = 0x6ac4_9f88;
}
