//! Wireshark: the fields of a packet with their bytes, and display filters over them (wireshark-filter(4)).

mod dissect;
mod filter;
mod follow;
mod known;
mod tree;

pub use dissect::{Packet, dissect, learn};
pub use filter::DisplayFilter;
pub use follow::{Flows, Follower};
pub use known::{KNOWN, Kind, Known, known};
pub use tree::{Field, Value};

/// What the frames of a capture begin with (the link types of pcap files, www.tcpdump.org/linktypes.html).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinkType {
    /// `LINKTYPE_ETHERNET`
    #[default]
    Ethernet,
    /// `LINKTYPE_RAW`: an IP packet.
    Raw,
}

impl LinkType {
    /// Its number in a file.
    pub fn number(self) -> u16 {
        match self {
            LinkType::Ethernet => 1,
            LinkType::Raw => 101,
        }
    }
}
