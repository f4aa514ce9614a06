//! A batch of two segments goes through the whole tree; what is forged on the way is refused.

use std::sync::LazyLock;

use expect_test::expect;
use froben_circuits::config::{StockPcs, stock};
use froben_circuits::{Circuit as Segment, Params, Statement, Witness, decode, prove};
use p3_field::{PrimeCharacteristicRing, PrimeField32};

use super::*;
use crate::circuit::Circuit;
use crate::proof::ProvingKey;
use crate::tables::Heights;

const PARAMS: Params = Params::Dev;
/// The wide circuits are what takes the time here, so a leaf has one of them.
const SLOTS: usize = 1;

type Key = ProvingKey<StockPcs>;

fn key(circuit: &Circuit, heights: Option<Heights>) -> Key {
    ProvingKey::new(&stock(PARAMS), circuit.clone(), heights).expect("fits")
}

fn proved(key: &Key, inputs: &[Challenge]) -> Proved {
    let (proof, publics) = key
        .prove(&stock(PARAMS), inputs)
        .expect("the inputs meet it");
    let key = key.verifying();
    assert_eq!(key.verify(PARAMS, &proof, &publics), Ok(()));
    Proved {
        key,
        publics,
        proof,
    }
}

/// The tree of one circuit of segments.
struct Branch {
    leaf: Leaf,
    lift: Lift,
    leaves: Vec<Proved>,
    lifts: Vec<Proved>,
    top: Proved,
}

struct Tree {
    statements: Vec<Statement>,
    branches: Vec<Branch>,
    node: Node,
    lift_keys: [VerifyingKey; 4],
    node_key: VerifyingKey,
    tip: Tip,
}

fn segments() -> Vec<Witness> {
    let bytes = |i: u8| {
        (0..100 + u32::from(i))
            .map(|k| (k * 31) as u8 ^ i)
            .collect()
    };
    (0..2)
        .map(|i| Witness::compute(bytes(i), u32::from(i)).expect("a segment"))
        .collect()
}

fn segment_proofs(segment: Segment) -> Vec<(Statement, CircuitProof)> {
    let config = stock(PARAMS);
    segments()
        .into_iter()
        .map(|witness| {
            let proof = prove(&config, segment, &witness).expect("a true statement");
            (
                witness.statement,
                decode(segment, &proof).expect("just made"),
            )
        })
        .collect()
}

type Proofs<'a> = Vec<(&'a Statement, &'a CircuitProof)>;

fn refs(children: &[(Statement, CircuitProof)]) -> Proofs<'_> {
    children
        .iter()
        .map(|(statement, proof)| (statement, proof))
        .collect()
}

static TREE: LazyLock<Tree> = LazyLock::new(|| {
    let statements: Vec<_> = segments().into_iter().map(|it| it.statement).collect();
    let below: Vec<_> = Segment::ALL
        .into_iter()
        .map(|segment| {
            let leaf = Leaf::new(PARAMS, segment, SLOTS);
            let key = key(leaf.circuit(), None);
            let mut start = Lists::default();
            let leaves: Vec<_> = segment_proofs(segment)
                .chunks(SLOTS)
                .map(|children| {
                    let children = &refs(children);
                    let inputs = leaf
                        .inputs(&LeafInput { start, children })
                        .expect("its shape");
                    for &(statement, _) in children {
                        start = start.with(segment, statement).expect("a statement");
                    }
                    proved(&key, &inputs)
                })
                .collect();
            let lift = Lift::new(PARAMS, &key.verifying());
            (leaf, lift, leaves)
        })
        .collect();
    let (node, heights) = Node::over(PARAMS, below.iter().map(|(_, lift, _)| lift));
    let node_key = key(node.circuit(), Some(heights));
    let lift_keys: Vec<_> = below
        .iter()
        .map(|(_, lift, _)| key(lift.circuit(), Some(heights)))
        .collect();
    let branches: Vec<_> = below
        .into_iter()
        .zip(&lift_keys)
        .map(|((leaf, lift, leaves), lift_key)| {
            let lifts: Vec<_> = leaves
                .iter()
                .map(|leaf| proved(lift_key, &lift.inputs(leaf).expect("its shape")))
                .collect();
            let children = [0, 1].map(|i| (NodeChild::Lift, &lifts[i]));
            let inputs = node
                .inputs(&lift_key.verifying(), &node_key.verifying(), children)
                .expect("its shape");
            let top = proved(&node_key, &inputs);
            Branch {
                leaf,
                lift,
                leaves,
                lifts,
                top,
            }
        })
        .collect();
    let lift_keys: [VerifyingKey; 4] = std::array::from_fn(|i| lift_keys[i].verifying());
    let node_key = node_key.verifying();
    Tree {
        statements,
        branches,
        tip: Tip::new(PARAMS, &lift_keys, &node_key),
        node,
        lift_keys,
        node_key,
    }
});

