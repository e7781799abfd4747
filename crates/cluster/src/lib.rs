//! Kubernetes: what kube-proxy writes on a node.
//!
//! No crate below this one knows a Kubernetes word.

pub mod kube_proxy;
