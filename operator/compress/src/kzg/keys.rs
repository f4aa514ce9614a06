//! Proving and verifying keys of one circuit over one setup, kept on disk.
//!
//! A key is a function of the circuit's shape and the setup, and takes a minute to make. It is named by the hash of its
//! verifying half and of where its setup comes from; the file of a key says both, and is refused if it is not what
//! its name says.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::sync::Arc;

use halo2_base::gates::circuit::CircuitBuilderStage;
use halo2_base::halo2_proofs::SerdeFormat;
use halo2_base::halo2_proofs::halo2curves::bn256::G1Affine;
use halo2_base::halo2_proofs::plonk::{self, ProvingKey, keygen_pk, keygen_vk};
use sha2::{Digest, Sha256};

use super::{Origin, Setup};
use crate::circuit::Wrap;
use crate::verifier::{Shape, Values};
use crate::{Columns, Error};

/// What a file of keys begins with.
const MAGIC: &[u8; 16] = b"froben-snark-01\n";

/// What verifies the SNARK.
#[derive(Clone)]
pub struct VerifyingKey {
    pub(crate) key: plonk::VerifyingKey<G1Affine>,
    pub(crate) setup: Arc<Setup>,
    pub(crate) inputs: usize,
    digest: [u8; 32],
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl VerifyingKey {
    fn new(key: plonk::VerifyingKey<G1Affine>, setup: Arc<Setup>, inputs: usize) -> Self {
        let mut hash = Sha256::new();
        hash.update(MAGIC);
        hash.update(setup.origin().name());
        hash.update(key.to_bytes(SerdeFormat::Processed));
        Self {
            key,
            setup,
            inputs,
            digest: hash.finalize().into(),
        }
    }

    /// Where the setup under it comes from.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.setup.origin()
    }

    /// Refuses a key that is over a setup generated on some machine: for verifiers whose verdict counts.
    ///
    /// # Errors
    /// If it is.
    pub fn for_production(self) -> Result<Self, Error> {
        match self.origin() {
            Origin::Ceremony => Ok(self),
            Origin::Dev => Err(Error::DevKey(self.name())),
        }
    }

    /// The hash that names it.
    #[must_use]
    pub const fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// Its name: where its setup comes from, and its hash.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}-{}", self.origin(), hex::encode(self.digest))
    }

    /// The number of public inputs.
    #[must_use]
    pub const fn inputs(&self) -> usize {
        self.inputs
    }
}

/// What proves, and what verifies.
pub struct Keys {
    pub(crate) proving: ProvingKey<G1Affine>,
    pub(crate) columns: Columns,
    pub(crate) verifying: VerifyingKey,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.verifying.fmt(f)
    }
}

impl Keys {
    /// Makes the keys of the circuit that verifies proofs of `shape`, in as many rows as the setup is for.
    ///
    /// # Errors
    /// If halo2 cannot make them.
    pub fn generate(shape: &Shape, setup: Arc<Setup>) -> Result<Self, Error> {
        let params = setup.params();
        let circuit = Wrap::new(
            shape,
            &Values::blank(shape),
            setup.k(),
            CircuitBuilderStage::Keygen,
        );
        let inputs = circuit.instances().len();
        let key = keygen_vk(&params, &circuit).map_err(Error::halo2)?;
        let proving = keygen_pk(&params, key, &circuit).map_err(Error::halo2)?;
        let columns = circuit.columns_with_break_points();
        let verifying = VerifyingKey::new(proving.get_vk().clone(), setup, inputs);
        Ok(Self {
            proving,
            columns,
            verifying,
        })
    }

    /// What verifies.
    #[must_use]
    pub const fn verifying(&self) -> &VerifyingKey {
        &self.verifying
    }

    /// How many rows and columns the circuit has.
    #[must_use]
    pub const fn columns(&self) -> &Columns {
        &self.columns
    }

    /// Writes the keys to a file of their name in `directory`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save(&self, directory: &Path) -> Result<(), Error> {
        let path = directory.join(self.verifying.name());
        // Written under another name first: a file that is there is whole.
        let partial = path.with_extension(format!("partial-{}", std::process::id()));
        let write = || -> io::Result<()> {
            fs::create_dir_all(directory)?;
            let mut file = BufWriter::with_capacity(1 << 20, File::create(&partial)?);
            let header = postcard::to_allocvec(&(self.verifying.inputs, &self.columns))
                .map_err(io::Error::other)?;
            file.write_all(MAGIC)?;
            file.write_all(&(header.len() as u64).to_le_bytes())?;
            file.write_all(&header)?;
            self.proving
                .write(&mut file, SerdeFormat::RawBytesUnchecked)?;
            file.flush()?;
            fs::rename(&partial, &path)
        };
        write().map_err(|e| Error::key(&path, e.to_string()))
    }

    /// Reads the keys of that name.
    ///
    /// The proving half is taken as it is: who proves with a spoilt one makes proofs that do not verify, and
    /// harms himself.
    ///
    /// # Errors
    /// If there are none, or the file holds others.
    pub fn load(directory: &Path, name: &str, setup: Arc<Setup>) -> Result<Self, Error> {
        let path = directory.join(name);
        let read = || -> io::Result<(usize, Columns, ProvingKey<G1Affine>)> {
            let mut file = BufReader::with_capacity(1 << 20, File::open(&path)?);
            let mut magic = [0; MAGIC.len()];
            file.read_exact(&mut magic)?;
            let mut length = [0; 8];
            file.read_exact(&mut length)?;
            let length = u64::from_le_bytes(length);
            if magic != *MAGIC || length > 1 << 20 {
                return Err(io::Error::other("it is no file of keys"));
            }
            let mut header = vec![0; length as usize];
            file.read_exact(&mut header)?;
            let (inputs, columns): (usize, Columns) =
                postcard::from_bytes(&header).map_err(io::Error::other)?;
            let format = SerdeFormat::RawBytesUnchecked;
            let proving = ProvingKey::read::<_, Wrap>(&mut file, format, columns.clone())?;
            Ok((inputs, columns, proving))
        };
        let (inputs, columns, proving) = read().map_err(|e| Error::key(&path, e.to_string()))?;
        let verifying = VerifyingKey::new(proving.get_vk().clone(), setup, inputs);
        if verifying.name() != name {
            return Err(Error::key(
                &path,
                "it holds other keys than its name says".to_owned(),
            ));
        }
        Ok(Self {
            proving,
            columns,
            verifying,
        })
    }
}
