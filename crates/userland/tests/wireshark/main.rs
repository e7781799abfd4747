//! Fields and display filters, held against what tshark says of the same files (`data/wireshark/make.py`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod fields;
mod file;
mod filters;
