//! Sources made to make the compiler use much: each is compiled or refused within the memory that a VM may
//! have, in little time, on a stack of our own. Each in a process of its own: this test starts itself.

#![allow(clippy::unwrap_used, reason = "all of it is tests")]

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use froben_script::{Limits, Revision};

const BOMB: &str = "FROBEN_BOMB";
const SOURCE_BYTES: usize = 256 << 10;
/// Of the process at its peak, above what it had. The default cap of a VM and the promised margin.
const MEMORY: usize = (64 + 8) << 20;

/// `unit` as often as it fits between `open` and `close`.
fn filled(open: &str, unit: &str, close: &str) -> String {
    let times = (SOURCE_BYTES - open.len() - close.len()) / unit.len();
    format!("{open}{}{close}", unit.repeat(times))
}

fn nested(times: usize, open: &str, close: &str) -> String {
    format!("return {}1{}", open.repeat(times), close.repeat(times))
}

fn counted(open: &str, unit: impl Fn(usize) -> String) -> String {
    let mut source = open.to_owned();
    for number in 0.. {
        let next = unit(number);
        if source.len() + next.len() > SOURCE_BYTES {
            break;
        }
        source.push_str(&next);
    }
    source
}

fn bombs() -> Vec<(&'static str, String)> {
    let long = format!("local a = '{}' ", "q".repeat(4000));
    let locals: String = (0..199).map(|n| format!("local a{n} = {n} ")).collect();
    let upvalues: String = (0..199).map(|n| format!("a{n},")).collect();
    let mut bombs = vec![
        ("tables", filled("return{", "{},", "}")),
        ("numbers", filled("return{", "1,", "}")),
        ("names", filled("return{", "x,", "}")),
        ("fields", filled("return{", "a=a,", "}")),
        ("texts", filled("return{", "'',", "}")),
        ("assignments", filled("", "x=1 ", "")),
        ("calls", filled("", "x()", "")),
        ("calls of calls", filled("return f", "()", "")),
        ("calls with tables", filled("a", "{}", "")),
        ("functions", filled("", "function f()end ", "")),
        ("closures", filled("return{", "function()end,", "}")),
        ("ifs", filled("", "if a then end ", "")),
        ("elseifs", filled("if a then ", "elseif a then ", "end")),
        (
            "if expressions",
            filled("return ", "if a then a else ", "a"),
        ),
        ("whiles", filled("", "while a do end ", "")),
        ("repeats", filled("", "repeat until a ", "")),
        ("loops", filled("", "for a=a,a do end ", "")),
        ("loops over values", filled("", "for a in a do end ", "")),
        ("many locals", filled("local ", "a,", "a")),
        ("local after local", filled("", "local a ", "")),
        ("parameters", filled("return function(", "a,", "a)end")),
        ("results", filled("return ", "a,", "a")),
        ("sums", filled("return ", "1+", "1")),
        ("joins", filled("return ", "x..", "x")),
        ("negations", filled("return ", "not ", "x")),
        ("comparisons", filled("return ", "a==", "a")),
        ("indices", filled("return x", "[a]", "")),
        ("dots", filled("return x", ".a", "")),
        ("annotations", filled("", "local a:a ", "")),
        ("unions", filled("type T=", "a|", "a")),
        ("table types", filled("local f:(", "{},", "a)->a")),
        ("generic types", filled("", "type A=a ", "")),
        ("casts", filled("return{", "a::a,", "}")),
        ("templates", filled("return{", "`{a}`,", "}")),
        ("one template", filled("return `", "{a}", "`")),
        ("comments", filled("", "--\n", "")),
        ("escapes", filled("return '", "\\65", "'")),
        ("errors", filled("", "= ", "")),
        ("open calls", filled("", "f( ", "")),
        ("attributes", filled("", "@native function f()end ", "")),
        (
            "distinct numbers",
            counted("local _ = { ", |n| format!("{n},")),
        ),
        (
            "distinct texts",
            counted("local _ = { ", |n| format!("'{n:x}',")),
        ),
        ("distinct names", counted("", |n| format!("x{n}=y{n} "))),
        (
            "long constants joined",
            counted(&long, |n| format!("x=a..'{n}'")),
        ),
        (
            "long constants in templates",
            counted(&long, |n| format!("x=`{{a}}{n:x}`")),
        ),
        (
            "inlining",
            counted(
                "--!optimize 2\nlocal function f(x) return x + x * x end ",
                |_| "x=f(f(f(f(f(1)))))".into(),
            ),
        ),
        (
            "unrolling",
            counted("--!optimize 2\n", |_| {
                "for a=1,16 do for b=1,16 do for c=1,16 do x=a end end end ".into()
            }),
        ),
        (
            "upvalues",
            filled(
                &format!("{locals}return{{"),
                &format!("function()return {upvalues}1 end,"),
                "}",
            ),
        ),
        ("bytecode", "\u{1b}Lua".to_owned()),
    ];
    for times in [150, 190, 900, 1100, 100_000] {
        bombs.push(("brackets", nested(times, "(", ")")));
        bombs.push(("nested tables", nested(times, "{", "}")));
    }
    for times in [150, 300, 900, 1100, 9_000] {
        bombs.push((
            "nested functions",
            nested(times, "function() return ", " end"),
        ));
        bombs.push(("nested templates", nested(times, "`{", "}`")));
        bombs.push((
            "nested blocks",
            format!("{}{}", "do ".repeat(times), "end ".repeat(times)),
        ));
        bombs.push((
            "nested loops",
            format!("{}{}", "for a in a do ".repeat(times), "end ".repeat(times)),
        ));
        bombs.push((
            "nested types",
            format!("local a:{}(){}", "(".repeat(times), ")->()".repeat(times)),
        ));
    }
    bombs
}