impl Tree {
    fn tops(&self) -> [(NodeChild, &Proved); 4] {
        std::array::from_fn(|i| (NodeChild::Node, &self.branches[i].top))
    }

    /// What a node says of two children of the first circuit.
    fn joins(&self, children: [(NodeChild, &Proved); 2]) -> Result<(), String> {
        let inputs = self
            .node
            .inputs(&self.lift_keys[0], &self.node_key, children)
            .map_err(|error| error.to_string())?;
        verdict(self.node.circuit(), &inputs)
    }
}

fn verdict(circuit: &Circuit, inputs: &[Challenge]) -> Result<(), String> {
    circuit
        .run(inputs)
        .map(drop)
        .map_err(|error| error.to_string())
}

#[test]
fn a_batch_becomes_one_proof_of_its_digest() {
    let tree = &*TREE;
    for (branch, segment) in tree.branches.iter().zip(Segment::ALL) {
        let span = Span::of_publics(&branch.top.publics);
        let mut lists = Lists::default();
        for statement in &tree.statements {
            lists = lists.with(segment, statement).expect("a statement");
        }
        assert_eq!(span.start, Lists::default());
        assert_eq!(span.end, lists);
        assert_eq!(span.count, Val::from_usize(tree.statements.len()));
    }
    let tip_key = key(tree.tip.circuit(), None);
    let tip = proved(&tip_key, &tree.tip.inputs(tree.tops()).expect("its shape"));
    let scheduler = Scheduler::new(PARAMS, &tip_key.verifying());
    let scheduler_key = key(scheduler.circuit(), None);
    let end = proved(&scheduler_key, &scheduler.inputs(&tip).expect("its shape"));
    let digest = batch_digest(&tree.statements).expect("statements");
    assert_eq!(end.publics[..8], digest);
    assert!(end.publics[8..].iter().all(|value| *value == Val::ZERO));

    for i in 0..tree.statements.len() {
        let mut other = tree.statements.clone();
        other[i].digests.blake3[0] ^= 1;
        assert_ne!(batch_digest(&other).expect("statements"), digest);
        let mut other = tree.statements.clone();
        other.remove(i);
        assert_ne!(batch_digest(&other).expect("statements"), digest);
    }
    let mut other = tree.statements.clone();
    other.swap(0, 1);
    assert_ne!(batch_digest(&other).expect("statements"), digest);
    let mut other = tree.statements.clone();
    other.push(other[1]);
    assert_ne!(batch_digest(&other).expect("statements"), digest);
}

