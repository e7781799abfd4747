//! What `ip -d` and `bridge -d` add to a device (iproute2: ip/ipaddress.c, ip/iplink_*.c, bridge/link.c), with the fields of
//! Linux 6.18 on a machine with one processor.

use super::super::json::Object;
use kernel::bridge::Bridge;
use kernel::dev::{DevKind, Device, Vxlan};
use kernel::{DevId, Netns};
use packet::Mac;
use std::fmt::Write;

/// A value, as a text and in JSON.
enum Value {
    Number(u64),
    Text(String),
    /// `on` or `off`, in JSON `true` or `false`.
    Switch(bool),
    /// A timer that does not run.
    Timer,
}

/// A field: its name in a text and in JSON.
struct Field(&'static str, &'static str, Value);

/// Fields in one line, each with a blank behind it.
fn line(fields: &[Field]) -> String {
    let mut out = String::new();
    for Field(word, _, value) in fields {
        let _ = match value {
            Value::Number(n) => write!(out, "{word} {n} "),
            Value::Text(t) => write!(out, "{word} {t} "),
            Value::Switch(on) => write!(out, "{word} {} ", if *on { "on" } else { "off" }),
            Value::Timer => write!(out, "{word}    0.00 "),
        };
    }
    out
}

/// Fields that JSON has; what has no name there is left out.
fn put(fields: &[Field], out: &mut Object) {
    for Field(_, name, value) in fields.iter().filter(|f| !f.1.is_empty()) {
        match value {
            Value::Number(n) => out.raw(name, n),
            Value::Text(t) => out.text(name, t),
            Value::Switch(on) => out.raw(name, on),
            Value::Timer => out.raw(name, "0.00"),
        }
    }
}

/// `8000.2:0:0:0:0:10`: priority and address.
fn bridge_id(mac: Mac) -> String {
    let bytes: Vec<String> = mac.0.iter().map(|b| format!("{b:x}")).collect();
    format!("8000.{}", bytes.join(":"))
}

fn hundredths(time: std::time::Duration) -> Value {
    Value::Number(time.as_secs() * 100 + u64::from(time.subsec_millis()) / 10)
}

/// As `print_0xhex`: without a prefix if it is 0.
fn mask(mask: u16) -> Value {
    Value::Text(format!("{mask:#x}").replace("0x0", "0"))
}

fn bridge(d: &Device, b: &Bridge) -> Vec<Field> {
    use Value::{Number, Text, Timer};
    // An address that it made up itself is not part of it.
    let id = bridge_id(if b.mac_set_by_user || b.had_port { d.mac } else { Mac::ZERO });
    let off = |word, name| Field(word, name, Number(0));
    vec![
        Field("forward_delay", "forward_delay", hundredths(b.forward_delay)),
        Field("hello_time", "hello_time", Number(200)),
        Field("max_age", "max_age", Number(2000)),
        Field("ageing_time", "ageing_time", hundredths(b.ageing_time)),
        off("stp_state", "stp_state"),
        Field("priority", "priority", Number(32_768)),
        off("vlan_filtering", "vlan_filtering"),
        Field("bridge_id", "bridge_id", Text(id.clone())),
        Field("designated_root", "root_id", Text(id)),
        off("root_port", "root_port"),
        off("root_path_cost", "root_path_cost"),
        off("topology_change", "topology_change"),
        off("topology_change_detected", "topology_change_detected"),
        Field("hello_timer", "hello_timer", Timer),
        Field("tcn_timer", "tcn_timer", Timer),
        Field("topology_change_timer", "topology_change_timer", Timer),
        Field("gc_timer", "gc_timer", Timer),
        Field("group_fwd_mask", "group_fwd_mask", mask(b.group_fwd_mask)),
        Field("group_address", "group_addr", Text("01:80:c2:00:00:00".to_owned())),
        off("mcast_snooping", "mcast_snooping"),
        off("no_linklocal_learn", "no_linklocal_learn"),
        off("mcast_vlan_snooping", "mcast_vlan_snooping"),
        Field("mcast_router", "mcast_router", Number(1)),
        off("mcast_query_use_ifaddr", "mcast_query_use_ifaddr"),
        off("mcast_querier", "mcast_querier"),
        Field("mcast_hash_elasticity", "mcast_hash_elasticity", Number(16)),
        Field("mcast_hash_max", "mcast_hash_max", Number(4096)),
        Field("mcast_last_member_count", "mcast_last_member_cnt", Number(2)),
        Field("mcast_startup_query_count", "mcast_startup_query_cnt", Number(2)),
        Field("mcast_last_member_interval", "mcast_last_member_intvl", Number(100)),
        Field("mcast_membership_interval", "mcast_membership_intvl", Number(26_000)),
        Field("mcast_querier_interval", "mcast_querier_intvl", Number(25_500)),
        Field("mcast_query_interval", "mcast_query_intvl", Number(12_500)),
        Field("mcast_query_response_interval", "mcast_query_response_intvl", Number(1000)),
        // The kernel's clock has 250 ticks a second.
        Field("mcast_startup_query_interval", "mcast_startup_query_intvl", Number(3124)),
        off("mcast_stats_enabled", "mcast_stats_enabled"),
        Field("mcast_igmp_version", "mcast_igmp_version", Number(2)),
        Field("mcast_mld_version", "mcast_mld_version", Number(1)),
        Field("nf_call_iptables", "nf_call_iptables", Number(u64::from(b.nf_call_iptables))),
        off("nf_call_ip6tables", "nf_call_ip6tables"),
        off("nf_call_arptables", "nf_call_arptables"),
    ]
}

