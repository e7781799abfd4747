//! Generators of rule sets that the kernel would accept.

use kernel::PktType;
use kernel::netfilter::conntrack::{Direction, EventMask, Helper, Template, Zone};
use kernel::netfilter::ipset::{Compare, SetDirs, SetQuery};
use kernel::netfilter::xtables::matches::*;
use kernel::netfilter::xtables::targets::*;
use kernel::netfilter::xtables::*;
use packet::{Mac, Protocol, TcpFlags};
use proptest::option::of;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

fn neg<T: std::fmt::Debug>(s: impl Strategy<Value = T>) -> impl Strategy<Value = Neg<T>> {
    (any::<bool>(), s).prop_map(|(not, value)| Neg { not, value })
}

fn net(addr: u32, mask: u32) -> IpMatch {
    IpMatch { addr: Ipv4Addr::from(addr & mask).into(), mask: Ipv4Addr::from(mask).into() }
}

fn prefix() -> impl Strategy<Value = IpMatch> {
    (any::<u32>(), 1..=32u32).prop_map(|(a, len)| net(a, u32::MAX << (32 - len)))
}

fn address() -> impl Strategy<Value = IpMatch> {
    prop_oneof![4 => prefix(), 1 => (any::<u32>(), 1u32..).prop_map(|(a, m)| net(a, m))]
}

fn iface() -> impl Strategy<Value = IfaceMatch> {
    ("[a-z][a-z0-9.@]{0,13}", any::<bool>()).prop_map(|(name, wildcard)| IfaceMatch { name, wildcard })
}

/// Not every port: that is printed as no option.
fn ports() -> impl Strategy<Value = PortRange> {
    let ranges = prop_oneof![any::<u16>().prop_map(|p| (p, p)), (any::<u16>(), any::<u16>())];
    ranges
        .prop_map(|(a, b)| PortRange { min: a.min(b), max: a.max(b) })
        .prop_filter("all", |r| *r != PortRange::ALL)
}

/// Anything that fits on a line.
pub fn text(max: usize) -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,20}", "[a-z0-9_/:-]{1,20}", "\\PC{0,20}"]
        .prop_map(move |s: String| s.chars().filter(|c| !c.is_control()).collect())
        .prop_filter("length", move |s: &String| s.len() <= max)
}

fn conntrack() -> impl Strategy<Value = Conntrack> {
    let states =
        neg((1u16..256).prop_map(|b| b & 0b1101_1111).prop_filter("none", |b| *b != 0).prop_map(CtStates));
    let statuses = neg((0u32..16).prop_map(CtStatus));
    let expire = neg((any::<u32>(), any::<u32>()).prop_map(|(a, b)| (a.min(b), a.max(b))));
    let dir = prop_oneof![Just(Direction::Original), Just(Direction::Reply)];
    let nets = (of(neg(prefix())), of(neg(prefix())), of(neg(prefix())), of(neg(prefix())));
    let all = || prop_oneof![ports(), Just(PortRange::ALL)];
    let ports = (of(neg(all())), of(neg(all())), of(neg(all())), of(neg(all())));
    let rest = (of(states), of(neg((0u8..).prop_map(Protocol))), of(statuses), of(expire), of(dir));
    (nets, ports, rest)
        .prop_map(|(nets, ports, (state, proto, status, expire, dir))| Conntrack {
            state,
            proto,
            orig_src: nets.0,
            orig_dst: nets.1,
            repl_src: nets.2,
            repl_dst: nets.3,
            orig_sport: ports.0,
            orig_dport: ports.1,
            repl_sport: ports.2,
            repl_dport: ports.3,
            status,
            expire,
            dir,
        })
        .prop_filter("empty", |c| *c != Conntrack::default())
}

fn dirs() -> impl Strategy<Value = SetDirs> {
    (1..=SetDirs::MAX, any::<u8>()).prop_map(|(dim, bits)| SetDirs { dim, src: bits & u8::MAX >> (8 - dim) })
}

/// SET as any table takes it.
fn set_target() -> impl Strategy<Value = SetTarget> {
    let named = || ("[A-Za-z][A-Za-z0-9_.:-]{0,30}", dirs());
    (named(), of(named()), any::<bool>(), of(0..u32::MAX)).prop_map(|(add, del, exist, timeout)| SetTarget {
        add: Some(add),
        del,
        exist,
        timeout,
        ..SetTarget::default()
    })
}

