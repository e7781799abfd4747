//! The first hook: which flow does this packet belong to? (net/netfilter/nf_conntrack_core.c)

use super::confirm::ct_kill;
use super::expect::nf_ct_find_expectation;
use super::helper::try_assign_helper;
use super::log::log_invalid;
use super::proto::udp_packet;
use super::sctp::{SctpTrack, SctpVerdict};
use super::seqadj::as_measured;
use super::table::{Conn, Master};
use super::tcp::{TcpSettings, TcpTrack, TcpVerdict};
use super::tcp_state::flags_are_valid;
use super::{ConnInfo, CtState, Direction, Template, Tuple, Zone, ipct, status};
use crate::event::{CtStep, HookCtx, What};
use crate::netfilter::hook::InetHook;
use crate::netfilter::nat::nf_nat_follow_master;
use crate::{ConnId, Ct, Cut, Cx, DropReason, Instant, Netns, Skb};
use packet::{Icmp, Icmp6, Ip, L4, Protocol, Sctp, icmp_type};
use std::rc::Rc;

/// `nf_conntrack_in`
#[inline(never)]
pub(crate) fn nf_conntrack_in(
    ns: &mut Netns,
    mut skb: Skb,
    ctx: &HookCtx,
    cx: &mut Cx<'_>,
) -> Result<Skb, Cut> {
    let before = skb.ct;
    let step = match skb.ct {
        // Seen before: it comes back from loopback, or the box made it in answer to a tracked packet.
        Ct::Tracked { .. } => CtStep::Attached,
        Ct::Untracked => CtStep::Untracked,
        Ct::None | Ct::Answer | Ct::Template(..) => match track(ns, &mut skb, ctx, cx) {
            Ok(step) => step,
            Err(NotTracked::TableFull) => {
                ns.ct.stats.drop += 1;
                CtStep::TableFull
            }
            Err(NotTracked::Error(reason)) => {
                skb.ct = if skb.ct == Ct::Answer { Ct::Answer } else { Ct::None };
                ns.ct.stats.error += 1;
                CtStep::Invalid(reason)
            }
            Err(NotTracked::Invalid(reason)) => {
                // What was an answer stays one, on its way back from loopback too.
                skb.ct = if skb.ct == Ct::Answer { Ct::Answer } else { Ct::None };
                ns.ct.stats.invalid += 1;
                CtStep::Invalid(reason)
            }
        },
    };
    if ns.ct.settings.log_invalid != 0 {
        log_invalid(ns, &skb, before, ctx, step, cx);
    }
    let now = cx.now;
    cx.emit(skb.id, || {
        let (conn, dir) = match skb.ct {
            Ct::Tracked { conn, info } => (Some(conn), Some(info.dir)),
            _ => (None, None),
        };
        let row = conn.and_then(|c| ns.ct.get(c)).map(|c| Box::new(c.row(now)));
        What::Conntrack { ctx: ctx.clone(), state: skb.ct.state(), dir, conn, step, row }
    });
    match (step, skb.ct) {
        (CtStep::Found, Ct::Tracked { conn, info }) => ns.note_conn(conn, info),
        _ => ns.spoil(),
    }
    match step {
        CtStep::TableFull => Err(cx.drop(&skb, DropReason::CtTableFull)),
        _ => Ok(skb),
    }
}

