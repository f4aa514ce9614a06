//! A network of mixed machines, and the tasks that are handed out in it: all drawn from one seed.

use froben_model::{
    CallId, DeviceSpec, Kind, MachineId, MachineSpec, Needs, OperatorId, SeekerId, Usage,
    WorkflowId,
};
use froben_scheduler::{DelegationKey, Task, Trust};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const GIB: u64 = 1 << 30;
const HOUR_MS: u64 = 3_600_000;

const OPERATORS: usize = 400;
const SEEKERS: u64 = 40;
const WORKFLOWS: u64 = 200;
const CPU_KINDS: usize = 4;
const DEVICE_KINDS: usize = 8;
/// Kinds together with needs. A pipeline has a few; there are some pipelines.
const SHAPES: usize = 60;

pub(crate) struct Network {
    rng: StdRng,
    operators: Vec<OperatorId>,
    cpu_kinds: Vec<Kind>,
    device_kinds: Vec<Kind>,
    shapes: Vec<(Kind, Needs)>,
    seekers: Vec<SeekerId>,
    calls: u64,
}

impl Network {
    pub(crate) fn new(seed: u64) -> Network {
        let kinds = |name: &str, count| {
            let kind = |n| Kind::new(format!("{name}{n}.bench/1")).expect("a kind");
            (0..count).map(kind).collect::<Vec<_>>()
        };
        let name = |n| OperatorId::new(format!("op-{n}")).expect("a name");
        let seeker = |n| SeekerId::new(format!("seeker-{n}")).expect("a name");
        let mut network = Network {
            rng: StdRng::seed_from_u64(seed),
            operators: (0..OPERATORS).map(name).collect(),
            cpu_kinds: kinds("witness", CPU_KINDS),
            device_kinds: kinds("circuit", DEVICE_KINDS),
            shapes: Vec::new(),
            seekers: (0..SEEKERS).map(seeker).collect(),
            calls: 0,
        };
        network.shapes = (0..SHAPES).map(|_| network.shape()).collect();
        network
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.rng.random_range(0..bound)
    }

    /// True in `percent` of cases.
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// Six in ten tasks want a device, one in twenty all the cores of a machine, the rest some of them.
    fn shape(&mut self) -> (Kind, Needs) {
        let device = self.chance(60);
        let vram_bytes = match device {
            true => GIB * pick(&mut self.rng, &[6, 10, 16, 24, 40]),
            false => 0,
        };
        let kind = match device {
            true => pick(&mut self.rng, &self.device_kinds),
            false => pick(&mut self.rng, &self.cpu_kinds),
        };
        let needs = Needs {
            cpu_cores: match device {
                true => pick(&mut self.rng, &[0, 2, 4]),
                false => pick(&mut self.rng, &[1, 2, 4, 8]),
            },
            ram_bytes: GIB * pick(&mut self.rng, &[2, 8, 16]),
            vram_bytes,
            shared: !self.chance(12),
        };
        (kind, needs)
    }

    /// One to eight devices in seven of ten machines, none in the others.
    pub(crate) fn machine(&mut self, number: usize) -> (MachineId, MachineSpec) {
        let operator = self.operators[number % OPERATORS].clone();
        let label = format!("m{number}");
        let devices = match self.chance(70) {
            true => pick(&mut self.rng, &[1, 1, 2, 4, 8]),
            false => 0,
        };
        let vram_bytes = GIB * pick(&mut self.rng, &[8, 12, 16, 24, 24, 48, 80]);
        let device = |n| DeviceSpec {
            id: format!("0000:{n:02x}:00.0"),
            name: "device".to_owned(),
            vendor: "any".to_owned(),
            driver: "1".to_owned(),
            vram_bytes,
        };
        let spec = MachineSpec {
            operator: operator.clone(),
            label: label.clone(),
            cpu_cores: pick(&mut self.rng, &[16, 32, 64, 128]),
            ram_bytes: GIB * pick(&mut self.rng, &[64, 128, 256, 512]),
            devices: (0..devices).map(device).collect(),
            prices: Vec::new(),
            keys: Vec::new(),
            cpu_kinds: self.some(CPU_KINDS, |network, n| network.cpu_kinds[n].clone()),
            device_kinds: match devices {
                0 => Vec::new(),
                _ => self.some(DEVICE_KINDS, |network, n| network.device_kinds[n].clone()),
            },
        };
        (MachineId::of(&operator, &label).expect("a name"), spec)
    }

    /// Each of `count` in seven of ten cases, but at least one.
    fn some<T>(&mut self, count: usize, get: impl Fn(&Network, usize) -> T) -> Vec<T> {
        let sure = self.below(count);
        let chosen: Vec<_> = (0..count)
            .filter(|n| self.chance(70) || *n == sure)
            .collect();
        chosen.into_iter().map(|n| get(self, n)).collect()
    }

    /// What an item says that it took: less than any task asks for.
    pub(crate) fn usage(&mut self) -> Usage {
        let bytes = GIB + self.below(GIB as usize) as u64;
        Usage {
            ram_bytes: bytes,
            vram_bytes: 2 * bytes,
        }
    }

    /// A new delegation: in one of ten cases it is a retry that avoids those who had it.
    pub(crate) fn task(&mut self) -> (DelegationKey, SeekerId, Task) {
        let (kind, needs) = pick(&mut self.rng, &self.shapes);
        let avoided = match self.chance(10) {
            true => 1 + self.below(3),
            false => 0,
        };
        let task = Task {
            kind,
            needs,
            items: pick(&mut self.rng, &[1, 1, 1, 4, 8]),
            timeout_ms: HOUR_MS,
            queue_timeout_ms: HOUR_MS,
            keys: Vec::new(),
            max_price: None,
            trust: Trust::Anybody,
            avoid: (0..avoided)
                .map(|_| pick(&mut self.rng, &self.operators))
                .collect(),
        };
        self.calls += 1;
        let workflow = self.below(WORKFLOWS as usize) as u64;
        let mut id = [0; 16];
        id[..8].copy_from_slice(&workflow.to_be_bytes());
        let key = DelegationKey {
            workflow: WorkflowId(id),
            call: CallId(self.calls),
        };
        let seeker = self.seekers[(workflow % SEEKERS) as usize].clone();
        (key, seeker, task)
    }
}

fn pick<T: Clone>(rng: &mut StdRng, from: &[T]) -> T {
    from[rng.random_range(0..from.len())].clone()
}
