//! The words for events.

use kernel::DropReason;
use kernel::event::CtEventKind;
use kernel::event::{
    BrNfStep, BridgeStep, CtStep, ExpectEventKind, FragStep, IpvsStep, NeighStep, Origin, SocketStep,
    TunnelStep, What,
};
use kernel::netfilter::nat::Manip;
use sim::{Entry, Seen};

/// What `event:` may say.
pub const EVENTS: &[&str] = &[
    "made by a socket",
    "made by REJECT",
    "made by ICMP",
    "RST to a strange segment",
    "routed",
    "forwarded",
    "bridge forwards",
    "bridge floods",
    "bridge passes up",
    "bridge learns",
    "br_netfilter does not call",
    "br_netfilter calls",
    "br_netfilter bridges a DNAT",
    "br_netfilter routes a DNAT",
    "conntrack new",
    "conntrack expected",
    "conntrack found",
    "conntrack ignored",
    "conntrack related",
    "conntrack invalid",
    "conntrack untracked",
    "conntrack table full",
    "conntrack [NEW]",
    "conntrack [UPDATE]",
    "conntrack [DESTROY]",
    "confirmed",
    "expectation [NEW]",
    "expectation [DESTROY]",
    "null binding",
    "ipvs schedules",
    "ipvs has no server",
    "ipvs rewrites",
    "ipvs forwards",
    "fragment waits",
    "fragments joined",
    "fragmented",
    "encapsulated",
    "decapsulated",
    "neighbour failed",
    "socket receives",
    "socket sees an ICMP error",
];

/// What `dropped:` may say, the names of `DropReason`.
pub const REASONS: &[&str] = &[
    "OtherHost",
    "NetfilterDrop",
    "CtInsertFailed",
    "CtTableFull",
    "CtHelper",
    "IpvsNoServer",
    "Stolen",
    "NatIcmpRedirect",
    "MasqueradeMoved",
    "Unreachable",
    "ForwardingDisabled",
    "MartianSource",
    "MartianDestination",
    "RpFilter",
    "TtlExpired",
    "ForwardNotHost",
    "DevDown",
    "BridgeNoHairpin",
    "BridgeSource",
    "BridgeNoPort",
    "NeighFailed",
    "NeighQueueFull",
    "NoSocket",
    "SocketRefused",
    "BadChecksum",
    "NoProtocol",
    "PacketTooBig",
    "TooLongForPeer",
    "TunnelLoop",
    "VxlanNoRemote",
    "VxlanVniNotFound",
    "VxlanSource",
    "FragDuplicate",
    "FragOverlap",
    "FragTooLong",
    "FragTooFar",
    "FragTimeout",
    "FragMemory",
    "NotModelled",
    "NotForUs",
];

/// The name of a reason, one of [`REASONS`].
pub(super) fn reason_name(reason: DropReason) -> &'static str {
    match reason {
        DropReason::OtherHost => "OtherHost",
        DropReason::NetfilterDrop => "NetfilterDrop",
        DropReason::CtInsertFailed => "CtInsertFailed",
        DropReason::CtTableFull => "CtTableFull",
        DropReason::CtHelper => "CtHelper",
        DropReason::IpvsNoServer => "IpvsNoServer",
        DropReason::Stolen => "Stolen",
        DropReason::NatIcmpRedirect => "NatIcmpRedirect",
        DropReason::MasqueradeMoved => "MasqueradeMoved",
        DropReason::Unreachable(_) => "Unreachable",
        DropReason::ForwardingDisabled => "ForwardingDisabled",
        DropReason::MartianSource => "MartianSource",
        DropReason::MartianDestination => "MartianDestination",
        DropReason::RpFilter => "RpFilter",
        DropReason::TtlExpired => "TtlExpired",
        DropReason::ForwardNotHost => "ForwardNotHost",
        DropReason::DevDown => "DevDown",
        DropReason::BridgeNoHairpin => "BridgeNoHairpin",
        DropReason::BridgeSource => "BridgeSource",
        DropReason::BridgeNoPort => "BridgeNoPort",
        DropReason::NeighFailed => "NeighFailed",
        DropReason::NeighQueueFull => "NeighQueueFull",
        DropReason::NoSocket => "NoSocket",
        DropReason::SocketRefused => "SocketRefused",
        DropReason::BadChecksum => "BadChecksum",
        DropReason::NoProtocol => "NoProtocol",
        DropReason::PacketTooBig => "PacketTooBig",
        DropReason::TooLongForPeer => "TooLongForPeer",
        DropReason::TunnelLoop => "TunnelLoop",
        DropReason::VxlanNoRemote => "VxlanNoRemote",
        DropReason::VxlanVniNotFound => "VxlanVniNotFound",
        DropReason::VxlanSource => "VxlanSource",
        DropReason::FragDuplicate => "FragDuplicate",
        DropReason::FragOverlap => "FragOverlap",
        DropReason::FragTooLong => "FragTooLong",
        DropReason::FragTooFar => "FragTooFar",
        DropReason::FragTimeout => "FragTimeout",
        DropReason::FragMemory => "FragMemory",
        DropReason::NotModelled => "NotModelled",
        DropReason::NotForUs => "NotForUs",
    }
}