/// A change of any circuit below changes these; proofs made before it are then refused.
#[test]
fn keys_are_those_that_they_were() {
    let tree = &*TREE;
    let tip = key(tree.tip.circuit(), None).verifying();
    let scheduler = key(Scheduler::new(PARAMS, &tip).circuit(), None).verifying();
    let names = Segment::ALL.map(|segment| format!("lift of {segment}"));
    let keys = names
        .iter()
        .map(String::as_str)
        .zip(&tree.lift_keys)
        .chain([
            ("node", &tree.node_key),
            ("tip", &tip),
            ("scheduler", &scheduler),
        ]);
    let line = |(name, key): (&str, &VerifyingKey)| {
        let Heights { tall, short } = key.heights;
        let digest = key_digest(key).map(|value| format!("{:08x}", value.as_canonical_u32()));
        format!("{name}: 2^{tall}, 2^{short}, {}\n", digest.concat())
    };
    let keys: String = keys.map(line).collect();
    expect![[r#"
        lift of keccak256: 2^12, 2^12, 55b4cf2520ee2b3b1d9e51b03fca834a5c5615b72a0e45e11189151b69f199eb
        lift of sha256: 2^12, 2^12, 4c6786bd093ee58976b7b2fa734977a11355bc1159c7ae3c76731ff410bc1baa
        lift of blake3: 2^12, 2^12, 32d9aefd72a8b7345430a42d712dd1f03b956f8542c3dc9f26f5743966adc69a
        lift of poseidon2: 2^12, 2^12, 02ba843d360fb92423d47bd2323d84e9654a3bd126410696672a609c5fadb97c
        node: 2^12, 2^12, 74a4f4354c70704f360d755615f916236a5999de4c68d8f36699e3e85e4faf8f
        tip: 2^13, 2^13, 34295b4f65d6be8333ee372247d555eb1da5be2505cfb7ad6d0dfc62026d6f54
        scheduler: 2^12, 2^11, 19fdbcd366e9167e667f178b1c2eebcc30d8d3fb5902e1f41bf3a78603cf96c5
    "#]].assert_eq(&keys);
}

#[test]
fn one_leaf_needs_no_node() {
    let tree = &*TREE;
    let mut children = tree.tops();
    children[0] = (NodeChild::Lift, &tree.branches[0].lifts[0]);
    let inputs = tree.tip.inputs(children).expect("its shape");
    assert_eq!(
        verdict(tree.tip.circuit(), &inputs),
        Ok(()),
        "counts are the scheduler's"
    );
}

/// What the first circuit's top says in the place of another.
fn tip_verdict(tree: &Tree, first: (NodeChild, &Proved)) -> Result<(), String> {
    let mut children = tree.tops();
    children[0] = first;
    let inputs = tree
        .tip
        .inputs(children)
        .map_err(|error| error.to_string())?;
    verdict(tree.tip.circuit(), &inputs)
}

/// A third segment's lift joins the node over the first two.
#[test]
fn a_node_joins_a_node() {
    let tree = &*TREE;
    let branch = &tree.branches[3];
    let config = stock(PARAMS);
    let witness = Witness::compute(vec![7; 50], 2).expect("a segment");
    let proof = prove(&config, Segment::Poseidon2, &witness).expect("a true statement");
    let proof = decode(Segment::Poseidon2, &proof).expect("just made");
    let input = LeafInput {
        start: Span::of_publics(&branch.top.publics).end,
        children: &[(&witness.statement, &proof)],
    };
    let inputs = branch.leaf.inputs(&input).expect("its shape");
    let leaf = proved(&key(branch.leaf.circuit(), None), &inputs);
    let heights = Some(tree.node_key.heights);
    let inputs = branch.lift.inputs(&leaf).expect("its shape");
    let lift = proved(&key(branch.lift.circuit(), heights), &inputs);
    let node_key = key(tree.node.circuit(), heights);
    let join = |children| {
        let inputs = tree
            .node
            .inputs(&tree.lift_keys[3], &tree.node_key, children);
        inputs.expect("its shape")
    };
    let top = proved(
        &node_key,
        &join([(NodeChild::Node, &branch.top), (NodeChild::Lift, &lift)]),
    );
    let span = Span::of_publics(&top.publics);
    assert_eq!(span.start, Lists::default());
    assert_eq!(span.count, Val::from_usize(3));
    let mut children = tree.tops();
    children[3] = (NodeChild::Node, &top);
    let inputs = tree.tip.inputs(children).expect("its shape");
    assert_eq!(verdict(tree.tip.circuit(), &inputs), Ok(()));

    // Over two lifts a node may name any key as its own; the tip knows better.
    let lifts = [0, 1].map(|i| (NodeChild::Lift, &branch.lifts[i]));
    let inputs = tree
        .node
        .inputs(&tree.lift_keys[3], &tree.lift_keys[0], lifts);
    let other = proved(&node_key, &inputs.expect("its shape"));
    let mut children = tree.tops();
    children[3] = (NodeChild::Node, &other);
    let inputs = tree.tip.inputs(children).expect("its shape");
    let refused = "the child's key: an equality does not hold".to_owned();
    assert_eq!(verdict(tree.tip.circuit(), &inputs), Err(refused));
}

#[test]
fn a_key_without_a_whole_cap_is_refused() {
    let tree = &*TREE;
    let lift = &tree.branches[0].lifts[0];
    let mut key = lift.key.clone();
    key.fixed = p3_symmetric::MerkleCap::new(key.fixed.roots()[..8].to_vec());
    let forged = Proved {
        key,
        publics: lift.publics.clone(),
        proof: postcard::from_bytes(&postcard::to_allocvec(&lift.proof).expect("a proof"))
            .expect("the same"),
    };
    let refused = "the proof has another shape: roots of a cap: 8, not 16".to_owned();
    assert_eq!(tip_verdict(tree, (NodeChild::Lift, &forged)), Err(refused));
}

#[test]
fn reordered_dropped_and_repeated_children_are_refused() {
    let tree = &*TREE;
    let [first, second] = [0, 1].map(|i| (NodeChild::Lift, &tree.branches[0].lifts[i]));
    assert_eq!(tree.joins([first, second]), Ok(()));
    let refused = Err("the children's lists: an equality does not hold".to_owned());
    assert_eq!(tree.joins([second, first]), refused, "reordered");
    assert_eq!(tree.joins([first, first]), refused, "counted twice");
    assert_eq!(tree.joins([second, second]), refused, "counted twice");
    // The first leaf dropped: what is left does not begin with empty lists.
    let refused = "the lists of keccak256: an equality does not hold".to_owned();
    assert_eq!(tip_verdict(tree, second), Err(refused));
}

#[test]
fn a_lift_is_no_node_and_a_leaf_is_neither() {
    let tree = &*TREE;
    let lifts = &tree.branches[0].lifts;
    let wrong_key = Err("the child's key: an equality does not hold".to_owned());
    let posing = tree.joins([(NodeChild::Node, &lifts[0]), (NodeChild::Lift, &lifts[1])]);
    assert_eq!(posing, wrong_key, "a lift posing as a node");
    let top = &tree.branches[0].top;
    let posing = tree.joins([(NodeChild::Lift, top), (NodeChild::Lift, &lifts[1])]);
    assert_eq!(posing, wrong_key, "a node posing as a lift");
    let leaf = &tree.branches[0].leaves[0];
    let posing = tree.joins([(NodeChild::Node, leaf), (NodeChild::Lift, &lifts[1])]);
    assert!(posing.is_err(), "a leaf posing as a node");
}

#[test]
fn another_circuits_lift_or_tree_is_refused() {
    let tree = &*TREE;
    let wrong_key = Err("the child's key: an equality does not hold".to_owned());
    let other = tree.joins([
        (NodeChild::Lift, &tree.branches[0].lifts[0]),
        (NodeChild::Lift, &tree.branches[1].lifts[1]),
    ]);
    assert_eq!(other, wrong_key, "a lift of another circuit");
    // Two trees change places: each is what it says, at the wrong place.
    let mut children = tree.tops();
    children.swap(0, 1);
    let inputs = tree.tip.inputs(children).expect("its shape");
    assert_eq!(verdict(tree.tip.circuit(), &inputs), wrong_key);
}

#[test]
fn a_leaf_refuses_another_circuits_proof_and_another_statement() {
    let start = Lists::default();
    let leaf = Leaf::new(PARAMS, Segment::Poseidon2, 2);
    let span = |children: &Proofs<'_>| {
        let inputs = leaf.inputs(&LeafInput { start, children });
        let inputs = inputs.map_err(|error| error.to_string())?;
        let values = leaf
            .circuit()
            .run(&inputs)
            .map_err(|error| error.to_string())?;
        Ok::<_, String>(Span::of_publics(&leaf.circuit().public_values(&values)))
    };
    let made = segment_proofs(Segment::Poseidon2);
    let [first, second] = [0, 1].map(|i| (&made[i].0, &made[i].1));
    // A full leaf, a short one, and one in another order: each says what it holds.
    for children in [vec![first, second], vec![first], vec![second, first]] {
        let span = span(&children).expect("true");
        let lists = children.iter().fold(start, |lists, (statement, _)| {
            lists
                .with(Segment::Poseidon2, statement)
                .expect("a statement")
        });
        assert_eq!(span.end, lists);
        assert_eq!(span.count, Val::from_usize(children.len()));
    }
    let foreign = segment_proofs(Segment::Blake3);
    for (children, what) in [
        (
            vec![(first.0, second.1), (second.0, first.1)],
            "statements that changed places",
        ),
        (refs(&foreign[..1]), "a proof of another circuit"),
        (vec![], "no proof"),
        (vec![first, second, first], "more than there are slots"),
    ] {
        assert!(span(&children).is_err(), "{what}");
    }
}

#[test]
fn keys_that_a_child_did_not_accept_are_refused() {
    let tree = &*TREE;
    let top = (NodeChild::Node, &tree.branches[0].top);
    let lift = (NodeChild::Lift, &tree.branches[1].lifts[1]);
    // The second circuit's lift key over a tree of the first's.
    let inputs = tree
        .node
        .inputs(&tree.lift_keys[1], &tree.node_key, [top, lift])
        .expect("its shape");
    let refused = "the child's key: an equality does not hold".to_owned();
    assert_eq!(verdict(tree.node.circuit(), &inputs), Err(refused));
}

#[test]
fn the_scheduler_wants_the_same_segments_of_every_circuit() {
    let tree = &*TREE;
    let tip_key = key(tree.tip.circuit(), None);
    // One circuit's tree ends after its first leaf.
    let mut children = tree.tops();
    children[2] = (NodeChild::Lift, &tree.branches[2].lifts[0]);
    let tip = proved(&tip_key, &tree.tip.inputs(children).expect("its shape"));
    let scheduler = Scheduler::new(PARAMS, &tip_key.verifying());
    let inputs = scheduler.inputs(&tip).expect("its shape");
    let refused = "the same segments for every circuit: an equality does not hold".to_owned();
    assert_eq!(verdict(scheduler.circuit(), &inputs), Err(refused));
}

#[test]
fn a_lift_refuses_another_leaf() {
    let tree = &*TREE;
    let branch = &tree.branches[0];
    assert_eq!(
        verdict(
            branch.lift.circuit(),
            &branch.lift.inputs(&branch.leaves[0]).expect("its shape")
        ),
        Ok(())
    );
    let forged = Proved {
        key: branch.leaves[0].key.clone(),
        publics: branch.leaves[0].publics.clone(),
        proof: proved(&key(branch.leaf.circuit(), None), &{
            let children = segment_proofs(Segment::Keccak256);
            let start = Lists::default();
            let children = &refs(&children[1..]);
            branch
                .leaf
                .inputs(&LeafInput { start, children })
                .expect("its shape")
        })
        .proof,
    };
    let inputs = branch.lift.inputs(&forged).expect("its shape");
    assert!(
        verdict(branch.lift.circuit(), &inputs).is_err(),
        "another leaf's public values"
    );
}
