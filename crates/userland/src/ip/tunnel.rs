//! Devices that are tunnels: `ip link add ... type vxlan`, `type ipip`, `ip tunnel add`.

use super::link::{LinkCommand, LinkKind, NewLink};
use crate::diagnostic::{Diagnostic, Fault};
use crate::words::Words;
use std::net::Ipv4Addr;

/// What `type vxlan` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VxlanSpec {
    /// `id`
    pub vni: u32,
    /// `local`
    pub local: Option<Ipv4Addr>,
    /// `remote`
    pub remote: Option<Ipv4Addr>,
    /// `dev`
    pub dev: Option<String>,
    /// `dstport`
    pub dstport: u16,
    /// False with `nolearning`.
    pub learning: bool,
}

/// What `type ipip` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IpipSpec {
    /// `local`
    pub local: Option<Ipv4Addr>,
    /// `remote`
    pub remote: Option<Ipv4Addr>,
    /// `nopmtudisc`
    pub nopmtudisc: bool,
}

/// The port of Linux's own, before one was assigned (RFC 7348: 4789).
const DSTPORT: u16 = 8472;

const VXLAN: &[&str] = &["id", "local", "remote", "dev", "dstport", "learning", "nolearning"];
const VXLAN_NOT_MODELLED: &[&str] = &[
    "addrgenmode",
    "ageing",
    "df",
    "external",
    "flowlabel",
    "gbp",
    "gpe",
    "group",
    "l2miss",
    "l3miss",
    "maxaddress",
    "noudpcsum",
    "proxy",
    "rsc",
    "srcport",
    "tos",
    "ttl",
    "udp6zerocsumrx",
    "udp6zerocsumtx",
    "udpcsum",
];
const IPIP: &[&str] = &["local", "remote", "pmtudisc", "nopmtudisc"];
const IPIP_NOT_MODELLED: &[&str] =
    &["dev", "encap", "encap-dport", "encap-sport", "external", "ikey", "key", "mode", "okey", "tos", "ttl"];

/// An address, or `any`.
fn end(words: &mut Words<'_>) -> Result<Option<Ipv4Addr>, Diagnostic> {
    if words.take("any") { Ok(None) } else { words.address().map(Some) }
}

/// The options behind `type vxlan`, to the end of the line.
pub(super) fn vxlan(words: &mut Words<'_>) -> Result<VxlanSpec, Diagnostic> {
    let (mut vni, mut dstport) = (None, u32::from(DSTPORT));
    let (mut local, mut remote, mut dev, mut learning) = (None, None, None, true);
    while let Some(token) = words.next() {
        match token.text.as_ref() {
            "id" | "vni" => vni = Some(words.number("a network identifier of 24 bits")?),
            "local" => local = end(words)?,
            "remote" => remote = end(words)?,
            "dev" => dev = Some(words.device()?),
            "dstport" => dstport = words.number("a port")?,
            "learning" => learning = true,
            "nolearning" => learning = false,
            _ => return words.unexpected(&token, VXLAN, VXLAN_NOT_MODELLED),
        }
    }
    let Some(vni) = vni.filter(|n| *n < 1 << 24) else {
        return words.blame_last(Fault::new("no network identifier", "expected id N, with N below 16777216"));
    };
    let Ok(dstport) = u16::try_from(dstport) else {
        return words.blame_last(Fault::new("dstport is no port", "expected a number of 16 bits"));
    };
    if remote.is_some_and(|r: Ipv4Addr| r.is_multicast()) {
        return words
            .blame_last(Fault::new("groups are not modelled", "expected remote ADDRESS of one host"));
    }
    Ok(VxlanSpec { vni, local, remote, dev, dstport, learning })
}

