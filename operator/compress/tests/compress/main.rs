//! The way from a small batch of AIRs to a contract.

mod agreement;
mod chain;
mod contract;
mod example;
mod final_proof;
mod keys;
mod mutations;
mod pinned;
mod scheduler;
mod security;
mod solc;
