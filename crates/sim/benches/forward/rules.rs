//! kube-proxy's rules for a number of UDP services with one endpoint each: one rule in KUBE-SERVICES and two in each of
//! KUBE-SVC-* and KUBE-SEP-*, besides 23 that are always there. Tables nat, filter and (empty) mangle.

use std::fmt::Write;
use std::net::Ipv4Addr;

/// Port of every service and endpoint.
pub const PORT: u16 = 53;

const SVC: u32 = 0x0a60_0001; // 10.96.0.1
const ENDPOINT: u32 = 0x0af4_8001; // 10.244.128.1

/// The address of the `n`th service, from 0.
pub fn service(n: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(SVC + n)
}

/// The address of its endpoint.
pub fn endpoint(n: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(ENDPOINT + n)
}

/// How many rules [`text`] has.
pub fn count(services: u32) -> u32 {
    23 + 5 * services
}

const FILTER: &str = "*mangle
COMMIT
*filter
:KUBE-EXTERNAL-SERVICES - [0:0]
:KUBE-FIREWALL - [0:0]
:KUBE-FORWARD - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-PROXY-FIREWALL - [0:0]
:KUBE-SERVICES - [0:0]
-A INPUT -m conntrack --ctstate NEW -m comment --comment \"kubernetes load balancer firewall\" -j KUBE-PROXY-FIREWALL
-A INPUT -m comment --comment \"kubernetes health check service ports\" -j KUBE-NODEPORTS
-A INPUT -m conntrack --ctstate NEW -m comment --comment \"kubernetes externally-visible service portals\" \
     -j KUBE-EXTERNAL-SERVICES
-A INPUT -j KUBE-FIREWALL
-A FORWARD -m conntrack --ctstate NEW -m comment --comment \"kubernetes load balancer firewall\" -j KUBE-PROXY-FIREWALL
-A FORWARD -m comment --comment \"kubernetes forwarding rules\" -j KUBE-FORWARD
-A FORWARD -m conntrack --ctstate NEW -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES
-A FORWARD -m conntrack --ctstate NEW -m comment --comment \"kubernetes externally-visible service portals\" \
     -j KUBE-EXTERNAL-SERVICES
-A OUTPUT -m conntrack --ctstate NEW -m comment --comment \"kubernetes load balancer firewall\" -j KUBE-PROXY-FIREWALL
-A OUTPUT -m conntrack --ctstate NEW -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES
-A OUTPUT -j KUBE-FIREWALL
-A KUBE-FIREWALL ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m comment --comment \"block incoming localnet connections\" \
     -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A KUBE-FORWARD -m comment --comment \"kubernetes forwarding rules\" -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-FORWARD -m comment --comment \"kubernetes forwarding conntrack rule\" -m conntrack \
     --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
*nat
:KUBE-MARK-MASQ - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-SERVICES - [0:0]
";

const NAT: &str = "-A PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES
-A OUTPUT -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES
-A POSTROUTING -m comment --comment \"kubernetes postrouting rules\" -j KUBE-POSTROUTING
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0
-A KUBE-POSTROUTING -m comment --comment \"kubernetes service traffic requiring SNAT\" -j MASQUERADE --random-fully
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
";

const LAST: &str =
    "-A KUBE-SERVICES -m comment --comment \"kubernetes service nodeports; NOTE: this must be the last \
                    rule in this chain\" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
COMMIT
";

/// The iptables-restore text.
pub fn text(services: u32) -> String {
    let mut out = FILTER.replace(" \\\n    ", "");
    // Sixteen characters, as kube-proxy makes them from a hash.
    let name = |n: u32| format!("{:016X}", u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    for n in 0..services {
        let _ = writeln!(out, ":KUBE-SEP-{} - [0:0]\n:KUBE-SVC-{} - [0:0]", name(n), name(n));
    }
    out += NAT;
    for n in 0..services {
        let (id, svc, sep) = (name(n), service(n), endpoint(n));
        let _ = write!(
            out,
            "-A KUBE-SERVICES -d {svc}/32 -p udp -m comment --comment \"ns{n}/dns:dns cluster IP\" -m udp \
             --dport {PORT} -j KUBE-SVC-{id}\n\
             -A KUBE-SVC-{id} ! -s 10.244.0.0/16 -d {svc}/32 -p udp -m comment --comment \"ns{n}/dns:dns cluster IP\" \
             -m udp --dport {PORT} -j KUBE-MARK-MASQ\n\
             -A KUBE-SVC-{id} -m comment --comment \"ns{n}/dns:dns -> {sep}:{PORT}\" -j KUBE-SEP-{id}\n\
             -A KUBE-SEP-{id} -s {sep}/32 -m comment --comment \"ns{n}/dns:dns\" -j KUBE-MARK-MASQ\n\
             -A KUBE-SEP-{id} -p udp -m comment --comment \"ns{n}/dns:dns\" -m udp -j DNAT --to-destination {sep}:{PORT}\n",
        );
    }
    out + LAST
}
