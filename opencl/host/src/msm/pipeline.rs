//! The launches of a multi-scalar multiplication, and what the host does with the windows' sums.

use super::curve::{POINT_WORDS, Point};
use super::plan::{Grid, HEADS, Plan, SUMS, Spread};
use super::program::MsmKernel;
use super::{Affine, ScalarForm};
use crate::driver::launch::msm::{
    MsmAccumulate, MsmChains, MsmDigits, MsmGrid, MsmInput, MsmReduce, MsmSort, MsmSum, Windows,
    chain_words,
};
use crate::engine::{Ahead, Engine};
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
    let mut chunks = bases.chunks(chunk).zip(scalars.chunks(chunk)).peekable();
    for (bases, _) in chunks.clone() {
        engine.plan_launches(plan(engine, bases.len()).launches());
    }
    let (mut bases_ahead, mut scalars_ahead) = (Ahead::new(), Ahead::new());
    while let Some((bases, scalars)) = chunks.next() {
        let plan = plan(engine, bases.len());
        let (next_bases, next_scalars) = chunks.peek().copied().unzip();
        let next_bases = next_bases.map(words_of);
        let bases = bases_ahead.upload(engine, words_of(bases), next_bases)?;
        let next_scalars = next_scalars.map(<[_]>::as_flattened);
        let scalars = scalars_ahead.upload(engine, scalars.as_flattened(), next_scalars)?;
        sum = sum.add(&run_once(engine, &bases, scalars, form, &plan)?);
    }
    Ok(sum)
}

const fn words_of(bases: &[Affine]) -> &[u64] {
    bases.as_flattened().as_flattened()
}

/// What suits the device.
pub(crate) fn plan(engine: &Engine, count: usize) -> Plan {
    Plan::new(count, spread(engine))
}

/// How a plan's buckets would be weighed in a grid; where there are chains to add its lists up.
pub(super) fn grid(engine: &Engine, plan: &Plan) -> Option<Grid> {
    (plan.chains > 0).then(|| Grid::new(plan.windows, spread(engine)))
}

pub(super) fn spread(engine: &Engine) -> Spread {
    let tuning = engine.msm_tuning();
    Spread {
        units: engine.device().compute_units as usize,
        tuning,
        in_vectors: engine.layout().mont256.width() > 1 && tuning.group_size == 1,
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
        // While one chunk is multiplied the next one goes up.
        let ahead = if chunk < count && !engine.layout().in_place {
            96 * chunk
        } else {
            0
        };
        let allocation = plan.largest_bytes().max(64 * chunk);
        plan.bytes() + ahead <= available && allocation <= largest
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
    let bases = engine.upload(words_of(bases))?;
    let scalars = engine.upload(scalars.as_flattened())?;
    run_once(engine, &bases, scalars, form, plan)
}

/// [`run_planned`] of what lies on the device already; the scalars make room for the rest.
fn run_once(
    engine: &mut Engine,
    bases: &Lease,
    scalars: Lease,
    form: ScalarForm,
    plan: &Plan,
) -> Result<Point> {
    let digits = digits(engine, bases, &scalars, form, plan.windows)?;
    drop(scalars);
    add_up(engine, bases, digits, plan)
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
    let bases = Bases {
        points: bases,
        count: plan.windows.count,
    };
    let buckets = accumulate(
        engine,
        bases,
        &sorted,
        plan.windows,
        plan.length,
        plan.chains,
    )?;
    let Some(grid) = plan.grid else {
        let sums = weigh(engine, &buckets, &sorted, plan.windows, plan.segments)?;
        return combine(engine, &sums, plan.windows);
    };
    let lists = grid.lists(plan.windows);
    let (numbers, width) = (
        2 * plan.windows.windows * plan.windows.buckets(),
        lists.buckets(),
    );
    let listed = list(engine, &buckets, &sorted, plan.windows, lists)?;
    drop(sorted);
    let buckets = Bases {
        points: &buckets,
        count: numbers,
    };
    let sums = accumulate(engine, buckets, &listed, lists, grid.length, plan.chains)?;
    let sums = weigh(engine, &sums, &listed, lists, plan.segments)?;
    combine_lists(engine, &sums, plan.windows, width)
}

/// Points that the items of a list name.
#[derive(Clone, Copy)]
struct Bases<'a> {
    points: &'a Lease,
    count: usize,
}

