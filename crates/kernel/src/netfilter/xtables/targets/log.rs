//! `-j LOG` (net/netfilter/xt_LOG.c, nf_log_syslog.c).

use crate::event::HookCtx;
use crate::netfilter::hook::InetHook;
use crate::{Cx, DevId, Netns, Skb};
use packet::{IcmpBody, Ip, L4, TcpFlags};
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
            self.packet(&mut s, ip, ctx.hook == InetHook::LocalOut);
        }
        if skb.mark != 0 {
            let _ = write!(s, "MARK={:#x} ", skb.mark);
        }
        s
    }

    fn packet(&self, s: &mut String, ip: &Ip, local_out: bool) {
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
                let _ = write!(s, "PROTO=TCP SPT={} DPT={} ", t.sport, t.dport);
                if self.tcp_sequence {
                    let _ = write!(s, "SEQ={} ACK={} ", t.seq, t.ack);
                }
                let _ = write!(s, "WINDOW={} RES=0x00 ", t.window);
                for (flag, word) in FLAG_WORDS {
                    if t.flags.has(flag) {
                        s.push_str(word);
                    }
                }
                s.push_str("URGP=0 ");
            }
            L4::Udp(u) => {
                let _ = write!(s, "PROTO=UDP SPT={} DPT={} LEN={} ", u.sport, u.dport, u.payload.len() + 8);
            }
            L4::Icmp(i) => {
                let _ = write!(s, "PROTO=ICMP TYPE={} CODE={} ", i.kind, i.code);
                match &i.body {
                    IcmpBody::Query { id, seq, .. } => {
                        let _ = write!(s, "ID={id} SEQ={seq} ");
                    }
                    IcmpBody::Error { inner, gateway, mtu } => {
                        if let Some(gw) = gateway {
                            let _ = write!(s, "GATEWAY={gw} ");
                        }
                        s.push('[');
                        self.packet(s, inner, false);
                        s.push_str("] ");
                        if *mtu != 0 {
                            let _ = write!(s, "MTU={mtu} ");
                        }
                    }
                    IcmpBody::Raw(_) => {}
                }
            }
            L4::Other(proto, _) => {
                let _ = write!(s, "PROTO={} ", proto.0);
            }
        }
        if self.uid && local_out {
            s.push_str("UID=0 GID=0 ");
        }
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
