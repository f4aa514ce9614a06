//! CPU slices, enforced from outside the VM.
//!
//! While a script runs, Luau's interrupt callback stays null, so that hot loops pay nothing for being
//! watched. One watchdog thread for the whole process arms the callback when a slice may be used up;
//! the script's own thread then calls [`check`] at its next safepoint (a loop's end, a call, a return,
//! a step of a pattern match), which looks at that thread's CPU clock and either disarms itself or
//! raises an error. Once it has raised, it stays armed: a script that catches the error gets no
//! further than the next safepoint, until nothing of it is left.
//!
//! A VM that must stop for another reason (a quota, its memory, `ctx:fail`) is armed at once, the same
//! way, by [`stop_running`].

// Luau's callbacks are reached through its C API only. Each use gives its reason.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::ffi::{CStr, c_int};
use std::marker::PhantomData;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use mlua::{Lua, ffi};
use nix::time::{ClockId, clock_gettime};

/// The source name of our own Lua code, which no location in a message ever names.
pub(crate) const PRELUDE: &str = "froben";

/// How often the watchdog looks while scripts run.
const TICK: Duration = Duration::from_millis(10);
/// It sleeps until the next slice begins once nothing ran for so many ticks.
const IDLE_TICKS: u32 = 100;

/// Where a state keeps its callbacks; valid as long as the state is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Callbacks(usize);

impl Callbacks {
    pub(crate) fn of(lua: &Lua) -> mlua::Result<Self> {
        let mut address = 0;
        // SAFETY: `lua_callbacks` only returns the address of a field of the global state.
        unsafe { lua.exec_raw::<()>((), |state| address = ffi::lua_callbacks(state) as usize)? };
        // SAFETY: the state is alive and this thread's own.
        unsafe {
            let callbacks = address as *mut ffi::lua_Callbacks;
            (*callbacks).debugprotectederror = Some(note_error as unsafe extern "C-unwind" fn(_));
        }
        Ok(Callbacks(address))
    }

    /// SAFETY: the state must be alive. lua.h says of `interrupt`, and of no other callback, that it
    /// may be set from any thread; the VM reads it afresh at each safepoint.
    unsafe fn set_interrupt(self, armed: bool) {
        let callback = armed.then_some(check as unsafe extern "C-unwind" fn(_, _));
        // SAFETY: as above.
        unsafe {
            let callbacks = self.0 as *mut ffi::lua_Callbacks;
            std::ptr::addr_of_mut!((*callbacks).interrupt).write_volatile(callback);
        }
    }
}

/// The script that runs on this thread.
struct Running {
    id: u64,
    callbacks: Callbacks,
    started_ns: u64,
    budget_ns: u64,
    /// It may not go on.
    stop: bool,
    over_budget: bool,
    stopped_at: Option<(String, u32)>,
    failed_at: Option<(String, u32)>,
}

thread_local! {
    static RUNNING: RefCell<Option<Running>> = const { RefCell::new(None) };
}

/// A stretch of a script's run, from a resumption to the next blocking call. Ends when dropped, and the
/// state cannot go before it.
pub(crate) struct Slice<'lua> {
    id: u64,
    callbacks: Callbacks,
    state: PhantomData<&'lua Lua>,
}

/// How a slice went.
pub(crate) struct Spent {
    pub(crate) cpu_ns: u64,
    /// The thread's CPU clock at its end.
    pub(crate) ended_ns: u64,
    pub(crate) over_budget: bool,
    /// The script's file and line, if it was stopped.
    pub(crate) stopped_at: Option<(String, u32)>,
    /// Where the last error in a protected call was raised. Finding that out needs no memory, unlike the
    /// prelude's way.
    pub(crate) failed_at: Option<(String, u32)>,
}

impl<'lua> Slice<'lua> {
    /// Begins a slice on this thread, for the state `_lua`, whose callbacks are `callbacks`.
    /// It counts from `clock_ns`, what this thread's CPU clock showed at the end of the slice before.
    pub(crate) fn begin(
        _lua: &'lua Lua,
        callbacks: Callbacks,
        budget: Duration,
        clock_ns: Option<u64>,
    ) -> Self {
        let budget_ns = u64::try_from(budget.as_nanos()).unwrap_or(u64::MAX);
        let id = watch(callbacks, budget);
        RUNNING.with_borrow_mut(|running| {
            *running = Some(Running {
                id,
                callbacks,
                started_ns: clock_ns.unwrap_or_else(thread_cpu_ns),
                budget_ns,
                stop: false,
                over_budget: false,
                stopped_at: None,
                failed_at: None,
            });
        });
        #[cfg(test)]
        if gaps::begin() {
            // SAFETY: the caller's state is alive.
            unsafe { callbacks.set_interrupt(true) };
        }
        Slice {
            id,
            callbacks,
            state: PhantomData,
        }
    }

