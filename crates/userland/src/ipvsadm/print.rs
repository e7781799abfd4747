//! What ipvsadm prints.

use super::{Listing, Show};
use crate::names::service_name;
use kernel::Instant;
use kernel::netfilter::ipvs::{
    Dest, Endpoint, Forward, Ipvs, IpvsConn, SchedFlags, Scheduler, Service, ServiceId, ServiceSpec,
};
use packet::Protocol;
use std::cmp::Ordering;
use std::fmt::Write;
use std::net::Ipv4Addr;

const TITLE: &str = "IP Virtual Server version 1.2.1 (size=4096)\n";

/// ipvsadm compares addresses by their difference as a signed number.
fn by_endpoint(a: Endpoint, b: Endpoint) -> Ordering {
    let difference = a.0.to_bits().wrapping_sub(b.0.to_bits()).cast_signed();
    difference.cmp(&0).then(a.1.cmp(&b.1))
}

fn services(ipvs: &Ipvs, unsorted: bool) -> Vec<&Service> {
    let mut all: Vec<&Service> = ipvs.services().iter().collect();
    if !unsorted {
        sorted::sort_by(&mut all, |a, b| {
            let key = |s: &Service| (s.id.fwmark, s.id.proto);
            key(a).cmp(&key(b)).then(by_endpoint(a.id.addr, b.id.addr))
        });
    }
    all
}

fn servers(service: &Service, unsorted: bool) -> Vec<&Dest> {
    let mut all: Vec<&Dest> = service.dests.iter().collect();
    if !unsorted {
        sorted::sort_by(&mut all, |a, b| by_endpoint(a.spec.addr, b.spec.addr));
    }
    all
}

fn at(e: Endpoint, proto: Protocol, numeric: bool) -> String {
    match service_name(e.1, proto).filter(|_| !numeric) {
        Some(name) => format!("{}:{name}", e.0),
        None => format!("{}:{}", e.0, e.1),
    }
}

fn proto_name(proto: Protocol) -> String {
    if proto.0 == 0 { "IP".to_owned() } else { proto.to_string().to_ascii_uppercase() }
}

/// `TCP  10.96.0.10:80`, or `FWM  7`.
fn service_words(id: ServiceId, numeric: bool) -> String {
    match id.fwmark {
        0 => format!("{:<4} {}", proto_name(id.proto), at(id.addr, id.proto, numeric)),
        mark => format!("FWM  {mark}"),
    }
}

/// The names of a scheduler's flags, with commas.
fn flag_names(scheduler: Scheduler, flags: SchedFlags) -> String {
    let hashes = matches!(scheduler, Scheduler::Sh | Scheduler::Mh);
    let name =
        |n: u8, own: &str| if hashes { format!("{}-{own}", scheduler.name()) } else { format!("flag-{n}") };
    let all = [(1, "fallback"), (2, "port"), (3, "")];
    // sh and mh have only two.
    let set = all.into_iter().filter(|(n, _)| flags.has(SchedFlags(1 << (n - 1))) && !(hashes && *n == 3));
    set.map(|(n, own)| name(n, own)).collect::<Vec<_>>().join(",")
}

/// What stands behind a virtual server in a list.
fn details(spec: &ServiceSpec) -> String {
    let mut out = spec.scheduler.name().to_owned();
    let flags = flag_names(spec.scheduler, spec.flags);
    if !flags.is_empty() {
        let _ = write!(out, " ({flags})");
    }
    if let Some(seconds) = spec.persistent {
        let _ = write!(out, " persistent {seconds}");
        if spec.netmask != Ipv4Addr::BROADCAST {
            let _ = write!(out, " mask {}", spec.netmask);
        }
    }
    if spec.one_packet {
        out.push_str(" ops");
    }
    out
}

/// A counter in nine columns, or more.
fn large(n: u64, exact: bool) -> String {
    match n {
        _ if exact => format!("{n:>9}"),
        0..100_000_000 => format!("{n:>9}"),
        100_000_000..1_000_000_000 => format!("{:>8}K", n / 1000),
        1_000_000_000..100_000_000_000 => format!("{:>8}M", n / 1_000_000),
        100_000_000_000..100_000_000_000_000 => format!("{:>8}G", n / 1_000_000_000),
        _ => format!("{:>8}T", n / 1_000_000_000_000),
    }
}

fn numbers(values: [u64; 5], exact: bool) -> String {
    values.map(|n| if exact { format!("{n:>9}") } else { large(n, false) }).join("")
}

/// `ipvsadm -Ln`, with the connections that are to be counted.
pub fn print_list(ipvs: &Ipvs, conns: &[IpvsConn]) -> String {
    let listing = Listing { numeric: true, ..Listing::default() };
    print_listing(ipvs, conns, &listing, Instant(0))
}