/// The options behind `type ipip`, to the end of the line.
pub(super) fn ipip(words: &mut Words<'_>) -> Result<IpipSpec, Diagnostic> {
    let mut spec = IpipSpec::default();
    while let Some(token) = words.next() {
        match token.text.as_ref() {
            "local" => spec.local = end(words)?,
            "remote" => spec.remote = end(words)?,
            "pmtudisc" => spec.nopmtudisc = false,
            "nopmtudisc" => spec.nopmtudisc = true,
            _ => return words.unexpected(&token, IPIP, IPIP_NOT_MODELLED),
        }
    }
    Ok(spec)
}

/// `ip tunnel add NAME mode ipip ...`, the older way to say `ip link add NAME type ipip ...`.
pub(super) fn command(words: &mut Words<'_>) -> Result<LinkCommand, Diagnostic> {
    let verbs = ["change", "delete", "show", "list", "prl", "6rd"];
    words.choose("add", &[("add", ())], &verbs)?;
    words.take("name");
    let name = words.device()?;
    let mut mode = false;
    if words.take("mode") {
        let known: &[(&str, ())] = if cfg!(feature = "tunnels") { &[("ipip", ())] } else { &[] };
        words.choose("ipip", known, &["gre", "sit", "isatap", "vti", "ip6ip6", "ipip6", "any"])?;
        mode = true;
    }
    let spec = ipip(words)?;
    if !mode {
        return words.blame_last(Fault::new("a tunnel without a mode", "expected mode ipip behind the name"));
    }
    Ok(LinkCommand::Add(NewLink { name, address: None, mtu: None, kind: LinkKind::Ipip(spec) }))
}

#[cfg(test)]
mod tests {
    use crate::ip::{IpCommand, IpipSpec, LinkCommand, LinkKind, NewLink, VxlanSpec, parse_ip};

    fn new_link(line: &str) -> Result<NewLink, String> {
        let argv: Vec<&str> = line.split(' ').collect();
        match parse_ip(&argv).map(|l| l.command) {
            Ok(IpCommand::Link(LinkCommand::Add(link))) => Ok(link),
            Ok(other) => Err(format!("{other:?}")),
            Err(d) => Err(format!("{}: {}", d.message, d.help)),
        }
    }

    #[test]
    fn a_vxlan_as_flanneld_makes_it() {
        let line = "ip link add flannel.1 type vxlan id 1 dev eth0 dstport 8472 local 192.168.0.2 nolearning";
        let link = new_link(line).unwrap();
        let kind = LinkKind::Vxlan(VxlanSpec {
            vni: 1,
            local: Some([192, 168, 0, 2].into()),
            remote: None,
            dev: Some("eth0".to_owned()),
            dstport: 8472,
            learning: false,
        });
        assert_eq!((link.name.as_str(), link.kind), ("flannel.1", kind));
    }

    #[test]
    fn both_ways_to_say_ipip() {
        let ends = LinkKind::Ipip(IpipSpec { remote: Some([192, 168, 0, 3].into()), ..IpipSpec::default() });
        for (line, kind) in [
            ("ip tunnel add tunl0 mode ipip", LinkKind::Ipip(IpipSpec::default())),
            ("ip link add tunl0 type ipip", LinkKind::Ipip(IpipSpec::default())),
            ("ip link add tunl0 type ipip local any remote 192.168.0.3", ends.clone()),
            ("ip tunnel add tunl0 mode ipip remote 192.168.0.3", ends),
        ] {
            assert_eq!(new_link(line).map(|l| l.kind), Ok(kind), "{line}");
        }
    }

    #[test]
    fn what_is_missing_or_not_modelled_is_named() {
        for (line, word) in [
            ("ip link add v type vxlan dstport 4789", "id N"),
            ("ip link add v type vxlan id 16777216", "16777216"),
            ("ip link add v type vxlan id 1 ttl 3", "not modelled"),
            ("ip link add v type vxlan id 1 remote 239.1.1.1", "groups"),
            ("ip tunnel add t mode gre", "not modelled"),
            ("ip tunnel add t local 1.2.3.4", "mode ipip"),
        ] {
            let said = new_link(line).unwrap_err();
            assert!(said.contains(word), "{line}: {said}");
        }
    }
}