fn set() -> impl Strategy<Value = SetMatch> {
    let compare = || {
        of(any::<(u64, u8)>().prop_map(|(n, how)| match how % 4 {
            0 => Compare::Eq(n),
            1 => Compare::Ne(n),
            2 => Compare::Lt(n),
            _ => Compare::Gt(n),
        }))
    };
    let flags = any::<(bool, bool, bool)>();
    let name = "[A-Za-z][A-Za-z0-9_.:-]{0,30}";
    (any::<bool>(), name, dirs(), flags, compare(), compare()).prop_map(
        |(not, name, dirs, (return_nomatch, skip_counters, skip_subcounters), packets, bytes)| SetMatch {
            not,
            name,
            query: SetQuery { dirs, return_nomatch, skip_counters, skip_subcounters, packets, bytes },
        },
    )
}

fn statistic() -> impl Strategy<Value = Statistic> {
    let random = (0..=1u32 << 31).prop_map(StatisticMode::Random);
    let nth = (1u32.., any::<u32>()).prop_map(|(every, p)| StatisticMode::Nth { every, packet: p % every });
    (prop_oneof![random, nth], any::<bool>()).prop_map(|(mode, not)| Statistic { mode, not })
}

fn addrtype() -> impl Strategy<Value = Addrtype> {
    let types = || of(neg((1u16..512).prop_map(AddrTypes)));
    (types(), types(), 0..3)
        .prop_map(|(src, dst, limit)| Addrtype {
            src,
            dst,
            limit_iface_in: limit == 1,
            limit_iface_out: limit == 2,
        })
        .prop_filter("empty", |a| a.src.is_some() || a.dst.is_some())
}

fn physdev() -> impl Strategy<Value = Physdev> {
    let flag = || of(neg(Just(())));
    (flag(), of(neg(iface())), flag(), of(neg(iface())), flag())
        .prop_map(|(is_in, dev_in, is_out, dev_out, is_bridged)| Physdev {
            is_in,
            dev_in,
            is_out,
            dev_out,
            is_bridged,
        })
        .prop_filter("empty", |p| *p != Physdev::default())
}

fn plain_match() -> impl Strategy<Value = Match> {
    prop_oneof![
        text(255).prop_map(Match::Comment),
        neg((any::<u32>(), any::<u32>())).prop_map(|mark| Match::Mark(MarkMatch { mark })),
        conntrack().prop_map(|m| Match::Conntrack(Box::new(m))),
        neg((1u16..32).prop_map(CtStates)).prop_map(Match::State),
        addrtype().prop_map(Match::Addrtype),
        statistic().prop_map(Match::Statistic),
        set().prop_map(|m| Match::Set(Box::new(m))),
        physdev().prop_map(|m| Match::Physdev(Box::new(m))),
        newer_match(),
    ]
}

fn ids() -> impl Strategy<Value = Neg<(u32, u32)>> {
    neg((0u32..u32::MAX, 0u32..u32::MAX).prop_map(|(a, b)| (a.min(b), a.max(b))))
}

fn owner() -> impl Strategy<Value = Owner> {
    (of(neg(Just(()))), of(ids()), of(ids()), any::<bool>())
        .prop_map(|(socket_exists, uid, gid, suppl)| Owner {
            socket_exists,
            uid,
            gid,
            suppl_groups: suppl && gid.is_some(),
        })
        .prop_filter("empty", |o| *o != Owner::default())
}

fn iprange() -> impl Strategy<Value = Iprange> {
    let range = || of(neg((any::<Ipv4Addr>(), any::<Ipv4Addr>())));
    (range(), range())
        .prop_map(|(src, dst)| Iprange { src, dst })
        .prop_filter("empty", |r| *r != Iprange::default())
}

fn ipvs() -> impl Strategy<Value = IpvsMatch> {
    let port = || of(neg(any::<u16>()));
    let addr = of(neg((any::<Ipv4Addr>(), 0..=32u32).prop_map(|(a, len)| {
        let mask = Ipv4Addr::from(u32::MAX.checked_shl(32 - len).unwrap_or(0));
        IpMatch { addr: a.into(), mask: mask.into() }
    })));
    let dir = of(prop_oneof![Just(Direction::Original), Just(Direction::Reply)]);
    let method = of(neg(prop_oneof![Just(IpvsMethod::Gate), Just(IpvsMethod::Ipip), Just(IpvsMethod::Masq)]));
    (any::<bool>(), of(neg((0u8..).prop_map(Protocol))), addr, port(), dir, method, port()).prop_map(
        |(not, proto, addr, port, dir, method, portctl)| {
            let m = IpvsMatch { ipvs: None, proto, addr, port, dir, method, portctl };
            if m.is_plain() { IpvsMatch { ipvs: Some(Neg { not, value: () }), ..m } } else { m }
        },
    )
}