/// The state of a port.
pub(in crate::operator) fn port_state(ns: &Netns, d: &Device) -> &'static str {
    let master_up = d.master.and_then(|m| ns.device(m)).is_some_and(|m| m.up);
    if ns.has_carrier(d) && master_up { "forwarding" } else { "disabled" }
}

/// What STP would make of the speed of a port: a veth says 10 Gbit/s, a tunnel nothing (`port_cost`).
pub(in crate::operator) fn port_cost(d: &Device) -> u64 {
    if matches!(d.kind, DevKind::Veth) { 2 } else { 100 }
}

fn bridge_slave(ns: &Netns, d: &Device, master: DevId) -> Vec<Field> {
    use Value::{Number, Switch, Text, Timer};
    let (p, number) = (d.port, d.port.number);
    let id = bridge_id(ns.device(master).map_or(Mac::ZERO, |m| m.mac));
    let off = |word, name| Field(word, name, Switch(false));
    vec![
        Field("state", "state", Text(port_state(ns, d).to_owned())),
        Field("priority", "priority", Number(32)),
        Field("cost", "cost", Number(port_cost(d))),
        Field("hairpin", "hairpin", Switch(p.hairpin)),
        off("guard", "guard"),
        off("root_block", "root_block"),
        off("fastleave", "fastleave"),
        Field("learning", "learning", Switch(p.learning)),
        Field("flood", "flood", Switch(p.flood)),
        Field("port_id", "id", Text(format!("{:#x}", 0x8000 + number))),
        Field("port_no", "no", Text(format!("{number:#x}"))),
        Field("designated_port", "designated_port", Number(0x8000 + u64::from(number))),
        Field("designated_cost", "designated_cost", Number(0)),
        Field("designated_bridge", "bridge_id", Text(id.clone())),
        Field("designated_root", "root_id", Text(id)),
        Field("hold_timer", "hold_timer", Timer),
        Field("message_age_timer", "message_age_timer", Timer),
        Field("forward_delay_timer", "forward_delay_timer", Timer),
        Field("topology_change_ack", "topology_change_ack", Number(0)),
        Field("config_pending", "config_pending", Number(0)),
        off("proxy_arp", "proxy_arp"),
        off("proxy_arp_wifi", "proxy_arp_wifi"),
        Field("mcast_router", "multicast_router", Number(1)),
        // It has the name of an earlier field in JSON.
        off("mcast_fast_leave", ""),
        Field("mcast_flood", "mcast_flood", Switch(p.mcast_flood)),
        Field("bcast_flood", "bcast_flood", Switch(p.bcast_flood)),
        off("mcast_to_unicast", "mcast_to_unicast"),
        off("neigh_suppress", "neigh_suppress"),
        Field("group_fwd_mask", "group_fwd_mask", mask(0)),
        Field("group_fwd_mask_str", "group_fwd_mask_str", Text("0x0".to_owned())),
        off("vlan_tunnel", "vlan_tunnel"),
        Field("isolated", "isolated", Switch(p.isolated)),
        off("locked", "locked"),
    ]
}

