//! `-j LOG` (net/netfilter/xt_LOG.c, nf_log_syslog.c).

use crate::event::{HookCtx, NfLog, What};
use crate::netfilter::hook::InetHook;
use crate::{Cx, DevId, Netns, Skb, SkbOwner};
use packet::{Family, IcmpBody, Ip, L4, Mac, Protocol, TcpFlags, TcpOptions};
use std::fmt::Write;

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
    pub(super) fn eval(&self, ns: &Netns, skb: &Skb, ctx: &HookCtx, cx: &mut Cx<'_>) {
        cx.printk(skb.id, || self.line(ns, skb, ctx));
    }

    /// `nf_log_packet` without a rule: what conntrack says of a packet, with all that can be said of it, and with its devices if
    /// they are given. Only the first namespace of a machine prints it (`nf_log_all_netns`).
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
        if !ns.is_initial() {
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
            let _ = if self.macdecode {
                write!(s, "MACSRC={src} MACDST={dst} MACPROTO=0800 ")
            } else {
                write!(s, "MAC={dst}:{src}:08:00 ")
            };
        }
        if let Some(ip) = skb.ip() {
            self.packet(&mut s, ip);
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

    fn tcp(&self, s: &mut String, ports: (u16, u16), numbers: (u32, u32), flags: TcpFlags, window: u16) {
        let _ = write!(s, "PROTO=TCP SPT={} DPT={} ", ports.0, ports.1);
        if self.tcp_sequence {
            let _ = write!(s, "SEQ={} ACK={} ", numbers.0, numbers.1);
        }
        let _ = write!(s, "WINDOW={window} RES=0x00 ");
        for (flag, word) in FLAG_WORDS {
            if flags.has(flag) {
                s.push_str(word);
            }
        }
        s.push_str("URGP=0 ");
    }

    /// What can be read of a header that is not whole, or not of the length that it says; of other protocols the number.
    fn fragmentary(&self, s: &mut String, proto: Protocol, bytes: &[u8]) {
        let (name, least) = match proto {
            Protocol::TCP => ("TCP", 20),
            Protocol::UDP => ("UDP", 8),
            Protocol::UDPLITE => ("UDPLITE", 8),
            Protocol::ICMP => ("ICMP", 8),
            _ => {
                let _ = write!(s, "PROTO={} ", proto.0);
                return;
            }
        };
        let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
        let word = |at: usize| u16::from_be_bytes([byte(at), byte(at + 1)]);
        let long = |at: usize| u32::from(word(at)) << 16 | u32::from(word(at + 2));
        if bytes.len() < least {
            let _ = write!(s, "PROTO={name} INCOMPLETE [{} bytes] ", bytes.len());
        } else if proto == Protocol::TCP {
            self.tcp(s, (word(0), word(2)), (long(4), long(8)), TcpFlags(byte(13)), word(14));
            if self.tcp_options && usize::from(byte(12) >> 4) * 4 > bytes.len() {
                s.push_str("OPT (TRUNCATED)");
            }
        } else if proto == Protocol::ICMP {
            let _ = write!(s, "PROTO=ICMP TYPE={} CODE={} ", byte(0), byte(1));
        } else {
            let _ = write!(s, "PROTO={name} SPT={} DPT={} LEN={} ", word(0), word(2), word(4));
        }
    }

    fn packet(&self, s: &mut String, ip: &Ip) {
        let _ = write!(
            s,
            "SRC={} DST={} LEN={} TOS={:#04x} PREC={:#04x} TTL={} ID={} ",
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
        match &ip.l4 {
            L4::Tcp(t) => {
                self.tcp(s, (t.sport, t.dport), (t.seq, t.ack), t.flags, t.window);
                let options = tcp_options(&t.options);
                if self.tcp_options && !options.is_empty() {
                    let _ = write!(s, "OPT ({options}) ");
                }
            }
            L4::Udp(u) => {
                let _ = write!(s, "PROTO=UDP SPT={} DPT={} LEN={} ", u.sport, u.dport, u.payload.len() + 8);
            }
            L4::Icmp(i) => {
                let _ = write!(s, "PROTO=ICMP TYPE={} CODE={} ", i.kind, i.code);
                match &i.body {
                    IcmpBody::Query { id, seq, .. } if matches!(i.kind, 0 | 8) => {
                        let _ = write!(s, "ID={id} SEQ={seq} ");
                    }
                    IcmpBody::Error { inner, gateway, mtu, .. } => {
                        if let Some(gw) = gateway {
                            let _ = write!(s, "GATEWAY={gw} ");
                        }
                        s.push('[');
                        self.packet(s, inner);
                        s.push_str("] ");
                        if *mtu != 0 {
                            let _ = write!(s, "MTU={mtu} ");
                        }
                    }
                    IcmpBody::Query { .. } | IcmpBody::Raw(_) => {}
                }
            }
            L4::Other(proto, bytes) => {
                self.fragmentary(s, *proto, bytes);
            }
        }
    }
}

/// The options of a segment as Linux writes them (`tcp_options_write`, net/ipv4/tcp_output.c), in hexadecimal.
fn tcp_options(o: &TcpOptions) -> String {
    let mut s = String::new();
    if let Some(mss) = o.mss {
        let _ = write!(s, "0204{mss:04X}");
    }
    // SACK-permitted fills the two bytes before a time stamp that are NOPs otherwise.
    match (o.sack_ok, o.ts) {
        (true, Some(_)) => s.push_str("0402"),
        (true, None) => s.push_str("01010402"),
        (false, Some(_)) => s.push_str("0101"),
        (false, None) => {}
    }
    if let Some((value, echo)) = o.ts {
        let _ = write!(s, "080A{value:08X}{echo:08X}");
    }
    if let Some(shift) = o.wscale {
        let _ = write!(s, "010303{shift:02X}");
    }
    s
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

#[cfg(test)]
mod tests {
    use super::tcp_options;
    use packet::TcpOptions;

    /// As Linux 6.18 printed a SYN's options; those of the ACK are in a public listing of a real node.
    #[test]
    fn options_are_printed_as_the_kernel_does() {
        let syn = TcpOptions { mss: Some(1460), sack_ok: true, ts: Some((0x8dc2_e4c1, 0)), wscale: Some(10) };
        let ack = TcpOptions { ts: Some((0x86e3_da04, 0xb75b_bc44)), ..TcpOptions::default() };
        for (options, text) in [
            (syn, "020405B40402080A8DC2E4C1000000000103030A"),
            (ack, "0101080A86E3DA04B75BBC44"),
            (TcpOptions::default(), ""),
        ] {
            assert_eq!(tcp_options(&options), text);
        }
    }
}
