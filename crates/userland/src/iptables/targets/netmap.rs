//! `-j NETMAP`.

use crate::diagnostic::{Fault, q};
use crate::iptables::list::Names;
use crate::iptables::text::{Given, Opt, Save, Seen, Text};
use crate::names::addr;
use kernel::netfilter::xtables::targets::Netmap;
use std::net::Ipv4Addr;

impl Text for Netmap {
    const OPTIONS: &'static [Opt] = &[Opt::value(&["to"], &["ADDRESS[/MASK]"])];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        let (net, mask) = given.value.split_once('/').map_or((given.value, None), |(n, m)| (n, Some(m)));
        let says =
            "NETMAP: bad value for option \"--to\", neither a valid network mask nor valid CIDR (0-32).\n";
        let bad = |f: Fault| f.usage(says);
        self.mask = mask.map_or(Ok(Ipv4Addr::BROADCAST), addr::mask).map_err(bad)?;
        if addr::prefix_len(self.mask).is_none() {
            let message = format!("{} is a mask with holes", q(given.value));
            return Err(Fault::new(message, "expected a prefix length, or a mask such as 255.255.0.0"));
        }
        let name = "getaddrinfo: Temporary failure in name resolution\n";
        let net = addr::whole_address(net).map_err(|f| f.usage(name))?;
        self.net = net & self.mask;
        Ok(())
    }

    fn finish(&self, seen: &Seen) -> Result<(), Fault> {
        seen.need("NETMAP", "to")
    }

    fn save(&self, out: &mut Save) {
        out.other(format!("--to {}", text(*self)));
    }

    fn list(&self, _: &Names, out: &mut String) {
        out.push_str(&format!(" to:{}", text(*self)));
    }
}

fn text(netmap: Netmap) -> String {
    format!("{}/{}", netmap.net, netmap.mask.to_bits().count_ones())
}
