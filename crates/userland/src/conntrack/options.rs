//! The options of `conntrack`, and which command takes which.

use super::ConntrackOp;

/// What an option is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    OrigSrc,
    OrigDst,
    ReplySrc,
    ReplyDst,
    Proto,
    Timeout,
    Status,
    Zero,
    EventMask,
    Tuple,
    Mask,
    Mark,
    Family,
    SrcNat,
    DstNat,
    Output,
    Buffer,
    AnyNat,
    Zone,
    OrigZone,
    ReplyZone,
    Secmark,
    Label,
    Sport,
    Dport,
    ReplySport,
    ReplyDport,
    State,
    IcmpType,
    IcmpCode,
    IcmpId,
    NotModelled,
}

/// What stands behind an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Nothing,
    Value,
    /// A value, unless another option follows.
    Maybe,
}

use Takes::{Maybe, Nothing, Value};

/// Short name, long names; the first long name is that of messages.
pub(super) const OPTIONS: &[(&str, &[&str], Takes, What)] = &[
    ("-s", &["--src", "--orig-src"], Value, What::OrigSrc),
    ("-d", &["--dst", "--orig-dst"], Value, What::OrigDst),
    ("-r", &["--reply-src"], Value, What::ReplySrc),
    ("-q", &["--reply-dst"], Value, What::ReplyDst),
    ("-p", &["--protonum", "--proto"], Value, What::Proto),
    ("-t", &["--timeout"], Value, What::Timeout),
    ("-u", &["--status"], Value, What::Status),
    ("-z", &["--zero"], Nothing, What::Zero),
    ("-e", &["--event-mask"], Value, What::EventMask),
    ("-[", &["--tuple-src"], Value, What::Tuple),
    ("-]", &["--tuple-dst"], Value, What::Tuple),
    ("-{", &["--mask-src"], Value, What::Mask),
    ("-}", &["--mask-dst"], Value, What::Mask),
    ("-m", &["--mark"], Value, What::Mark),
    ("-f", &["--family"], Value, What::Family),
    ("-n", &["--src-nat"], Maybe, What::SrcNat),
    ("-g", &["--dst-nat"], Maybe, What::DstNat),
    ("-j", &["--any-nat"], Maybe, What::AnyNat),
    ("-o", &["--output"], Value, What::Output),
    ("-b", &["--buffer-size"], Value, What::Buffer),
    ("-w", &["--zone"], Value, What::Zone),
    ("-l", &["--label"], Value, What::Label),
    ("-<", &["--label-add"], Value, What::Label),
    ("->", &["--label-del"], Maybe, What::Label),
    ("-i", &["--id"], Value, What::NotModelled),
    ("-c", &["--secmark"], Value, What::Secmark),
    ("-(", &["--orig-zone"], Value, What::OrigZone),
    ("-)", &["--reply-zone"], Value, What::ReplyZone),
    ("-R", &["--load-file"], Value, What::NotModelled),
    ("", &["--sport", "--orig-port-src"], Value, What::Sport),
    ("", &["--dport", "--orig-port-dst"], Value, What::Dport),
    ("", &["--reply-port-src"], Value, What::ReplySport),
    ("", &["--reply-port-dst"], Value, What::ReplyDport),
    ("", &["--state"], Value, What::State),
    ("", &["--icmp-type"], Value, What::IcmpType),
    ("", &["--icmp-code"], Value, What::IcmpCode),
    ("", &["--icmp-id"], Value, What::IcmpId),
];

/// Protocols that the tool knows by name.
pub(super) const PROTOCOLS: [(&str, u8); 8] = [
    ("tcp", 6),
    ("udp", 17),
    ("udplite", 136),
    ("icmp", 1),
    ("icmpv6", 58),
    ("sctp", 132),
    ("dccp", 33),
    ("gre", 47),
];

/// Protocols with ports.
pub(super) fn has_ports(proto: u8) -> bool {
    [6, 17, 33, 132, 136].contains(&proto)
}

impl What {
    /// True if the option exists once this protocol has been named.
    pub(super) fn belongs_to(self, proto: u8) -> bool {
        match self {
            What::Sport | What::Dport | What::ReplySport | What::ReplyDport => has_ports(proto),
            What::State => proto == 6,
            What::IcmpType | What::IcmpCode | What::IcmpId => proto == 1,
            _ => true,
        }
    }

    /// One of the four addresses.
    pub(super) fn is_address(self) -> bool {
        matches!(self, What::OrigSrc | What::OrigDst | What::ReplySrc | What::ReplyDst)
    }

    /// The name in messages.
    pub(super) fn long_name(self) -> &'static str {
        let long = OPTIONS.iter().find(|(.., w)| *w == self).and_then(|(_, long, ..)| long.first());
        long.map_or("", |l| l.trim_start_matches('-'))
    }
}

/// What a command cannot do without.
pub(super) fn required(op: ConntrackOp, expect: bool) -> &'static [What] {
    match op {
        ConntrackOp::Get | ConntrackOp::Delete | ConntrackOp::Create if expect => {
            &[What::OrigSrc, What::OrigDst, What::Proto]
        }
        ConntrackOp::Create | ConntrackOp::Add => &[What::Proto, What::Timeout],
        ConntrackOp::Get => &[What::Proto],
        _ => &[],
    }
}

/// What a command does not take.
pub(super) fn illegal(op: ConntrackOp, expect: bool, what: What) -> bool {
    match (op, expect) {
        (_, false) if what == What::Tuple => true,
        (ConntrackOp::List, true) => !matches!(what, What::Family | What::Output),
        (ConntrackOp::Events, true) => {
            !matches!(what, What::Family | What::Output | What::EventMask | What::Buffer)
        }
        (ConntrackOp::Flush, false) => what != What::Family,
        (
            ConntrackOp::Flush
            | ConntrackOp::Count
            | ConntrackOp::Stats
            | ConntrackOp::Version
            | ConntrackOp::Help,
            _,
        ) => true,
        (ConntrackOp::List, false) => matches!(what, What::Timeout | What::EventMask | What::Buffer),
        (ConntrackOp::Events, false) => matches!(what, What::Timeout | What::Status | What::Zero),
        (ConntrackOp::Get, false) if matches!(what, What::Timeout | What::Status | What::Mark) => true,
        (ConntrackOp::Get, false) if matches!(what, What::SrcNat | What::DstNat) => true,
        (ConntrackOp::Get | ConntrackOp::Create | ConntrackOp::Add, false)
            if matches!(what, What::Mask | What::Family) =>
        {
            true
        }
        (ConntrackOp::Create | ConntrackOp::Add, false) if what == What::Output => true,
        (ConntrackOp::Get | ConntrackOp::Update, false)
            if matches!(what, What::Zone | What::OrigZone | What::ReplyZone) =>
        {
            true
        }
        _ => matches!(what, What::Zero | What::EventMask | What::Buffer | What::AnyNat | What::Secmark),
    }
}