/// A rate that iptables can write exactly, so that reading it again gives the same.
fn limit() -> impl Strategy<Value = Limit> {
    let avg = prop_oneof![Just(10_000u32), Just(2000), Just(120_000), Just(1), Just(12_000_000)];
    (avg, 1u32..300).prop_map(|(avg, burst)| Limit { avg, burst }).prop_filter("overflow", |l| l.is_valid())
}

fn newer_match() -> impl Strategy<Value = Match> {
    let kinds = [PktType::Host, PktType::Broadcast, PktType::Multicast, PktType::OtherHost];
    prop_oneof![
        neg(text(29)).prop_map(|name| Match::Helper(HelperMatch { name })),
        iprange().prop_map(Match::Iprange),
        ipvs().prop_map(Match::Ipvs),
        limit().prop_map(Match::Limit),
        neg(any::<[u8; 6]>().prop_map(Mac)).prop_map(|source| Match::Mac(MacMatch { source })),
        text(31).prop_filter("empty", |n| !n.is_empty()).prop_map(|name| Match::Nfacct(NfacctMatch { name })),
        owner().prop_map(Match::Owner),
        neg((0..4usize).prop_map(move |i| kinds[i])).prop_map(|kind| Match::Pkttype(PkttypeMatch { kind })),
    ]
}

fn tcp() -> impl Strategy<Value = Match> {
    let flags =
        neg((1u8..64, 0u8..64).prop_map(|(m, c)| TcpFlagsMatch { mask: TcpFlags(m), comp: TcpFlags(c) }));
    (of(neg(ports())), of(neg(ports())), of(flags), of(neg(1u8..)))
        .prop_map(|(sport, dport, flags, option)| Match::Tcp(TcpMatch { sport, dport, flags, option }))
}

fn udp() -> impl Strategy<Value = Match> {
    (of(neg(ports())), of(neg(ports()))).prop_map(|(sport, dport)| Match::Udp(UdpMatch { sport, dport }))
}

fn icmp() -> impl Strategy<Value = Match> {
    let kinds = prop_oneof![
        (0u8..255).prop_map(|k| (k, 0, 255)),
        (0u8..255, 0u8..).prop_map(|(k, c)| (k, c, c)),
        Just((IcmpMatch::ANY, 0, 255)),
    ];
    neg(kinds).prop_map(|kind| Match::Icmp(IcmpMatch { kind }))
}

fn multiport() -> impl Strategy<Value = Match> {
    let side = prop_oneof![Just(PortSide::Source), Just(PortSide::Destination), Just(PortSide::Either)];
    let list = proptest::collection::vec(
        prop_oneof![ports(), any::<u16>().prop_map(|p| PortRange { min: p, max: p })],
        1..7,
    );
    (side, neg(list)).prop_map(|(side, ports)| Match::Multiport(Multiport { side, ports }))
}

/// `-p` with the matches that need it.
fn protocol() -> impl Strategy<Value = (Option<Neg<Protocol>>, Vec<Match>)> {
    let with = |p: Protocol, m: BoxedStrategy<Match>| {
        proptest::collection::vec(m, 0..3).prop_map(move |ms| (Some(Neg::plain(p)), ms))
    };
    prop_oneof![
        Just((None, Vec::new())),
        neg((1u8..).prop_map(Protocol)).prop_map(|p| (Some(p), Vec::new())),
        with(Protocol::TCP, prop_oneof![tcp(), multiport()].boxed()),
        with(Protocol::UDP, prop_oneof![udp(), multiport()].boxed()),
        with(Protocol::ICMP, icmp().boxed()),
    ]
}

fn nat_addr() -> impl Strategy<Value = (IpAddr, IpAddr)> {
    (any::<u32>(), any::<u32>(), any::<bool>()).prop_map(|(a, b, one)| {
        let (min, max) = (Ipv4Addr::from(a.min(b)), Ipv4Addr::from(a.max(b)));
        (min.into(), if one { min.into() } else { max.into() })
    })
}

fn nat_ports(proto: Option<Neg<Protocol>>) -> BoxedStrategy<Option<PortRange>> {
    match proto.is_some_and(|p| [1, 6, 17, 33, 132].contains(&p.value.0)) {
        true => of(prop_oneof![ports(), Just(PortRange::ALL)]).boxed(),
        false => Just(None).boxed(),
    }
}

