//! The bridge (net/bridge): forwarding by MAC address, and br_netfilter.

mod fdb;
mod forward;
mod input;
mod netfilter;

pub use fdb::{Fdb, FdbEntry};
pub(crate) use input::{br_dev_xmit, br_handle_frame};
pub(crate) use netfilter::bridged_dnat_source;

use crate::DevId;

/// A bridge device's own state.
#[derive(Clone, Debug, Default)]
pub struct Bridge {
    /// The ports, newest first: the order in which a flood visits them.
    pub ports: Vec<DevId>,
    /// Which address is behind which port.
    pub fdb: Fdb,
}