/// Why a packet belongs to no entry.
enum NotTracked {
    /// It is not valid; conntrack's reason.
    Invalid(&'static str),
    /// An ICMP message that is malformed, or an error about no known flow.
    Error(&'static str),
    /// There is no room for its entry.
    TableFull,
}

impl From<&'static str> for NotTracked {
    fn from(reason: &'static str) -> NotTracked {
        NotTracked::Invalid(reason)
    }
}

fn track(ns: &mut Netns, skb: &mut Skb, ctx: &HookCtx, cx: &mut Cx<'_>) -> Result<CtStep, NotTracked> {
    let frame = Rc::clone(&skb.frame);
    let Some(ip) = frame.ip() else { return Err("not IP".into()) };
    if ip.is_malformed() {
        return Err("nf_ct: truncated/malformed packet".into());
    }
    if let L4::Icmp(icmp) = &ip.l4 {
        if ctx.hook == InetHook::PreRouting && !icmp.checksum_ok && ns.ct.settings.checksum {
            return Err(NotTracked::Error("nf_ct_icmp: bad HW ICMP checksum"));
        }
        if icmp.kind > icmp_type::ADDRESS_REPLY {
            return Err(NotTracked::Error("nf_ct_icmp: invalid icmp type"));
        }
        if Icmp::is_error_type(icmp.kind) {
            return icmp_error(ns, skb, ip, icmp, cx).map_err(NotTracked::Error);
        }
    }
    if let L4::Icmp6(icmp) = &ip.l4
        && let Some(done) = icmp6_first(ns, skb, ip, icmp, ctx, cx)
    {
        return done.map_err(NotTracked::Error);
    }
    let Some(tuple) = Tuple::of(ip) else { return Err("nf_ct: can't get tuple".into()) };
    let before = skb.ct;
    let (conn, info, mut step) = resolve_normal_ct(ns, skb, &tuple, cx)?;
    skb.ct = Ct::Tracked { conn, info };
    let handled = handle_packet(ns, skb, conn, info, ip, ctx, cx);
    ns.ct.mod_timer(conn);
    match handled? {
        Handled::Done => {}
        Handled::Ignored => step = CtStep::Ignored,
        Handled::Repeat => {
            ct_kill(ns, skb, conn, cx);
            skb.ct = before;
            return track(ns, skb, ctx, cx);
        }
    }
    if info.state == CtState::Established
        && info.dir == Direction::Reply
        && let Some(c) = ns.ct.get_mut(conn)
        && c.set_status(status::SEEN_REPLY)
    {
        c.pending |= ipct::REPLY;
    }
    Ok(step)
}

/// `nf_ct_gc_expired`: an entry that is over goes when somebody comes upon it.
pub(super) fn bury(ns: &mut Netns, skb: &Skb, tuple: &Tuple, zone: Zone, cx: &mut Cx<'_>) {
    if let Some(conn) = ns.ct.over(tuple, zone, cx.now) {
        ct_kill(ns, skb, conn, cx);
    }
}

/// `resolve_normal_ct`: finds the entry or makes one.
fn resolve_normal_ct(
    ns: &mut Netns,
    skb: &Skb,
    tuple: &Tuple,
    cx: &mut Cx<'_>,
) -> Result<(ConnId, ConnInfo, CtStep), NotTracked> {
    let template = template(skb.ct);
    let zone = template.zone_of(skb.mark);
    let found = ns.ct.find_any(tuple, zone, cx.now);
    if let Some(Err(over)) = found {
        // nf_ct_gc_expired
        ct_kill(ns, skb, over, cx);
    }
    let Some(Ok((conn, dir))) = found else {
        let (conn, step) = init_conntrack(ns, skb, tuple, template, cx)?;
        let state = if step == CtStep::Expected { CtState::Related } else { CtState::New };
        return Ok((conn, ConnInfo { state, dir: Direction::Original }, step));
    };
    let seen = ns.ct.get(conn).map_or(0, |c| c.status);
    let state = match dir {
        Direction::Reply => CtState::Established,
        Direction::Original if seen & status::SEEN_REPLY != 0 => CtState::Established,
        Direction::Original if seen & status::EXPECTED != 0 => CtState::Related,
        Direction::Original => CtState::New,
    };
    Ok((conn, ConnInfo { state, dir }, CtStep::Found))
}

/// What the rules have wished so far.
pub(super) fn template(ct: Ct) -> Template {
    match ct {
        Ct::Template(t, _) => t,
        _ => Template::default(),
    }
}

/// `init_conntrack`: a new entry; if a helper has announced it, it belongs to that helper's flow.
fn init_conntrack(
    ns: &mut Netns,
    skb: &Skb,
    tuple: &Tuple,
    template: Template,
    cx: &mut Cx<'_>,
) -> Result<(ConnId, CtStep), NotTracked> {
    let reply = tuple.invert().ok_or("nf_ct: can't invert tuple")?;
    make_room(ns, skb, tuple, cx)?;
    let zone = template.zone_of(skb.mark);
    let conn = ns.ct.alloc(*tuple, reply, zone, cx.now);
    let events = template.events.filter(|_| ns.ct.masks);
    if let (Some(c), Some(events)) = (ns.ct.get_mut(conn), events) {
        c.events = events;
    }
    if let Some(expect) = nf_ct_find_expectation(ns, skb.id, tuple, zone, cx) {
        let master = ns.ct.get(expect.master).map(|m| (m.orig, m.mark));
        if let Some(c) = ns.ct.get_mut(conn) {
            c.status |= status::EXPECTED;
            let orig = master.map(|(orig, _)| orig);
            c.master = Some(Box::new(Master { conn: expect.master, orig }));
            c.mark = master.map_or(0, |(_, mark)| mark);
        }
        if let Some(nat) = expect.nat {
            nf_nat_follow_master(ns, skb, conn, expect.master, nat, cx)
                .map_err(|_| "nf_nat: no translation for an expected flow")?;
        }
        return Ok((conn, CtStep::Expected));
    }
    let (automatic, modules) = (ns.ct.auto_helper, ns.modules);
    if let Some(c) = ns.ct.get_mut(conn) {
        try_assign_helper(c, template.helper, automatic, &modules);
    }
    Ok((conn, CtStep::New))
}

/// `__nf_conntrack_alloc`: when the table is full somebody has to go, or the packet.
fn make_room(ns: &mut Netns, skb: &Skb, tuple: &Tuple, cx: &mut Cx<'_>) -> Result<(), NotTracked> {
    if !ns.ct.is_full() {
        return Ok(());
    }
    let era = ns.era();
    if era.conntrack_has_timers() {
        ns.ct_evict(cx);
        if !ns.ct.is_full() {
            return Ok(());
        }
    }
    let (over, victims) = match era.early_drop_takes_one() {
        true => (Vec::new(), ns.ct.early_drop_one(tuple).into_iter().collect()),
        false => ns.ct.early_drop(tuple, cx.now),
    };
    for conn in over.iter().chain(&victims) {
        ct_kill(ns, skb, *conn, cx);
    }
    ns.ct.stats.early_drop += victims.len() as u64;
    if !victims.is_empty() {
        return Ok(());
    }
    let place = match ns.is_initial() || !era.table_full_names_netns() {
        true => String::new(),
        false => format!(" in netns {}", ns.inum()),
    };
    let twice = if era.conntrack_names_itself_twice() { "nf_conntrack: " } else { "" };
    ns.net_warn(skb.id, format_args!("{twice}nf_conntrack: table full{place}, dropping packet"), cx);
    Err(NotTracked::TableFull)
}

enum Handled {
    Done,
    Ignored,
    Repeat,
}

/// `nf_conntrack_handle_packet`: the protocol's own rules.
fn handle_packet(
    ns: &mut Netns,
    skb: &Skb,
    conn: ConnId,
    info: ConnInfo,
    ip: &Ip,
    ctx: &HookCtx,
    cx: &mut Cx<'_>,
) -> Result<Handled, &'static str> {
    let now = cx.now;
    let era = ns.era();
    let checks = ns.ct.settings.checksum && ctx.hook == InetHook::PreRouting;
    let (loose, be_liberal, max_retrans, ignore_invalid_rst) =
        (ns.ct.tcp_loose, ns.ct.tcp_be_liberal, ns.ct.tcp_max_retrans, ns.ct.settings.tcp_ignore_invalid_rst);
    let Some((c, timeouts)) = ns.ct.get_timed(conn) else { return Ok(Handled::Done) };
    // As it was before this packet: the first answer is judged as the first answer.
    let seen_reply = c.status & status::SEEN_REPLY != 0;
    match &ip.l4 {
        L4::Tcp(tcp) => {
            if checks && !tcp.checksum_ok {
                return Err("nf_ct_tcp: bad checksum");
            }
            if !flags_are_valid(tcp.flags) {
                return Err("nf_ct_tcp: invalid tcp flag combination");
            }
            let syn_keeps_timeout = era.syn_keeps_timeout();
            let settings =
                TcpSettings { loose, be_liberal, max_retrans, ignore_invalid_rst, syn_keeps_timeout };
            let mut track = match c.tcp.as_deref() {
                Some(track) => *track,
                None => TcpTrack::begin(tcp, settings)?,
            };
            let assured = c.status & status::ASSURED != 0;
            let measured = c.seqadj().map(|all| as_measured(all, info.dir, tcp));
            let tcp = measured.as_ref().unwrap_or(tcp);
            let verdict = track.packet(info.dir, tcp, seen_reply, assured, settings, timeouts);
            match &mut c.tcp {
                Some(place) => **place = track,
                None => c.tcp = Some(Box::new(track)),
            }
            match verdict {
                TcpVerdict::Accept { timeout, changed, assured } => {
                    c.refresh(timeout, now);
                    c.account(info.dir, ip.total_len());
                    let assured = assured && c.set_status(status::ASSURED);
                    c.pending |= if changed { ipct::PROTOINFO } else { 0 };
                    c.pending |= if assured { ipct::ASSURED } else { 0 };
                }
                TcpVerdict::Ignored => return Ok(Handled::Ignored),
                TcpVerdict::KeepsTimeout { changed } => {
                    c.pending |= if changed { ipct::PROTOINFO } else { 0 }
                }
                TcpVerdict::Kill => {
                    c.account(info.dir, ip.total_len());
                    ct_kill(ns, skb, conn, cx);
                }
                TcpVerdict::Repeat => return Ok(Handled::Repeat),
                TcpVerdict::Invalid(reason) => return Err(reason),
                TcpVerdict::InvalidAnswer(reason, most) => {
                    if c.seconds_left(now) >= most.max(120) && c.seconds_left(now) > most {
                        c.refresh(most, now);
                    }
                    return Err(reason);
                }
            }
        }
        L4::Udp(udp) => {
            if checks && !udp.checksum_ok {
                return Err("nf_ct_udp: bad checksum");
            }
            let (timeout, assured) = udp_packet(c, seen_reply, timeouts, era.udp_stream_after(), now);
            c.refresh(timeout, now);
            c.account(info.dir, ip.total_len());
            c.pending |= if assured { ipct::ASSURED } else { 0 };
        }
        L4::Icmp(icmp) => {
            if !c.is_confirmed() && !Tuple::icmp_can_begin(icmp.kind) {
                return Err("nf_ct_icmp: can't create a new ct with this type");
            }
            c.refresh(timeouts.icmp, now);
            c.account(info.dir, ip.total_len());
        }
        L4::Icmp6(icmp) => {
            if !c.is_confirmed() && !Tuple::icmp6_can_begin(icmp.kind) {
                return Err("nf_ct_icmpv6: invalid new with type");
            }
            c.refresh(timeouts.icmpv6, now);
            c.account(info.dir, ip.total_len());
        }
        L4::Other(Protocol::SCTP, bytes) => {
            let sctp = Sctp::parse(bytes).ok_or("nf_ct_sctp: short packet")?;
            if checks && !sctp.checksum_ok() {
                return Err("nf_ct_sctp: bad CRC");
            }
            let (confirmed, assured) = (c.is_confirmed(), c.status & status::ASSURED != 0);
            match SctpTrack::packet(&mut c.extras_mut().sctp, confirmed, info.dir, &sctp, assured, timeouts) {
                SctpVerdict::Accept { timeout, changed, assured } => {
                    c.refresh(timeout, now);
                    c.account(info.dir, ip.total_len());
                    note(c, changed, ipct::PROTOINFO);
                    let assured = assured && c.set_status(status::ASSURED);
                    note(c, assured, ipct::ASSURED);
                }
                SctpVerdict::KeepsTimeout { changed } => note(c, changed, ipct::PROTOINFO),
                SctpVerdict::Invalid { reason, changed } => {
                    note(c, changed, ipct::PROTOINFO);
                    return Err(reason);
                }
            }
        }
        L4::Other(Protocol::UDPLITE, bytes) => {
            udplite_error(ip, bytes, checks)?;
            answered(c, seen_reply, timeouts.udp, timeouts.udp_stream, now);
            c.account(info.dir, ip.total_len());
        }
        L4::Other(Protocol::GRE, _) => {
            answered(c, seen_reply, timeouts.gre, timeouts.gre_stream, now);
            c.account(info.dir, ip.total_len());
        }
        L4::Other(..) => {
            c.refresh(timeouts.generic, now);
            c.account(info.dir, ip.total_len());
        }
    }
    Ok(Handled::Done)
}

