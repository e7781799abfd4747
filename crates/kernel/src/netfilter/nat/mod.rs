//! Network address translation (net/netfilter/nf_nat_*.c).

mod by_source;
mod core;
mod helper;
mod packet;
mod tuple;

pub(crate) use by_source::BySource;
pub(crate) use core::{nf_nat_inet_fn, nf_nat_ipv4_fn, nf_nat_setup_info};
pub(crate) use helper::{nf_nat_follow_master, nf_nat_ftp, nf_nat_tftp};

use crate::netfilter::hook::InetHook;
use crate::netfilter::xtables::PortRange;
use ::packet::Port;
use std::net::IpAddr;

/// What is changed (`enum nf_nat_manip_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manip {
    /// The source.
    Src,
    /// The destination.
    Dst,
}

impl Manip {
    /// `HOOK2MANIP`: POSTROUTING and INPUT change the source, PREROUTING and OUTPUT the destination.
    pub fn of(hook: InetHook) -> Manip {
        match hook {
            InetHook::PostRouting | InetHook::LocalIn => Manip::Src,
            _ => Manip::Dst,
        }
    }
}

/// What a target asks for (`struct nf_nat_range2`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NatRange {
    /// First and last address; `None` keeps it.
    pub addr: Option<(IpAddr, IpAddr)>,
    /// Ports; `None` keeps the port if it is free.
    pub ports: Option<PortRange>,
    /// The port keeps its distance from this one as its distance from the first (`NF_NAT_RANGE_PROTO_OFFSET`).
    pub base: Option<Port>,
    /// `--random`
    pub random: bool,
    /// `--random-fully`
    pub random_fully: bool,
    /// `--persistent`
    pub persistent: bool,
}