fn log() -> impl Strategy<Value = Log> {
    (text(29), 0u8..8, any::<[bool; 5]>()).prop_map(|(prefix, level, f)| Log {
        prefix,
        level,
        tcp_sequence: f[0],
        tcp_options: f[1],
        ip_options: f[2],
        uid: f[3],
        macdecode: f[4],
    })
}

fn nflog() -> impl Strategy<Value = Nflog> {
    (text(63), any::<(u16, u32, bool, u16)>()).prop_map(|(prefix, (group, len, copy_len, threshold))| Nflog {
        group,
        prefix,
        len,
        copy_len,
        threshold,
    })
}

fn connmark() -> impl Strategy<Value = Connmark> {
    let shift = (any::<bool>(), 0u8..32).prop_map(|(right, bits)| Shift { right: right && bits != 0, bits });
    (0..3, any::<(u32, u32)>(), shift).prop_map(|(op, (a, b), shift)| {
        let op = match op {
            0 => ConnmarkOp::Set(Mark { value: a, mask: b }),
            1 => ConnmarkOp::Save { nfmask: a, ctmask: b },
            _ => ConnmarkOp::Restore { nfmask: a, ctmask: b },
        };
        Connmark { op, shift }
    })
}

fn ct(proto: Option<Neg<Protocol>>) -> impl Strategy<Value = CtTarget> {
    let helper = proto == Some(Neg::plain(Protocol::UDP));
    let zone = (any::<u16>(), of(any::<bool>())).prop_map(|(id, only)| match (id, only) {
        (0, _) | (_, None) => Zone { id, only: None },
        (_, Some(false)) => Zone { id, only: Some(Direction::Original) },
        (_, Some(true)) => Zone { id, only: Some(Direction::Reply) },
    });
    let events = of((1u16..1 << 10, 0u16..2));
    (any::<[bool; 3]>(), zone, events).prop_map(move |([notrack, tftp, from_mark], zone, events)| {
        let template = Template {
            helper: (helper && tftp).then_some(Helper::TFTP),
            zone: Zone { id: if from_mark { 0 } else { zone.id }, ..zone },
            zone_from_mark: from_mark,
            events: events.map(|(conntrack, expect)| EventMask { conntrack, expect }),
        };
        CtTarget { notrack, template }
    })
}

/// A target for a chain that nothing reaches; jumps lead to later chains.
fn target(
    table: TableId,
    proto: Option<Neg<Protocol>>,
    chain: usize,
    chains: usize,
) -> BoxedStrategy<Target> {
    let mark = (any::<u32>(), any::<u32>()).prop_map(|(value, mask)| Target::Mark(Mark { value, mask }));
    let mut all: Vec<BoxedStrategy<Target>> = vec![
        Just(Target::None).boxed(),
        Just(Target::Accept).boxed(),
        Just(Target::Return).boxed(),
        mark.boxed(),
        log().prop_map(Target::Log).boxed(),
        set_target().prop_map(|t| Target::Set(Box::new(t))).boxed(),
        nflog().prop_map(Target::Nflog).boxed(),
        connmark().prop_map(Target::Connmark).boxed(),
    ];
    if chain + 1 < chains {
        let to = move || (chain + 1..chains).prop_map(|c| ChainId(c as u16));
        all.push(to().prop_map(Target::Jump).boxed());
        all.push(to().prop_map(Target::Goto).boxed());
    }
    match table {
        TableId::Nat => {
            let to = move || {
                (of(nat_addr()), nat_ports(proto)).prop_filter("nothing", |(a, p)| a.is_some() || p.is_some())
            };
            let flags = any::<[bool; 3]>();
            all.push(
                (to(), flags)
                    .prop_map(|((addr, ports), f)| {
                        let base = ports.filter(|p| f[2] && p.min != p.max).map(|p| p.max.max(1));
                        Target::Dnat(Dnat { addr, ports, base, random: f[0], persistent: f[1] })
                    })
                    .boxed(),
            );
            let snat = (to(), flags).prop_map(|((addr, ports), f)| {
                Target::Snat(Snat {
                    addr,
                    ports,
                    base: None,
                    random: f[0],
                    random_fully: f[1],
                    persistent: f[2],
                })
            });
            all.push(snat.boxed());
            let netmap = (any::<u32>(), 0u32..33).prop_map(|(net, len)| {
                let mask = u32::MAX.checked_shl(32 - len).unwrap_or(0);
                let [net, mask] = [net & mask, mask].map(Ipv4Addr::from_bits);
                Target::Netmap(Netmap { net, mask })
            });
            all.push(netmap.boxed());
            let masq = (nat_ports(proto), flags).prop_map(|(ports, f)| {
                Target::Masquerade(Masquerade { ports, random: f[0], random_fully: f[1] })
            });
            all.push(masq.boxed());
            all.push(
                (nat_ports(proto), flags)
                    .prop_map(|(ports, f)| Target::Redirect(Redirect { ports, random: f[0] }))
                    .boxed(),
            );
        }
        TableId::Filter => {
            all.push(Just(Target::Drop).boxed());
            let tcp = proto == Some(Neg::plain(Protocol::TCP));
            let with = (0..if tcp { 8 } else { 7usize }).prop_map(|i| RejectWith::ALL[i]);
            all.push(with.prop_map(|with| Target::Reject(Reject { with })).boxed());
        }
        TableId::Raw => {
            all.extend([Just(Target::Trace).boxed(), Just(Target::Notrack).boxed()]);
            all.push(ct(proto).prop_map(Target::Ct).boxed());
        }
        TableId::Mangle => {
            let ttl = (0..3, 1u8..).prop_map(|(op, n)| match op {
                0 => Ttl::Set(n),
                1 => Ttl::Inc(n),
                _ => Ttl::Dec(n),
            });
            all.push(ttl.prop_map(Target::Ttl).boxed());
            all.extend([Just(Target::Drop).boxed(), Just(Target::Checksum).boxed()]);
        }
        TableId::Security => all.push(Just(Target::Drop).boxed()),
    }
    proptest::strategy::Union::new(all).boxed()
}

