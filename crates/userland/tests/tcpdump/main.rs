//! tcpdump: which frames a filter lets pass, and what is printed of them. `data/tcpdump/record.py` asks the real one.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod filter;
mod frames;
mod print;
