//! Where tests find the type checker.

use froben_author::TypeChecker;

/// The helper, two folders above the test's own program.
pub(crate) fn types() -> Option<TypeChecker> {
    let own = std::env::current_exe().expect("a test has a program");
    let program = own
        .ancestors()
        .nth(2)
        .expect("target/debug")
        .join("froben-typecheck");
    program.is_file().then(|| TypeChecker::new(program))
}
