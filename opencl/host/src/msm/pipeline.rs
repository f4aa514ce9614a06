//! The launches of a multi-scalar multiplication, and what the host does with the windows' sums.

use super::curve::{POINT_WORDS, Point};
use super::plan::{Plan, Spread};
use super::program::MsmKernel;
use super::{Affine, ScalarForm};
use crate::driver::launch::msm::{
    MsmAccumulate, MsmChains, MsmDigits, MsmInput, MsmReduce, MsmSort, MsmSum, Windows, chain_words,
};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::memory::Lease;

/// Bases of one multiplication at most: more gain nothing from wider windows.
const MAX_CHUNK: usize = 1 << 22;

/// Adds up `scalars[i] * bases[i]`, in chunks that fit the device.
pub(crate) fn run(
    engine: &mut Engine,
    bases: &[Affine],
    scalars: &[[u64; 4]],
    form: ScalarForm,
) -> Result<Point> {
    let mut sum = Point::INFINITY;
    if bases.is_empty() {
        return Ok(sum);
    }
    let chunk = chunk_size(engine, bases.len())?;
    for (bases, scalars) in bases.chunks(chunk).zip(scalars.chunks(chunk)) {
        let plan = plan(engine, bases.len());
        sum = sum.add(&run_planned(engine, bases, scalars, form, &plan)?);
    }
    Ok(sum)
}

/// What suits the device.
pub(crate) fn plan(engine: &Engine, count: usize) -> Plan {
    Plan::new(count, spread(engine))
}

fn spread(engine: &Engine) -> Spread {
    let group_size = engine.layout().shape.group_size as usize;
    let units = engine.device().compute_units as usize;
    // A processor's unit is a thread, and a few times as many tasks even them out; a GPU's unit
    // hides its latencies behind some sixteen groups.
    Spread {
        work_items: if group_size == 1 {
            16 * units
        } else {
            16 * units * group_size
        },
        units,
        group_size,
    }
}

/// The most bases that fit the device, both as one allocation and all together.
fn chunk_size(engine: &Engine, count: usize) -> Result<usize> {
    let spread = spread(engine);
    let (available, largest) = (
        engine.available_bytes(),
        engine.layout().max_allocation_bytes,
    );
    let fits = |chunk: usize| {
        let plan = Plan::new(chunk, spread);
        let buckets = 128 * plan.windows.windows * plan.windows.buckets();
        let list = 4 * plan.windows.digits();
        let heads = 128 * plan.windows.windows * chunk.div_ceil(plan.length);
        let scratch = 8 * plan.chains * chain_words(plan.length);
        let allocation = (64 * chunk).max(list).max(buckets).max(heads).max(scratch);
        plan.bytes() <= available && allocation <= largest
    };
    let mut chunks = count.div_ceil(MAX_CHUNK);
    loop {
        let chunk = count.div_ceil(chunks);
        if fits(chunk) {
            return Ok(chunk);
        }
        if chunk == 1 {
            return Err(Error::OutOfDeviceMemory {
                device: engine.device().to_string(),
                needed_bytes: Plan::new(1, spread).bytes() as u64,
                available_bytes: available.min(largest) as u64,
            });
        }
        chunks *= 2;
    }
}

/// [`run`] all at once, as planned.
pub(crate) fn run_planned(
    engine: &mut Engine,
    bases: &[Affine],
    scalars: &[[u64; 4]],
    form: ScalarForm,
    plan: &Plan,
) -> Result<Point> {
    let bases = engine.upload(bases.as_flattened().as_flattened())?;
    let scalars = engine.upload(scalars.as_flattened())?;
    let digits = digits(engine, &bases, &scalars, form, plan.windows)?;
    drop(scalars);
    add_up(engine, &bases, digits, plan)
}

/// [`run_planned`] of what lies on the device already, and stays there.
pub(crate) fn run_resident(
    engine: &mut Engine,
    bases: &Lease,
    scalars: &Lease,
    form: ScalarForm,
    plan: &Plan,
) -> Result<Point> {
    let digits = digits(engine, bases, scalars, form, plan.windows)?;
    add_up(engine, bases, digits, plan)
}

fn add_up(engine: &mut Engine, bases: &Lease, digits: Lease, plan: &Plan) -> Result<Point> {
    let sorted = sort(engine, digits, plan.windows)?;
    let buckets = accumulate(engine, bases, &sorted, plan)?;
    let sums = weigh(engine, &buckets, &sorted, plan)?;
    combine(engine, &sums, plan.windows)
}

/// The digits of the scalars, window by window.
fn digits(
    engine: &mut Engine,
    bases: &Lease,
    scalars: &Lease,
    form: ScalarForm,
    windows: Windows,
) -> Result<Lease> {
    let digits = engine.lease::<u32>(windows.digits())?;
    let launch = MsmDigits {
        scalars,
        bases,
        digits: &digits,
        windows,
        montgomery: form == ScalarForm::Montgomery,
    };
    let shape = MsmKernel::Digits.shape(engine.layout().shape);
    let compiled = engine.msm_kernel(MsmKernel::Digits)?;
    let result = launch.enqueue(engine.queue(), &compiled.kernel, shape);
    engine.launched(&compiled, launch.traffic(), result)?;
    Ok(digits)
}

/// The windows, sorted by bucket.
struct Sorted {
    items: Lease,
    keys: Lease,
    totals: Lease,
    /// Where buckets end.
    ends: Lease,
}

