//! A rule of iptables as statements of nf_tables, as iptables-nft 1.8.9 makes them (nft-shared.c, nft-ipv4.c, nft.c of iptables):
//! devices, protocol, addresses, fragments, matches, counter, target.

use kernel::netfilter::nftables::{
    BinaryOp, ChainKey, CmpOp, Data, DataType, Expr, Field, Header, MetaKey, NftLimit, NftLog, NftVerdict,
    Right, Stateful, Stmt, XtMatch,
};
use kernel::netfilter::xtables::matches::{LIMIT_SCALE, Limit, MarkMatch, Match, TcpFlagsMatch, TcpMatch};
use kernel::netfilter::xtables::targets::{Nflog, Target};
use kernel::netfilter::xtables::{Counters, IfaceMatch, IpMatch, Neg, PortRange, Rule};
use packet::Protocol;
use std::net::IpAddr;

/// The name that no device has: `! -i +`.
pub(super) const NO_DEVICE: &str = "INVAL/D";
/// Units of time in which a limit is said, the longest first.
const UNITS: [u32; 4] = [86_400, 3600, 60, 1];
/// The bits of the third 16 bit word of an IPv4 header that are not 0 in a later fragment.
const FRAG_OFFSET: u128 = 0x1fff;

/// The statements of a rule; `chain` says which chain of nf_tables a jump leads to.
pub(super) fn compose(
    rule: &Rule,
    counters: Counters,
    chain: &dyn Fn(&Target) -> Option<ChainKey>,
) -> Vec<Stmt> {
    let mut out = Composed::default();
    for (key, dev) in [(MetaKey::Iifname, &rule.in_iface), (MetaKey::Oifname, &rule.out_iface)] {
        if let Some(dev) = dev {
            out.device(key, dev);
        }
    }
    if let Some(p) = rule.proto {
        out.not_protocol = p.not;
        out.ask(Expr::Meta(MetaKey::L4proto), p.not, Right::Value(Data::number(u128::from(p.value.0), 1)));
    }
    for (name, net) in [("saddr", &rule.src), ("daddr", &rule.dst)] {
        if let Some(net) = net {
            out.address(name, net);
        }
    }
    if let Some(f) = rule.fragment {
        let offset = masked(Header::Ip, "frag-off", Data::number(FRAG_OFFSET, 2));
        out.ask_of(offset, !f.not, Right::Value(Data::number(0, 2)));
    }
    for m in &rule.matches {
        out.matched(m);
    }
    let Counters { packets, bytes } = counters;
    let slot = out.slot();
    out.stmts.push(Stmt::Counter(slot, Stateful::Counter { packets, bytes }));
    out.stmts.extend(deed(&rule.target, chain));
    out.stmts
}

fn deed(target: &Target, chain: &dyn Fn(&Target) -> Option<ChainKey>) -> Option<Stmt> {
    Some(match target {
        Target::None => return None,
        Target::Accept => Stmt::Verdict(NftVerdict::Accept),
        Target::Drop => Stmt::Verdict(NftVerdict::Drop),
        Target::Return => Stmt::Verdict(NftVerdict::Return),
        Target::Jump(_) => Stmt::Verdict(NftVerdict::Jump(chain(target)?)),
        Target::Goto(_) => Stmt::Verdict(NftVerdict::Goto(chain(target)?)),
        Target::Nflog(log) => Stmt::Log(Box::new(nflog(log))),
        Target::Trace => {
            Stmt::MetaSet(MetaKey::Nftrace, Expr::Value(Data::number(1, 1), DataType::Integer(1)))
        }
        other => Stmt::XtTarget(Box::new(other.clone())),
    })
}

/// `add_log`
fn nflog(log: &Nflog) -> NftLog {
    NftLog {
        prefix: (!log.prefix.is_empty()).then(|| log.prefix.as_str().into()),
        group: Some(log.group),
        snaplen: log.copy_len.then_some(log.len),
        qthreshold: (log.threshold > 0).then_some(log.threshold),
        ..NftLog::default()
    }
}

