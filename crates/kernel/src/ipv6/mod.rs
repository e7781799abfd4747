//! net/ipv6, as far as rules ask for it: the addresses of devices and what kind of address one is.

mod addr_type;
mod output;
mod reject;

pub(crate) use addr_type::addr_types;
pub(crate) use reject::{nf_send_reset6, nf_send_unreach6};

use crate::{DevId, Netns};
use ipnet::Ipv6Net;
use std::net::{IpAddr, Ipv6Addr};

/// The addresses of a namespace's devices, in the order in which they were added.
#[derive(Clone, Debug, Default)]
pub(crate) struct Addrs6 {
    pub list: Vec<(DevId, Ipv6Net)>,
}

impl Netns {
    /// `ip -6 addr add ADDR/LEN dev DEV`. False if the device has it already.
    pub fn add_addr6(&mut self, dev: DevId, addr: Ipv6Net) -> bool {
        let is_new = !self.addrs6.list.contains(&(dev, addr));
        if is_new {
            self.addrs6.list.push((dev, addr));
        }
        is_new
    }

    /// The IPv6 addresses of all devices, `::1` of `lo` included.
    pub fn addrs6(&self) -> &[(DevId, Ipv6Net)] {
        &self.addrs6.list
    }

    /// The host itself has this address: of `127.0.0.0/8` every one.
    pub fn has_local_addr(&self, addr: IpAddr) -> bool {
        use crate::netfilter::xtables::matches::AddrType;
        match addr {
            IpAddr::V4(addr) => self.inet_addr_type(addr, None) == AddrType::Local,
            IpAddr::V6(addr) => self.is_local6(addr, None),
        }
    }

    /// The address is one of this host's (`ipv6_chk_addr`), or of one device of it.
    pub(crate) fn is_local6(&self, addr: Ipv6Addr, dev: Option<DevId>) -> bool {
        self.addrs6.list.iter().any(|(d, net)| net.addr() == addr && dev.is_none_or(|dev| dev == *d))
    }

    /// The first address of a device that is no link-local one.
    pub(crate) fn first_addr6(&self, dev: DevId) -> Option<Ipv6Addr> {
        let mut own = self.addrs6.list.iter().filter(|(d, _)| *d == dev).map(|(_, net)| net.addr());
        own.find(|a| !a.is_unicast_link_local())
    }

    /// `ipv6_dev_get_saddr`, as far as it matters to masquerading: the address of a device that suits a destination, the one of
    /// its own network first.
    pub(crate) fn source6(&self, dev: DevId, to: Ipv6Addr) -> Option<Ipv6Addr> {
        let own = || self.addrs6.list.iter().filter(|(d, _)| *d == dev).map(|(_, net)| net);
        let near = own().find(|net| net.contains(&to));
        near.or_else(|| own().find(|net| !net.addr().is_unicast_link_local())).map(Ipv6Net::addr)
    }
}