/// The word for an event, one of [`EVENTS`].
pub(super) fn word(entry: &Entry) -> Option<&'static str> {
    Some(match &*entry.seen {
        Seen::App(_) | Seen::Stimulus(_) => return None,
        Seen::Kernel(what) => match what {
            What::Created { origin, .. } => match origin {
                Origin::Socket(_) => "made by a socket",
                Origin::Reject => "made by REJECT",
                Origin::Icmp => "made by ICMP",
                Origin::TcpReset => "RST to a strange segment",
                _ => return None,
            },
            What::Route(_) => "routed",
            What::Forward { .. } => "forwarded",
            What::Bridge { step, .. } => match step {
                BridgeStep::Forwarded(_) => "bridge forwards",
                BridgeStep::Flooded(_) => "bridge floods",
                BridgeStep::PassedUp | BridgeStep::PassedUpPromiscuous => "bridge passes up",
                BridgeStep::Learned { .. } => "bridge learns",
            },
            What::BrNetfilter { step, .. } => match step {
                BrNfStep::NotCalled { .. } => "br_netfilter does not call",
                BrNfStep::Calls(_) => "br_netfilter calls",
                BrNfStep::BridgedDnat { .. } => "br_netfilter bridges a DNAT",
                BrNfStep::RoutedDnat { .. } => "br_netfilter routes a DNAT",
            },
            What::Conntrack { step, .. } => match step {
                CtStep::New => "conntrack new",
                CtStep::Expected => "conntrack expected",
                CtStep::Found => "conntrack found",
                CtStep::Ignored => "conntrack ignored",
                CtStep::Related => "conntrack related",
                CtStep::Invalid(_) => "conntrack invalid",
                CtStep::Untracked => "conntrack untracked",
                CtStep::TableFull => "conntrack table full",
                CtStep::Attached => return None,
            },
            What::CtEvent(e) => match e.kind {
                CtEventKind::New => "conntrack [NEW]",
                CtEventKind::Update => "conntrack [UPDATE]",
                CtEventKind::Destroy => "conntrack [DESTROY]",
            },
            What::Confirmed(_) => "confirmed",
            What::ExpectEvent(e) => match e.kind {
                ExpectEventKind::New => "expectation [NEW]",
                ExpectEventKind::Destroy => "expectation [DESTROY]",
            },
            What::NatSetup { null: true, manip: Manip::Src | Manip::Dst, .. } => "null binding",
            What::Ipvs { step, .. } => match step {
                IpvsStep::Scheduled(..) => "ipvs schedules",
                IpvsStep::NoServer(_) => "ipvs has no server",
                IpvsStep::Rewritten { .. } => "ipvs rewrites",
                IpvsStep::Forwarded(_) => "ipvs forwards",
            },
            What::Fragment(step) => match step {
                FragStep::Waits => "fragment waits",
                FragStep::Reassembled { .. } => "fragments joined",
                FragStep::Cut { .. } => "fragmented",
                _ => return None,
            },
            What::Tunnel { step, .. } => match step {
                TunnelStep::Encapsulated { .. } => "encapsulated",
                TunnelStep::Decapsulated { .. } => "decapsulated",
            },
            What::Neigh { step: NeighStep::Failed, .. } => "neighbour failed",
            What::Socket { step, .. } => match step {
                SocketStep::Received(_) => "socket receives",
                SocketStep::IcmpError { .. } => "socket sees an ICMP error",
                _ => return None,
            },
            _ => return None,
        },
    })
}

/// Whether a text fits a pattern in which `*` stands for any letters.
pub(super) fn fits(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return text.ends_with(part);
        }
        let Some(at) = text.find(part) else { return false };
        text = text.get(at + part.len()..).unwrap_or_default();
    }
    true
}

/// Whether a line has this text in it; `*` stands for anything between.
pub(crate) fn has(pattern: &str, line: &str) -> bool {
    fits(&format!("*{pattern}*"), line)
}

#[cfg(test)]
mod tests {
    use super::{EVENTS, fits, has};

    #[test]
    fn a_star_stands_for_any_letters() {
        for (pattern, text, want) in [
            ("nat KUBE-SVC-*", "nat KUBE-SVC-A5DEC2RXT22GYINZ", true),
            ("nat KUBE-SVC-*", "nat KUBE-SEP-X", false),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "a1c2b", false),
            ("abc", "abcd", false),
            ("*", "", true),
        ] {
            assert_eq!(fits(pattern, text), want, "{pattern} {text}");
        }
        assert!(has("b*d", "abcde") && !has("d*b", "abcde"));
    }

    #[test]
    fn every_word_is_there_once() {
        for (i, word) in EVENTS.iter().enumerate() {
            assert!(!EVENTS[..i].contains(word), "{word}");
        }
    }
}
