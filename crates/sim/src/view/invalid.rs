//! Why conntrack calls a packet INVALID, and what would have been valid.

use super::end::{At, End};
use kernel::event::What;
use kernel::netfilter::conntrack::Row;
use packet::{Frame, Ip, Tcp, TcpFlags};

/// The words behind the protocol's name, what was looked at, what it was, what is valid, and what would let it through.
type Reason = (&'static str, &'static str, &'static str, &'static str, &'static str);

const FLOW: &str =
    "Both directions of the flow on the way through this box: then conntrack has seen how it began.";
const DAMAGED: &str = "A packet that is not damaged, or net.netfilter.nf_conntrack_checksum=0.";
const WHOLE: &str = "A whole packet, with its header.";
const LIBERAL: &str = "sysctl -w net.netfilter.nf_conntrack_tcp_be_liberal=1: windows are not looked at.";

/// All reasons. The kernel's words are the key (net/netfilter/nf_conntrack_proto_*.c).
const REASONS: [Reason; 25] = [
    ("SEQ is over upper bound", "sequence number", "beyond the window of the receiver", "inside it", LIBERAL),
    (
        "ACK is over upper bound",
        "acknowledgement",
        "of data that conntrack has not seen",
        "of data that it has seen",
        LIBERAL,
    ),
    (
        "invalid state",
        "flags and the entry's state",
        "do not follow one another",
        "a segment that may come in this state",
        FLOW,
    ),
    (
        "invalid rst",
        "sequence number of the RST",
        "before what the other side has acknowledged",
        "at the edge of the window",
        "sysctl -w net.netfilter.nf_conntrack_tcp_ignore_invalid_rst=1, or a RST with the right number.",
    ),
    ("invalid new", "flags of a first segment", "not those of one", "SYN", FLOW),
    (
        "not picking up existing connection",
        "first segment that conntrack sees",
        "not a SYN, and nf_conntrack_tcp_loose is 0",
        "a SYN",
        "sysctl -w net.netfilter.nf_conntrack_tcp_loose=1",
    ),
    (
        "invalid tcp flag combination",
        "flags",
        "no stack sends them together",
        "a combination that exists",
        "A sender that sets its flags as RFC 9293 says.",
    ),
    ("bad checksum", "checksum", "wrong", "right", DAMAGED),
    ("bad HW ICMP checksum", "checksum", "wrong", "right", DAMAGED),
    ("ICMPv6 checksum failed", "checksum", "wrong", "right", DAMAGED),
    ("bad CRC", "checksum", "wrong", "right", DAMAGED),
    ("checksum missing", "checksum", "none", "a right one", "A sender that sets it."),
    (
        "invalid checksum coverage",
        "bytes that the checksum covers",
        "not the header, or more than there are",
        "8 up to the length",
        "A sender that sets it right.",
    ),
    ("short packet", "length", "less than a header", "a header or more", WHOLE),
    ("truncated/malformed packet", "length", "less than the headers say", "what they say", WHOLE),
    ("can't get tuple", "addresses and ports", "cannot be read", "a header that conntrack knows", WHOLE),
    (
        "can't invert tuple",
        "the answer to such a packet",
        "there is none",
        "a kind of packet that is answered",
        "A request, not an answer.",
    ),
    ("can't create a new ct with this type", "ICMP type of a first packet", "an answer", "a request", FLOW),
    ("invalid new with type", "ICMPv6 type of a first packet", "an answer", "a request", FLOW),
    ("invalid icmp type", "ICMP type", "unknown", "one that is assigned", "A type that exists."),
    ("no inner tuple", "packet that the error quotes", "cannot be read", "the headers of a packet", WHOLE),
    (
        "can't invert inner tuple",
        "packet that the error quotes",
        "of a kind that has no answer",
        "a packet of a flow",
        "An error about a packet of a flow.",
    ),
    ("no flow for the quoted packet", "entry of the packet that the error quotes", "none", "one", FLOW),
    (
        "outer daddr != inner saddr",
        "to whom the error goes",
        "not to the sender of the packet that it quotes",
        "to that sender",
        "An error that is sent to the address which the quoted packet came from.",
    ),
    ("not IP", "payload", "not IP", "IP", "Conntrack knows IP only."),
];

/// Those of SCTP.
const SCTP: [Reason; 5] = [
    (
        "verification tag check failed",
        "verification tag",
        "not the association's",
        "the one of its INIT",
        FLOW,
    ),
    ("invalid chunks", "chunks", "malformed", "whole ones", WHOLE),
    ("not a new association", "first chunk that conntrack sees", "not INIT", "INIT", FLOW),
    (
        "invalid state transition",
        "chunk and the entry's state",
        "do not follow one another",
        "a chunk that may come in this state",
        FLOW,
    ),
    ("short INIT", "length of the INIT", "too short", "a whole one", WHOLE),
];

/// Why conntrack calls the packet INVALID.
pub(super) fn invalid(at: &At<'_>, reason: &str, frame: &Frame) -> End {
    let plain = reason.split_once(": ").map_or(reason, |(_, words)| words);
    let mut end = End::by(format!("conntrack: {reason}"));
    let known = REASONS.iter().chain(&SCTP).find(|r| r.0 == plain);
    if let Some((_, what, was, needed, through)) = known {
        end = end.look(*what, *was, *needed).or(*through);
    }
    if let Some((ip, tcp)) = frame.ip().and_then(|ip| Some((ip, ip.tcp()?)))
        && let Some(row) = entry(at, ip, tcp)
    {
        end = tcp_numbers(end, plain, ip, tcp, &row);
    }
    end.or("What INVALID leads to is up to the rules: one that drops it (-m conntrack --ctstate INVALID -j DROP) or none.")
}

/// The entry that the packet belongs to, as it was last told of.
fn entry(at: &At<'_>, ip: &Ip, tcp: &Tcp) -> Option<Row> {
    let log = at.world.log().entries();
    let earlier = log.get(..at.event.index()).unwrap_or_default().iter().rev();
    earlier
        .filter(|e| e.host == at.ns.id)
        .filter_map(|e| match e.what()? {
            What::Conntrack { row: Some(row), .. } => Some(&**row),
            What::CtEvent(e) => Some(&e.row),
            _ => None,
        })
        .find(|row| {
            [&row.orig, &row.reply]
                .into_iter()
                .any(|t| (t.src(), t.dst(), t.sport(), t.dport()) == (ip.src, ip.dst, tcp.sport, tcp.dport))
        })
        .copied()
}

fn tcp_numbers(end: End, plain: &str, ip: &Ip, tcp: &Tcp, row: &Row) -> End {
    let Some(track) = row.tcp else { return end };
    let original = (row.orig.src(), row.orig.sport()) == (ip.src, tcp.sport);
    let (me, peer) = if original { (0, 1) } else { (1, 0) };
    let (me, peer) = (&track.seen[me], &track.seen[peer]);
    match plain {
        "SEQ is over upper bound" => end.look("seq", tcp.seq.to_string(), format!("{} or less", me.maxend)),
        "ACK is over upper bound" => end.look("ack", tcp.ack.to_string(), format!("{} or less", peer.end)),
        "invalid rst" => end.look("seq", tcp.seq.to_string(), format!("{} or more", peer.maxack)),
        "invalid state" => end.look(
            "state of the entry",
            track.state.name(),
            format!("one in which {} may come", flags(tcp)),
        ),
        _ => end,
    }
}

fn flags(tcp: &Tcp) -> String {
    let names =
        [(TcpFlags::SYN, "SYN"), (TcpFlags::ACK, "ACK"), (TcpFlags::FIN, "FIN"), (TcpFlags::RST, "RST")];
    let set: Vec<&str> = names.into_iter().filter(|(f, _)| tcp.flags.has(*f)).map(|(_, n)| n).collect();
    set.join("-")
}

#[cfg(test)]
mod tests {
    use super::{REASONS, SCTP};

    const SOURCES: [&str; 4] = [
        include_str!("../../../kernel/src/netfilter/conntrack/core.rs"),
        include_str!("../../../kernel/src/netfilter/conntrack/tcp.rs"),
        include_str!("../../../kernel/src/netfilter/conntrack/tcp_window.rs"),
        include_str!("../../../kernel/src/netfilter/conntrack/sctp.rs"),
    ];

    /// Every reason that the engine's source gives.
    fn given() -> Vec<&'static str> {
        let texts = SOURCES.iter().flat_map(|s| s.split('"').skip(1).step_by(1));
        let mut all: Vec<&str> =
            texts.filter(|t| t.starts_with("nf_ct") && t.contains(": ") && !t.contains('{')).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    #[test]
    fn the_source_gives_reasons() {
        assert!(given().len() > 20, "{:?}", given());
    }

    #[test]
    fn every_reason_that_the_engine_gives_is_explained() {
        for reason in given() {
            let plain = reason.split_once(": ").unwrap().1;
            assert!(REASONS.iter().chain(&SCTP).any(|r| r.0 == plain), "{reason}");
        }
    }
}
