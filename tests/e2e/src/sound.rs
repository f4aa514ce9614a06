//! What must hold after a scenario, whatever went wrong in it: the proof verifies, nothing is paid twice, and
//! no reservation remains.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use serde_json::Value;

use crate::books::{Books, Paid, Sound, micros, worth};
use crate::network::{ADMIN, Network};
use crate::process::{Finished, eventually};

const SEGMENT_BYTES: usize = 4096;
const OVER: [&str; 3] = ["succeeded", "failed", "cancelled"];

impl Network {
    /// Waits until no machine has an attempt and no attempt a reservation.
    pub fn nothing_is_held(&self) {
        eventually("machines that hold nothing", || {
            let busy = self.machines().iter().any(|it| it["attempts"] != 0);
            (!busy && self.figure("froben_reservations") == 0).then_some(())
        });
    }

    /// Asserts that nothing is held and that the books are right: of each workflow of the seeker's, which must
    /// all be over, every item that counted was paid once, to who made it, and nothing else was. Gives how
    /// many items were paid.
    pub fn sound_after(&self) -> Paid {
        self.nothing_is_held();
        let (mut paid, mut spent) = (Paid::new(), 0);
        let mut settled: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
        for (root, family) in self.families() {
            let sound = self.books_of(&root, family);
            for (kind, items) in sound.paid {
                *paid.entry(kind).or_default() += items;
            }
            for (account, indexes) in sound.settled {
                settled.entry(account).or_default().extend(indexes);
            }
            spent += sound.spent;
        }
        self.operators_have(&settled);
        let seeker = self.statement("seeker", "seeker/seeker");
        assert_eq!(micros(&seeker["balance"]), -spent, "{seeker:#}");
        paid
    }

    /// The same after the main job: its bundle verifies, and each of its parts was paid once.
    pub fn sound_after_proof(&self, id: &str, file: &Path) {
        let segments = self.fetch_and_hold_against(id, file);
        self.sound_after();
        let sound = self.books_of(id, vec![id.to_string()]);
        let expected = [
            ("bundle", 1),
            ("prove", 4 * segments),
            ("witness", segments),
        ];
        let expected = expected.map(|(part, items)| (format!("commitments.{part}/1"), items));
        assert_eq!(sound.paid, expected.into());
    }

    /// Waits for the end of the main job. Its bundle verifies for `file`, of as many segments as it gives,
    /// and not for one that differs in its last byte.
    pub fn fetch_and_hold_against(&self, id: &str, file: &Path) -> u64 {
        let bundle = self.fetch_and_verify(id, file);
        let mut bytes = std::fs::read(file).expect("the file");
        let segments = bytes.len().div_ceil(SEGMENT_BYTES);
        *bytes.last_mut().expect("it is not empty") ^= 1;
        let changed = self.folder().join("changed.bin");
        std::fs::write(&changed, bytes).expect("a file");
        let segment = format!("segment {}", segments - 1);
        self.verify(&bundle, &changed).refused(9, &[&segment]);
        segments as u64
    }

    fn books_of(&self, root: &str, family: Vec<String>) -> Sound {
        let trails = family.into_iter().map(|id| {
            let delegations = self.trail(&id);
            (id, delegations)
        });
        let books = Books {
            trails: trails.collect(),
            held: self.statement("seeker", &format!("held/{root}")),
            budget: self.statement("seeker", &format!("budget/{root}")),
        };
        let sound = books.check();
        sound.unwrap_or_else(|wrong| panic!("{root}: {wrong}"))
    }

    /// Asserts that the figures tell what was paid and what operators have, if all of it was paid since the
    /// coordinator started.
    pub fn figures_tell(&self, paid: &Paid) {
        let credited = self.series("froben_credited_total").into_iter();
        let credited: BTreeMap<String, i64> = credited
            .filter_map(|(labels, units)| {
                let kind = labels.strip_prefix("kind=\"")?.strip_suffix('"')?;
                let units: f64 = units.parse().expect("a number");
                Some((kind.to_string(), (units * 1e6).round() as i64))
            })
            .filter(|(_, micros)| *micros != 0)
            .collect();
        assert_eq!(credited, worth(paid));
        let accounts = self.accounts();
        let operators = accounts.iter().filter(|it| {
            let name = it["account"].as_str();
            name.is_some_and(|name| name.starts_with("operator/"))
        });
        let have: i64 = operators.map(|it| micros(&it["balance"])).sum();
        assert_eq!(credited.values().sum::<i64>(), have, "{accounts:#?}");
    }

    /// All accounts, with what they have.
    fn accounts(&self) -> Vec<Value> {
        let mut command = self.command_as(ADMIN, &["ledger", "-o", "json"]);
        let accounts = Finished::run(&mut command).ok().json();
        accounts.as_array().expect("a list").clone()
    }

