//! Two packets on their way through one box at the same time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod explored;
mod held;
mod recorded;
