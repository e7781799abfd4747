//! What network plugins, and those who do their work, add to a node's tables: text for `iptables-restore --noflush`.

mod bridge;
pub mod calico;
pub mod docker;
pub mod flannel;
pub mod kubenet;
pub mod portmap;

pub use bridge::{chain_name, container_id, ip_masq};
