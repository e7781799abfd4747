//! `-j LOG` (net/netfilter/xt_LOG.c, nf_log_syslog.c).

use crate::event::{HookCtx, NfLog, What};
use crate::netfilter::hook::InetHook;
use crate::{Cx, DevId, Netns, Skb, SkbOwner};
use packet::{Family, Icmp, Ip, L4, Mac, Protocol, TcpFlags, icmp_type, icmp6_type};
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Options of LOG.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// `--log-prefix`, cut at 29 characters when the rule is loaded.
    pub prefix: String,
    /// `--log-level`, 4 (warning) if not given.
    pub level: u8,
    /// `--log-tcp-sequence`
    pub tcp_sequence: bool,
    /// `--log-tcp-options`
    pub tcp_options: bool,
    /// `--log-ip-options`
    pub ip_options: bool,
    /// `--log-uid`
    pub uid: bool,
    /// `--log-macdecode`
    pub macdecode: bool,
}

impl Default for Log {
    fn default() -> Log {
        Log {
            prefix: String::new(),
            level: 4,
            tcp_sequence: false,
            tcp_options: false,
            ip_options: false,
            uid: false,
            macdecode: false,
        }
    }
}

impl Log {
    pub(crate) fn eval(&self, ns: &Netns, skb: &Skb, ctx: &HookCtx, cx: &mut Cx<'_>) {
        if ns.may_log_packets() {
            cx.printk(skb.id, || self.line(ns, skb, ctx));
        }
    }

    /// `nf_log_packet` without a rule: what conntrack says of a packet, with all that can be said of it, and with its devices if
    /// they are given.
    pub(crate) fn without_rule(
        ns: &Netns,
        skb: &Skb,
        given: Option<&HookCtx>,
        prefix: String,
        cx: &mut Cx<'_>,
    ) {
        let local = skb.frame.src == Mac::ZERO;
        let hook = if local { InetHook::LocalOut } else { InetHook::PreRouting };
        let nowhere =
            HookCtx { family: Family::V4, hook, indev: None, outdev: None, physin: None, physout: None };
        let ctx = given.map_or(nowhere, |ctx| HookCtx { hook, ..ctx.clone() });
        cx.emit(skb.id, || {
            let (frame, mark) = (skb.frame.clone(), skb.mark);
            What::NfLog(Box::new(NfLog { ctx: ctx.clone(), prefix: prefix.clone(), frame, mark }))
        });
        if !ns.may_log_packets() {
            return;
        }
        let all = Log {
            prefix,
            tcp_sequence: true,
            tcp_options: true,
            ip_options: true,
            uid: true,
            ..Log::default()
        };
        cx.printk(skb.id, || all.line(ns, skb, &ctx));
    }

    /// The line as nf_log_syslog.c prints it.
    fn line(&self, ns: &Netns, skb: &Skb, ctx: &HookCtx) -> String {
        let name = |d: Option<DevId>| d.map_or("", |d| ns.dev_name(d));
        let mut s = format!("{}IN={} OUT={} ", self.prefix, name(ctx.indev), name(ctx.outdev));
        for (key, dev) in [("PHYSIN", ctx.physin), ("PHYSOUT", ctx.physout)] {
            if dev.is_some() {
                let _ = write!(s, "{key}={} ", name(dev));
            }
        }
        if ctx.indev.is_some() {
            let (src, dst) = (skb.frame.src, skb.frame.dst);
            let [high, low] = if ctx.family == Family::V4 { ["08", "00"] } else { ["86", "dd"] };
            let _ = if self.macdecode {
                write!(s, "MACSRC={src} MACDST={dst} MACPROTO={high}{low} ")
            } else {
                write!(s, "MAC={dst}:{src}:{high}:{low} ")
            };
        }
        if let Some(ip) = skb.ip()
            && !self.packet(&mut s, ip, &ip.payload_bytes(), false)
        {
            return s;
        }
        if self.uid && skb.owner == SkbOwner::Program {
            // Without a socket of a program there is nobody to name.
            s.push_str("UID=0 GID=0 ");
        }
        if skb.mark != 0 {
            let _ = write!(s, "MARK={:#x} ", skb.mark);
        }
        s
    }

