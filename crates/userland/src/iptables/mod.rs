//! `iptables`, `iptables-save`, `iptables-restore` (legacy, version 1.8.9): text to rules and back.

mod chain_line;
mod check;
mod command;
mod draft;
mod family;
mod graph;
mod hints;
mod list;
mod matches;
#[cfg(feature = "nft")]
mod nft;
mod parse;
mod print;
mod rule;
mod targets;
mod text;

pub use command::{Output, TableStore, iptables, iptables_restore, iptables_restore_in_parts, iptables_save};
pub use graph::{Hooks, JumpGraph, Loop, references};
pub use list::{Format, list_header, list_rule, list_table};
#[cfg(feature = "nft")]
pub use nft::{NftStore, iptables_nft, iptables_nft_restore, iptables_nft_save};
#[cfg(feature = "nft")]
pub(crate) use nft::{target_name, xlate_match, xlate_target};
pub use parse::{
    Objects, ParsedTable, RestoreOptions, apply_restore, apply_restore_with, parse_bytes, parse_restore,
};
pub use print::{RuleToken, append_line, declaration, print_rule, print_save, rule_tokens};
