//! iptables-nft: sessions recorded with the real programs (iptables v1.8.9 (nf_tables), nft 1.0.6, Linux 6.18) in throw-away
//! namespaces, played on a box whose `iptables` is iptables-nft.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod counters;
mod kube_proxy;
mod read_back;
mod sessions;