/// The rows and columns of the buckets of each window.
fn list(
    engine: &mut Engine,
    buckets: &Lease,
    sorted: &Sorted,
    windows: Windows,
    lists: Windows,
) -> Result<Sorted> {
    let listed = Sorted::room(engine, lists)?;
    let launch = MsmGrid {
        buckets,
        ends: &sorted.ends,
        items: &listed.items,
        keys: &listed.keys,
        totals: &listed.totals,
        list_ends: &listed.ends,
        windows,
        width: lists.buckets(),
    };
    let shape = engine.msm_shape(MsmKernel::Grid);
    let compiled = engine.msm_kernel(MsmKernel::Grid)?;
    let result = launch.enqueue(engine.queue(), &compiled.kernel, shape);
    engine.launched(&compiled, launch.traffic(), result)?;
    Ok(listed)
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
    let shape = engine.msm_shape(MsmKernel::Digits);
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

impl Sorted {
    fn room(engine: &Engine, windows: Windows) -> Result<Self> {
        Ok(Self {
            items: engine.lease::<u32>(windows.digits())?,
            keys: engine.lease::<u32>(windows.digits())?,
            totals: engine.lease::<u32>(windows.windows)?,
            ends: engine.lease::<u32>(windows.counts())?,
        })
    }
}

fn sort(engine: &mut Engine, digits: Lease, windows: Windows) -> Result<Sorted> {
    let shape = engine.msm_shape(MsmKernel::Digits);
    let sorted = Sorted::room(engine, windows)?;
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
fn accumulate(
    engine: &mut Engine,
    bases: Bases<'_>,
    sorted: &Sorted,
    windows: Windows,
    length: usize,
    chains: usize,
) -> Result<Lease> {
    let words = |points: usize| points * POINT_WORDS;
    let buckets = engine.lease::<u64>(words(windows.windows * windows.buckets()))?;
    let (mut count, mut length) = (windows.count, length);
    // The list that is left over by the launch before.
    let mut left: Option<(Lease, Lease)> = None;
    loop {
        let runs = windows.windows * count.div_ceil(length);
        let heads = engine.lease::<u64>(words(runs))?;
        let head_keys = engine.lease::<u32>(runs)?;
        let (kernel, input, keys) = match &left {
            None => (
                if chains > 0 {
                    MsmKernel::Chains
                } else {
                    MsmKernel::Accumulate
                },
                MsmInput::Bases {
                    bases: bases.points,
                    bases_count: bases.count,
                    items: &sorted.items,
                    totals: &sorted.totals,
                },
                &sorted.keys,
            ),
            Some((heads, keys)) => (MsmKernel::Merge, MsmInput::Heads(heads), keys),
        };
        let scratch = if kernel == MsmKernel::Chains {
            let scratch = engine.lease::<u64>(chains * chain_words(length))?;
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
                work_items: chains,
            }),
        };
        let shape = engine.msm_shape(kernel);
        let compiled = engine.msm_kernel(kernel)?;
        let result = launch.enqueue(engine.queue(), &compiled.kernel, shape);
        engine.launched(&compiled, launch.traffic(), result)?;
        // The first run of a window has no head.
        if count <= length {
            return Ok(buckets);
        }
        count = count.div_ceil(length);
        length = HEADS;
        left = Some((heads, head_keys));
    }
}

/// The weighted sum of each window's buckets.
fn weigh(
    engine: &mut Engine,
    buckets: &Lease,
    sorted: &Sorted,
    windows: Windows,
    segments: usize,
) -> Result<Lease> {
    let shape = engine.msm_shape(MsmKernel::Reduce);
    let words = |points: usize| points * POINT_WORDS;
    let mut count = windows.windows * segments;
    let mut sums = engine.lease::<u64>(words(count))?;
    let launch = MsmReduce {
        buckets,
        ends: &sorted.ends,
        sums: &sums,
        windows,
        segments,
    };
    let compiled = engine.msm_kernel(MsmKernel::Reduce)?;
    let result = launch.enqueue(engine.queue(), &compiled.kernel, shape);
    engine.launched(&compiled, launch.traffic(), result)?;
    while count > windows.windows {
        let length = (count / windows.windows).min(SUMS);
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

/// Puts the windows together.
fn combine(engine: &Engine, sums: &Lease, windows: Windows) -> Result<Point> {
    let sums = download(engine, sums, windows.windows)?;
    Ok(horner(sums.into_iter(), windows))
}

/// The same of the sums of rows and of columns, `width` times and once.
fn combine_lists(engine: &Engine, sums: &Lease, windows: Windows, width: usize) -> Result<Point> {
    let sums = download(engine, sums, 2 * windows.windows)?;
    let sums = sums.chunks_exact(2).map(|pair| {
        let rows = (0..width.ilog2()).fold(pair[0], |sum, _| sum.double());
        rows.add(&pair[1])
    });
    Ok(horner(sums, windows))
}

/// From the highest down; what lies between windows is in the multiples.
fn horner(sums: impl DoubleEndedIterator<Item = Point>, windows: Windows) -> Point {
    let doublings = windows.bits as usize * windows.multiples;
    sums.rev().fold(Point::INFINITY, |total, sum| {
        (0..doublings)
            .fold(total, |total, _| total.double())
            .add(&sum)
    })
}

/// Sums, each of which is a point of the curve.
fn download(engine: &Engine, sums: &Lease, count: usize) -> Result<Vec<Point>> {
    let mut words = vec![[0_u64; POINT_WORDS]; count];
    engine.download(sums, words.as_flattened_mut())?;
    let points: Vec<_> = words.iter().map(Point::from_words).collect();
    let right = points.iter().all(Point::is_on_the_curve);
    engine.require(right, || {
        "the sum of a window is no point of the curve".to_owned()
    })?;
    Ok(points)
}
