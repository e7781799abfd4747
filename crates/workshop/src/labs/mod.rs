//! The labs. One file each, with its texts beside it.

#[cfg(feature = "cluster-labs")]
pub mod hooks_and_chains;
pub mod same_node_clusterip;
#[cfg(feature = "cluster-labs")]
pub mod service_iptables;
#[cfg(feature = "cluster-labs")]
pub mod tftp_ipvs;
