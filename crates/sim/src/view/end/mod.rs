//! The end of a packet, or what stands in its way: where, by what, what was looked at, and what would let it through.
//!
//! Every [`DropReason`] has an answer (`reason`), and every reason of conntrack to call a packet INVALID (`invalid`). What a
//! rule or a routing decision saw is read off the log; settings are read off the box. That a setting had the value which
//! ended the packet, the log says; so it is not read again.

mod link;
mod routing;
mod socket;

use super::invalid::invalid;
use super::text::flow_text;
use super::topology::has_address;
use super::why::{Token, rule_parts};
use super::{Step, Tone};
use crate::log::Seen;
use crate::{EventId, World};
use kernel::event::{BrNfStep, CtStep, IpvsStep, NeighStep, NftOutcome, Origin, RuleOutcome, What};
use kernel::netfilter::conntrack::Row;
use kernel::netfilter::nftables::NftVerdict;
use kernel::netfilter::xtables::Verdict;
use kernel::netfilter::xtables::targets::Target;
use kernel::{DevId, DropReason, Netns, PacketId};
use link::unclaimed;
pub use link::{neighbour_with, pinned_port};
use packet::{Frame, Ip};
use routing::{martian_destination, martian_source, no_neighbour, rp_filter, unreachable};
use socket::no_socket;

/// Something that decided: what it is, what it was, and what it would have had to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// What was looked at.
    pub what: String,
    /// What it was.
    pub was: String,
    /// What would have let the packet through.
    pub needed: String,
}

/// The answer to "why?" for an end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// Box, device and hook.
    pub place: String,
    /// The rule, or the part of the kernel.
    pub by: String,
    /// What was looked at.
    pub looked: Vec<Looked>,
    /// What would let it through, in words; one of them is enough.
    pub through: Vec<String>,
}

impl End {
    pub(super) fn by(by: impl Into<String>) -> End {
        End { by: by.into(), ..End::default() }
    }

    pub(super) fn look(
        mut self,
        what: impl Into<String>,
        was: impl Into<String>,
        needed: impl Into<String>,
    ) -> End {
        self.looked.push(Looked { what: what.into(), was: was.into(), needed: needed.into() });
        self
    }

    pub(super) fn or(mut self, through: impl Into<String>) -> End {
        self.through.push(through.into());
        self
    }
}

/// What is known of the packet at an event.
pub(super) struct At<'a> {
    pub world: &'a World,
    pub ns: &'a Netns,
    pub event: EventId,
    pub packet: PacketId,
    /// The device that the event names, or the one by which the packet came in.
    pub dev: Option<DevId>,
}

impl At<'_> {
    pub(super) fn dev_name(&self) -> &str {
        self.dev.map_or("the device", |d| self.ns.dev_name(d))
    }

    /// The event itself.
    pub(super) fn this(&self) -> Option<&What> {
        self.world.log().get(self.event).and_then(|e| e.what())
    }

    /// The events of the packet in this box before this one, the latest first.
    pub(super) fn before(&self) -> impl Iterator<Item = &What> + '_ {
        let log = self.world.log().entries();
        let earlier = log.get(..self.event.index()).unwrap_or_default().iter().rev();
        let mine = earlier.filter(|e| e.host == self.ns.id && e.packet == Some(self.packet));
        mine.filter_map(|e| e.what())
    }
}

/// Why a packet ends at a step, or is kept from what it came for; `None` for a step at which it goes on as it should.
pub fn end(world: &World, step: &Step) -> Option<End> {
    let (ns, entry) = (world.host(step.host)?, world.log().get(step.key)?);
    let Seen::Kernel(what) = &*entry.seen else { return None };
    let packet = entry.packet?;
    let mut at = At { world, ns, event: step.key, packet, dev: None };
    at.dev = device_of(what).or_else(|| at.before().find_map(device_of));
    let end = match what {
        What::Drop { reason: DropReason::OtherHost, frame, .. } if step.tone == Tone::Bad => {
            unclaimed(&at, frame)
        }
        What::Neigh { step: NeighStep::Waiting, addr, .. } if step.tone == Tone::Bad => {
            no_neighbour(&at, &addr.to_string())
        }
        what => answer(&at, what)?,
    };
    Some(End { place: place(&at, what, step), ..end })
}

fn device_of(what: &What) -> Option<DevId> {
    match what {
        What::Drop { dev, .. } => *dev,
        What::Tap { dev, .. } | What::Neigh { dev, .. } => Some(*dev),
        _ => None,
    }
}

