//! Programs drawn from a grammar of the whole library: each stays within its bounds, and the same program
//! fed the same completions, in batches of any size, makes the same calls.
//!
//! The programs are well formed and mostly nonsense: loops nest, functions are called with values of the
//! wrong type and size, errors are caught. Fibers, maps, races and children run into each other, and some of
//! them are cancelled; what the world answers comes in an order of its own. `FROBEN_SEED=n` runs one seed,
//! `FROBEN_PROGRAMS=n` so many.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

mod harness;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use froben_model::{CallId, ErrorClass, Value};
use froben_script::{Call, CallOp, Code, Completion, Event, Limits, Revision, State, Vm};
use harness::bounds::{GRACE, MARGIN, bounded, check_within, start_within, timed};
use harness::{STARTED_MS, child_failure, lost};

const SLICE: Duration = Duration::from_millis(60);
const MEMORY: usize = 32 << 20;
const PROGRAMS: u64 = 200;
/// Completions that one program is fed.
const COMPLETIONS: usize = 60;

/// Numbers that follow from a seed.
struct Draws(u64);

impl Draws {
    fn of(seed: u64) -> Self {
        Draws(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn draw(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % below
    }
}

/// What a program is made of, and how many names are in scope.
struct Grammar {
    draws: Draws,
    text: String,
    names: usize,
    depth: usize,
    /// Statements that may still come.
    fuel: usize,
    /// Names that were last given to something that can be waited for.
    waitable: Vec<usize>,
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
    "ctx.map",
    "ctx.race",
    "ctx.spawn",
    "ctx.run",
    "ctx.now",
    "ctx.random",
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
    "{ width = 2, concurrency = 1 }",
    "'t'",
    "{ ctx:spawn(function() ctx:sleep(1) return 'slept' end), ctx:run('t', {}) }",
    "function(...) return ... end",
    "function(a, b) return a ~= b end",
    "setmetatable({}, { __index = function(_, k) return k end })",
];

impl Grammar {
    fn program(seed: u64) -> String {
        let mut grammar = Grammar {
            draws: Draws::of(seed),
            text: String::new(),
            names: 0,
            depth: 0,
            fuel: 40,
            waitable: Vec::new(),
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
        self.draws.draw(below)
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
        match self.draw(if nests { 21 } else { 10 }) {
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
            6 | 7 => {
                let (word, waitable) = (self.pick(&["await", "cancel"]), self.waitable());
                self.line(&format!(
                    "ctx:log(tostring(pcall(function() return {waitable}:{word}() end)))"
                ));
            }
            8 | 9 => self.started(),
            10 => {
                let condition = self.value(2);
                self.line(&format!("if {condition} then"));
                self.block();
                self.line("else");
                self.block();
                self.line("end");
            }
            11 => {
                let to = self.pick(&["3", "50", "2000", "1e7", "math.huge"]);
                self.line(&format!("for i = 1, {to} do"));
                self.block();
                self.line("end");
            }
            12 => {
                let over = self.value(2);
                self.line("pcall(function()");
                self.line(&format!("for k, v in {over} do"));
                self.block();
                self.line("end");
                self.line("end)");
            }
            13 => {
                self.line("pcall(function(...)");
                self.block();
                self.line("end, 1, 2)");
            }
            14 => {
                let condition = self.value(1);
                self.line(&format!("while {condition} do"));
                self.block();
                self.line("if math.random() < 0.2 then break end");
                self.line("end");
            }
            15 | 16 => self.fiber(),
            17 | 18 => self.race(),
            19 => self.fan_out(),
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

/// What waits, and what is waited for.
impl Grammar {
    /// A name that most likely can be waited for.
    fn waitable(&mut self) -> String {
        let known: Vec<usize> = self
            .waitable
            .iter()
            .copied()
            .filter(|name| *name < self.names)
            .collect();
        match known.len() {
            0 => self.name(),
            count => format!("v{}", known[self.draw(count)]),
        }
    }

    fn fresh_waitable(&mut self) -> String {
        let name = self.fresh();
        self.waitable.push(self.names - 1);
        name
    }

    /// A delegation or a child.
    fn started(&mut self) {
        let name = self.fresh_waitable();
        let items = self.pick(&["{ 1 }", "{ 1, 2, 3 }", "table.create(9, 'i')"]);
        match self.draw(3) {
            0 => self.line(&format!("local {name} = ctx:run('t')")),
            _ => self.line(&format!(
                "local {name} = ctx:delegate {{ kind = 'a.b/1', items = {items} }}"
            )),
        }
    }

    /// A fiber, whose errors are mostly caught: one that is not ends the program.
    fn fiber(&mut self) {
        let (argument, result) = (self.value(1), self.value(1));
        let name = self.fresh_waitable();
        let caught = self.draw(8) > 0;
        self.line(&format!("local {name} = nil"));
        self.line(&format!("{name} = ctx:spawn(function(...)"));
        self.line("ctx:log('in a fiber')");
        if caught {
            self.line("pcall(function(...)");
        }
        self.block();
        if caught {
            self.line("end, ...)");
        }
        self.line(&format!("return {result}"));
        self.line(&format!("end, {argument})"));
    }

    /// The first of some, then of the rest.
    fn race(&mut self) {
        let members = [self.waitable(), self.waitable(), self.waitable()].join(", ");
        self.line("pcall(function()");
        self.line(&format!(
            "local racing = {{ {members}, ctx:spawn(function() ctx:sleep(1) end) }}"
        ));
        self.line("while #racing > 0 do");
        self.line("local first = ctx:race(racing)");
        self.line("ctx:log(`first of a race: {first}`)");
        self.line("table.remove(racing, first)");
        self.block();
        self.line("end");
        self.line("end)");
    }

    /// Many items, by a map or a stream of delegations.
    fn fan_out(&mut self) {
        let width = self.pick(&["1", "2", "5"]);
        if self.draw(2) == 0 {
            let abreast = self.pick(&["1", "2", "4"]);
            let name = self.fresh();
            self.line(&format!("local {name} = nil"));
            self.line("pcall(function()");
            self.line(&format!(
                "{name} = ctx:map({{ kind = 'a.b/1', items = table.create(7, 'm') }}, {{"
            ));
            self.line(&format!(
                "width = {width}, concurrency = {abreast}, on_item = function(item)"
            ));
            self.line("ctx:log(`mapped {item.index}`)");
            self.block();
            self.line("end })");
            self.line(&format!("ctx:log(`{{#{name}.ok}} and {{#{name}.err}}`)"));
            self.line("end)");
        } else {
            self.line("pcall(function()");
            self.line("local running = {}");
            self.line(&format!(
                "for i = 1, 3 do running[i] = ctx:delegate {{ kind = 'a.b/1', items = table.create({width}, i) }} end"
            ));
            self.line("for i, item in ctx:stream(running) do");
            self.line("ctx:log(`streamed {i}, {item.index}`)");
            self.block();
            self.line("end");
            self.line("end)");
        }
    }
}

/// What the world owes a program, by call, and the order in which it pays.
struct World {
    owed: BTreeMap<CallId, VecDeque<Event>>,
    draws: Draws,
    now_ms: u64,
}

impl World {
    fn of(seed: u64) -> Self {
        World {
            owed: BTreeMap::new(),
            draws: Draws::of(seed ^ 0x5eed),
            now_ms: STARTED_MS,
        }
    }

    fn hear(&mut self, call: &Call) {
        let number = call.id.0;
        let events = match &call.op {
            CallOp::Delegate(task) => {
                let items = (0..task.items.len() as u32).map(|index| Event::Item {
                    index,
                    outcome: match (number + u64::from(index)) % 5 {
                        0 => lost(ErrorClass::WorkerFailed, "op-a"),
                        _ => Ok(Value::Int(i64::from(index))),
                    },
                    operator: None,
                });
                items.chain([Event::Ended]).collect()
            }
            CallOp::Sleep { .. } => VecDeque::from([Event::Slept]),
            CallOp::Run { .. } => VecDeque::from([child(number)]),
            CallOp::Cancel { target } => {
                self.cancel(*target);
                return;
            }
            CallOp::Status { .. } | CallOp::Log { .. } => return,
        };
        self.owed.insert(call.id, events);
    }

    /// What has not come by now never does.
    fn cancel(&mut self, target: CallId) {
        for event in self.owed.get_mut(&target).into_iter().flatten() {
            match event {
                Event::Item { outcome, .. } => *outcome = lost(ErrorClass::Cancelled, ""),
                Event::ChildEnded { outcome } => {
                    *outcome = Err(child_failure("FRB-WFL-010", "cancelled"));
                }
                Event::Ended | Event::Slept => {}
            }
        }
    }

    fn next(&mut self) -> Option<Completion> {
        let calls: Vec<CallId> = self.owed.keys().copied().collect();
        if calls.is_empty() {
            return None;
        }
        let call = calls[self.draws.draw(calls.len())];
        let events = self.owed.get_mut(&call)?;
        let event = events.pop_front()?;
        if events.is_empty() {
            self.owed.remove(&call);
        }
        self.now_ms += self.draws.draw(3) as u64;
        let at_ms = self.now_ms;
        Some(Completion { call, event, at_ms })
    }
}

fn child(number: u64) -> Event {
    let outcome = match number % 3 {
        0 => Err(child_failure("FRB-LUA-011", "on purpose")),
        _ => Ok(Value::Int(number as i64)),
    };
    Event::ChildEnded { outcome }
}

struct Life {
    calls: Vec<Call>,
    fed: Vec<Completion>,
    state: State,
    slowest: Duration,
    memory_bytes: usize,
}

fn limits() -> Limits {
    bounded(SLICE, MEMORY)
}

fn start(revision: &Revision) -> Vm {
    start_within(revision, limits())
}

fn live(revision: &Revision, seed: u64) -> Life {
    let mut vm = start(revision);
    let mut life = Life {
        calls: Vec::new(),
        fed: Vec::new(),
        state: State::Blocked,
        slowest: Duration::ZERO,
        memory_bytes: 0,
    };
    let mut world = World::of(seed);
    let mut completions = Vec::new();
    loop {
        let (progress, spent) = timed(&mut vm, completions);
        life.slowest = life.slowest.max(spent);
        life.memory_bytes = life.memory_bytes.max(vm.memory_bytes());
        life.state = progress.state;
        progress.calls.iter().for_each(|call| world.hear(call));
        life.calls.extend(progress.calls);
        if life.state != State::Blocked || life.fed.len() >= COMPLETIONS {
            return life;
        }
        let Some(completion) = world.next() else {
            return life;
        };
        life.fed.push(completion.clone());
        completions = vec![completion];
    }
}

/// Feeds a fresh VM the same completions, so many at a time as are drawn from 1 to `most`.
fn replayed(revision: &Revision, fed: &[Completion], seed: u64, most: usize) -> (Vec<Call>, State) {
    let mut vm = start(revision);
    let mut draws = Draws::of(seed);
    let mut progress = vm.resume(Vec::new());
    let (mut calls, mut rest) = (progress.calls, fed);
    while progress.state == State::Blocked && !rest.is_empty() {
        let many = if most == usize::MAX {
            rest.len()
        } else {
            1 + draws.draw(most)
        };
        let (batch, later) = rest.split_at(many.min(rest.len()));
        progress = vm.resume(batch.to_vec());
        calls.extend(progress.calls);
        rest = later;
    }
    (calls, progress.state)
}

/// How many programs did what the grammar is for.
#[derive(Debug, Default)]
struct Reached {
    ended: usize,
    called: usize,
    fibers: usize,
    races: usize,
    maps: usize,
    streams: usize,
    children: usize,
    cancels: usize,
}

impl Reached {
    fn count(&mut self, life: &Life) {
        let made =
            |of: &dyn Fn(&CallOp) -> bool| usize::from(life.calls.iter().any(|call| of(&call.op)));
        let logged = |what: &'static str| {
            made(&move |op| matches!(op, CallOp::Log { text } if text.starts_with(what)))
        };
        self.ended += usize::from(matches!(life.state, State::Returned(_)));
        self.called += usize::from(!life.calls.is_empty());
        self.fibers += logged("in a fiber");
        self.races += logged("first of a race");
        self.maps += logged("mapped");
        self.streams += logged("streamed");
        self.children += made(&|op| matches!(op, CallOp::Run { .. }));
        self.cancels += made(&|op| matches!(op, CallOp::Cancel { .. }));
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
    let seeds_are_few = first.is_some() || number("FROBEN_PROGRAMS").is_some();
    let seeds = match first {
        Some(seed) => seed..seed + 1,
        None => 0..number("FROBEN_PROGRAMS").unwrap_or(PROGRAMS),
    };
    let mut reached = Reached::default();
    for seed in seeds {
        let body = Grammar::program(seed);
        if first.is_some() {
            println!("{body}");
        }
        let revision = check_within(&body, &limits());
        let mut life = live(&revision, seed);
        if life.slowest > SLICE + GRACE {
            life = live(&revision, seed);
        }
        assert!(
            life.slowest < SLICE + GRACE,
            "seed {seed}: {:?}\n{body}",
            life.slowest
        );
        let memory = life.memory_bytes;
        assert!(
            memory < MEMORY + MARGIN,
            "seed {seed}: {memory} bytes\n{body}"
        );

        // Luau's collector follows the clock, so what rubbish is still there when memory runs out differs.
        let ran_out = |state: &State| match state {
            State::Failed(failure) => [Code::Cpu, Code::Memory].contains(&failure.code),
            _ => false,
        };
        // At once, one after the other, and in pieces.
        for most in [usize::MAX, 1, 5] {
            let (calls, state) = replayed(&revision, &life.fed, seed, most);
            let said = |what: &str| {
                let ends = (&life.state, &state);
                format!("seed {seed}, batches of {most}: {what}, {ends:?}\n{body}")
            };
            let both = life.calls.len().min(calls.len());
            for (live, replayed) in life.calls.iter().zip(&calls) {
                assert_eq!(live, replayed, "{}", said("a call"));
            }
            // Where time or memory ran out follows the machine; what was called before does not.
            if !(ran_out(&life.state) || ran_out(&state)) {
                assert_eq!(life.calls[both..], calls[both..], "{}", said("more calls"));
                assert_eq!(life.state, state, "{}", said("the end"));
            }
        }
        reached.count(&life);
    }
    println!("{reached:?}");
    // A grammar whose programs all fail at once would test nothing.
    let Reached {
        ended,
        called,
        fibers,
        races,
        maps,
        streams,
        children,
        cancels,
    } = reached;
    let least = [fibers, races, maps, streams, children, cancels]
        .into_iter()
        .min();
    assert!(
        seeds_are_few || (ended > 10 && called > 30 && least > Some(5)),
        "{reached:?}"
    );
}
