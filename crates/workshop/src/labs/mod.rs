//! The labs. One file each, with its texts beside it.

pub mod hooks_and_chains;
pub mod same_node_clusterip;
pub mod service_iptables;
pub mod tftp_ipvs;