/// UDP-Lite and GRE: an answer makes a flow assured, and lets it live longer.
fn answered(c: &mut Conn, seen_reply: bool, first: u32, stream: u32, now: Instant) {
    c.refresh(if seen_reply { stream } else { first }, now);
    let lasts = c.status & status::NAT_CLASH == 0;
    let assured = seen_reply && lasts && c.set_status(status::ASSURED);
    note(c, assured, ipct::ASSURED);
}

/// An event is told when the packet leaves, if it happened.
fn note(c: &mut Conn, happened: bool, event: u16) {
    c.pending |= if happened { event } else { 0 };
}

/// `udplite_error`: the checksum covers the header at least, and is there.
fn udplite_error(ip: &Ip, bytes: &[u8], check: bool) -> Result<(), &'static str> {
    let [_, _, _, _, high, low, sum0, sum1, ..] = *bytes else { return Err("nf_ct_udplite: short packet") };
    let covered = match usize::from(u16::from_be_bytes([high, low])) {
        0 => bytes.len(),
        n => n,
    };
    if covered < 8 || covered > bytes.len() {
        return Err("nf_ct_udplite: invalid checksum coverage");
    }
    if (sum0, sum1) == (0, 0) {
        return Err("nf_ct_udplite: checksum missing");
    }
    // Linux 6.18 looks for UDP's number in the pseudo header: what real UDP-Lite hosts send is not valid to it.
    if check && !ip.checksum_covers(Protocol::UDP, bytes, covered) {
        return Err("nf_ct_udplite: bad checksum");
    }
    Ok(())
}