    /// `dump_ipv4_packet`: header, and what can be read of the `bytes` behind it. Of a packet inside another, what that one quotes
    /// is not shown. False if nothing else is said of it: the header of TCP or UDP is not whole.
    fn packet(&self, s: &mut String, ip: &Ip, bytes: &[u8], inside: bool) -> bool {
        if let (IpAddr::V6(src), IpAddr::V6(dst)) = (ip.src, ip.dst) {
            header6(s, ip, src, dst);
            return self.transport(s, ip, bytes, inside);
        }
        let _ = write!(
            s,
            "SRC={} DST={} LEN={} TOS=0x{:02X} PREC=0x{:02X} TTL={} ID={} ",
            ip.src,
            ip.dst,
            ip.total_len(),
            ip.tos & 0x1e,
            ip.tos & 0xe0,
            ip.ttl,
            ip.id
        );
        if ip.frag.df {
            s.push_str("DF ");
        }
        if ip.frag.mf {
            s.push_str("MF ");
        }
        if ip.frag.offset != 0 {
            let _ = write!(s, "FRAG:{} ", ip.frag.offset / 8);
        }
        self.transport(s, ip, bytes, inside)
    }

    fn transport(&self, s: &mut String, ip: &Ip, bytes: &[u8], inside: bool) -> bool {
        let (name, least) = match ip.protocol() {
            Protocol::TCP => ("TCP", 20),
            Protocol::UDP => ("UDP", 8),
            Protocol::UDPLITE => ("UDPLITE", 8),
            Protocol::ICMP => ("ICMP", 8),
            Protocol::ICMPV6 => ("ICMPv6", 8),
            Protocol::ESP => ("ESP", 8),
            Protocol::AH => ("AH", 12),
            other => {
                let _ = write!(s, "PROTO={} ", other.0);
                return true;
            }
        };
        let _ = write!(s, "PROTO={name} ");
        if ip.frag.offset != 0 {
            return true;
        }
        let header = Header(bytes);
        if bytes.len() < least {
            header.incomplete(s);
            return !matches!(ip.protocol(), Protocol::TCP | Protocol::UDP | Protocol::UDPLITE);
        }
        match ip.protocol() {
            Protocol::TCP => return self.tcp(s, header),
            Protocol::ICMP => self.icmp(s, ip, header, inside),
            Protocol::ICMPV6 => self.icmp6(s, ip, header, inside),
            Protocol::ESP => header.show(s, "SPI", format_args!("{:#x}", header.long(0))),
            Protocol::AH => header.show(s, "SPI", format_args!("{:#x}", header.long(4))),
            _ => {
                let _ = write!(s, "SPT={} DPT={} LEN={} ", header.word(0), header.word(2), header.word(4));
            }
        }
        true
    }

    /// `nf_log_dump_tcp_header`
    fn tcp(&self, s: &mut String, header: Header<'_>) -> bool {
        let _ = write!(s, "SPT={} DPT={} ", header.word(0), header.word(2));
        if self.tcp_sequence {
            let _ = write!(s, "SEQ={} ACK={} ", header.long(4), header.long(8));
        }
        let _ = write!(s, "WINDOW={} RES=0x{:02x} ", header.word(14), header.byte(12) & 0x0f);
        for (flag, word) in FLAG_WORDS {
            if TcpFlags(header.byte(13)).has(flag) {
                s.push_str(word);
            }
        }
        let _ = write!(s, "URGP={} ", header.word(18));
        let end = usize::from(header.byte(12) >> 4) * 4;
        if !self.tcp_options || end <= 20 {
            return true;
        }
        let Some(options) = header.0.get(20..end) else {
            s.push_str("OPT (TRUNCATED)");
            return false;
        };
        s.push_str("OPT (");
        for byte in options {
            let _ = write!(s, "{byte:02X}");
        }
        s.push_str(") ");
        true
    }

    fn icmp6(&self, s: &mut String, ip: &Ip, header: Header<'_>, inside: bool) {
        let (kind, code) = (header.byte(0), header.byte(1));
        let _ = write!(s, "TYPE={kind} CODE={code} ");
        match kind {
            icmp6_type::ECHO_REQUEST | icmp6_type::ECHO_REPLY => {
                let _ = write!(s, "ID={} SEQ={} ", header.word(4), header.word(6));
            }
            icmp6_type::DEST_UNREACH..=icmp6_type::PARAMETER_PROBLEM => {
                if kind == icmp6_type::PARAMETER_PROBLEM {
                    header.show(s, "POINTER", format_args!("{:08x}", header.long(4)));
                }
                let inner = match &ip.l4 {
                    L4::Icmp6(icmp) => icmp.inner().filter(|_| !inside),
                    _ => None,
                };
                if let Some(inner) = inner {
                    s.push('[');
                    let bytes = inner.payload_bytes();
                    let quoted = header.0.len().saturating_sub(8 + 40).min(bytes.len());
                    self.packet(s, inner, bytes.get(..quoted).unwrap_or_default(), true);
                    s.push_str("] ");
                }
                if kind == icmp6_type::PACKET_TOO_BIG {
                    header.show(s, "MTU", format_args!("{}", header.long(4)));
                }
            }
            _ => {}
        }
    }

