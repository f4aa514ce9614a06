//! Programs drawn from a grammar of the whole library: each stays within its bounds, and the same program
//! fed the same completions makes the same calls.
//!
//! The programs are well formed and mostly nonsense: loops nest, functions are called with values of the
//! wrong type and size, errors are caught. `FROBEN_SEED=n` runs one seed, `FROBEN_PROGRAMS=n` so many.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

mod harness;

use std::time::Duration;

use froben_model::Value;
use froben_script::{Call, CallOp, Completion, Event, Limits, Revision, State, Vm};
use harness::with_body;
use nix::time::{ClockId, clock_gettime};

const SLICE: Duration = Duration::from_millis(60);
const GRACE: Duration = Duration::from_millis(100);
const MEMORY: usize = 32 << 20;
const PROGRAMS: u64 = 150;
/// Completions that one program is fed.
const COMPLETIONS: usize = 40;

fn cpu() -> Duration {
    let now = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap();
    Duration::new(now.tv_sec() as u64, now.tv_nsec() as u32)
}

/// What a program is made of, and how many names are in scope.
struct Grammar {
    state: u64,
    text: String,
    names: usize,
    depth: usize,
    /// Statements that may still come.
    fuel: usize,
}

const FUNCTIONS: &[&str] = &[
    "bit32.band",
    "bit32.bxor",
    "bit32.lshift",
    "buffer.create",
    "buffer.fill",
    "buffer.copy",
    "buffer.fromstring",
    "buffer.len",
    "buffer.readstring",
    "buffer.tostring",
    "buffer.writestring",
    "buffer.readf64",
    "error",
    "getmetatable",
    "ipairs",
    "math.abs",
    "math.clamp",
    "math.floor",
    "math.fmod",
    "math.max",
    "math.noise",
    "math.random",
    "math.round",
    "next",
    "pairs",
    "pcall",
    "rawequal",
    "rawget",
    "rawlen",
    "rawset",
    "select",
    "setmetatable",
    "string.byte",
    "string.char",
    "string.find",
    "string.format",
    "string.gmatch",
    "string.gsub",
    "string.len",
    "string.lower",
    "string.match",
    "string.pack",
    "string.rep",
    "string.reverse",
    "string.split",
    "string.sub",
    "string.unpack",
    "string.upper",
    "table.clear",
    "table.clone",
    "table.concat",
    "table.create",
    "table.find",
    "table.freeze",
    "table.insert",
    "table.move",
    "table.pack",
    "table.remove",
    "table.sort",
    "table.unpack",
    "tonumber",
    "tostring",
    "type",
    "typeof",
    "utf8.char",
    "utf8.codepoint",
    "utf8.len",
    "utf8.offset",
    "vector.create",
    "vector.magnitude",
    "xpcall",
    "ctx.log",
    "ctx.delegate",
    "ctx.status",
    "ctx.all",
    "ctx.stream",
    "ctx.sleep",
];

const LITERALS: &[&str] = &[
    "nil",
    "true",
    "false",
    "0",
    "1",
    "-1",
    "2",
    "7",
    "0.1",
    "1e3",
    "2^16",
    "2^20",
    "2^31 - 1",
    "-2^31",
    "1e300",
    "0/0",
    "math.huge",
    "''",
    "'x'",
    "'%d %s'",
    "'(.-)%s*$'",
    "'[%w_]+'",
    "'<i4'",
    "'\\0\\255'",
    "','",
    "'__index'",
    "('ab'):rep(1000)",
    "('a'):rep(2^18)",
    "{}",
    "{ 1, 2, 3 }",
    "{ a = 1, b = { 2 } }",
    "table.create(1000, 'v')",
    "ctx",
    "{ kind = 'a.b/1' }",
    "{ kind = 'a.b/1', items = { 1, 2 } }",
    "{ phase = 'p', done = 1 }",
    "{ ctx:delegate { kind = 'a.b/1' } }",
    "function(...) return ... end",
    "function(a, b) return a ~= b end",
    "setmetatable({}, { __index = function(_, k) return k end })",
];

impl Grammar {
    fn program(seed: u64) -> String {
        let mut grammar = Grammar {
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            text: String::new(),
            names: 0,
            depth: 0,
            fuel: 40,
        };
        grammar.line("local v0 = input");
        grammar.names = 1;
        while grammar.fuel > 0 {
            grammar.statement();
        }
        grammar.line("return 'the end'");
        grammar.text
    }

