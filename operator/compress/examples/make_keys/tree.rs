//! The tree of proofs under the scheduler, over two leaves for each circuit of segments.

use froben_circuits::config::{Challenge, StockPcs, stock};
use froben_circuits::{Circuit as Segment, Params, Statement, Witness, decode, prove};
use froben_recursion::aggregate::{
    Leaf, LeafInput, Lift, Lists, Node, NodeChild, Proved, Scheduler, Tip,
};
use froben_recursion::{Circuit, CircuitProof, Heights, ProvingKey, VerifyingKey};

type Key = ProvingKey<StockPcs>;
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Bytes of the segments that are proved: any number would do.
pub(crate) const SEGMENT_BYTES: usize = 4096;

/// The circuits with their keys.
pub(crate) struct Tree {
    params: Params,
    slots: usize,
    branches: Vec<Branch>,
    node: Node,
    node_key: Key,
    tip: Tip,
    tip_key: Key,
    scheduler: Scheduler,
    scheduler_key: Key,
}

/// The circuits of one circuit of segments.
struct Branch {
    segment: Segment,
    leaf: Leaf,
    leaf_key: Key,
    lift: Lift,
    lift_key: Key,
}

impl Tree {
    pub(crate) fn new(params: Params, slots: usize) -> Result<Self> {
        let key = |circuit: &Circuit, heights: Option<Heights>| {
            Key::new(&stock(params), circuit.clone(), heights)
        };
        let mut under = Vec::new();
        for segment in Segment::ALL {
            let leaf = Leaf::new(params, segment, slots);
            let leaf_key = key(leaf.circuit(), None)?;
            let lift = Lift::new(params, &leaf_key.verifying());
            under.push((segment, leaf, leaf_key, lift));
        }
        let (node, heights) = Node::over(params, under.iter().map(|(.., lift)| lift));
        let node_key = key(node.circuit(), Some(heights))?;
        let mut branches = Vec::new();
        for (segment, leaf, leaf_key, lift) in under {
            let lift_key = key(lift.circuit(), Some(heights))?;
            branches.push(Branch {
                segment,
                leaf,
                leaf_key,
                lift,
                lift_key,
            });
        }
        let lift_keys: [VerifyingKey; 4] =
            std::array::from_fn(|i| branches[i].lift_key.verifying());
        let tip = Tip::new(params, &lift_keys, &node_key.verifying());
        let tip_key = key(tip.circuit(), None)?;
        let scheduler = Scheduler::new(params, &tip_key.verifying());
        let scheduler_key = key(scheduler.circuit(), None)?;
        Ok(Self {
            params,
            slots,
            branches,
            node,
            node_key,
            tip,
            tip_key,
            scheduler,
            scheduler_key,
        })
    }

    pub(crate) fn scheduler_key(&self) -> VerifyingKey {
        self.scheduler_key.verifying()
    }

    /// The scheduler's proof for [`statements`].
    pub(crate) fn prove(&self) -> Result<Proved> {
        let witnesses = witnesses(self.slots)?;
        let mut tops = Vec::new();
        for branch in &self.branches {
            tops.push(self.prove_branch(branch, &witnesses)?);
        }
        let children = std::array::from_fn(|i| (NodeChild::Node, &tops[i]));
        let tip = self.proved(&self.tip_key, &self.tip.inputs(children)?)?;
        self.proved(&self.scheduler_key, &self.scheduler.inputs(&tip)?)
    }

    fn prove_branch(&self, branch: &Branch, witnesses: &[Witness]) -> Result<Proved> {
        let segment = branch.segment;
        let mut start = Lists::default();
        let mut lifts = Vec::new();
        for witnesses in witnesses.chunks(self.slots) {
            let mut proofs: Vec<(Statement, CircuitProof)> = Vec::new();
            for witness in witnesses {
                let proof = prove(&stock(self.params), segment, witness)?;
                proofs.push((witness.statement, decode(segment, &proof)?));
            }
            let children: Vec<_> = proofs.iter().map(|(it, proof)| (it, proof)).collect();
            let children = &children[..];
            let inputs = branch.leaf.inputs(&LeafInput { start, children })?;
            for &(statement, _) in children {
                start = start.with(segment, statement)?;
            }
            let leaf = self.proved(&branch.leaf_key, &inputs)?;
            lifts.push(self.proved(&branch.lift_key, &branch.lift.inputs(&leaf)?)?);
        }
        let children = [0, 1].map(|i| (NodeChild::Lift, &lifts[i]));
        let keys = [&branch.lift_key, &self.node_key].map(|key| key.verifying());
        let inputs = self.node.inputs(&keys[0], &keys[1], children)?;
        self.proved(&self.node_key, &inputs)
    }

    fn proved(&self, key: &Key, inputs: &[Challenge]) -> Result<Proved> {
        let (proof, publics) = key.prove(&stock(self.params), inputs)?;
        Ok(Proved {
            key: key.verifying(),
            publics,
            proof,
        })
    }
}

fn witnesses(slots: usize) -> Result<Vec<Witness>> {
    let witness = |i: u32| {
        let bytes = (0..SEGMENT_BYTES as u32).map(|k| (k * 31 + i) as u8);
        Ok(Witness::compute(bytes.collect(), i)?)
    };
    (0..2 * slots as u32).map(witness).collect()
}

/// What the proved segments say.
pub(crate) fn statements(slots: usize) -> Result<Vec<Statement>> {
    let witnesses = witnesses(slots)?;
    Ok(witnesses.iter().map(|it| it.statement).collect())
}