/// What `bridge -d link` says of a port.
fn bridge_link(d: &Device) -> Vec<Field> {
    use Value::{Number, Switch};
    let p = d.port;
    let off = |word| Field(word, word, Switch(false));
    let field = |word, on| Field(word, word, Switch(on));
    vec![
        field("hairpin", p.hairpin),
        off("guard"),
        off("root_block"),
        off("fastleave"),
        field("learning", p.learning),
        field("flood", p.flood),
        field("mcast_flood", p.mcast_flood),
        field("bcast_flood", p.bcast_flood),
        Field("mcast_router", "mcast_router", Number(1)),
        off("mcast_to_unicast"),
        off("neigh_suppress"),
        off("vlan_tunnel"),
        field("isolated", p.isolated),
        off("locked"),
    ]
}

/// The second line of `bridge -d link`.
pub(in crate::operator) fn bridge_link_line(d: &Device) -> String {
    format!("    {}", line(&bridge_link(d)))
}

/// The same in JSON.
pub(in crate::operator) fn bridge_link_json(d: &Device, out: &mut Object) {
    put(&bridge_link(d), out);
}

fn vxlan_line(ns: &Netns, v: &Vxlan) -> String {
    let mut out = format!("vxlan id {} ", v.vni);
    for (word, addr) in [("remote", v.remote), ("local", v.local)] {
        if let Some(addr) = addr {
            let _ = write!(out, "{word} {addr} ");
        }
    }
    if let Some(lower) = v.lower {
        let _ = write!(out, "dev {} ", ns.dev_name(lower));
    }
    let learning = if v.learning { "" } else { "nolearning " };
    let _ = write!(
        out,
        "srcport 0 0 dstport {} {learning}ttl auto ageing 300 udpcsum noudp6zerocsumtx noudp6zerocsumrx ",
        v.port
    );
    out
}

fn vxlan_json(ns: &Netns, v: &Vxlan) -> String {
    let mut out = Object::default();
    out.raw("id", v.vni);
    for (word, addr) in [("remote", v.remote), ("local", v.local)] {
        if let Some(addr) = addr {
            out.text(word, addr);
        }
    }
    if let Some(lower) = v.lower {
        out.text("link", ns.dev_name(lower));
    }
    out.raw("port_range", "{\"low\":0,\"high\":0}");
    out.raw("port", v.port);
    out.raw("learning", v.learning);
    out.raw("ttl", 0);
    out.text("df", "unset");
    out.raw("ageing", 300);
    out.raw("udp_csum", true);
    out.raw("udp_zero_csum6_tx", false);
    out.raw("udp_zero_csum6_rx", false);
    out.done()
}

/// True if all is known that is printed of such a device.
pub(super) fn known(d: &Device) -> bool {
    !matches!(d.kind, DevKind::Dummy | DevKind::Ipip(_))
}

fn kind_name(d: &Device) -> Option<&'static str> {
    match d.kind {
        DevKind::Veth => Some("veth"),
        DevKind::Bridge(_) => Some("bridge"),
        DevKind::Vxlan(_) => Some("vxlan"),
        DevKind::Dummy => Some("dummy"),
        DevKind::Ipip(_) => Some("ipip"),
        DevKind::Loopback => None,
    }
}

/// The least and the greatest MTU; 0 where there is no limit.
pub(super) fn mtu_limits(d: &Device) -> (u32, u32) {
    match d.kind {
        DevKind::Veth | DevKind::Bridge(_) | DevKind::Vxlan(_) => (68, 65_535),
        DevKind::Loopback | DevKind::Dummy | DevKind::Ipip(_) => (0, 0),
    }
}