/// True for a match that becomes statements of nf_tables itself, so that nobody calls the match.
pub(super) fn is_native(m: &Match) -> bool {
    match m {
        Match::Tcp(t) => {
            let none = |f: TcpFlagsMatch| f.mask.0 == 0 && f.comp.0 == 0;
            let flags = t.flags.is_some_and(|f| f.not || !none(f.value));
            t.option.is_none() && (flags || asks_ports(t.sport, t.dport))
        }
        Match::Udp(u) => asks_ports(u.sport, u.dport),
        Match::Mark(_) | Match::Limit(_) => true,
        _ => false,
    }
}

/// Neither `tcp_all_zero` nor `udp_all_zero`: something is asked, or would be but for the `!`.
fn asks_ports(sport: Option<Neg<PortRange>>, dport: Option<Neg<PortRange>>) -> bool {
    [sport, dport].into_iter().flatten().any(|r| r.not || r.value != PortRange::ALL)
}

/// `add_nft_tcp`, `add_nft_udp`: what is asked of a header by nf_tables itself needs its protocol, which may be negated. The name of the
/// protocol that is missing.
pub(super) fn missing_protocol(rule: &Rule) -> Option<&'static str> {
    let asked = |m: &Match| match m {
        Match::Tcp(_) => Some((Protocol::TCP, "tcp")),
        Match::Udp(_) => Some((Protocol::UDP, "udp")),
        _ => None,
    };
    let given = rule.proto.map(|p| p.value);
    let native = rule.matches.iter().filter(|m| is_native(m));
    native.filter_map(asked).find(|(p, _)| given != Some(*p)).map(|(_, name)| name)
}

#[derive(Default)]
struct Composed {
    stmts: Vec<Stmt>,
    slots: usize,
    not_protocol: bool,
}

impl Composed {
    fn slot(&mut self) -> usize {
        self.slots += 1;
        self.slots - 1
    }

    fn ask(&mut self, left: Expr, not: bool, right: Right) {
        let op = if not { CmpOp::Neq } else { CmpOp::Eq };
        self.stmts.push(Stmt::Match { left, op, right });
    }

    fn ask_of(&mut self, left: Option<Expr>, not: bool, right: Right) {
        if let Some(left) = left {
            self.ask(left, not, right);
        }
    }

    /// `add_iniface`: `+` alone asks for nothing.
    fn device(&mut self, key: MetaKey, dev: &Neg<IfaceMatch>) {
        let name = dev.value.name.as_str();
        let right = match (dev.value.wildcard, name.is_empty()) {
            (true, true) if dev.not => return self.no_device(key),
            (false, _) if dev.not && name == "+" => return self.no_device(key),
            (true, true) => return,
            (true, false) => Right::Prefix(Data::ifname(name), name.len().min(16) as u16 * 8),
            (false, _) => Right::Value(Data::ifname(name)),
        };
        self.ask(Expr::Meta(key), dev.not, right);
    }

    fn no_device(&mut self, key: MetaKey) {
        self.ask(Expr::Meta(key), false, Right::Value(Data::ifname(NO_DEVICE)));
    }

    /// `add_addr`: a prefix is one; under any other mask the bits are compared.
    fn address(&mut self, name: &str, net: &Neg<IpMatch>) {
        let header = if net.value.addr.is_ipv4() { Header::Ip } else { Header::Ip6 };
        let (bits, max) = prefix_len(net.value.mask);
        let field = Field::find(header, name).map(Expr::Payload);
        let mask = Data::addr(net.value.mask);
        let value = Data::addr(net.value.addr).combine(&mask, |a, m| a & m);
        match bits {
            Some(bits) if bits == max => self.ask_of(field, net.not, Right::Value(value)),
            Some(bits) if bits > 0 => self.ask_of(field, net.not, Right::Prefix(value, bits)),
            _ => self.ask_of(masked(header, name, mask), net.not, Right::Value(value)),
        }
    }

    /// `add_match`
    fn matched(&mut self, m: &Match) {
        match m {
            Match::Tcp(t) if is_native(m) => self.tcp(t),
            Match::Udp(u) if is_native(m) => self.ports(self.header(Header::Udp), u.sport, u.dport),
            Match::Mark(m) => self.mark(*m),
            Match::Limit(l) => {
                let slot = self.slot();
                self.stmts.push(Stmt::Limit(limit(*l), slot));
            }
            other => {
                let slot = self.slot();
                self.stmts.push(Stmt::XtMatch(Box::new(XtMatch { m: other.clone(), slot })));
            }
        }
    }

