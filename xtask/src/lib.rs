//! `cargo xtask`: everything that is done to Netfilter Lab from outside: set-up, build, serve, test.
//!
//! The site itself is described by `index.html` and `Trunk.toml`; [`site`] reads them and [`build`] follows them the
//! way Trunk does. The browser tests use [`server`] and [`browser`] from here.
#![allow(clippy::disallowed_types, reason = "a build tool has a clock")]

pub mod apt;
pub mod bench;
pub mod bindgen;
pub mod browser;
pub mod build;
pub mod cli;
pub mod html;
pub mod offline;
pub mod order;
pub mod room;
pub mod run;
pub mod serve;
pub mod server;
pub mod setup;
pub mod site;
pub mod sizes;
pub mod tally;
pub mod test;
pub mod trunk;
pub mod wasm_opt;
pub mod watch;
pub mod workspace;