    /// Each operator's account has what it was paid, and all accounts together nothing.
    fn operators_have(&self, settled: &BTreeMap<String, BTreeSet<u64>>) {
        let accounts = self.accounts();
        let sum: i64 = accounts.iter().map(|it| micros(&it["balance"])).sum();
        assert_eq!(sum, 0, "{accounts:#?}");
        let names = accounts.iter().filter_map(|it| it["account"].as_str());
        let mut found = BTreeMap::new();
        for name in names.filter(|name| name.starts_with("operator/")) {
            let statement = self.statement(ADMIN, name);
            let postings = statement["postings"].as_array().expect("postings");
            let amounts: i64 = postings.iter().map(|it| micros(&it["amount"])).sum();
            assert_eq!(micros(&statement["balance"]), amounts, "{statement:#}");
            assert!(
                postings.iter().all(|it| it["cause"] == "settle"),
                "{statement:#}"
            );
            let indexes = postings.iter().filter_map(|it| it["index"].as_u64());
            found.insert(name.to_string(), indexes.collect::<BTreeSet<_>>());
        }
        assert_eq!(&found, settled, "what operators have, and what was settled");
    }

    /// The workflows of the seeker's that no other one runs, each with those that it pays for.
    fn families(&self) -> BTreeMap<String, Vec<String>> {
        let list = self.froben(&["list", "--limit", "1000", "-o", "json"]);
        let list = list.ok().json();
        let list = list.as_array().expect("a list");
        let id = |value: &Value| value.as_str().map(str::to_string);
        let parents: BTreeMap<_, _> = list
            .iter()
            .map(|it| (id(&it["id"]).expect("an id"), id(&it["parent"])))
            .collect();
        let mut families: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for workflow in list {
            let over = OVER.iter().any(|state| workflow["state"] == *state);
            assert!(over, "{workflow:#}");
            let own = id(&workflow["id"]).expect("an id");
            let mut root = own.clone();
            while let Some(parent) = &parents[&root] {
                root = parent.clone();
            }
            families.entry(root).or_default().push(own);
        }
        families
    }

    pub fn machines(&self) -> Vec<Value> {
        let machines = self.froben(&["machines", "-o", "json"]).ok().json();
        machines.as_array().expect("a list").clone()
    }

    /// The delegations of a workflow, with what became of each.
    pub fn trail(&self, id: &str) -> Vec<Value> {
        let trail = self.froben(&["trail", id, "--limit", "10000", "-o", "json"]);
        let trail = trail.ok().json();
        assert_eq!(trail["more"], false, "{id} has more delegations");
        trail["delegations"].as_array().expect("a list").clone()
    }

    /// An account, as whoever has the certificate of `identity` sees it.
    pub fn statement(&self, identity: &str, account: &str) -> Value {
        let mut command = self.command_as(identity, &["ledger", account, "-o", "json"]);
        Finished::run(&mut command).ok().json()
    }

    /// The sum of all series of a figure.
    pub fn figure(&self, name: &str) -> u64 {
        let values = self.series(name).into_iter();
        let values = values.map(|(_, value)| value.parse::<u64>().expect("a whole number"));
        values.sum()
    }

    /// The series of a figure: the labels of each, and its value.
    fn series(&self, name: &str) -> Vec<(String, String)> {
        let page = self.ask_figures("GET /metrics HTTP/1.1\r\n");
        assert!(page.starts_with("HTTP/1.1 200"), "{page}");
        let family = name.strip_suffix("_total").unwrap_or(name);
        let known = page.contains(&format!("# TYPE {family} "));
        assert!(known, "there is no {name}: {page}");
        let lines = page.lines().filter(|line| !line.starts_with('#'));
        let series = lines.filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (found, labels) = series.split_once('{').unwrap_or((series, "}"));
            let labels = labels.strip_suffix('}')?;
            (found == name).then(|| (labels.to_string(), value.to_string()))
        });
        series.collect()
    }

    /// What comes of a request to where the coordinator shows its figures. It is given without the lines that
    /// every request ends with.
    pub fn ask_figures(&self, request: &str) -> String {
        let address = eventually("the address of the figures", || {
            let said = self.coordinator.as_ref().expect("it runs").output();
            let line = said.lines().find_map(|it| it.strip_prefix("figures at "))?;
            let address = line.strip_prefix("http://")?.strip_suffix("/metrics")?;
            Some(address.to_string())
        });
        let mut stream = TcpStream::connect(&address).expect("it listens");
        let request = format!("{request}Host: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it listens");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer
    }
}
