//! Rows of each circuit of the tree and where they come from, without a proof of any.
//!
//! `cargo run -p froben-recursion --example count_rows [PARAMS [SLOTS [TALL SHORT]]]`: leaves of so many
//! slots, and lifts and nodes over tables of these heights.

use froben_circuits::{Circuit as Segment, Params};
use froben_recursion::aggregate::{Leaf, Node};
use froben_recursion::tables::{operations, rows};
use froben_recursion::{Circuit, Heights};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, or: usize| args.get(at).map_or(or, |it| it.parse().expect("a number"));
    let params: Params = args
        .first()
        .map_or(Params::Dev, |name| name.parse().expect("parameters"));
    for segment in Segment::ALL {
        let leaf = Leaf::new(params, segment, number(1, 1));
        print(&format!("leaf of {segment}"), leaf.circuit());
    }
    let heights = Heights {
        tall: number(2, 12),
        short: number(3, 11),
    };
    print("node", Node::new(params, heights).circuit());
}

fn print(name: &str, circuit: &Circuit) {
    let Heights { tall, short } = Heights::needed(circuit);
    let rows = rows(circuit).into_iter();
    let rows: Vec<String> = rows
        .map(|(table, rows)| format!("{} {rows}", table.name()))
        .collect();
    println!("{name}: 2^{tall}, 2^{short}; {}", rows.join(", "));
    println!("  gates, Horner steps, permutations, packs:");
    for (part, counts) in operations(circuit) {
        println!("  {part}: {counts:?}");
    }
}