/// `node1 · veth1 · FORWARD`
fn place(at: &At<'_>, what: &What, step: &Step) -> String {
    let hook = step.hook().or_else(|| match what {
        // A drop follows what dropped it.
        What::Drop { reason: DropReason::NetfilterDrop, .. } => at.before().find_map(|w| match w {
            What::Rule(r) => Some(r.ctx.hook),
            What::Nft(r) => Some(r.ctx.hook),
            _ => None,
        }),
        _ => None,
    });
    let dev = at.dev.map(|d| at.ns.dev_name(d).to_owned());
    let parts = [Some(at.ns.name.clone()), dev, hook.map(|h| h.chain().to_owned())];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

fn answer(at: &At<'_>, what: &What) -> Option<End> {
    match what {
        What::Drop { reason, frame, .. } => Some(reason_of(at, *reason, frame)),
        What::Rule(_) | What::Nft(_) => verdict(at.ns, what),
        What::Route(e) => {
            let reason = e.outcome.err()?;
            let frame = super::frame_at(at.world, at.packet, at.event)?;
            Some(reason_of(at, reason, &frame))
        }
        What::Conntrack { step: CtStep::Invalid(reason), .. } => {
            let frame = super::frame_at(at.world, at.packet, at.event)?;
            Some(invalid(at, reason, &frame))
        }
        What::Conntrack { step: CtStep::TableFull, .. } => Some(table_full(at.ns)),
        What::Conntrack { step: CtStep::New, row: Some(row), .. } => no_helper(at, row),
        What::Ipvs { step: IpvsStep::NoServer(_), .. } => {
            let frame = super::frame_at(at.world, at.packet, at.event)?;
            Some(reason_of(at, DropReason::IpvsNoServer, &frame))
        }
        What::Neigh { step: NeighStep::Failed, addr, .. } => Some(no_neighbour(at, &addr.to_string())),
        // A switch is no place for rules.
        What::BrNetfilter { .. } if !has_address(at.ns) => None,
        What::BrNetfilter { step: BrNfStep::NotCalled { loaded, hook }, bridge } => {
            Some(not_called(at.ns, *loaded, hook.chain(), at.ns.dev_name(*bridge)))
        }
        What::Created { origin: Origin::TcpReset, frame, parent } => {
            let asked = parent.and_then(|p| super::frame_at(at.world, p, at.event));
            Some(no_socket(at, asked.as_deref().unwrap_or(frame)))
        }
        _ => None,
    }
}

// ---------------------------------------------------------------------- rules

/// A rule or a policy that ends the packet.
fn verdict(ns: &Netns, what: &What) -> Option<End> {
    match what {
        What::Rule(step) => {
            let by = |what: &str| End::by(format!("{what}, table {}", step.table));
            match &step.outcome {
                RuleOutcome::Match { rule, .. }
                    if matches!(rule.target, Target::Drop | Target::Reject(_)) =>
                {
                    let end = by(&format!("rule {} of {}", step.n, step.chain));
                    Some(matched(end, &rule_parts(ns, step), &step.chain))
                }
                RuleOutcome::Policy(Verdict::Drop) => Some(
                    by(&format!("the policy of {}", step.chain))
                        .look(format!("policy of {}", step.chain), "DROP", "ACCEPT")
                        .or(format!(
                            "A rule in {} that matches the packet and accepts it, before its end.",
                            step.chain
                        ))
                        .or(format!(
                            "The policy ACCEPT: iptables -t {} -P {} ACCEPT.",
                            step.table, step.chain
                        )),
                ),
                _ => None,
            }
        }
        What::Nft(step) => {
            let by = |what: &str| End::by(format!("{what}, table {} {}", step.family, step.table));
            match &step.outcome {
                NftOutcome::Match { verdict: NftVerdict::Drop, .. } => {
                    let end = by(&format!("rule {} of {}", step.n, step.chain));
                    Some(matched(end, &super::nft::parts(ns, step), &step.chain))
                }
                NftOutcome::Policy(Verdict::Drop) => Some(
                    by(&format!("the policy of {}", step.chain))
                        .look(format!("policy of {}", step.chain), "drop", "accept")
                        .or(format!(
                            "A rule in {} that matches the packet and accepts it, before its end.",
                            step.chain
                        )),
                ),
                _ => None,
            }
        }
        _ => None,
    }
}

/// A rule whose every part held.
fn matched(mut end: End, tokens: &[Token], chain: &str) -> End {
    let asked = tokens.iter().filter(|t| t.ok == Some(true));
    for t in asked {
        end = end.look(&*t.text, &*t.seen, format!("anything that is not “{}”", t.text));
    }
    if end.looked.is_empty() {
        end = end.look(
            "condition of the rule",
            "none: it matches every packet",
            "one that this packet does not meet",
        );
    }
    end.or(format!("A rule before it in {chain} that accepts the packet."))
        .or("One part of this rule that does not hold for the packet.")
}

/// What netfilter dropped the packet by: the last rule or policy that did so.
fn by_netfilter(at: &At<'_>) -> End {
    let said = at.before().take_while(|w| !matches!(w, What::Hook(_) | What::Tap { .. }));
    let found = said.filter_map(|w| verdict(at.ns, w)).next();
    found.unwrap_or_else(|| {
        End::by("a target that found no way to do what it says")
            .look("address to translate to", "none", "an address of the device by which the packet leaves")
            .or("An address on the device that the packet leaves by.")
    })
}

// ---------------------------------------------------------------------- each reason

fn ip(frame: &Frame) -> Option<&Ip> {
    frame.ip()
}

fn src(frame: &Frame) -> String {
    ip(frame).map_or("?".to_owned(), |ip| ip.src.to_string())
}

fn dst(frame: &Frame) -> String {
    ip(frame).map_or("?".to_owned(), |ip| ip.dst.to_string())
}

fn length(frame: &Frame) -> String {
    ip(frame).map_or("?".to_owned(), |ip| format!("{} bytes", ip.total_len()))
}

/// The answer for a reason. Without a wildcard, so that a new reason cannot be forgotten.
#[allow(clippy::too_many_lines, reason = "one arm for each reason: a table")]
pub(super) fn reason_of(at: &At<'_>, reason: DropReason, frame: &Frame) -> End {
    let (ns, dev) = (at.ns, at.dev_name());
    let mac = at.dev.and_then(|d| ns.device(d)).map_or("its own".to_owned(), |d| d.mac.to_string());
    let mtu = at.dev.and_then(|d| ns.device(d)).map_or("?".to_owned(), |d| d.mtu.to_string());
    match reason {
        DropReason::OtherHost => End::by("the device")
            .look("destination MAC", frame.dst.to_string(), mac)
            .or("Nothing: this is a copy for somebody else, and the bridge or a capture has seen it."),
        DropReason::ForwardNotHost => End::by("ip_forward()")
            .look("destination MAC", frame.dst.to_string(), mac)
            .or("A frame that is addressed to this box: its sender must have this box as its gateway."),
        DropReason::NetfilterDrop => by_netfilter(at),
        DropReason::CtInsertFailed => End::by("conntrack, when it confirms the entry")
            .look("the entry's tuples", "taken by the entry of another packet since", "free")
            .or("The second packet a moment later: then it finds the first one's entry.")
            .or("For source NAT a port that nobody else draws: --random-fully."),
        DropReason::CtTableFull => table_full(ns),
        DropReason::CtHelper => End::by("a conntrack helper")
            .look("announcing the flow that follows", "not possible", "room among the expectations")
            .or("Fewer flows that are announced and do not come, or a larger nf_conntrack_expect_max."),
        DropReason::IpvsNoServer => {
            let to = flow_text(frame);
            End::by("IPVS")
                .look(format!("real servers of the virtual server for {to}"), "none that takes it", "one with a weight above 0")
                .or("A ready endpoint behind the Service, or ipvsadm -a with a real server.")
        }
        DropReason::Stolen => End::by("a hook function")
            .look("who goes on with it", "that function", "–")
            .or("Nothing: the packet goes on by another way."),
        DropReason::NatIcmpRedirect => End::by("nat")
            .look("ICMP type", "redirect, about a translated flow", "any other")
            .or("Nothing is lost: it is only a hint about a better gateway."),
        DropReason::MasqueradeMoved => End::by("nat")
            .look("device by which the flow leaves", dev, "the one whose address the entry has")
            .or("The route that the flow had when it began.")
            .or("A new entry: conntrack -D for the old one."),
        DropReason::Unreachable(u) => unreachable(at, u, frame),
        DropReason::ForwardingDisabled => End::by("ip_forward")
            .look(format!("{} an address of {}", dst(frame), ns.name), "no: it would have to be forwarded", "yes")
            .look(format!("net.ipv4.conf.{dev}.forwarding"), "0", "1")
            .or("sysctl -w net.ipv4.ip_forward=1")
            .or(format!("The address {} on this box, if it is meant for it.", dst(frame))),
        DropReason::MartianSource => martian_source(at, frame),
        DropReason::MartianDestination => martian_destination(at, frame),
        DropReason::RpFilter => rp_filter(at, frame),
        DropReason::TtlExpired => End::by("ip_forward()")
            .look("TTL", ip(frame).map_or(String::new(), |ip| ip.ttl.to_string()), "2 or more")
            .or("A larger TTL at the sender (net.ipv4.ip_default_ttl).")
            .or("A shorter way: the packet may be going round in a circle."),
        DropReason::DevDown => End::by("the device")
            .look(dev, "down, or gone", "up")
            .or(format!("ip link set {dev} up")),
        DropReason::BridgeNoHairpin => End::by("the bridge")
            .look(format!("port of {}", frame.dst), format!("{dev}, where the frame came in"), "another port")
            .look(format!("hairpin mode of {dev}"), "off", "on")
            .or(format!("bridge link set dev {dev} hairpin on"))
            .or("The bridge device in promiscuous mode, as kubenet has it: then the frame goes up to the IP stack."),
        DropReason::BridgeSource => End::by("the bridge")
            .look("source MAC", frame.src.to_string(), "the address of one host")
            .or("A sender with an address of its own."),
        DropReason::BridgeNoPort => End::by("the bridge")
            .look(format!("ports for {}", frame.dst), "none that is up and not the one it came in by", "one")
            .or("A port towards that address that is up, floods, and is not isolated from this one."),
        DropReason::NeighFailed => no_neighbour(at, "the next hop"),
        DropReason::NeighQueueFull => End::by("ARP")
            .look("packets that wait for the neighbour", "as many as may", "fewer")
            .or("An answer to ARP.")
            .or("A larger net.ipv4.neigh.default.unres_qlen_bytes."),
        DropReason::NoSocket => no_socket(at, frame),
        DropReason::SocketRefused => End::by("the socket")
            .look("what the socket takes now", "not this: its state, sequence numbers or peer do not fit", "what its peer would send")
            .or("An answer from the address and port that the program has called.")
            .or("A segment inside the window of the connection."),
        DropReason::BadChecksum => End::by("the checksum")
            .look("checksum", "wrong", "right")
            .or("A packet that is not damaged on its way."),
        DropReason::NoProtocol => End::by("ip_protocol_deliver_rcu()")
            .look("protocol", ip(frame).map_or(String::new(), |ip| ip.protocol().to_string()), "one that somebody here takes")
            .or("The module or socket for this protocol."),
        DropReason::PacketTooBig => End::by("the MTU")
            .look("length", length(frame), format!("{mtu} bytes or less, the MTU of {dev}"))
            .look("don't fragment", ip(frame).map_or("?", |ip| if ip.frag.df { "set" } else { "not set" }), "not set")
            .or("A sender that hears the ICMP error “fragmentation needed” and sends shorter packets.")
            .or("A smaller MSS: -j TCPMSS --clamp-mss-to-pmtu where the SYN passes.")
            .or(format!("A larger MTU of {dev}, or a smaller one at the sender.")),
        DropReason::TooLongForPeer => End::by("the veth")
            .look("length", length(frame), "the MTU of the other end, or less")
            .or(format!("The same MTU at both ends of {dev}.")),
        DropReason::TunnelLoop => End::by("the tunnel")
            .look("route to the other end of the tunnel", format!("{dev}, the tunnel itself"), "another device")
            .or("A route to the other host that does not lead into the tunnel."),
        DropReason::VxlanNoRemote => End::by("vxlan")
            .look(format!("bridge fdb show dev {dev} for {}", frame.dst), "nothing", "the address of a host")
            .or("An entry: bridge fdb append MAC dev DEV dst HOST."),
        DropReason::VxlanVniNotFound => End::by("vxlan")
            .look("device for this VNI", "none", "one")
            .or("A vxlan device with the VNI of the sender."),
        DropReason::VxlanSource => End::by("vxlan")
            .look("source MAC inside", "this host's own, or a group's", "another host's")
            .or("A MAC of its own for each vxlan device."),
        DropReason::FragDuplicate => End::by("ip_defrag()")
            .look("bytes that it brings", "known already", "new ones")
            .or("Nothing: the datagram does not need it."),
        DropReason::FragOverlap => End::by("ip_defrag()")
            .look("bytes that it brings", "overlap those of another fragment", "do not")
            .or("Fragments of one datagram with an IP id of its own."),
        DropReason::FragTooLong => End::by("ip_defrag()")
            .look("length of the whole", "more than 65535 bytes", "65535 bytes or less")
            .or("A shorter datagram."),
        DropReason::FragTooFar => End::by("ip_defrag()")
            .look("packets of the sender in between", "more than ipfrag_max_dist", "fewer")
            .or("A larger net.ipv4.ipfrag_max_dist, or 0 for no limit."),
        DropReason::FragTimeout => End::by("ip_defrag()")
            .look("the other fragments", "not there in time", "all there")
            .or("A way on which no fragment is lost.")
            .or("Datagrams that need no fragments."),
        DropReason::FragMemory => End::by("ip_defrag()")
            .look("bytes that wait", "more than ipfrag_high_thresh", "fewer")
            .or("A larger net.ipv4.ipfrag_high_thresh."),
        DropReason::NotModelled => End::by("this simulator")
            .look("kind of packet", "not modelled", "–")
            .or("A real kernel may do something else here."),
        DropReason::NotForUs => End::by("the IP stack")
            .look("for whom it is", "somebody else, or a group that nobody here has joined", "an address of this box")
            .or("Nothing: it is not meant for this box."),
    }
}

fn table_full(ns: &Netns) -> End {
    let max = ns.ct.limits.max;
    End::by("conntrack")
        .look("entries in the table", format!("{max}, which is nf_conntrack_max"), "fewer")
        .or(format!(
            "sysctl -w net.netfilter.nf_conntrack_max={}{}, or any value above {max}",
            max.saturating_mul(2),
            if ns.is_initial() { "" } else { " on its node" },
        ))
        .or("Entries that end sooner: smaller time-outs, or conntrack -D.")
        .or("A rule in raw that does not track this traffic: -j CT --notrack.")
}

/// The packet's flow would have been announced by a helper, if there were one.
fn no_helper(at: &At<'_>, row: &Row) -> Option<End> {
    let (master, program) = at.before_any().find_map(|(host, w)| {
        let row_of = match w {
            What::Conntrack { row: Some(r), .. } => &**r,
            What::CtEvent(e) => &e.row,
            _ => return None,
        };
        let port = row_of.orig.dport();
        let program = [(69, "tftp"), (21, "ftp")].into_iter().find(|(p, _)| *p == port)?.1;
        let same = host == at.ns.id
            && row_of.id != row.id
            && row_of.reply.src() == row.orig.src()
            && (row_of.reply.dst() == row.orig.dst() || row_of.orig.src() == row.orig.dst());
        same.then_some((*row_of, program))
    })?;
    let module = format!("nf_conntrack_{program}");
    let loaded =
        if program == "tftp" { at.ns.modules.nf_conntrack_tftp } else { at.ns.modules.nf_conntrack_ftp };
    let end = End::by("conntrack: nobody has announced this flow")
        .look(module.clone(), if loaded { "loaded" } else { "not loaded" }, "loaded")
        .look(
            "helper of the request's entry",
            master.helper.map_or("none".to_owned(), |h| h.name()),
            program,
        );
    let end = if loaded {
        end.or(format!("A rule in raw that gives the request its helper: -j CT --helper {program}."))
            .or("On kernels before 6.0: sysctl -w net.netfilter.nf_conntrack_helper=1")
    } else {
        end.or(format!("modprobe {module}"))
    };
    Some(if at.ns.modules.nf_nat_tftp || program != "tftp" {
        end
    } else {
        end.or("Where the request is translated: modprobe nf_nat_tftp as well.")
    })
}

fn not_called(ns: &Netns, loaded: bool, hook: &str, bridge: &str) -> End {
    let was = if loaded { "loaded" } else { "not loaded" };
    let end = End::by(format!("{bridge}: frames that are switched do not meet iptables")).look(
        "module br_netfilter",
        was,
        format!("loaded, for the frame to meet {hook}"),
    );
    if loaded {
        end.look("net.bridge.bridge-nf-call-iptables", ns.sysctl.bridge_nf_call_iptables.to_string(), "1")
            .or("sysctl -w net.bridge.bridge-nf-call-iptables=1")
    } else {
        end.or("modprobe br_netfilter")
    }
}

impl At<'_> {
    /// All events before this one, the latest first, with their boxes.
    fn before_any(&self) -> impl Iterator<Item = (kernel::NetnsId, &What)> + '_ {
        let log = self.world.log().entries();
        let earlier = log.get(..self.event.index()).unwrap_or_default().iter().rev();
        earlier.filter_map(|e| Some((e.host, e.what()?)))
    }
}
