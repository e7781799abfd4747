//! What programs print, and what must not be missed.

use super::step::{Area, Step, Tone};
use super::text::{endpoint, endpoints};
use super::title::seconds;
use crate::apps::AppEvent;
use crate::log::Seen;
use crate::{EventId, World};
use kernel::event::{Origin, SocketStep, What};
use kernel::{NetnsId, PacketId};
use packet::TcpFlags;
use std::net::{IpAddr, Ipv4Addr};

/// A line in a terminal.
#[derive(Clone, Debug, PartialEq)]
pub struct TermLine {
    /// The event that printed it.
    pub event: EventId,
    /// The box; kubectl has none.
    pub host: Option<NetnsId>,
    /// A command was entered.
    pub command: bool,
    /// The text.
    pub text: String,
    /// Good, bad or neither.
    pub tone: Tone,
}

fn ep(e: (Ipv4Addr, u16)) -> String {
    endpoint(IpAddr::V4(e.0), Some(e.1))
}

/// What the programs that begin a conversation print.
pub fn terminal(world: &World) -> Vec<TermLine> {
    let mut out = Vec::new();
    for (event, entry) in (0u32..).map(EventId).zip(world.log().entries()) {
        let Seen::App(app) = &*entry.seen else { continue };
        let (command, text, tone) = match app {
            AppEvent::Connect { tcp, to } => (true, command_text(*tcp, *to), Tone::Plain),
            AppEvent::TftpGet { to, file } => (true, tftp_text(*to, file), Tone::Plain),
            AppEvent::TftpTimedOut { .. } => (false, "Transfer timed out.".to_owned(), Tone::Bad),
            AppEvent::TftpReceived { bytes, .. } => (false, format!("Received {bytes} bytes"), Tone::Strong),
            AppEvent::Reply { text, .. } => (false, body(text).to_owned(), Tone::Strong),
            AppEvent::Failed { to, errno } => {
                (false, format!("connect() to {}: {}", ep(*to), errno.text()), Tone::Bad)
            }
            AppEvent::Started { command } => (true, command.clone(), Tone::Plain),
            AppEvent::Printed { line, error } => {
                (false, line.clone(), if *error { Tone::Bad } else { Tone::Strong })
            }
            AppEvent::TimedOut { connecting: true, after_ms, .. } => {
                (false, format!("connect() timed out after {}", seconds(*after_ms)), Tone::Bad)
            }
            AppEvent::TimedOut { after_ms, .. } => {
                (false, format!("no reply after {}", seconds(*after_ms)), Tone::Bad)
            }
            _ => continue,
        };
        out.push(TermLine { event, host: Some(entry.host), command, text, tone });
    }
    out
}

/// The body of an HTTP response, or all of it.
fn body(text: &str) -> &str {
    text.split_once("\r\n\r\n").map_or(text, |(_, body)| body).trim_end()
}

fn command_text(tcp: bool, to: (Ipv4Addr, u16)) -> String {
    match (tcp, to.1) {
        (true, 80) => format!("curl http://{}/", to.0),
        (true, port) => format!("curl http://{}:{port}/", to.0),
        (false, port) => format!("nc -u {} {port}", to.0),
    }
}

/// The port of TFTP goes without saying.
fn tftp_text((addr, port): (Ipv4Addr, u16), file: &str) -> String {
    match port {
        69 => format!("tftp {addr} -c get {file}"),
        _ => format!("tftp {addr} {port} -c get {file}"),
    }
}

/// Something that must not be missed.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// The step.
    pub step: usize,
    /// A sentence or two.
    pub text: String,
}

/// All alerts in order. What becomes of ARP is none: where it matters, a packet waits for it, and that is told.
pub fn alerts(world: &World, steps: &[Step]) -> Vec<Alert> {
    let mut out = Vec::new();
    for (i, step) in steps.iter().enumerate().filter(|(_, s)| s.tone == Tone::Bad && !s.noise) {
        let Some(entry) = world.log().get(step.key) else { continue };
        let name = world.host(step.host).map_or("?", |h| h.name.as_str());
        let text = match &*entry.seen {
            Seen::Kernel(What::Created { origin: Origin::TcpReset, frame, parent }) => {
                let Some(ip) = frame.ip() else { continue };
                let (from, to) = endpoints(ip);
                if parent.is_some_and(|p| is_syn(world, p)) {
                    out.push(Alert {
                        step: i,
                        text: format!("{name} sends a RST to {to}: nobody listens on {from}."),
                    });
                    continue;
                }
                let asked = asked_by(world, step.host, step.key).filter(|a| *a != to);
                let why = match asked {
                    Some(asked) => format!("It had called {asked}: no socket of {name} waits for {to}."),
                    None => format!("No socket of {name} waits for {to}."),
                };
                format!("{name} sends a RST to {to}. {why}")
            }
            // The RST tells it already.
            Seen::Kernel(What::Drop { reason: kernel::DropReason::NoSocket, frame, .. })
                if frame.ip().is_some_and(|ip| ip.tcp().is_some()) =>
            {
                continue;
            }
            // It tells of an end that has been told.
            Seen::Kernel(What::Socket { step: SocketStep::IcmpError { .. }, .. }) => continue,
            // Programs speak for themselves, in their terminal.
            Seen::App(_) => continue,
            _ if step.area == Area::Drop => format!("The packet ends in {name}: {}.", step.title),
            _ => format!("{name}: {}.", step.title),
        };
        out.push(Alert { step: i, text });
    }
    out
}

/// True for the first segment of a connection.
fn is_syn(world: &World, packet: PacketId) -> bool {
    let made = world.log().entries().iter().find_map(|e| match e.what() {
        Some(What::Created { frame, .. }) if e.packet == Some(packet) => Some(frame),
        _ => None,
    });
    let flags = made.and_then(|f| f.ip()).and_then(|ip| ip.tcp()).map(|t| t.flags);
    flags.is_some_and(|f| f.has(TcpFlags::SYN) && !f.has(TcpFlags::ACK))
}

/// What a program of this box called last: where its last SYN was sent to.
fn asked_by(world: &World, host: NetnsId, until: EventId) -> Option<String> {
    let before = world.log().entries().get(..until.index()).unwrap_or_default();
    before.iter().rev().filter(|e| e.host == host).find_map(|e| match e.what()? {
        What::Created { origin: Origin::Socket(_), frame, .. } => {
            let ip = frame.ip()?;
            let syn = ip.tcp().is_some_and(|t| t.flags.has(TcpFlags::SYN) && !t.flags.has(TcpFlags::ACK));
            syn.then(|| endpoints(ip).1)
        }
        _ => None,
    })
}
