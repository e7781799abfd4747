//! The labs. One file each, with its texts beside it.

pub mod same_node_clusterip;
