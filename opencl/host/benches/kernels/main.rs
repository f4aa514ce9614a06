//! The kernels on the first device against the fastest CPU code that we know, in one process.
//!
//! Each line is a contest: the results of all are compared in full, then each computes in turn, and
//! the medians of wall time and of the process's CPU time are compared. Inputs are made outside of
//! what is measured; what is measured of ours is the whole call, with all copies, except where a line
//! says `in cache` or `from memory`: that is the kernel alone, on data that lie on its device. Memory
//! comes in huge pages for everyone, as a matrix of small pages measures the page tables.
//!
//! `cargo xtask bench kernels [WORD...]`: the lines whose names contain one of the words.

mod contest;
mod fold;
mod hash;
mod msm;
mod ntt;
mod scalars;
mod table;

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use froben_opencl::{Device, Session};
use p3_field::PrimeField64;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use table::Table;

fn main() -> ExitCode {
    let mut words: Vec<_> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    if let Some(bench) = words.first() {
        if !"kernels".contains(bench.as_str()) {
            return ExitCode::SUCCESS;
        }
        words.remove(0);
    }
    if std::env::var_os(TUNABLES).is_none() {
        return with_huge_pages();
    }
    let devices = match Device::discover() {
        Ok(devices) => devices,
        Err(error) => {
            println!("SKIP: {error}");
            return ExitCode::SUCCESS;
        }
    };
    let device = &devices[0];
    let session = Session::open(device).expect("the device opens");
    println!("{device}");
    let mut table = Table::new(words);
    ntt::run(&session, &mut table);
    scalars::run(&session, &table);
    fold::run(&session, &table);
    hash::run(&session, &table);
    msm::run(&session, &table);
    ExitCode::SUCCESS
}

const TUNABLES: &str = "GLIBC_TUNABLES";

/// The allocator reads its settings when a process starts.
fn with_huge_pages() -> ExitCode {
    let program = std::env::current_exe().expect("this program");
    let error = Command::new(program)
        .args(std::env::args_os().skip(1))
        .env(TUNABLES, "glibc.malloc.hugetlb=1")
        .exec();
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

/// Elements without a pattern, the same in every run.
fn elements<T: PrimeField64>(count: usize) -> Vec<T> {
    let mut random = SmallRng::seed_from_u64(1);
    (0..count)
        .map(|_| T::from_u64(random.random_range(0..T::ORDER_U64)))
        .collect()
}
