//! Work on what comes from outside, whose panics must not take the coordinator along.
//!
//! A panic is a fault of ours, and it is logged as one. Only work that leaves nothing half done behind
//! may be contained: here it checks or reads, and what it has made is thrown away.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a panic said. It is in the log already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Panicked(pub(crate) String);

pub(crate) fn contained<T>(doing: &'static str, work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let cause = said(panic.as_ref());
        tracing::error!(
            cause,
            "{doing} panicked; this is a fault of Froben's: report it"
        );
        Panicked(cause)
    })
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    froben_model::limits::one_line(text.unwrap_or("it did not say why"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_ends_where_it_is_contained_and_says_what_it_said() {
        assert_eq!(contained("this", || 3), Ok(3));
        let why = "a longer\nword";
        let said = contained("this", || -> u8 { panic!("{why}") });
        assert_eq!(said, Err(Panicked("a longer word".to_string())));
        let said = contained("this", || -> u8 { panic!("short") });
        assert_eq!(said, Err(Panicked("short".to_string())));
        let odd = contained("this", || -> u8 { std::panic::panic_any(7_u8) });
        assert_eq!(odd, Err(Panicked("it did not say why".to_string())));
    }
}
