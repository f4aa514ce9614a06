//! The tree of proofs over a few segments, by the stock prover.

use froben_circuits::config::{StockPcs, stock};
use froben_circuits::{
    Circuit as Segment, Params, SEGMENT_BYTES, Statement, Witness, decode, prove,
};
use froben_recursion::CircuitProof;
use froben_recursion::aggregate::{LeafInput, NodeChild, Proved};
use froben_recursion::tree::{Prover, Step, lists, slots};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// So many segments that look like nothing in particular.
pub(crate) fn witnesses(segments: u32) -> Result<Vec<Witness>> {
    let witness = |i: u32| {
        let bytes = (0..SEGMENT_BYTES as u32).map(|k| (k * 31 + i) as u8);
        Ok(Witness::compute(bytes.collect(), i)?)
    };
    (0..segments).map(witness).collect()
}

/// The scheduler's proof about these segments.
pub(crate) fn scheduler(params: Params, witnesses: &[Witness]) -> Result<Proved> {
    let mut prover = Prover::<StockPcs>::default();
    let mut tops = Vec::new();
    for segment in Segment::ALL {
        tops.push(branch(&mut prover, params, segment, witnesses)?);
    }
    let children = std::array::from_fn(|i| (tops[i].0, &tops[i].1));
    let tip = prover.prove_stock(params, &Step::Tip(children))?;
    Ok(prover.prove_stock(params, &Step::Scheduler(&tip))?)
}

fn branch(
    prover: &mut Prover<StockPcs>,
    params: Params,
    segment: Segment,
    witnesses: &[Witness],
) -> Result<(NodeChild, Proved)> {
    let statements: Vec<Statement> = witnesses.iter().map(|it| it.statement).collect();
    let mut level = Vec::new();
    for (at, witnesses) in witnesses.chunks(slots(params, segment)).enumerate() {
        let mut proofs: Vec<(&Statement, CircuitProof)> = Vec::new();
        for witness in witnesses {
            let proof = prove(&stock(params), segment, witness)?;
            proofs.push((&witness.statement, decode(segment, &proof)?));
        }
        let children: Vec<_> = proofs.iter().map(|(it, proof)| (*it, proof)).collect();
        let before = &statements[..at * slots(params, segment)];
        let input = LeafInput {
            start: lists(segment, before)?,
            children: &children,
        };
        let leaf = prover.prove_stock(params, &Step::Leaf(segment, &input))?;
        let lift = prover.prove_stock(params, &Step::Lift(segment, &leaf))?;
        level.push((NodeChild::Lift, lift));
    }
    while level.len() > 1 {
        let mut above = Vec::new();
        let mut rest = level.into_iter();
        while let Some(left) = rest.next() {
            let Some(right) = rest.next() else {
                above.push(left);
                break;
            };
            let children = [(left.0, &left.1), (right.0, &right.1)];
            let node = prover.prove_stock(params, &Step::Node(segment, children))?;
            above.push((NodeChild::Node, node));
        }
        level = above;
    }
    Ok(level.pop().ok_or("no segments")?)
}