    fn draw(&mut self, below: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) as usize % below
    }

    fn pick(&mut self, among: &[&'static str]) -> &'static str {
        among[self.draw(among.len())]
    }

    fn line(&mut self, line: &str) {
        for _ in 0..self.depth {
            self.text.push_str("  ");
        }
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn name(&mut self) -> String {
        format!("v{}", self.draw(self.names))
    }

    fn fresh(&mut self) -> String {
        // 200 locals are the most that a function may have.
        self.names = (self.names + 1).min(100);
        format!("v{}", self.names - 1)
    }

    fn value(&mut self, depth: usize) -> String {
        match self.draw(if depth == 0 { 4 } else { 10 }) {
            0 | 1 => self.name(),
            2 | 3 => self.pick(LITERALS).to_owned(),
            4 => {
                let operator = self.pick(&[
                    "+", "-", "*", "/", "//", "%", "^", "..", "==", "~=", "<", "<=", "and", "or",
                ]);
                format!(
                    "({} {operator} {})",
                    self.value(depth - 1),
                    self.value(depth - 1)
                )
            }
            5 => {
                let operator = self.pick(&["- ", "not ", "#"]);
                format!("({operator}{})", self.value(depth - 1))
            }
            6 => format!("{}[{}]", self.name(), self.value(depth - 1)),
            7 => format!("`{{ {} }}-{{ {} }}`", self.value(0), self.value(0)),
            _ => self.call(depth - 1),
        }
    }

    fn call(&mut self, depth: usize) -> String {
        let function = self.pick(FUNCTIONS);
        let mut arguments: Vec<String> = Vec::new();
        if function.starts_with("ctx.") {
            arguments.push("ctx".to_owned());
        }
        for _ in 0..self.draw(4) {
            arguments.push(self.value(depth));
        }
        let arguments = arguments.join(", ");
        // Mostly caught, so that programs get far; `select` gives the result.
        match self.draw(4) {
            0 => format!("{function}({arguments})"),
            _ if arguments.is_empty() => format!("select(2, pcall({function}))"),
            _ => format!("select(2, pcall({function}, {arguments}))"),
        }
    }

    fn block(&mut self) {
        self.depth += 1;
        let names = self.names;
        for _ in 0..1 + self.draw(3) {
            self.statement();
        }
        self.names = names;
        self.depth -= 1;
    }

    fn statement(&mut self) {
        self.fuel = self.fuel.saturating_sub(1);
        let nests = self.depth < 4 && self.fuel > 0;
        match self.draw(if nests { 12 } else { 6 }) {
            0..=2 => {
                let value = self.value(3);
                let name = self.fresh();
                self.line(&format!("local {name} = {value}"));
            }
            3 => {
                let (name, value) = (self.name(), self.value(2));
                self.line(&format!("{name} = {value}"));
            }
            4 => {
                let (name, key, value) = (self.name(), self.value(1), self.value(1));
                self.line(&format!("pcall(function() {name}[{key}] = {value} end)"));
            }
            5 => {
                let text = self.value(2);
                self.line(&format!("ctx:log(tostring({text}))"));
            }
            6 => {
                let condition = self.value(2);
                self.line(&format!("if {condition} then"));
                self.block();
                self.line("else");
                self.block();
                self.line("end");
            }
            7 => {
                let to = self.pick(&["3", "50", "2000", "1e7", "math.huge"]);
                self.line(&format!("for i = 1, {to} do"));
                self.block();
                self.line("end");
            }
            8 => {
                let over = self.value(2);
                self.line("pcall(function()");
                self.line(&format!("for k, v in {over} do"));
                self.block();
                self.line("end");
                self.line("end)");
            }
            9 => {
                self.line("pcall(function(...)");
                self.block();
                self.line("end, 1, 2)");
            }
            10 => {
                let condition = self.value(1);
                self.line(&format!("while {condition} do"));
                self.block();
                self.line("if math.random() < 0.2 then break end");
                self.line("end");
            }
            _ => {
                let name = self.fresh();
                self.line(&format!("local {name} = nil"));
                self.line(&format!("{name} = function(...)"));
                self.block();
                let value = self.value(1);
                self.line(&format!("return {value}"));
                self.line("end");
            }
        }
    }
}

/// What the world gives back, in the order of the calls.
fn owed(calls: &[Call], waiting: &mut Vec<Completion>) {
    for call in calls {
        let events = match &call.op {
            CallOp::Delegate(task) => {
                let items = (0..task.items.len() as u32).map(|index| Event::Item {
                    index,
                    outcome: Ok(Value::Int(i64::from(index))),
                    operator: None,
                });
                items.chain([Event::Ended]).collect()
            }
            CallOp::Sleep { .. } => vec![Event::Slept],
            _ => Vec::new(),
        };
        waiting.extend(events.into_iter().map(|event| Completion {
            call: call.id,
            event,
            at_ms: 0,
        }));
    }
}

struct Life {
    calls: Vec<Call>,
    fed: Vec<Completion>,
    state: State,
    slowest: Duration,
    memory_bytes: usize,
}

fn limits() -> Limits {
    Limits {
        slice_ms: SLICE.as_millis() as u64,
        memory_bytes: MEMORY,
        ..Limits::default()
    }
}

fn start(revision: &Revision) -> Vm {
    let input = Value::map::<String>([]);
    Vm::start(revision, "t", input, 7, 0, limits()).unwrap()
}

fn live(revision: &Revision) -> Life {
    let mut vm = start(revision);
    let mut life = Life {
        calls: Vec::new(),
        fed: Vec::new(),
        state: State::Blocked,
        slowest: Duration::ZERO,
        memory_bytes: 0,
    };
    let mut waiting = Vec::new();
    let mut completions = Vec::new();
    loop {
        let before = cpu();
        let progress = vm.resume(completions);
        life.slowest = life.slowest.max(cpu() - before);
        life.memory_bytes = life.memory_bytes.max(vm.memory_bytes());
        life.state = progress.state;
        owed(&progress.calls, &mut waiting);
        life.calls.extend(progress.calls);
        if life.state != State::Blocked || waiting.is_empty() || life.fed.len() >= COMPLETIONS {
            return life;
        }
        let completion = waiting.remove(0);
        life.fed.push(completion.clone());
        completions = vec![completion];
    }
}

#[test]
fn drawn_programs_stay_within_their_bounds_and_repeat_themselves() {
    let number = |name| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    let first = number("FROBEN_SEED");
    let seeds = match first {
        Some(seed) => seed..seed + 1,
        None => 0..number("FROBEN_PROGRAMS").unwrap_or(PROGRAMS),
    };
    let (mut ended, mut called) = (0, 0);
    for seed in seeds {
        let body = Grammar::program(seed);
        if first.is_some() {
            println!("{body}");
        }
        let files = with_body(&body);
        let revision = Revision::check(&files, &limits())
            .unwrap_or_else(|problems| panic!("seed {seed}: {problems:?}\n{body}"));
        let mut life = live(&revision);
        if life.slowest > SLICE + GRACE {
            life = live(&revision);
        }
        assert!(
            life.slowest < SLICE + GRACE,
            "seed {seed}: {:?}\n{body}",
            life.slowest
        );
        let memory = life.memory_bytes;
        assert!(
            memory < MEMORY + (8 << 20),
            "seed {seed}: {memory} bytes\n{body}"
        );

        let ran_out = |state: &State| matches!(state, State::Failed(failure) if failure.code == froben_script::Code::Cpu);
        let again = start(&revision).resume(life.fed.clone());
        if ran_out(&life.state) || ran_out(&again.state) {
            // Where time ran out follows the machine; what was called before that does not.
            let both = life.calls.len().min(again.calls.len());
            assert_eq!(
                life.calls[..both],
                again.calls[..both],
                "seed {seed}\n{body}"
            );
        } else {
            assert_eq!(life.calls, again.calls, "seed {seed}\n{body}");
            assert_eq!(life.state, again.state, "seed {seed}\n{body}");
        }
        ended += usize::from(matches!(life.state, State::Returned(_)));
        called += usize::from(!life.calls.is_empty());
    }
    println!("{ended} programs came to their end, {called} made calls");
    // A grammar whose programs all fail at once would test nothing.
    assert!(
        first.is_some() || (ended > 10 && called > 30),
        "{ended} {called}"
    );
}
