//! One Linux box: what `net/` does to a packet.
//!
//! Directories mirror Linux: `bridge` is net/bridge, `ipv4` is net/ipv4, `netfilter` is net/netfilter. Functions at
//! a kernel seam bear the kernel's name. The crate knows no Kubernetes word, does no I/O and has no clock: time,
//! chance and the log come in by [`Cx`], work for others goes out as [`Output`].

pub mod bridge;
mod chance;
mod cx;
pub mod dev;
mod era;
pub mod event;
mod fate;
mod id;
mod ipv4;
mod ipv6;
mod jhash;
pub mod neigh;
pub mod netfilter;
pub mod netns;
pub mod route;
mod shortcut;
mod skb;
pub mod socket;
pub mod sysctl;

pub use chance::{Chance, Script};
pub use cx::{Cx, Ids, Output, Rest, Timer};
pub use era::{Difference, Era, Held, Switch};
pub use event::{Event, What};
pub use fate::{Cut, Delivery, DropReason, Journey};
pub use id::{ConnId, DevId, Instant, NetnsId, PacketId, SocketId};
pub use netns::{Modules, Netns, PutRoute, Refused};
pub use shortcut::{Ends, Noted, Passed, Plain, WayId};
pub use skb::{Ct, NfBridge, PktType, Skb, SkbOwner};
