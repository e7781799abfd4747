//! kube-proxy: what it writes on a node for the Services of a cluster.
//!
//! Pure functions of a [`Config`], the [`Objects`](crate::Objects) and what was written before. What comes out is text, as
//! the real kube-proxy hands it to iptables-restore, ipset, ipvsadm and nft; it knows nothing of the engine that reads it.
//!
//! `config` and `version` say what is asked for; `service_port` and `endpoints` say what there is, for every mode and family;
//! `iptables` (with `policy_chains` or, before 1.24, `legacy`), `ipvs` (with `ipset` and `ipvs_rules`) and `nftables` (with
//! `nft_table`) write.

mod case;
mod case_config;
mod config;
mod configuration;
mod conntrack;
mod endpoints;
mod graceful;
mod health;
mod informers;
mod ipset;
mod iptables;
mod ipvs;
mod ipvs_rules;
mod jumps;
mod legacy;
pub(crate) mod names;
mod nft_port;
mod nft_setup;
mod nft_table;
mod nftables;
mod policy_chains;
mod profile;
mod proxier;
mod ruleset;
mod service_port;
mod text;
mod tracker;
mod version;
mod virtual_server;

pub use case::{Case, Change, NotModelled, RecordFile};
pub use config::{Config, DetectLocal, Family, NodePortAddresses};
pub use configuration::{KubeProxyConfiguration, LocalMode};
pub use conntrack::{Addressed, Cleanup, ClearEntries, ConntrackEntry, Reconcile};
pub use graceful::{CHECK_INTERVAL, GracefulTermination, VirtualServers};
pub use health::{HealthAnswer, HealthTimes, ServiceHealth, json_times, proxy_health};
pub use iptables::first_sync as first_iptables;
pub use ipvs::{IpvsText, sync as ipvs};
pub use jumps::{iptables_canary, iptables_jumps, ipvs_jumps};
pub use names::{endpoint_chain, service_chain};
pub use nftables::first_sync as first_nftables;
pub use profile::HeldAgainst;
pub use proxier::{KubeProxy, SyncText, Synced};
pub use ruleset::{Fate, PlaceDiff, Ruleset, place_name};
pub use version::{Features, Layout, Version};

use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Serialize};

/// `mode`: what kube-proxy makes of Services.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// iptables rules.
    #[default]
    Iptables,
    /// IPVS virtual servers.
    Ipvs,
    /// A table of nf_tables.
    Nftables,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Mode; 3] = [Mode::Iptables, Mode::Ipvs, Mode::Nftables];
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::Iptables => "iptables",
            Mode::Ipvs => "ipvs",
            Mode::Nftables => "nftables",
        })
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Mode, String> {
        match text {
            "iptables" => Ok(Mode::Iptables),
            "ipvs" => Ok(Mode::Ipvs),
            "nftables" => Ok(Mode::Nftables),
            _ => Err("expected iptables, ipvs or nftables".to_owned()),
        }
    }
}
