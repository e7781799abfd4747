//! `iptables-nft`, `iptables-nft-save`, `iptables-nft-restore` and those of ip6tables (1.8.9): the language of iptables, the tables of
//! nf_tables.
//!
//! A rule is written as statements (`compose`) and read back from them (`decompose`), whoever made them. A command works on a copy of
//! all tables (`edit`), which takes their place if the kernel would take it.

mod command;
mod compose;
mod decompose;
mod edit;
mod files;
mod run;
mod xlate;
mod xlate_target;

pub use command::iptables_nft;
pub use files::{iptables_nft_restore, iptables_nft_save};
pub(crate) use xlate::xlate_match;
pub(crate) use xlate_target::{target_name, xlate_target};

use super::parse::Objects;
use crate::nft::Names;
use kernel::netfilter::conntrack::Helper;
use kernel::netfilter::nftables::Nftables;
use packet::Family;

/// The name and version with which iptables-nft signs its messages.
const VERSION: &str = "v1.8.9 (nf_tables)";

/// The tables of a network namespace, and what rules may name.
pub struct NftStore<'a> {
    /// Whose tables: those of iptables or those of ip6tables.
    pub family: Family,
    /// All tables; a command that succeeds puts others in their place.
    pub nft: &'a mut Nftables,
    /// What text stands for.
    pub names: Names<'a>,
    /// The family has tables of iptables-legacy, of which listings warn.
    pub legacy: bool,
    /// The names of the sets of ipset. `None` if nobody knows: then every set is there.
    pub sets: Option<Vec<String>>,
    /// The same for the objects of nfacct.
    pub nfacct: Option<Vec<String>>,
    /// The same for the helpers of conntrack.
    pub helpers: Option<Vec<Helper>>,
}

/// A copy of what rules may name.
struct Known {
    sets: Option<Vec<String>>,
    nfacct: Option<Vec<String>>,
    helpers: Option<Vec<Helper>>,
}

impl NftStore<'_> {
    fn objects(&self) -> Known {
        Known { sets: self.sets.clone(), nfacct: self.nfacct.clone(), helpers: self.helpers.clone() }
    }
}

impl Known {
    fn as_objects(&self) -> Objects<'_> {
        Objects {
            sets: self.sets.as_deref(),
            nfacct: self.nfacct.as_deref(),
            helpers: self.helpers.as_deref(),
        }
    }
}