    fn icmp(&self, s: &mut String, ip: &Ip, header: Header<'_>, inside: bool) {
        let (kind, code) = (header.byte(0), header.byte(1));
        let _ = write!(s, "TYPE={kind} CODE={code} ");
        if header.0.len() < icmp_least(kind) {
            header.incomplete(s);
            return;
        }
        match kind {
            icmp_type::ECHO | icmp_type::ECHO_REPLY => {
                let _ = write!(s, "ID={} SEQ={} ", header.word(4), header.word(6));
            }
            icmp_type::PARAMETER_PROBLEM => header.show(s, "PARAMETER", format_args!("{}", header.byte(4))),
            _ if Icmp::is_error_type(kind) => {
                if kind == icmp_type::REDIRECT {
                    let gateway = Ipv4Addr::from_bits(header.long(4));
                    header.show(s, "GATEWAY", format_args!("{gateway}"));
                }
                if let Some(inner) = ip.icmp().and_then(Icmp::inner).filter(|_| !inside) {
                    s.push('[');
                    let bytes = inner.payload_bytes();
                    let quoted = header.0.len().saturating_sub(8 + 20).min(bytes.len());
                    self.packet(s, inner, bytes.get(..quoted).unwrap_or_default(), true);
                    s.push_str("] ");
                }
                // ICMP_FRAG_NEEDED
                if (kind, code) == (icmp_type::DEST_UNREACH, 4) {
                    header.show(s, "MTU", format_args!("{}", header.word(6)));
                }
            }
            _ => {}
        }
    }
}

/// The header of `dump_ipv6_packet`: all digits of the addresses, and the length of the whole.
fn header6(s: &mut String, ip: &Ip, src: Ipv6Addr, dst: Ipv6Addr) {
    for (key, addr) in [("SRC", src), ("DST", dst)] {
        let words = addr.segments().map(|w| format!("{w:04x}"));
        let _ = write!(s, "{key}={} ", words.join(":"));
    }
    let _ = write!(s, "LEN={} TC={} HOPLIMIT={} FLOWLBL=0 ", ip.total_len(), ip.tos, ip.ttl);
}

/// So many bytes a message of that type must have (`required_len`).
fn icmp_least(kind: u8) -> usize {
    match kind {
        icmp_type::TIMESTAMP | icmp_type::TIMESTAMP_REPLY => 20,
        icmp_type::ADDRESS | icmp_type::ADDRESS_REPLY => 12,
        _ if Icmp::is_error_type(kind) => 8 + 20,
        _ => 0,
    }
}

/// The bytes behind an IP header. What is not there is 0.
#[derive(Clone, Copy)]
struct Header<'a>(&'a [u8]);

impl Header<'_> {
    fn byte(self, at: usize) -> u8 {
        self.0.get(at).copied().unwrap_or(0)
    }

    fn word(self, at: usize) -> u16 {
        u16::from_be_bytes([self.byte(at), self.byte(at + 1)])
    }

    fn long(self, at: usize) -> u32 {
        u32::from(self.word(at)) << 16 | u32::from(self.word(at + 2))
    }

    fn show(self, s: &mut String, key: &str, value: std::fmt::Arguments<'_>) {
        let _ = write!(s, "{key}={value} ");
    }

    fn incomplete(self, s: &mut String) {
        let _ = write!(s, "INCOMPLETE [{} bytes] ", self.0.len());
    }
}

const FLAG_WORDS: [(TcpFlags, &str); 8] = [
    (TcpFlags::CWR, "CWR "),
    (TcpFlags::ECE, "ECE "),
    (TcpFlags::URG, "URG "),
    (TcpFlags::ACK, "ACK "),
    (TcpFlags::PSH, "PSH "),
    (TcpFlags::RST, "RST "),
    (TcpFlags::SYN, "SYN "),
    (TcpFlags::FIN, "FIN "),
];
