//! A chain of one block, in memory.

use revm::context::{Context, TxEnv};
use revm::context_interface::result::{ExecutionResult, Output};
use revm::database::InMemoryDB;
use revm::primitives::{Address, Bytes, TxKind, U256};
use revm::state::AccountInfo;
use revm::{ExecuteCommitEvm, MainBuilder, MainContext, MainnetEvm};

type Evm = MainnetEvm<revm::handler::MainnetContext<InMemoryDB>>;

/// A chain with one account, which pays for all.
pub(crate) struct Chain {
    evm: Evm,
    nonce: u64,
}

const PAYER: Address = Address::with_last_byte(1);
const GAS_LIMIT: u64 = 15_000_000;

/// What came of a call.
pub(crate) struct Called {
    /// What it returned; nothing if it reverted.
    pub(crate) output: Option<Vec<u8>>,
    pub(crate) gas: u64,
}

impl Chain {
    pub(crate) fn new() -> Self {
        let mut state = InMemoryDB::default();
        let balance = U256::from(10).pow(U256::from(20));
        state.insert_account_info(
            PAYER,
            AccountInfo {
                balance,
                ..Default::default()
            },
        );
        Self {
            evm: Context::mainnet().with_db(state).build_mainnet(),
            nonce: 0,
        }
    }

    fn transact(&mut self, kind: TxKind, data: Vec<u8>) -> ExecutionResult {
        let transaction = TxEnv::builder()
            .caller(PAYER)
            .kind(kind)
            .data(Bytes::from(data))
            .gas_limit(GAS_LIMIT)
            .nonce(self.nonce)
            .build()
            .expect("a transaction");
        self.nonce += 1;
        self.evm
            .transact_commit(transaction)
            .expect("an account that can pay")
    }

    /// Puts a contract on the chain, under mainnet's limits: its address and the bytes of its code.
    pub(crate) fn deploy(&mut self, code: Vec<u8>) -> (Address, usize) {
        match self.transact(TxKind::Create, code) {
            ExecutionResult::Success {
                output: Output::Create(code, Some(address)),
                ..
            } => (address, code.len()),
            result => panic!("not deployed: {result:?}"),
        }
    }

    pub(crate) fn call(&mut self, address: Address, data: Vec<u8>) -> Called {
        let result = self.transact(TxKind::Call(address), data);
        let output = result.is_success().then(|| {
            result
                .output()
                .map(|output| output.to_vec())
                .unwrap_or_default()
        });
        Called {
            output,
            gas: result.tx_gas_used(),
        }
    }
}