/// `nf_conntrack_inet_error`: an ICMP error belongs to the flow of the packet that it quotes.
fn icmp_error(ns: &Netns, skb: &mut Skb, ip: &Ip, icmp: &Icmp, cx: &Cx<'_>) -> Result<CtStep, &'static str> {
    inet_error(ns, skb, ip, icmp.inner(), cx)
}

/// `nf_conntrack_icmpv6_error`: neighbour discovery and the like are not tracked, errors belong to another flow; the rest is
/// looked up as any other packet (None).
fn icmp6_first(
    ns: &Netns,
    skb: &mut Skb,
    ip: &Ip,
    icmp: &Icmp6,
    ctx: &HookCtx,
    cx: &Cx<'_>,
) -> Option<Result<CtStep, &'static str>> {
    if ctx.hook == InetHook::PreRouting && !icmp.checksum_ok && ns.ct.settings.checksum {
        return Some(Err("nf_ct_icmpv6: ICMPv6 checksum failed"));
    }
    match icmp.kind {
        // Multicast listeners; solicitations and advertisements.
        130..=132 | 133..=136 | 143 => {
            skb.ct = Ct::Untracked;
            Some(Ok(CtStep::Untracked))
        }
        kind if Icmp6::is_error_type(kind) => Some(inet_error(ns, skb, ip, icmp.inner(), cx)),
        _ => None,
    }
}

