//! What the program prints, when nobody reads it.
//!
//! `froben list | head -1` closes standard output early, and the standard library's macros panic then.
//! These have their names and take their place in the whole program, so that no command has to think of
//! it. They print from the thread that runs the command, and only there.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::error::{Error, Exit};

macro_rules! print {
    ($($text:tt)*) => { $crate::printing::print(format_args!($($text)*)) };
}

macro_rules! println {
    () => { print!("\n") };
    ($($text:tt)*) => { print!("{}\n", format_args!($($text)*)) };
}

macro_rules! eprint {
    ($($text:tt)*) => { $crate::printing::eprint(format_args!($($text)*)) };
}

macro_rules! eprintln {
    () => { eprint!("\n") };
    ($($text:tt)*) => { eprint!("{}\n", format_args!($($text)*)) };
}

/// Standard output does not take what is printed.
struct Unwritable(io::Error);

/// Ends the command if it can't be printed: see [`command`].
pub(crate) fn print(text: Arguments<'_>) {
    if let Err(error) = io::stdout().write_fmt(text) {
        // Unlike a panic it says nothing; like one it lets temporary folders and half-written files go.
        resume_unwind(Box::new(Unwritable(error)));
    }
}

/// Nothing can be said about a standard error that is gone, and nothing depends on it.
pub(crate) fn eprint(text: Arguments<'_>) {
    let _ = io::stderr().write_fmt(text);
}

/// Runs a command to its end, or until standard output is closed.
pub(crate) fn command(run: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
    let ran = catch_unwind(AssertUnwindSafe(run));
    let error = match ran {
        // The last line may have no end.
        Ok(done) => match (done, io::stdout().flush()) {
            (Err(error), _) => return Err(error),
            (Ok(()), Ok(())) => return Ok(()),
            (Ok(()), Err(error)) => error,
        },
        Err(panic) => match panic.downcast::<Unwritable>() {
            Ok(unwritable) => unwritable.0,
            Err(panic) => resume_unwind(panic),
        },
    };
    Err(match error.kind() {
        ErrorKind::BrokenPipe => Error::quiet(Exit::Unread),
        _ => Error::new(
            Exit::Unexpected,
            format!("cannot write to standard output: {error}"),
        ),
    })
}