/// `ipvsadm -L` of virtual servers.
pub fn print_listing(ipvs: &Ipvs, conns: &[IpvsConn], listing: &Listing, now: Instant) -> String {
    let mut out = String::from(if listing.only.is_some() { "" } else { TITLE });
    out.push_str(match listing.what {
        Show::Stats => {
            "Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes\n  -> RemoteAddress:Port\n"
        }
        Show::Rate => {
            "Prot LocalAddress:Port                 CPS    InPPS   OutPPS    InBPS   OutBPS\n  -> RemoteAddress:Port\n"
        }
        Show::Thresholds => {
            "Prot LocalAddress:Port            Uthreshold Lthreshold ActiveConn InActConn \n  -> RemoteAddress:Port\n"
        }
        Show::Persistent => {
            "Prot LocalAddress:Port            Weight    PersistConn ActiveConn InActConn \n  -> RemoteAddress:Port\n"
        }
        _ => {
            "Prot LocalAddress:Port Scheduler Flags\n  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n"
        }
    });
    let counters = |stats: &kernel::netfilter::ipvs::Stats| {
        let values = if listing.what == Show::Rate { stats.rates(now) } else { stats.shown() };
        numbers(values, listing.exact)
    };
    let counts = matches!(listing.what, Show::Stats | Show::Rate);
    let wanted = |s: &&&Service| listing.only.is_none_or(|id| id == s.id);
    for s in services(ipvs, listing.unsorted).iter().filter(wanted) {
        let words = service_words(s.id, listing.numeric);
        if counts {
            let _ = writeln!(out, "{words:<33}{}", counters(&s.stats));
        } else {
            let _ = writeln!(out, "{words} {}", details(&s.spec));
        }
        for d in servers(s, listing.unsorted) {
            // With a mark there is no protocol, and so no name.
            let _ = write!(out, "  -> {:<28}", at(d.spec.addr, s.id.proto, listing.numeric));
            let mine = || conns.iter().filter(|c| c.is_of(d.id));
            let active = mine().filter(|c| c.active && !c.template).count();
            let rest = mine().filter(|c| !c.active && !c.template).count();
            let _ = match listing.what {
                Show::Stats | Show::Rate => writeln!(out, "{}", counters(&d.stats)),
                Show::Thresholds => {
                    writeln!(out, " {:<10} {:<10} {active:<10} {rest:<10}", d.spec.upper, d.spec.lower)
                }
                Show::Persistent => {
                    let templates = mine().filter(|c| c.template).count();
                    writeln!(out, " {:<9} {templates:<11} {active:<10} {rest:<10}", d.spec.weight)
                }
                _ => {
                    let forward = match d.spec.forward {
                        Forward::Masquerade => "Masq",
                        Forward::Route => "Route",
                    };
                    writeln!(out, " {forward:<7} {:<6} {active:<10} {rest:<10}", d.spec.weight)
                }
            };
        }
    }
    out
}

/// `ipvsadm -Lnc`
pub fn print_conns(conns: &[IpvsConn], now: Instant) -> String {
    let mut out = String::from(
        "IPVS connection entries\npro expire state       source             virtual            destination\n",
    );
    for c in conns {
        let left = c.expires.since(now).as_secs();
        let (minutes, seconds) = (left / 60, left % 60);
        let at = |e| at(e, c.proto, true);
        let _ = writeln!(
            out,
            "{:<3} {minutes:02}:{seconds:02}  {:<11} {:<18} {:<18} {}",
            proto_name(c.proto),
            c.state.name(),
            at(c.client),
            at(c.virt),
            at(c.server)
        );
    }
    out
}

/// `ipvsadm -L --timeout`
pub fn print_timeouts(ipvs: &Ipvs) -> String {
    let t = ipvs.timeouts;
    format!("Timeout (tcp tcpfin udp): {} {} {}\n", t.tcp, t.tcp_fin, t.udp)
}

/// `ipvsadm -S`, with `numeric` `ipvsadm -S -n`.
pub fn print_save(ipvs: &Ipvs, numeric: bool) -> String {
    let mut out = String::new();
    for s in services(ipvs, false) {
        let kind = match (s.id.fwmark, s.id.proto) {
            (0, Protocol::UDP) => format!("-u {}", at(s.id.addr, s.id.proto, numeric)),
            (0, _) => format!("-t {}", at(s.id.addr, s.id.proto, numeric)),
            (mark, _) => format!("-f {mark}"),
        };
        let spec = &s.spec;
        let _ = write!(out, "-A {kind} -s {}", spec.scheduler.name());
        let flags = flag_names(spec.scheduler, spec.flags);
        if !flags.is_empty() {
            let _ = write!(out, " -b {flags}");
        }
        if let Some(seconds) = spec.persistent {
            let _ = write!(out, " -p {seconds}");
            if spec.netmask != Ipv4Addr::BROADCAST {
                let _ = write!(out, " -M {}", spec.netmask);
            }
        }
        out.push_str(if spec.one_packet { " -o\n" } else { "\n" });
        for d in servers(s, false) {
            let forward = if d.spec.forward == Forward::Masquerade { "-m" } else { "-g" };
            let server = at(d.spec.addr, s.id.proto, numeric);
            let _ = writeln!(out, "-a {kind} -r {server} {forward} -w {}", d.spec.weight);
        }
    }
    out
}