/// How often somebody has asked for all frames and for those of all groups: the bridge does for its ports.
fn promiscuity(d: &Device) -> Vec<Field> {
    let port = u64::from(d.master.is_some());
    let limit = mtu_limits(d);
    vec![
        // Two blanks stand behind the first.
        Field("promiscuity", "promiscuity", Value::Number(port + u64::from(d.promisc))),
        Field(" allmulti", "allmulti", Value::Number(port)),
        Field("minmtu", "min_mtu", Value::Number(limit.0.into())),
        Field("maxmtu", "max_mtu", Value::Number(limit.1.into())),
    ]
}

/// The longest packet that is left to a device to cut: what is below it decides.
fn tso_max_size(ns: &Netns, d: &Device) -> u64 {
    const LEGACY: u64 = 65_536;
    const MAX: u64 = 524_280;
    match &d.kind {
        DevKind::Loopback | DevKind::Veth => MAX,
        DevKind::Bridge(b) => {
            let ports = b.ports.iter().filter_map(|p| ns.device(*p)).map(|p| tso_max_size(ns, p));
            ports.min().unwrap_or(LEGACY)
        }
        DevKind::Vxlan(v) => {
            v.lower.and_then(|l| ns.device(l)).map_or(LEGACY, |lower| tso_max_size(ns, lower))
        }
        DevKind::Dummy | DevKind::Ipip(_) => LEGACY,
    }
}

/// What ends the details, with `addrgenmode` where links are listed.
fn queues(ns: &Netns, d: &Device, links: bool) -> Vec<Field> {
    use Value::{Number, Text};
    let mode = Field("addrgenmode", "inet6_addr_gen_mode", Text("eui64".to_owned()));
    let mut out = if links { vec![mode] } else { Vec::new() };
    out.extend([
        Field("numtxqueues", "num_tx_queues", Number(1)),
        Field("numrxqueues", "num_rx_queues", Number(1)),
        Field("gso_max_size", "gso_max_size", Number(65_536)),
        Field("gso_max_segs", "gso_max_segs", Number(65_535)),
        Field("tso_max_size", "tso_max_size", Number(tso_max_size(ns, d))),
        Field("tso_max_segs", "tso_max_segs", Number(65_535)),
        Field("gro_max_size", "gro_max_size", Number(65_536)),
    ]);
    out
}

/// What stands behind the line of the link layer, and the lines that follow.
pub(super) fn lines(ns: &Netns, d: &Device, links: bool) -> Vec<String> {
    let mut out = vec![format!(" {}", line(&promiscuity(d)))];
    let kind = match &d.kind {
        DevKind::Bridge(b) => Some(format!("bridge {}", line(&bridge(d, b)))),
        DevKind::Vxlan(v) => Some(vxlan_line(ns, v)),
        _ => kind_name(d).map(|k| format!("{k} ")),
    };
    out.extend(kind.map(|k| format!("    {k}")));
    out.extend(d.master.map(|m| format!("    bridge_slave {}", line(&bridge_slave(ns, d, m)))));
    if let Some(last) = out.last_mut() {
        *last += &line(&queues(ns, d, links));
    }
    out
}

/// The same in JSON.
pub(super) fn json(ns: &Netns, d: &Device, links: bool, out: &mut Object) {
    put(&promiscuity(d), out);
    let mut info = Object::default();
    if let Some(kind) = kind_name(d) {
        info.text("info_kind", kind);
    }
    match &d.kind {
        DevKind::Bridge(b) => {
            let mut data = Object::default();
            put(&bridge(d, b), &mut data);
            info.raw("info_data", data.done());
        }
        DevKind::Vxlan(v) => info.raw("info_data", vxlan_json(ns, v)),
        _ => {}
    }
    if let Some(master) = d.master {
        let mut data = Object::default();
        put(&bridge_slave(ns, d, master), &mut data);
        info.text("info_slave_kind", "bridge");
        info.raw("info_slave_data", data.done());
    }
    if kind_name(d).is_some() {
        out.raw("linkinfo", info.done());
    }
    put(&queues(ns, d, links), out);
}