    pub(crate) fn end(self) -> Spent {
        #[cfg(test)]
        gaps::safepoint();
        let running = RUNNING.with_borrow_mut(Option::take);
        let running = running.expect("invariant: a slice ends on the thread where it began");
        let ended_ns = thread_cpu_ns();
        Spent {
            cpu_ns: ended_ns.saturating_sub(running.started_ns),
            ended_ns,
            over_budget: running.over_budget,
            stopped_at: running.stopped_at,
            failed_at: running.failed_at,
        }
    }
}

impl Drop for Slice<'_> {
    fn drop(&mut self) {
        watched().scripts.retain(|script| script.id != self.id);
        // SAFETY: the slice does not outlive its state, and the watchdog has let go of it.
        unsafe { self.callbacks.set_interrupt(false) };
    }
}

/// Whether the script that runs on this thread has used its slice up. For loops of ours that may do much
/// work for one call: if so they end, and the script gets no further than its next safepoint.
pub(crate) fn used_up() -> bool {
    RUNNING.with_borrow_mut(|running| {
        let Some(running) = running else {
            return false;
        };
        #[cfg(test)]
        gaps::safepoint();
        if !running.stop && thread_cpu_ns().saturating_sub(running.started_ns) < running.budget_ns {
            return false;
        }
        running.over_budget |= !running.stop;
        running.stop = true;
        // SAFETY: the state runs on this very thread.
        unsafe { running.callbacks.set_interrupt(true) };
        true
    })
}

/// Lets the script that runs on this thread get no further than its next safepoint.
pub(crate) fn stop_running() {
    RUNNING.with_borrow_mut(|running| {
        if let Some(running) = running {
            running.stop = true;
            // SAFETY: the state runs on this very thread.
            unsafe { running.callbacks.set_interrupt(true) };
        }
    });
}

/// Luau's interrupt callback, on the script's thread. `gc` is negative at a safepoint where an error
/// may be raised.
unsafe extern "C-unwind" fn check(state: *mut ffi::lua_State, gc: c_int) {
    if gc >= 0 || !must_stop(state) {
        return;
    }
    // SAFETY: a safepoint; no Rust value with a destructor is alive in this frame, which the error
    // unwinds through. Luau does not reserve stack for an interrupt, so two slots are asked for.
    unsafe {
        ffi::lua_rawcheckstack(state, 2);
        ffi::lua_pushstring(state, c"the workflow is stopped".as_ptr());
        ffi::lua_error(state)
    }
}

/// Called by Luau when a protected call has failed, before the stack is unwound.
unsafe extern "C-unwind" fn note_error(state: *mut ffi::lua_State) {
    RUNNING.with_borrow_mut(|running| {
        if let Some(running) = running {
            running.failed_at = script_position(state);
        }
    });
}

fn must_stop(state: *mut ffi::lua_State) -> bool {
    RUNNING.with_borrow_mut(|running| {
        let Some(running) = running else {
            return false;
        };
        #[cfg(test)]
        let measures = gaps::safepoint();
        #[cfg(not(test))]
        let measures = false;
        if !running.stop {
            let spent_ns = thread_cpu_ns().saturating_sub(running.started_ns);
            if spent_ns < running.budget_ns {
                // Waiting for a processor is not the script's fault.
                if has_watchdog() && !measures {
                    // SAFETY: the state runs on this very thread.
                    unsafe { running.callbacks.set_interrupt(false) };
                    let rest = Duration::from_nanos(running.budget_ns - spent_ns);
                    look_again(running.id, rest);
                }
                return false;
            }
            running.stop = true;
            running.over_budget = true;
        }
        if running.stopped_at.is_none() {
            running.stopped_at = script_position(state);
        }
        true
    })
}

/// The innermost function of a script, not of the prelude or of C.
fn script_position(state: *mut ffi::lua_State) -> Option<(String, u32)> {
    (0..200).find_map(|level| {
        // SAFETY: `lua_getinfo` with "sl" fills the record from the call stack, allocates nothing and
        // raises nothing; its strings live as long as the function on that level.
        let (source, line) = unsafe {
            let mut record: ffi::lua_Debug = std::mem::zeroed();
            if ffi::lua_getinfo(state, level, c"sl".as_ptr(), &mut record) == 0 {
                return None;
            }
            (CStr::from_ptr(record.short_src), record.currentline)
        };
        let line = u32::try_from(line).ok().filter(|line| *line > 0)?;
        let source = source.to_str().ok()?;
        (source != PRELUDE).then(|| (source.to_owned(), line))
    })
}

pub(crate) fn thread_cpu_ns() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
        .expect("invariant: Linux has a CPU clock for each thread");
    now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64
}

struct Watched {
    scripts: Vec<Script>,
    next_id: u64,
    asleep: bool,
}

struct Script {
    id: u64,
    callbacks: Callbacks,
    /// `None`: armed already.
    look_at: Option<Instant>,
}

static WATCHED: Mutex<Watched> = Mutex::new(Watched {
    scripts: Vec::new(),
    next_id: 0,
    asleep: false,
});
static WAKE: Condvar = Condvar::new();

