//! What conntrack writes about invalid packets (`nf_conntrack_log_invalid`): `nf_l4proto_log_invalid`,
//! net/netfilter/nf_conntrack_proto.c. The words are those of 6.18.
//!
//! They are made from what the packet has left behind, once it is judged: who does not log pays nothing for them.

use super::core::template;
use super::sctp::SctpTrack;
use super::seqadj::as_measured;
use super::{Conn, Direction, Tuple};
use crate::event::{CtStep, HookCtx};
use crate::netfilter::xtables::targets::Log;
use crate::{Ct, Cx, Instant, Netns, Skb};
use packet::{Ip, L4, Protocol, Sctp};

/// Logs the packet, if its protocol's are logged and there is something to say. `before` is what it was before conntrack saw it.
pub(super) fn log_invalid(ns: &Netns, skb: &Skb, before: Ct, ctx: &HookCtx, step: CtStep, cx: &mut Cx<'_>) {
    let Some(ip) = skb.ip() else { return };
    let proto = ip.protocol().0;
    if ns.ct.settings.log_invalid != proto && ns.ct.settings.log_invalid != u8::MAX {
        return;
    }
    let entry = Tuple::of(ip).and_then(|tuple| {
        let (conn, dir) = ns.ct.find(&tuple, template(before).zone_of(skb.mark), cx.now)?;
        Some((ns.ct.get(conn)?, dir))
    });
    if let Some(words) = words(ns, ip, entry, step, cx.now) {
        Log::without_rule(ns, skb, Some(ctx), format!("nf_ct_proto_{proto}: {words} "), cx);
    }
}

fn words(
    ns: &Netns,
    ip: &Ip,
    entry: Option<(&Conn, Direction)>,
    step: CtStep,
    now: Instant,
) -> Option<String> {
    let reason = match step {
        CtStep::Invalid(reason) => reason,
        CtStep::Ignored => "",
        _ => return None,
    };
    let plain = reason.split_once(": ").map_or("", |(_, words)| words);
    match (&ip.l4, plain) {
        (L4::Tcp(tcp), "" | "invalid state" | "SEQ is over upper bound" | "ACK is over upper bound") => {
            let (c, dir) = entry?;
            let measured = c.seqadj().map(|all| as_measured(all, dir, tcp));
            Some(c.tcp.as_deref()?.why(dir, measured.as_ref().unwrap_or(tcp)))
        }
        (_, "bad HW ICMP checksum") => Some("bad hw icmp checksum".to_owned()),
        (L4::Icmp(icmp), "outer daddr != inner saddr") => {
            // The entry is that of the quoted packet.
            let (conn, dir) =
                ns.ct.find(&Tuple::of(icmp.inner()?)?.invert()?, super::Zone::default(), now)?;
            let meant = ns.ct.get(conn)?.tuple(dir).dst();
            Some(format!("outer daddr {} != inner {meant}", ip.dst))
        }
        (L4::Other(Protocol::SCTP, bytes), _) => match plain {
            // These two have a prefix and a blank of their own.
            "bad CRC" | "short packet" => Some(format!("{reason} ")),
            _ => {
                SctpTrack::why(entry.and_then(|(c, dir)| Some((c.sctp()?, dir))), &Sctp::parse(bytes)?, plain)
            }
        },
        (L4::Other(Protocol::TCP, bytes), "truncated/malformed packet") => {
            // Without a whole header conntrack has nothing to say.
            (bytes.len() >= 20).then(|| "truncated packet".to_owned())
        }
        (L4::Other(Protocol::UDP | Protocol::ICMP, bytes), "truncated/malformed packet") => {
            Some(if bytes.len() < 8 { "short packet" } else { plain }.to_owned())
        }
        (
            _,
            "bad checksum"
            | "invalid tcp flag combination"
            | "invalid new"
            | "invalid rst"
            | "invalid icmp type"
            | "short packet"
            | "checksum missing"
            | "invalid checksum coverage",
        ) => Some(plain.to_owned()),
        _ => None,
    }
}
