//! NAT's half of the helpers (net/netfilter/nf_nat_helper.c, nf_nat_ftp.c, nf_nat_tftp.c).

use super::{Manip, NatRange, nf_nat_setup_info};
use crate::netfilter::conntrack::{
    Conn, Direction, Expect, ExpectNat, FtpType, Unexpected, nf_ct_expect_related, nf_ct_helper_drop,
    nf_ct_seqadj_set, status,
};
use crate::netfilter::xtables::PortRange;
use crate::{ConnId, Cut, Cx, DropReason, Netns, Skb};
use packet::L4;
use std::net::IpAddr;
use std::ops::Range;

/// The data comes back to the port from which the client really asked.
pub(crate) fn nf_nat_tftp(master: &Conn, expect: &mut Expect) {
    expect.nat = Some(ExpectNat { dir: Direction::Reply, port: master.orig.sport() });
}

/// At most so many ports are tried for one announcement.
const MAX_ATTEMPTS: u32 = 128;

/// `nf_nat_ftp`: the data connection will come to where this packet's answer would, so that address is written into the payload.
/// The port stays the same if nobody else has announced it; otherwise a higher one is drawn (`nf_nat_exp_find_port`).
pub(crate) fn nf_nat_ftp(
    ns: &mut Netns,
    skb: Skb,
    dir: Direction,
    (kind, place): (FtpType, Range<usize>),
    mut expect: Expect,
    cx: &mut Cx<'_>,
) -> Result<Skb, Cut> {
    let asked = expect.tuple.dport();
    expect.nat = Some(ExpectNat { dir: dir.flip(), port: asked });
    let range = u32::from(u16::MAX - asked);
    let (mut port, mut left) = (asked, range.min(MAX_ATTEMPTS));
    loop {
        expect.tuple = expect.tuple.with_dport(port);
        match nf_ct_expect_related(ns, &skb, expect.clone(), cx) {
            Ok(()) => break,
            Err(Unexpected::Busy) if left > 0 => {
                left -= 1;
                port = asked + u16::try_from(cx.rng.next_u32() % range.max(1)).unwrap_or(0);
            }
            Err(_) => return Err(nf_ct_helper_drop(ns, &skb, expect.helper, "all ports in use", cx)),
        }
    }
    if port == 0 {
        // Announced all the same: 0 also stands for "no port was found".
        return Err(nf_ct_helper_drop(ns, &skb, expect.helper, "all ports in use", cx));
    }
    let IpAddr::V4(addr) = expect.tuple.dst() else { return Ok(skb) };
    let [a, b, c, d] = addr.octets();
    let text = match kind {
        FtpType::Port | FtpType::Pasv => format!("{a},{b},{c},{d},{},{}", port >> 8, port & 255),
        FtpType::Eprt => format!("|1|{addr}|{port}|"),
        FtpType::Epsv => format!("|||{port}|"),
    };
    Ok(nf_nat_mangle_tcp_packet(ns, skb, expect.master, dir, place, &text))
}

/// `nf_nat_mangle_tcp_packet`: puts a text in the place of another. If that changes the length, the sequence numbers of all that
/// follows are off.
fn nf_nat_mangle_tcp_packet(
    ns: &mut Netns,
    mut skb: Skb,
    conn: ConnId,
    dir: Direction,
    place: Range<usize>,
    text: &str,
) -> Skb {
    let by = (text.len() as u32).wrapping_sub(place.len() as u32);
    let Some(L4::Tcp(tcp)) = skb.ip_mut().map(|ip| &mut ip.l4) else { return skb };
    if place.end > tcp.payload.len() {
        return skb;
    }
    tcp.payload.splice(place, text.bytes());
    if by != 0
        && let Some(c) = ns.ct.get_mut(conn)
    {
        nf_ct_seqadj_set(c.extras_mut().seqadj.get_or_insert_default(), dir, tcp.seq, by);
        c.status |= status::SEQ_ADJUST;
    }
    skb
}

/// `nf_nat_follow_master`: both directions of an expected flow are decided at its first packet, before any rule is
/// asked: it seems to come from the address that the client had asked, and goes to the client's own port.
pub(crate) fn nf_nat_follow_master(
    ns: &mut Netns,
    skb: &Skb,
    conn: ConnId,
    master: ConnId,
    nat: ExpectNat,
    cx: &mut Cx<'_>,
) -> Result<(), DropReason> {
    let Some(asked) = ns.ct.get(master).map(|m| *m.tuple(nat.dir.flip())) else { return Ok(()) };
    let from = NatRange { addr: Some((asked.dst(), asked.dst())), ..NatRange::default() };
    nf_nat_setup_info(ns, skb, conn, &from, Manip::Src, false, cx)?;
    let to = NatRange {
        addr: Some((asked.src(), asked.src())),
        ports: Some(PortRange { min: nat.port, max: nat.port }),
        ..NatRange::default()
    };
    nf_nat_setup_info(ns, skb, conn, &to, Manip::Dst, false, cx)
}
