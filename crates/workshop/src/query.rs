//! Questions to a run, for claims, goals and moments. Everything is answered from the event log.

use kernel::event::{TapDir, What};
use kernel::netfilter::xtables::TableId;
use kernel::socket::Errno;
use kernel::{NetnsId, PacketId};
use packet::{Frame, Ip, Tcp, TcpFlags};
use sim::apps::{Reply, UdpReply};
use sim::operator::CommandOutput;
use sim::{Entry, EventId, Outcome, Run, Seen, StepOutcome};
use std::net::IpAddr;

/// Log entries with their ids.
pub fn entries(run: &Run) -> impl Iterator<Item = (EventId, &Entry)> + '_ {
    run.world.log().entries().iter().zip(0u32..).map(|(e, i)| (EventId(i), e))
}

/// The first entry of a box for which `test` is true.
pub fn first(run: &Run, host: &str, test: impl Fn(&What) -> bool) -> Option<EventId> {
    let host = run.world.host_by_name(host)?;
    entries(run).find(|(_, e)| e.host == host && e.what().is_some_and(&test)).map(|(id, _)| id)
}

/// A frame that a capture on a device of a box saw.
pub struct Captured<'a> {
    /// The log entry.
    pub id: EventId,
    /// The packet.
    pub packet: PacketId,
    /// Direction.
    pub dir: TapDir,
    /// The IP packet.
    pub ip: &'a Ip,
    /// The TCP segment.
    pub tcp: &'a Tcp,
}

/// TCP segments that captures on a box saw, in order.
pub fn segments<'a>(run: &'a Run, host: &str) -> Vec<Captured<'a>> {
    let Some(host) = run.world.host_by_name(host) else { return Vec::new() };
    entries(run)
        .filter(|(_, e)| e.host == host)
        .filter_map(|(id, e)| {
            let Seen::Kernel(What::Tap { dir, frame, .. }) = &*e.seen else { return None };
            let ip = frame.ip()?;
            Some(Captured { id, packet: e.packet?, dir: *dir, ip, tcp: ip.tcp()? })
        })
        .collect()
}

/// True if `flags` are exactly these.
pub fn flags_are(tcp: &Tcp, flags: &[TcpFlags]) -> bool {
    tcp.flags == flags.iter().fold(TcpFlags::default(), |a, b| a | *b)
}

/// The chains that a packet entered on a box, in order, as `table CHAIN`: what a LOG rule at the head of every chain
/// would print.
pub fn chains_entered(run: &Run, host: &str, packet: PacketId) -> Vec<(TableId, String)> {
    let Some(host) = run.world.host_by_name(host) else { return Vec::new() };
    entries(run)
        .filter(|(_, e)| e.host == host && e.packet == Some(packet))
        .filter_map(|(_, e)| match e.what()? {
            What::Rule(step) if step.n == 1 => Some((step.table, step.chain.to_string())),
            _ => None,
        })
        .collect()
}

/// The first packet with these flags that a box sent or received.
pub fn first_segment(run: &Run, host: &str, flags: &[TcpFlags]) -> Option<PacketId> {
    segments(run, host).into_iter().find(|c| flags_are(c.tcp, flags)).map(|c| c.packet)
}

/// True if any IP hook of the box saw the packet.
pub fn met_a_hook(run: &Run, host: &str, packet: PacketId) -> bool {
    let Some(host) = run.world.host_by_name(host) else { return false };
    entries(run).any(|(_, e)| {
        e.host == host
            && e.packet == Some(packet)
            && matches!(e.what(), Some(What::Hook(_) | What::Rule(_) | What::Conntrack { .. }))
    })
}

/// The destination of a packet was rewritten on the box to this address.
pub fn dnat_to(run: &Run, host: &str, to: IpAddr) -> Option<EventId> {
    let changed = |before: &Frame, after: &Frame| {
        before.ip().map(|ip| ip.dst) != after.ip().map(|ip| ip.dst)
            && after.ip().is_some_and(|ip| ip.dst == to)
    };
    first(run, host, |w| matches!(w, What::Nat { before, after, .. } if changed(before, after)))
}

/// The box.
pub fn host(run: &Run, name: &str) -> Option<NetnsId> {
    run.world.host_by_name(name)
}

