//! The labs. One file each, with its texts beside it.

pub mod same_node_clusterip;
#[cfg(feature = "cluster-labs")]
pub mod tftp_ipvs;
