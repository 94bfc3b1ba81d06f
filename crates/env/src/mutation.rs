//! Lines of the house that the simulator breaks on purpose, to prove that its checkers can see.
//!
//! A line at an invariant asks [`mutated`] for a name of its own. Built without the feature `mutations`, as
//! everything but the simulator is, the answer is a constant `false` and nothing of the line is left.

#[cfg(feature = "mutations")]
thread_local! {
    static BROKEN: std::cell::RefCell<String> = const { std::cell::RefCell::new(String::new()) };
}

/// Breaks the lines of this name on this thread, and mends all others; the empty name mends all.
#[cfg(feature = "mutations")]
pub fn break_on_purpose(name: &str) {
    BROKEN.with_borrow_mut(|broken| name.clone_into(broken));
}

/// Whether the lines of this name are broken on this thread.
#[cfg(feature = "mutations")]
#[must_use]
pub fn mutated(name: &str) -> bool {
    BROKEN.with_borrow(|broken| broken == name)
}

/// No line is broken.
#[cfg(not(feature = "mutations"))]
#[must_use]
pub const fn mutated(_: &str) -> bool {
    false
}