/// The TCP client of a stimulus, counted from 0, got an answer that is not empty; or a command ended well.
pub fn answered(run: &Run, stimulus: usize) -> bool {
    run.steps.get(stimulus).is_some_and(|s| match &s.outcome {
        StepOutcome::App(Outcome::Tcp { reply: Some(Reply::Data(d)), .. }) => !d.is_empty(),
        StepOutcome::Command(output) => output.status == 0,
        _ => false,
    })
}

/// The outcome of a stimulus in words.
pub fn outcome_text(outcome: &StepOutcome) -> String {
    match outcome {
        StepOutcome::App(Outcome::Tcp { connect: None, .. }) => "connect() timed out".to_owned(),
        StepOutcome::App(Outcome::Tcp { connect: Some(Err(e)), .. }) => format!("connect(): {}", text(*e)),
        StepOutcome::App(Outcome::Tcp { connect: Some(Ok(())), reply }) => reply_text(reply.as_ref()),
        StepOutcome::App(Outcome::TcpSent(Ok(reply))) => reply_text(Some(reply)),
        StepOutcome::App(Outcome::TcpSent(Err(e)) | Outcome::UdpFailed(e) | Outcome::PingFailed(e)) => {
            format!("send(): {}", text(*e))
        }
        StepOutcome::App(Outcome::Udp { got, .. }) => match got.first() {
            Some(UdpReply::From(from, data)) => format!("{} from {}:{}", answer_text(data), from.0, from.1),
            Some(UdpReply::Error(e)) => text(e.errno).to_owned(),
            None => "no answer".to_owned(),
        },
        StepOutcome::App(Outcome::Tftp { done: true, got }) => format!("Received {} bytes", got.bytes),
        StepOutcome::App(Outcome::Tftp { done: false, .. }) => "Transfer timed out.".to_owned(),
        StepOutcome::App(Outcome::Ping(Some(ip))) => format!("ICMP answer from {}", ip.src),
        StepOutcome::App(Outcome::Ping(None)) => "no answer".to_owned(),
        StepOutcome::App(Outcome::None) | StepOutcome::Started | StepOutcome::Done => "done".to_owned(),
        StepOutcome::Dump(rows) => format!("{} entries", rows.len()),
        StepOutcome::SendError(e) => text(*e).to_owned(),
        StepOutcome::Together(all) => all.iter().map(outcome_text).collect::<Vec<_>>().join("; "),
        StepOutcome::App(Outcome::Command(c)) | StepOutcome::Command(c) => command_text(c),
        StepOutcome::Ended(all) => format!("{} commands have ended", all.len()),
        StepOutcome::Refused(why) | StepOutcome::NotRun(why) => why.clone(),
    }
}

/// The last line that a command printed; of one that failed what it complained of.
fn command_text(c: &CommandOutput) -> String {
    // What `time` adds is not the command's own.
    let time = |l: &str| ["real\t", "user\t", "sys\t"].iter().any(|t| l.starts_with(t));
    let last = |lines: &[String]| lines.iter().rev().find(|l| !l.trim().is_empty() && !time(l)).cloned();
    let text = match c.status {
        0 => last(&c.stdout).or_else(|| last(&c.stderr)),
        _ => last(&c.stderr).or_else(|| last(&c.stdout)),
    };
    match (text, c.status) {
        (Some(text), _) => text,
        (None, 0) => "done".to_owned(),
        (None, status) => format!("exit status {status}"),
    }
}

fn reply_text(reply: Option<&Reply>) -> String {
    match reply {
        Some(Reply::Data(data)) => answer_text(data),
        Some(Reply::Eof) => "connected, closed without an answer".to_owned(),
        Some(Reply::Error(e)) => format!("connected, then {}", text(*e)),
        Some(Reply::Timeout) | None => "connected, no answer".to_owned(),
    }
}

fn text(e: Errno) -> &'static str {
    e.text()
}

/// The body of an HTTP answer, or all of it.
fn answer_text(data: &[u8]) -> String {
    let all = String::from_utf8_lossy(data);
    let body = all.split_once("\r\n\r\n").map_or(&*all, |(_, body)| body);
    body.trim_end().to_owned()
}
