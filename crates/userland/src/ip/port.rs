//! Options of bridges and of their ports, which both `ip link` and `bridge link` set.

use crate::diagnostic::{Diagnostic, Fault};
use crate::words::Words;
use kernel::bridge::{Bridge, PortFlags};
use std::time::Duration;

/// A flag of a port, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortOption {
    /// `hairpin`
    Hairpin,
    /// `isolated`
    Isolated,
    /// `learning`
    Learning,
    /// `flood`
    Flood,
    /// `mcast_flood`
    McastFlood,
    /// `bcast_flood`
    BcastFlood,
}

const PORT_OPTIONS: &[(&str, PortOption)] = &[
    ("hairpin", PortOption::Hairpin),
    ("isolated", PortOption::Isolated),
    ("learning", PortOption::Learning),
    ("flood", PortOption::Flood),
    ("mcast_flood", PortOption::McastFlood),
    ("bcast_flood", PortOption::BcastFlood),
];

/// The names of the flags.
pub(crate) const PORT_NAMES: &[&str] =
    &["hairpin", "isolated", "learning", "flood", "mcast_flood", "bcast_flood"];

/// The flag of that name.
pub(crate) fn port_option(word: &str) -> Option<PortOption> {
    PORT_OPTIONS.iter().find(|(name, _)| *name == word).map(|(_, o)| *o)
}

impl PortOption {
    /// Sets the flag.
    pub fn set(self, flags: &mut PortFlags, on: bool) {
        *match self {
            PortOption::Hairpin => &mut flags.hairpin,
            PortOption::Isolated => &mut flags.isolated,
            PortOption::Learning => &mut flags.learning,
            PortOption::Flood => &mut flags.flood,
            PortOption::McastFlood => &mut flags.mcast_flood,
            PortOption::BcastFlood => &mut flags.bcast_flood,
        } = on;
    }
}

/// An option of a bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BridgeOption {
    /// `ageing_time`
    AgeingTime(Duration),
    /// `forward_delay`
    ForwardDelay(Duration),
    /// `nf_call_iptables`
    NfCallIptables(bool),
    /// `group_fwd_mask`
    GroupFwdMask(u16),
    /// An option that is set to what it always is here.
    Nothing,
}

impl BridgeOption {
    /// Sets the option.
    pub fn set(self, bridge: &mut Bridge) {
        match self {
            BridgeOption::AgeingTime(time) => bridge.ageing_time = time,
            BridgeOption::ForwardDelay(time) => bridge.forward_delay = time,
            BridgeOption::NfCallIptables(on) => bridge.nf_call_iptables = on,
            BridgeOption::GroupFwdMask(mask) => bridge.group_fwd_mask = mask,
            BridgeOption::Nothing => {}
        }
    }
}

const BRIDGE_OPTIONS: &[&str] = &[
    "ageing_time",
    "nf_call_iptables",
    "group_fwd_mask",
    "forward_delay",
    "stp_state 0",
    "vlan_filtering 0",
    "mcast_snooping 0",
];
const NOT_MODELLED: &[&str] = &[
    "hello_time",
    "max_age",
    "priority",
    "vlan_protocol",
    "vlan_default_pvid",
    "vlan_stats_enabled",
    "mcast_router",
    "mcast_querier",
    "mcast_igmp_version",
    "mcast_mld_version",
    "nf_call_ip6tables",
    "nf_call_arptables",
    "group_address",
    "no_linklocal_learn",
    "fdb_max_learned",
];

/// The options behind `type bridge`, to the end of the line.
pub(super) fn bridge_options(words: &mut Words<'_>) -> Result<Vec<BridgeOption>, Diagnostic> {
    let mut options = Vec::new();
    while let Some(token) = words.next() {
        let name = token.text.as_ref();
        // What would need spanning trees, VLANs or IGMP can only be said to be off.
        if ["stp_state", "vlan_filtering", "mcast_snooping", "mcast_vlan_snooping"].contains(&name) {
            if words.number("0")? != 0 {
                let fault = Fault::new(format!("{name} other than 0 is not modelled"), "expected 0");
                return words.blame_last(fault);
            }
            options.push(BridgeOption::Nothing);
            continue;
        }
        options.push(match name {
            // Hundredths of a second.
            "ageing_time" => {
                let n = words.number_or("a time in hundredths of a second", "invalid ageing_time")?;
                BridgeOption::AgeingTime(Duration::from_millis(u64::from(n) * 10))
            }
            "nf_call_iptables" => BridgeOption::NfCallIptables(words.number("0 or 1")? != 0),
            "group_fwd_mask" => {
                let mask = words.number("a mask of 16 bits")?;
                // The addresses of STP, pause frames and LACP cannot be forwarded.
                match u16::try_from(mask) {
                    Ok(mask) if mask & 7 == 0 => BridgeOption::GroupFwdMask(mask),
                    _ => {
                        let help = "expected a mask of 16 bits without the lowest three";
                        return words.blame_last(Fault::new("a mask that is not allowed", help));
                    }
                }
            }
            "forward_delay" => {
                let n = words.number_or("a time in hundredths of a second", "invalid forward_delay")?;
                BridgeOption::ForwardDelay(Duration::from_millis(u64::from(n) * 10))
            }
            _ => return words.unexpected(&token, BRIDGE_OPTIONS, NOT_MODELLED),
        });
    }
    Ok(options)
}
