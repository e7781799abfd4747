//! What an operator types and reads: iptables, ip, bridge, sysctl, conntrack, ipset.
//!
//! Text goes in as checked values and comes out as the real tools print it; both directions stand side by side.
//! Nothing here panics on any input: what is wrong with a text is said in [`Diagnostic`]s. What the engine does not
//! model is refused with its name, never skipped.

#![warn(missing_docs)]

mod args;
pub mod bridge;
pub mod conntrack;
mod diagnostic;
pub mod ip;
pub mod ipset;
pub mod iptables;
pub mod ipvsadm;
mod names;
#[cfg(feature = "nft")]
pub mod nft;
pub mod ss;
pub mod sysctl;
pub mod tcpdump;
pub mod wireshark;
mod words;

pub use names::{service, service_name};

pub use diagnostic::{Details, Diagnostic, Fault, Span, ToolError, Wrong};