fn inet_error(
    ns: &Netns,
    skb: &mut Skb,
    ip: &Ip,
    inner: Option<&Ip>,
    cx: &Cx<'_>,
) -> Result<CtStep, &'static str> {
    let inner = inner.ok_or("nf_ct_icmp: short packet")?;
    let inner = Tuple::of(inner).ok_or("nf_ct_icmp: no inner tuple")?;
    let inverse = inner.invert().ok_or("nf_ct_icmp: can't invert inner tuple")?;
    let zone = template(skb.ct).zone_of(skb.mark);
    let (conn, dir) =
        ns.ct.find(&inverse, zone, cx.now).ok_or("nf_ct_icmp: no flow for the quoted packet")?;
    let c = ns.ct.get(conn).ok_or("nf_ct_icmp: no flow for the quoted packet")?;
    if c.tuple(dir).dst() != ip.dst {
        return Err("nf_ct_icmp: outer daddr != inner saddr");
    }
    skb.ct = Ct::Tracked { conn, info: ConnInfo { state: CtState::Related, dir } };
    Ok(CtStep::Related)
}

/// `nf_conntrack_attach`: a packet that the box makes in answer to another belongs to its flow, the other way.
pub(crate) fn attach(answer: &mut Skb, cause: &Skb) {
    answer.ct = match cause.ct {
        Ct::Tracked { conn, info } => {
            Ct::Tracked { conn, info: ConnInfo { state: CtState::Related, dir: info.dir.flip() } }
        }
        // `nf_ct_attach` leaves the answer to a packet alone that has not been seen, or has been forgotten.
        Ct::None => Ct::None,
        _ => Ct::Answer,
    };
}

/// `nf_ct_set_closing`: a RST made by REJECT ends the flow that it answers.
pub(crate) fn set_closing(ns: &mut Netns, cause: &Skb, cx: &Cx<'_>) {
    let Ct::Tracked { conn, .. } = cause.ct else { return };
    let close = ns.ct.timeouts.tcp_close;
    let by_reject = ns.era().reject_closes_flow();
    let Some(c) = ns.ct.get_mut(conn).filter(|c| by_reject && c.is_confirmed()) else { return };
    let Some(track) = &mut c.tcp else { return };
    if track.set_closing() {
        c.refresh(close, cx.now);
        c.pending |= ipct::PROTOINFO;
        ns.ct.mod_timer(conn);
    }
}

/// Reports conntrack's opinion right after the lookup.
pub(crate) fn ct_probe(skb: &Skb, ctx: &HookCtx, cx: &mut Cx<'_>) {
    cx.emit(skb.id, || What::CtProbe {
        ctx: ctx.clone(),
        state: skb.ct.state(),
        info: match skb.ct {
            Ct::Tracked { info, .. } => Some(info),
            _ => None,
        },
        frame: skb.frame.clone(),
        mark: skb.mark,
    });
}
