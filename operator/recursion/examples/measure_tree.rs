//! What each circuit of the tree takes: rows, heights, time and memory.
//!
//! `cargo run -p froben-recursion --example measure_tree [PARAMS [SLOTS [CIRCUIT]]]`: with a circuit's
//! name, two leaves of it and nothing above them.

use std::time::{Duration, Instant};

use froben_circuits::config::{Challenge, StockPcs, stock};
use froben_circuits::{Circuit as Segment, Params, Statement, Witness, decode, prove};
use froben_recursion::aggregate::{
    Leaf, LeafInput, Lift, Lists, Node, NodeChild, Proved, Scheduler, Tip, batch_digest,
};
use froben_recursion::tables::rows;
use froben_recursion::{Circuit, CircuitProof, Heights, ProvingKey, VerifyingKey};

type Key = ProvingKey<StockPcs>;

fn main() {
    let mut args = std::env::args().skip(1);
    let params: Params = args
        .next()
        .map_or(Params::Dev, |name| name.parse().expect("parameters"));
    let slots: usize = args
        .next()
        .map_or(2, |slots| slots.parse().expect("a number"));
    let only = args.next();

    let witnesses: Vec<Witness> = (0..2 * slots as u32)
        .map(|i| {
            let bytes = (0..4096_u32).map(|k| (k * 31 + i) as u8).collect();
            Witness::compute(bytes, i).expect("a segment")
        })
        .collect();
    let statements: Vec<Statement> = witnesses.iter().map(|it| it.statement).collect();

    let mut branches = Vec::new();
    let is_asked = |segment: &Segment| only.as_ref().is_none_or(|it| *it == segment.to_string());
    for segment in Segment::ALL.into_iter().filter(is_asked) {
        let leaf = Leaf::new(params, segment, slots);
        let key = made(
            params,
            &format!("leaf of {slots} {segment}"),
            leaf.circuit(),
            None,
        );
        let children: Vec<(Statement, CircuitProof)> = witnesses
            .iter()
            .map(|witness| {
                let proof = prove(&stock(params), segment, witness).expect("a true statement");
                (
                    witness.statement,
                    decode(segment, &proof).expect("just made"),
                )
            })
            .collect();
        let mut start = Lists::default();
        let leaves: Vec<Proved> = children
            .chunks(slots)
            .map(|children| {
                let children: Vec<_> = children.iter().map(|(it, proof)| (it, proof)).collect();
                let children = &children[..];
                let inputs = leaf
                    .inputs(&LeafInput { start, children })
                    .expect("its shape");
                for &(statement, _) in children {
                    start = start.with(segment, statement).expect("a statement");
                }
                proved(params, &key, &inputs)
            })
            .collect();
        let lift = Lift::new(params, &key.verifying());
        branches.push((segment, lift, leaves));
    }
    if only.is_some() {
        println!("peak memory {} MiB", peak_kib() / 1024);
        return;
    }
    let (node, heights) = Node::over(params, branches.iter().map(|(_, lift, _)| lift));
    let node_key = made(params, "node", node.circuit(), Some(heights));
    let mut lift_keys = Vec::new();
    let mut tops = Vec::new();
    for (segment, lift, leaves) in &branches {
        let key = made(
            params,
            &format!("lift of {segment}"),
            lift.circuit(),
            Some(heights),
        );
        let lifts: Vec<Proved> = leaves
            .iter()
            .map(|leaf| proved(params, &key, &lift.inputs(leaf).expect("its shape")))
            .collect();
        let children = [0, 1].map(|i| (NodeChild::Lift, &lifts[i]));
        let inputs = node
            .inputs(&key.verifying(), &node_key.verifying(), children)
            .expect("its shape");
        tops.push(proved(params, &node_key, &inputs));
        lift_keys.push(key.verifying());
    }
    let lift_keys: [VerifyingKey; 4] = std::array::from_fn(|i| lift_keys[i].clone());
    let tip = Tip::new(params, &lift_keys, &node_key.verifying());
    let tip_key = made(params, "tip", tip.circuit(), None);
    let children = std::array::from_fn(|i| (NodeChild::Node, &tops[i]));
    let tip_proof = proved(params, &tip_key, &tip.inputs(children).expect("its shape"));
    let scheduler = Scheduler::new(params, &tip_key.verifying());
    let scheduler_key = made(params, "scheduler", scheduler.circuit(), None);
    let end = proved(
        params,
        &scheduler_key,
        &scheduler.inputs(&tip_proof).expect("its shape"),
    );
    let digest = batch_digest(&statements).expect("statements");
    assert_eq!(end.publics[..8], digest, "the batch's digest");
    println!("peak memory {} MiB", peak_kib() / 1024);
}

fn made(params: Params, name: &str, circuit: &Circuit, heights: Option<Heights>) -> Key {
    let rows: Vec<String> = rows(circuit)
        .into_iter()
        .map(|(table, rows)| format!("{} {rows}", table.name()))
        .collect();
    let begun = Instant::now();
    let key = Key::new(&stock(params), circuit.clone(), heights).expect("fits");
    let Heights { tall, short } = key.verifying().heights;
    println!(
        "{name}: 2^{tall}, 2^{short}; {}; key {:.2?}",
        rows.join(", "),
        begun.elapsed()
    );
    key
}

fn proved(params: Params, key: &Key, inputs: &[Challenge]) -> Proved {
    let config = stock(params);
    let begun = Instant::now();
    let values = key.circuit().run(inputs).expect("the inputs meet it");
    let run = begun.elapsed();
    drop(values);
    let begun = Instant::now();
    let before = processor_time();
    let (proof, publics) = key.prove(&config, inputs).expect("the inputs meet it");
    let all = begun.elapsed();
    let processor = processor_time() - before;
    let key = key.verifying();
    let begun = Instant::now();
    key.verify(params, &proof, &publics).expect("just made");
    let verify: Duration = begun.elapsed();
    let proved = Proved {
        key,
        publics,
        proof,
    };
    let kib = postcard::to_allocvec(&proved).expect("a proof").len() / 1024;
    println!(
        "  run {run:.2?}, prove {all:.2?} with it, {processor:.2?} of processors; verify {verify:.2?}, {kib} KiB"
    );
    proved
}

/// What all threads have taken; other programs on the machine do not lengthen it much.
fn processor_time() -> Duration {
    /// The kernel counts in hundredths of a second.
    const TICK: Duration = Duration::from_millis(10);
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in parentheses may hold blanks; user and system time are the 12th and 13th field after it.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    TICK * ticks.filter_map(|it| it.parse::<u32>().ok()).sum()
}

fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or(0)
}