fn watched() -> MutexGuard<'static, Watched> {
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts the watchdog, the first time. Where no thread can be had, a script is armed from the start
/// and looks at the clock at every safepoint: slow, but held.
fn has_watchdog() -> bool {
    static STARTED: OnceLock<bool> = OnceLock::new();
    *STARTED.get_or_init(|| {
        let thread = std::thread::Builder::new().name("froben-slices".to_owned());
        thread.spawn(watchdog).is_ok()
    })
}

fn watch(callbacks: Callbacks, budget: Duration) -> u64 {
    let look_at = has_watchdog().then(|| Instant::now() + budget);
    if look_at.is_none() {
        // SAFETY: the caller keeps the state alive.
        unsafe { callbacks.set_interrupt(true) };
    }
    let mut watched = watched();
    let id = watched.next_id;
    watched.next_id += 1;
    watched.scripts.push(Script {
        id,
        callbacks,
        look_at,
    });
    if std::mem::take(&mut watched.asleep) {
        WAKE.notify_one();
    }
    id
}

fn look_again(id: u64, after: Duration) {
    let mut watched = watched();
    if let Some(script) = watched.scripts.iter_mut().find(|script| script.id == id) {
        script.look_at = Some(Instant::now() + after);
    }
}

fn watchdog() {
    let mut idle = 0;
    let mut watched = watched();
    loop {
        let now = Instant::now();
        for script in &mut watched.scripts {
            if script.look_at.is_some_and(|look_at| look_at <= now) {
                script.look_at = None;
                // SAFETY: a script on the list has a slice, and that does not outlive its state.
                unsafe { script.callbacks.set_interrupt(true) };
            }
        }
        idle = if watched.scripts.is_empty() {
            idle + 1
        } else {
            0
        };
        watched = if idle < IDLE_TICKS {
            let woken = WAKE.wait_timeout(watched, TICK);
            woken.unwrap_or_else(PoisonError::into_inner).0
        } else {
            watched.asleep = true;
            WAKE.wait(watched).unwrap_or_else(PoisonError::into_inner)
        };
    }
}

/// Measures how long a script on this thread gets from one safepoint to the next, in CPU time: how far
/// past its slice it could get.
#[cfg(test)]
pub(crate) mod gaps {
    use std::cell::Cell;

    use super::thread_cpu_ns;

    thread_local! {
        /// The last safepoint and the widest gap so far.
        static GAPS: Cell<Option<(u64, u64)>> = const { Cell::new(None) };
    }

    /// Runs `f`, and the widest gap in it, in milliseconds.
    pub(crate) fn widest_ms<T>(f: impl FnOnce() -> T) -> (T, f64) {
        GAPS.set(Some((thread_cpu_ns(), 0)));
        let result = f();
        let (_, widest_ns) = GAPS.take().unwrap_or_default();
        (result, widest_ns as f64 / 1e6)
    }

    /// What lies before a slice is no gap.
    pub(super) fn begin() -> bool {
        let gaps = GAPS.get();
        if let Some((_, widest)) = gaps {
            GAPS.set(Some((thread_cpu_ns(), widest)));
        }
        gaps.is_some()
    }

    pub(super) fn safepoint() -> bool {
        let gaps = GAPS.get();
        if let Some((last, widest)) = gaps {
            let now = thread_cpu_ns();
            GAPS.set(Some((now, widest.max(now - last))));
        }
        gaps.is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Runs `source` in a slice of `budget_ms`, with a function `wait` that takes 60 ms of no CPU time.
    fn run(source: &str, budget_ms: u64) -> Spent {
        let lua = Lua::new();
        let wait = lua.create_function(|_, ()| {
            let (_sender, never) = mpsc::channel::<()>();
            let _ = never.recv_timeout(Duration::from_millis(60));
            Ok(())
        });
        lua.globals().set("wait", wait.unwrap()).unwrap();
        let callbacks = Callbacks::of(&lua).unwrap();
        let slice = Slice::begin(&lua, callbacks, Duration::from_millis(budget_ms), None);
        let ran = lua.load(source).set_name("=lib/x.lua").exec();
        let spent = slice.end();
        assert_eq!(ran.is_err(), spent.over_budget);
        // The state can be used again.
        assert_eq!(lua.load("return 1 + 1").eval::<u32>().unwrap(), 2);
        spent
    }

    #[test]
    fn waiting_for_a_processor_is_not_held_against_a_script() {
        let spent = run("for i = 1, 3 do wait() for j = 1, 100 do end end", 40);
        assert!(!spent.over_budget && spent.stopped_at.is_none());
        // And it is still watched afterwards.
        let spent = run(
            "wait()\nwhile true do pcall(function() while true do end end) end",
            40,
        );
        assert!(spent.over_budget);
        assert_eq!(spent.stopped_at, Some(("lib/x.lua".to_owned(), 2)));
        assert!(
            (40_000_000..140_000_000).contains(&spent.cpu_ns),
            "{}",
            spent.cpu_ns
        );
    }

    #[test]
    fn slices_on_several_threads_do_not_stop_each_other() {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert!(run("while true do end", 30).over_budget));
                scope.spawn(|| assert!(!run("for i = 1, 1e5 do end", 2000).over_budget));
            }
        });
    }
}