fn rule(table: TableId, chain: usize, chains: usize) -> impl Strategy<Value = Rule> {
    let matches = proptest::collection::vec(plain_match(), 0..3);
    (protocol(), matches).prop_flat_map(move |((proto, mut own), more)| {
        own.extend(more);
        let selectors =
            (of(neg(address())), of(neg(address())), of(neg(iface())), of(neg(iface())), of(neg(Just(()))));
        let target = target(table, proto, chain, chains);
        (selectors, Just(own).prop_shuffle(), target).prop_map(
            move |((src, dst, in_iface, out_iface, fragment), matches, target)| Rule {
                src,
                dst,
                in_iface,
                out_iface,
                proto,
                fragment,
                matches,
                target,
            },
        )
    })
}

fn counters() -> impl Strategy<Value = Counters> {
    prop_oneof![Just((0, 0)), any::<(u64, u64)>()].prop_map(|(packets, bytes)| Counters { packets, bytes })
}

/// A table with rules in user-defined chains that only a later chain's rules name, counters and policies.
pub fn table() -> impl Strategy<Value = LoadedTable> {
    let names = proptest::collection::btree_set("[A-Z][A-Z0-9-]{5,20}", 0..5);
    (0..5usize, names).prop_flat_map(|(t, names)| {
        let table = TableId::ALL[t];
        let mut set = RuleSet::empty(table);
        for name in names {
            set.chains.push(Chain { name: Rc::from(name.as_str()), base: None, rules: Vec::new() });
        }
        let n = set.chains.len();
        let built_in = table.hooks().len();
        let rules: Vec<_> =
            (built_in..n).map(|c| proptest::collection::vec((rule(table, c, n), counters()), 0..5)).collect();
        let policies = proptest::collection::vec((any::<bool>(), counters()), built_in);
        (Just(set), rules, policies).prop_map(move |(mut set, rules, policies)| {
            for (chain, rules) in set.chains[built_in..].iter_mut().zip(&rules) {
                chain.rules = rules.iter().map(|(r, _)| Rc::new(r.clone())).collect();
            }
            for (chain, (drop, _)) in set.chains.iter_mut().zip(&policies) {
                chain.base =
                    chain.base.map(|(h, _)| (h, if *drop { Verdict::Drop } else { Verdict::Accept }));
            }
            let mut loaded = LoadedTable::new(set);
            for (place, (_, counters)) in loaded.policy.iter_mut().zip(&policies) {
                *place = *counters;
            }
            for (chain, rules) in (built_in..).zip(&rules) {
                for (state, (_, counters)) in loaded.state.chain_mut(chain).iter_mut().zip(rules) {
                    state.counters = *counters;
                }
            }
            loaded
        })
    })
}