/// `VmRSS` or `VmHWM` of this process.
fn resident(field: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib << 10
}

fn check(source: String) -> bool {
    let files = BTreeMap::from([("pipelines/t.lua".to_owned(), source)]);
    let checked = Revision::check(&files, &Limits::default());
    checked.err().is_none_or(|problems| {
        let fits = |problem: &froben_script::Problem| problem.message.len() < 500;
        problems.iter().all(fits)
    })
}

#[test]
fn sources_are_compiled_within_the_memory_of_a_vm() {
    let bombs = bombs();
    if let Ok(number) = std::env::var(BOMB) {
        let (_, source) = &bombs[number.parse::<usize>().unwrap()];
        check("return 1".to_owned());
        let fresh = resident("VmRSS");
        let begun = Instant::now();
        assert!(check(source.clone()), "a message without end");
        println!(
            "grew {} in {}",
            resident("VmHWM") - fresh,
            begun.elapsed().as_millis()
        );
        return;
    }
    let mut wrong = Vec::new();
    for (number, (name, source)) in bombs.iter().enumerate() {
        assert!(source.len() <= SOURCE_BYTES, "{name}");
        let output = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "sources_are_compiled_within_the_memory_of_a_vm",
                "--nocapture",
            ])
            .env(BOMB, number.to_string())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let grew = text
            .lines()
            .find_map(|line| line.split("grew ").nth(1)?.split_once(" in "));
        let Some((bytes, ms)) = grew else {
            wrong.push(format!("{name}: {:?}", output.status));
            continue;
        };
        if std::env::var_os("BOUNDS").is_some() {
            println!(
                "{:4} MiB {ms:>5} ms {name}",
                bytes.parse::<usize>().unwrap() >> 20
            );
        }
        let slow = Duration::from_millis(ms.parse().unwrap()) > Duration::from_secs(10);
        if bytes.parse::<usize>().unwrap() > MEMORY || slow {
            wrong.push(format!("{name}: {bytes} bytes, {ms} ms"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
