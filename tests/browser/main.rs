//! End-to-end tests: the built site in a headless Chromium. Run by `cargo xtask test browser`.
//!
//! A test is one function that calls [`harness::visit`] and works with the [`harness::Page`] it gets: it clicks, types
//! and waits for what the page then shows. Each test has a server and a browser of its own. When the scenario is over,
//! the harness checks that the console shows no error and that no request left the page's origin. When it fails, the
//! message has the page's address, text and console, and a screenshot is in `<target>/screenshots/`.
//!
//! There are no timed assertions: what takes time is waited for, up to a minute.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]
#![allow(clippy::disallowed_types, reason = "waiting takes a clock")]

mod axe;
mod bench;
mod courses;
mod cures;
mod harness;
mod journey;
mod keyboard;
mod layout;
mod links;
mod load;
mod offline;
mod picture;
mod session;
mod shell;
mod shots;
mod slices;
mod smoke;
mod source;
mod switches;
mod tables;
mod tour;
mod visitor;
