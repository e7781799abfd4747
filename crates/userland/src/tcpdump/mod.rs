//! tcpdump(8): the filter language of pcap-filter(7).
//!
//! [`Filter::parse`] reads an expression as libpcap 1.10 does, [`Filter::matches`] answers as its program would.

mod arith;
mod command;
mod filter;
mod id;
mod lex;
mod never;
mod parse;
mod print;

pub use command::{Command, parse_command};
pub use filter::{Filter, Link};
pub use print::{Captured, Dump, Look, Printer, Time, direction};