fn sort(engine: &mut Engine, digits: Lease, windows: Windows) -> Result<Sorted> {
    let shape = MsmKernel::Digits.shape(engine.layout().shape);
    let sorted = Sorted {
        items: engine.lease::<u32>(windows.digits())?,
        keys: engine.lease::<u32>(windows.digits())?,
        totals: engine.lease::<u32>(windows.windows)?,
        ends: engine.lease::<u32>(windows.counts())?,
    };
    let launch = MsmSort {
        digits: &digits,
        counts: &sorted.ends,
        totals: &sorted.totals,
        items: &sorted.items,
        keys: &sorted.keys,
        windows,
    };
    let [count_bytes, place_bytes, sort_bytes] = launch.traffic();
    let compiled = engine.msm_kernel(MsmKernel::Count)?;
    let result = launch.enqueue_count(engine.queue(), &compiled.kernel, shape);
    engine.launched(&compiled, count_bytes, result)?;
    let compiled = engine.msm_kernel(MsmKernel::Place)?;
    let result = launch.enqueue_place(engine.queue(), &compiled.kernel, shape);
    engine.launched(&compiled, place_bytes, result)?;
    let compiled = engine.msm_kernel(MsmKernel::Sort)?;
    let result = launch.enqueue_sort(engine.queue(), &compiled.kernel, shape);
    engine.launched(&compiled, sort_bytes, result)?;
    Ok(sorted)
}

/// The sums of the buckets. Those without a digit hold garbage.
fn accumulate(engine: &mut Engine, bases: &Lease, sorted: &Sorted, plan: &Plan) -> Result<Lease> {
    let windows = plan.windows;
    let words = |points: usize| points * POINT_WORDS;
    let buckets = engine.lease::<u64>(words(windows.windows * windows.buckets()))?;
    let (mut count, mut length) = (windows.count, plan.length);
    // The list that is left over by the launch before.
    let mut left: Option<(Lease, Lease)> = None;
    loop {
        let runs = windows.windows * count.div_ceil(length);
        let heads = engine.lease::<u64>(words(runs))?;
        let head_keys = engine.lease::<u32>(runs)?;
        let (kernel, input, keys) = match &left {
            None => (
                if plan.chains > 0 {
                    MsmKernel::Chains
                } else {
                    MsmKernel::Accumulate
                },
                MsmInput::Bases {
                    bases,
                    bases_count: windows.count,
                    items: &sorted.items,
                    totals: &sorted.totals,
                },
                &sorted.keys,
            ),
            Some((heads, keys)) => (MsmKernel::Merge, MsmInput::Heads(heads), keys),
        };
        let scratch = if kernel == MsmKernel::Chains {
            let scratch = engine.lease::<u64>(plan.chains * chain_words(length))?;
            Some((scratch, engine.upload(&[0_u32])?))
        } else {
            None
        };
        let launch = MsmAccumulate {
            input,
            keys,
            buckets: &buckets,
            heads: &heads,
            head_keys: &head_keys,
            windows: windows.windows,
            count,
            length,
            buckets_per_window: windows.buckets(),
            chains: scratch.as_ref().map(|(scratch, next)| MsmChains {
                scratch,
                next,
                work_items: plan.chains,
            }),
        };
        let shape = kernel.shape(engine.layout().shape);
        let compiled = engine.msm_kernel(kernel)?;
        let result = launch.enqueue(engine.queue(), &compiled.kernel, shape);
        engine.launched(&compiled, launch.traffic(), result)?;
        // The first run of a window has no head.
        if count <= length {
            return Ok(buckets);
        }
        count = count.div_ceil(length);
        length = 32;
        left = Some((heads, head_keys));
    }
}

/// The weighted sum of each window's buckets.
fn weigh(engine: &mut Engine, buckets: &Lease, sorted: &Sorted, plan: &Plan) -> Result<Lease> {
    let windows = plan.windows;
    let shape = MsmKernel::Reduce.shape(engine.layout().shape);
    let words = |points: usize| points * POINT_WORDS;
    let mut count = windows.windows * plan.segments;
    let mut sums = engine.lease::<u64>(words(count))?;
    let launch = MsmReduce {
        buckets,
        ends: &sorted.ends,
        sums: &sums,
        windows,
        segments: plan.segments,
    };
    let compiled = engine.msm_kernel(MsmKernel::Reduce)?;
    let result = launch.enqueue(engine.queue(), &compiled.kernel, shape);
    engine.launched(&compiled, launch.traffic(), result)?;
    while count > windows.windows {
        let length = (count / windows.windows).min(32);
        count /= length;
        let output = engine.lease::<u64>(words(count))?;
        let launch = MsmSum {
            input: &sums,
            output: &output,
            count,
            length,
        };
        let compiled = engine.msm_kernel(MsmKernel::Sum)?;
        let result = launch.enqueue(engine.queue(), &compiled.kernel, shape);
        engine.launched(&compiled, launch.traffic(), result)?;
        sums = output;
    }
    Ok(sums)
}

/// Puts the windows together, from the highest down (Horner).
fn combine(engine: &Engine, sums: &Lease, windows: Windows) -> Result<Point> {
    let mut words = vec![[0_u64; POINT_WORDS]; windows.windows];
    engine.download(sums, words.as_flattened_mut())?;
    let mut total = Point::INFINITY;
    for words in words.iter().rev() {
        let sum = Point::from_words(words);
        if !sum.is_on_the_curve() {
            return Err(Error::WrongAnswer {
                device: engine.device().to_string(),
                check: "the sum of a window is no point of the curve".to_owned(),
            });
        }
        for _ in 0..windows.bits {
            total = total.double();
        }
        total = total.add(&sum);
    }
    Ok(total)
}
