//! Measures each step of the compression on tables of a chosen size.
//!
//! `measure PARAMS K DIRECTORY [LOG_HEIGHT:MAIN:PREPROCESSED:LOOKUPS ...]`, with `-` as directory to stop at the
//! circuit's size. The tables compute nothing of use: they have the shape that a layer of recursion has.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use chain::Chain;
use froben_compress::Wrap;
use froben_compress::evm::{calldata, inner_contract, outer_contract};
use froben_compress::kzg::{Halo2Msm, Keys, Setup, Snark};
use froben_compress::layer::{Layer, Params, Val};
use froben_compress::verifier::Values;
use halo2_base::gates::circuit::CircuitBuilderStage;
use p3_air::{Air, AirBuilder, BaseAir, WindowAccess};
use p3_field::PrimeCharacteristicRing;
use p3_lookup::{Count, InteractionBuilder};
use p3_matrix::dense::RowMajorMatrix;
use solc::compile;

#[path = "../tests/compress/chain.rs"]
mod chain;
#[path = "../tests/compress/solc.rs"]
mod solc;

/// Rows that each walk from their number by x -> x^3 + x, one column a step, and tell themselves of it.
#[derive(Clone, Copy, Debug)]
struct Table {
    log_height: usize,
    main: usize,
    preprocessed: usize,
    lookups: usize,
}

impl Table {
    fn parse(text: &str) -> Option<Self> {
        let numbers: Result<Vec<usize>, _> = text.split(':').map(str::parse).collect();
        let [log_height, main, preprocessed, lookups] = numbers.ok()?[..] else {
            return None;
        };
        Some(Self {
            log_height,
            main,
            preprocessed,
            lookups,
        })
    }

    fn trace(&self) -> RowMajorMatrix<Val> {
        let rows = (0..1 << self.log_height).flat_map(|row| {
            let first = Val::from_usize(row);
            std::iter::successors(Some(first), |&x| Some(x * x * x + x)).take(self.main)
        });
        RowMajorMatrix::new(rows.collect(), self.main)
    }
}

impl BaseAir<Val> for Table {
    fn width(&self) -> usize {
        self.main
    }

    fn preprocessed_width(&self) -> usize {
        self.preprocessed
    }

    fn preprocessed_trace(&self) -> Option<RowMajorMatrix<Val>> {
        let rows = (0..1 << self.log_height).flat_map(|row| {
            (0..self.preprocessed).map(move |column| Val::from_usize(row + column))
        });
        Some(RowMajorMatrix::new(rows.collect(), self.preprocessed))
    }

    fn num_public_values(&self) -> usize {
        8
    }

    fn preprocessed_next_row_columns(&self) -> Vec<usize> {
        vec![]
    }
}

impl<AB: InteractionBuilder<F = Val>> Air<AB> for Table {
    fn eval(&self, builder: &mut AB) {
        let main: Vec<AB::Var> = builder.main().current_slice().to_vec();
        let next: Vec<AB::Var> = builder.main().next_slice().to_vec();
        let fixed: Vec<AB::Expr> = builder
            .preprocessed()
            .current_slice()
            .iter()
            .map(|&column| column.into())
            .collect();
        let public: Vec<AB::Expr> = builder
            .public_values()
            .iter()
            .map(|&value| value.into())
            .collect();
        builder.assert_eq(main[0], fixed[0].clone());
        builder
            .when_transition()
            .assert_eq(next[0], main[0].into() + AB::Expr::ONE);
        for pair in main.windows(2) {
            let x: AB::Expr = pair[0].into();
            builder.assert_eq(pair[1], x.clone() * x.clone() * x.clone() + x);
        }
        for (i, value) in public.into_iter().enumerate() {
            builder.when_first_row().assert_eq(main[i], value);
        }
        for pair in main.windows(2).take(self.lookups) {
            let message = || [pair[0].into(), pair[1].into(), fixed[0].clone()];
            builder.push_interaction("rows", message(), Count::bounded(AB::Expr::ONE, 1));
            builder.push_interaction("rows", message(), Count::bounded(-AB::Expr::ONE, 1));
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [params, k, directory, tables @ ..] = arguments.as_slice() else {
        return Err("measure PARAMS K DIRECTORY [LOG_HEIGHT:MAIN:PREPROCESSED:LOOKUPS ...]".into());
    };
    let params = Params::ALL
        .into_iter()
        .find(|p| p.name() == params)
        .ok_or("unknown parameters")?;
    let k: u32 = k.parse()?;
    let tables: Vec<Table> = tables
        .iter()
        .map(|text| Table::parse(text))
        .collect::<Option<_>>()
        .ok_or("a table is four numbers")?;

    let mut clock = Clock(Instant::now());
    let log_heights = tables.iter().map(|table| table.log_height).collect();
    let layer = Layer::new(params, tables.clone(), log_heights)?;
    clock.lap("preprocessed commitment");
    let traces: Vec<_> = tables.iter().map(Table::trace).collect();
    let public: Vec<_> = traces
        .iter()
        .map(|trace| trace.values[..8].to_vec())
        .collect();
    clock.lap("traces");
    let proof = layer.prove(&traces, &public)?;
    clock.lap("last layer proven");
    layer.verify(&proof, &public)?;
    clock.lap("last layer verified");
    println!("proof {} bytes", postcard::to_allocvec(&proof)?.len());
    let shape = layer.shape()?;
    println!("{:?}", shape.security());
    let values = Values::new(&shape, &proof, &public)?;
    let circuit = Wrap::new(&shape, &values, k, CircuitBuilderStage::Mock);
    println!(
        "cells, look-ups, calls: {:?}, columns {:?}",
        circuit.sizes(),
        circuit.columns().counts()
    );
    clock.lap("circuit laid");
    circuit
        .check()
        .map_err(|violation| format!("{violation:?}"))?;
    clock.lap("circuit checked");
    drop(circuit);
    if directory == "-" {
        return Ok(());
    }
    let setup = Arc::new(Setup::dev(k));
    clock.lap("setup");
    let keys = Keys::generate(&shape, setup)?;
    clock.lap("keys");
    let snark = keys.prove(&shape, &values, Arc::new(Halo2Msm))?;
    clock.lap("SNARK");
    println!("SNARK {} bytes", snark.proof.len());
    contract(directory.as_ref(), &keys, &snark)
}

/// Puts the contracts on a chain in memory and calls them.
fn contract(
    directory: &Path,
    keys: &Keys,
    snark: &Snark,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut chain = Chain::new();
    let (inner, inner_bytes) = chain.deploy(compile(directory, &inner_contract(keys.verifying())?));
    let mut code = compile(
        directory,
        &outer_contract(keys.verifying(), snark.proof.len()),
    );
    code.extend([0; 12]);
    code.extend(inner);
    let (outer, outer_bytes) = chain.deploy(code);
    let call = chain.call(outer, calldata(snark));
    let accepted = call.output.is_some_and(|output| output.last() == Some(&1));
    println!(
        "contracts {inner_bytes} and {outer_bytes} bytes, {} gas, accepted: {accepted}",
        call.gas
    );
    Ok(())
}

struct Clock(Instant);

impl Clock {
    /// Prints the time since the last call, and the most memory used since then where the system tells.
    fn lap(&mut self, what: &str) {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let peak = status
            .lines()
            .find(|line| line.starts_with("VmHWM"))
            .unwrap_or("");
        println!("{what}: {:.1} s, {peak}", self.0.elapsed().as_secs_f64());
        // Starts the peak anew.
        let _ = std::fs::write("/proc/self/clear_refs", "5");
        self.0 = Instant::now();
    }
}
