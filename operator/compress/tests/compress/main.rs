//! The way from a small batch of AIRs to a contract.

mod agreement;
mod chain;
mod contract;
mod example;
mod keys;
mod mutations;
mod security;
mod solc;
