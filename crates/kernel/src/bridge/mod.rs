//! The bridge (net/bridge): forwarding by MAC address, and br_netfilter.

mod address;
mod fdb;
mod forward;
mod input;
mod netfilter;

pub use fdb::{Fdb, FdbEntry};
pub(crate) use input::{br_dev_xmit, br_handle_frame};
pub(crate) use netfilter::{
    br_forward_finish, br_nf_dev_queue_xmit, br_pre_routing_go_on, bridged_dnat_source,
};

use crate::{DevId, Instant};
use packet::Mac;
use std::time::Duration;

/// A bridge device's own state.
#[derive(Clone, Debug)]
pub struct Bridge {
    /// The ports, newest first: the order in which a flood visits them.
    pub ports: Vec<DevId>,
    /// Which address is behind which port.
    pub fdb: Fdb,
    /// `ageing_time`: what was learned is forgotten after this silence.
    pub ageing_time: Duration,
    /// `nf_call_iptables`: bridged packets meet iptables, whatever the setting for all bridges says.
    pub nf_call_iptables: bool,
    /// `forward_delay`: how long a port listens and learns before it forwards. Without STP it waits for nothing.
    pub forward_delay: Duration,
    /// `group_fwd_mask`: which of the addresses 01:80:c2:00:00:0X are forwarded.
    pub group_fwd_mask: u16,
    /// It has had a port. Without any it has a carrier until then.
    pub had_port: bool,
    /// It was given an MTU: it does not follow its ports any more.
    pub mtu_set_by_user: bool,
    /// It was given an address (`NET_ADDR_SET`): it does not take the lowest of its ports.
    pub mac_set_by_user: bool,
}

impl Bridge {
    /// Where an address is, unless that was long ago.
    pub fn find(&self, mac: Mac, now: Instant) -> Option<FdbEntry> {
        self.fdb.find(mac, now, self.ageing_time)
    }
}

impl Default for Bridge {
    fn default() -> Bridge {
        Bridge {
            ports: Vec::new(),
            fdb: Fdb::default(),
            ageing_time: AGEING_TIME,
            nf_call_iptables: false,
            forward_delay: FORWARD_DELAY,
            group_fwd_mask: 0,
            had_port: false,
            mtu_set_by_user: false,
            mac_set_by_user: false,
        }
    }
}

/// What a bridge does with a port (`BR_*` flags of `struct net_bridge_port`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortFlags {
    /// Its number in the bridge, from 1 (`port_no`); 0 of a device that is no port.
    pub number: u16,
    /// A frame may go back out of the port it came in by.
    pub hairpin: bool,
    /// Does not talk with other isolated ports.
    pub isolated: bool,
    /// Source addresses are learned.
    pub learning: bool,
    /// Frames to unknown addresses are sent out.
    pub flood: bool,
    /// Frames to groups are sent out.
    pub mcast_flood: bool,
    /// Broadcasts are sent out.
    pub bcast_flood: bool,
}

impl Default for PortFlags {
    fn default() -> PortFlags {
        PortFlags {
            number: 0,
            hairpin: false,
            isolated: false,
            learning: true,
            flood: true,
            mcast_flood: true,
            bcast_flood: true,
        }
    }
}

/// `forward_delay` of a new bridge.
const FORWARD_DELAY: Duration = Duration::from_secs(15);
/// How long a learned address is kept (`ageing_time`).
const AGEING_TIME: Duration = Duration::from_secs(300);
