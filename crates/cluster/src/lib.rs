//! Kubernetes: what a cluster's objects say, and what kube-proxy, the kubelet and a CNI plugin write on a node for them.
//!
//! No crate below this one knows a Kubernetes word.

pub mod cni;
pub mod controllers;
pub mod corefile;
mod diagnostic;
pub mod fields;
pub mod kube_proxy;
pub mod kubelet;
pub mod object;
pub mod pod_dns;
pub mod yaml;

pub use diagnostic::{Diagnostic, Read};
pub use object::{Object, Objects, read_objects};
