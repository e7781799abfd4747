//! tcpdump(8): the filter language of pcap-filter(7).
//!
//! [`Filter::parse`] reads an expression as libpcap 1.10 does, [`Filter::matches`] answers as its program would.

mod arith;
mod filter;
mod id;
mod lex;
mod parse;

pub use filter::{Filter, Link};