    fn tcp(&mut self, t: &TcpMatch) {
        if let Some(flags) = t.flags.filter(|f| f.value.mask.0 != 0) {
            let byte = |n: u8| Data::number(u128::from(n), 1);
            let left = masked(Header::Tcp, "flags", byte(flags.value.mask.0));
            // None of the bits, or any of them: nft compares no further.
            let (op, left, value) = match (flags.value.comp.0, flags.not) {
                (0, not) => {
                    let op = if not { CmpOp::Flags } else { CmpOp::NoFlags };
                    (op, Field::find(Header::Tcp, "flags").map(Expr::Payload), flags.value.mask.0)
                }
                (comp, true) => (CmpOp::Neq, left, comp),
                (comp, false) => (CmpOp::Eq, left, comp),
            };
            if let Some(left) = left {
                self.stmts.push(Stmt::Match { left, op, right: Right::Value(byte(value)) });
            }
        }
        self.ports(self.header(Header::Tcp), t.sport, t.dport);
    }

    /// Under `! -p` the ports of any other protocol are meant.
    fn header(&self, header: Header) -> Header {
        if self.not_protocol { Header::Th } else { header }
    }

    fn ports(&mut self, header: Header, sport: Option<Neg<PortRange>>, dport: Option<Neg<PortRange>>) {
        for (name, range) in [("sport", sport), ("dport", dport)] {
            let Some(range) = range.filter(|r| r.value != PortRange::ALL) else { continue };
            let port = |p: u16| Data::number(u128::from(p), 2);
            let (min, max) = (range.value.min, range.value.max);
            let field = Field::find(header, name).map(Expr::Payload);
            match (min, max) {
                (min, max) if min == max => self.ask_of(field, range.not, Right::Value(port(min))),
                // One comparison does.
                (0, max) => {
                    let op = if range.not { CmpOp::Gt } else { CmpOp::Lte };
                    let right = Right::Value(port(max));
                    self.stmts.extend(field.map(|left| Stmt::Match { left, op, right }));
                }
                (min, max) => self.ask_of(field, range.not, Right::Range(port(min), port(max))),
            }
        }
    }

    fn mark(&mut self, m: MarkMatch) {
        let (value, mask) = m.mark.value;
        let mark = Expr::Meta(MetaKey::Mark);
        let left = match mask {
            u32::MAX => mark,
            mask => {
                let mask = Expr::Value(Data::u32(mask), DataType::Mark);
                Expr::Binary(BinaryOp::And, Box::new(mark), Box::new(mask))
            }
        };
        self.ask(left, m.mark.not, Right::Value(Data::u32(value)));
    }
}

/// `FIELD & MASK`
fn masked(header: Header, name: &str, mask: Data) -> Option<Expr> {
    let field = Field::find(header, name)?;
    let mask = Expr::Value(mask, field.dtype);
    Some(Expr::Binary(BinaryOp::And, Box::new(Expr::Payload(field)), Box::new(mask)))
}

/// How many bits a mask has at its front, and how many there are; `None` if it is no prefix.
fn prefix_len(mask: IpAddr) -> (Option<u16>, u16) {
    let (ones, value, max) = match mask {
        IpAddr::V4(m) => (m.to_bits().leading_ones(), m.to_bits().count_ones(), 32),
        IpAddr::V6(m) => (m.to_bits().leading_ones(), m.to_bits().count_ones(), 128),
    };
    ((ones == value).then_some(ones as u16), max)
}

/// `add_nft_limit`: the largest unit that does not round too much. Without a burst it is the default.
fn limit(l: Limit) -> NftLimit {
    let avg = l.avg.max(1);
    let mut unit = 86_400;
    for shorter in UNITS.into_iter().skip(1) {
        let period = LIMIT_SCALE * shorter;
        if avg > period || period / avg < period % avg {
            break;
        }
        unit = shorter;
    }
    let burst = if l.burst == 0 { 5 } else { u64::from(l.burst) };
    NftLimit { rate: u64::from(LIMIT_SCALE * unit / avg), unit: u64::from(unit), burst, over: false }
}

/// The protocol of the header that a rule of nft itself asks about, which it leaves out.
pub(super) fn protocol_of(header: Header) -> Option<Protocol> {
    header.protocol()
}
