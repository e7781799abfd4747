//! Why nobody on a box takes a packet.

use super::{At, End, ip};
use crate::view::text::endpoints;
use kernel::event::{Origin, What};
use kernel::socket::Socket;
use packet::{Frame, Ip, L4};
use std::net::Ipv4Addr;

pub(super) fn no_socket(at: &At<'_>, frame: &Frame) -> End {
    let Some(ip) = ip(frame) else { return End::by("the socket lookup") };
    if let L4::Icmp(icmp) = &ip.l4 {
        return unheard(at, ip, icmp.inner());
    }
    let (from, to) = endpoints(ip);
    let what = format!("{} socket of {} for {to}, from {from}", proto_name(ip), at.ns.name);
    match called(at, &to).filter(|c| *c != from) {
        Some(called) => End::by("the socket lookup")
            .look(
                what,
                format!("none: {to} has called {called}"),
                format!("an answer that comes from {called}"),
            )
            .or(format!("The translation undone on the way back, so that the answer comes from {called}.")),
        None => {
            let end = End::by("the socket lookup").look(what, none(at, ip), "one that listens there");
            let port = ip.ports().map(|p| p.1);
            let own = open(at, ip).find(|(addr, p)| addr.is_loopback() && Some(*p) == port);
            match own {
                Some((addr, _)) => end.or(format!(
                    "The program at {addr}, where only {} itself reaches it, told to listen on 0.0.0.0.",
                    at.ns.name
                )),
                None => end.or(format!("A program that listens on {to}.")),
            }
            .or("A translation to the address and port where one listens.")
        }
    }
}

/// Where programs wait for what has this protocol.
fn open<'a>(at: &'a At<'_>, ip: &'a Ip) -> impl Iterator<Item = (Ipv4Addr, u16)> + 'a {
    at.ns.sockets.iter().filter_map(|(_, socket)| match (socket, &ip.l4) {
        (Socket::Listen(l), L4::Tcp(_)) => Some(l.local),
        (Socket::Udp(u), L4::Udp(_)) if u.remote.is_none() => Some(u.local),
        _ => None,
    })
}

/// None, and where else programs wait.
fn none(at: &At<'_>, ip: &Ip) -> String {
    let open: Vec<String> =
        open(at, ip).take(MAX_OPEN).map(|(addr, port)| format!("{addr}:{port}")).collect();
    if open.is_empty() { "none".to_owned() } else { format!("none; programs wait on {}", open.join(", ")) }
}

/// Of more open ports the rest is not told.
const MAX_OPEN: usize = 5;

/// Whom a program of this box has called from there, last of all.
fn called(at: &At<'_>, from: &str) -> Option<String> {
    at.before_any().find_map(|(host, w)| match w {
        What::Created { origin: Origin::Socket(_), frame, .. } if host == at.ns.id => {
            let (ours, theirs) = endpoints(frame.ip()?);
            (ours == from).then_some(theirs)
        }
        _ => None,
    })
}

/// ICMP has no ports to listen on: an error is told to the socket whose packet it quotes, an answer to who has pinged.
fn unheard(at: &At<'_>, ip: &Ip, quoted: Option<&Ip>) -> End {
    let (name, end) = (&at.ns.name, End::by("the socket lookup"));
    let Some(quoted) = quoted else {
        return end
            .look(format!("ping of {name} that waits for {}", ip.src), "none", "one")
            .or("A ping that still waits when the answer comes.");
    };
    let (from, to) = endpoints(quoted);
    let what = format!("{} socket of {name} for {from}, which called {to}", proto_name(quoted));
    match called(at, &from).filter(|c| *c != to) {
        Some(called) => end
            .look(what, format!("none: {from} has called {called}"), format!("an error that quotes {called}"))
            .or(format!(
                "The translation undone in the packet that the error quotes, so that it is to {called}."
            )),
        None => end
            .look(what, "none: the program has closed it, or ended", "one that is still open")
            .or("A program that waits longer than the error takes to come.")
            .or("Nothing: the packet that the error quotes is lost, and this only tells of it."),
    }
}

fn proto_name(ip: &Ip) -> &'static str {
    match &ip.l4 {
        L4::Tcp(_) => "TCP",
        L4::Udp(_) => "UDP",
        L4::Icmp(_) => "ICMP",
        _ => "raw",
    }
}
