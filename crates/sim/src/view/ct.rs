//! The conntrack table of a box at a moment, as `conntrack -L` prints it.

use super::assoc::Assoc;
use crate::log::Seen;
use crate::{EventId, World};
use kernel::event::{CtEvent, CtEventKind, ExpectEventKind, IpvsStep, What};
use kernel::netfilter::conntrack::{CtCounter, Direction, ExpectRow, L4Key, Row, Tuple, status};
use kernel::netfilter::ipvs::IpvsConn;
use kernel::{ConnId, Instant, NetnsId, PacketId};
use packet::Protocol;
use userland::conntrack::proto_name;

/// A word of a line; translated addresses and ports stand out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CtWord {
    /// The text, without the blank behind it.
    pub text: String,
    /// The value differs from what the other direction alone would lead one to expect: NAT.
    pub nat: bool,
}

/// An entry.
#[derive(Clone, Debug, PartialEq)]
pub struct CtEntry {
    /// Number.
    pub conn: ConnId,
    /// The line, word by word.
    pub words: Vec<CtWord>,
    /// Seconds left.
    pub timeout: u32,
    /// In the table; otherwise it lives only with its first packet.
    pub confirmed: bool,
    /// The event that changed it last.
    pub event: EventId,
}

impl CtEntry {
    /// The line as conntrack prints it.
    pub fn line(&self) -> String {
        join(&self.words)
    }
}

fn join(words: &[CtWord]) -> String {
    let texts: Vec<&str> = words.iter().map(|w| w.text.as_str()).collect();
    texts.join(" ")
}

struct Kept {
    row: Row,
    at: Instant,
    event: EventId,
    confirmed: bool,
    maker: Option<PacketId>,
}

/// Folds everything up to and including `until`.
pub fn conntrack_at(world: &World, host: NetnsId, until: EventId) -> Vec<CtEntry> {
    let mut table: Assoc<ConnId, Kept> = Assoc::default();
    // The packet that ends a flow still carries its entry.
    let mut gone: Vec<ConnId> = Vec::new();
    let mut now = Instant(0);
    for (event, entry) in (0u32..).map(EventId).zip(world.log().entries()) {
        if event > until {
            break;
        }
        now = entry.at;
        if entry.host != host {
            continue;
        }
        let Seen::Kernel(what) = &*entry.seen else { continue };
        let mut put = |row: &Row, confirmed: bool| {
            if gone.contains(&row.id) {
                return;
            }
            let old = table.get(&row.id);
            let kept = Kept {
                row: *row,
                at: entry.at,
                event,
                confirmed: confirmed
                    || row.status & status::CONFIRMED != 0
                    || old.is_some_and(|k| k.confirmed),
                maker: old.map_or(entry.packet, |k| k.maker),
            };
            table.set(row.id, kept);
        };
        match what {
            What::Conntrack { row: Some(row), .. } | What::NatSetup { row, .. } => put(row, false),
            What::CtEvent(e) if e.kind == CtEventKind::Destroy => {
                table.retain(|conn, _| *conn != e.row.id);
                gone.push(e.row.id);
            }
            What::CtEvent(e) => put(&e.row, true),
            What::Confirmed(conn) => {
                if let Some(kept) = table.get_mut(conn) {
                    (kept.confirmed, kept.event) = (true, event);
                }
            }
            // It is gone, or does not show.
            What::Clash { conn, .. } => table.retain(|c, _| c != conn),
            // An unconfirmed entry dies with its packet.
            What::Drop { .. } => table.retain(|_, k| k.confirmed || k.maker != entry.packet),
            _ => {}
        }
    }
    let mut out = Vec::new();
    for (conn, kept) in table.iter() {
        let passed = u32::try_from(now.since(kept.at).as_secs()).unwrap_or(u32::MAX);
        let left = if kept.confirmed { kept.row.timeout.checked_sub(passed) } else { Some(kept.row.timeout) };
        // What has run out is not listed.
        if let Some(timeout) = left.filter(|t| *t > 0 || !kept.confirmed) {
            let words = row_words(&Row { timeout, ..kept.row });
            out.push(CtEntry { conn: *conn, words, timeout, confirmed: kept.confirmed, event: kept.event });
        }
    }
    out
}

/// An expectation that stands at a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectEntry {
    /// The line as `conntrack -L expect` prints it.
    pub line: String,
    /// The event that made it.
    pub event: EventId,
}

/// The expectations of a box up to and including `until`.
pub fn expectations_at(world: &World, host: NetnsId, until: EventId) -> Vec<ExpectEntry> {
    let mut kept: Vec<(ExpectRow, Instant, EventId)> = Vec::new();
    let mut now = Instant(0);
    for (event, entry) in (0u32..).map(EventId).zip(world.log().entries()).take_while(|(e, _)| *e <= until) {
        now = entry.at;
        let Seen::Kernel(What::ExpectEvent(e)) = &*entry.seen else { continue };
        if entry.host != host {
            continue;
        }
        kept.retain(|(row, ..)| (row.tuple, row.master) != (e.row.tuple, e.row.master));
        if e.kind == ExpectEventKind::New {
            kept.push((e.row, entry.at, event));
        }
    }
    kept.into_iter()
        .map(|(row, at, event)| {
            let passed = u32::try_from(now.since(at).as_secs()).unwrap_or(u32::MAX);
            let row = ExpectRow { timeout: row.timeout.saturating_sub(passed), ..row };
            ExpectEntry { line: expect_line(&row), event }
        })
        .collect()
}

/// An expectation as `conntrack -L expect` prints it (conntrack-tools, libnetfilter_conntrack).
pub fn expect_line(row: &ExpectRow) -> String {
    let (t, m) = (&row.tuple, &row.master);
    format!(
        "{} proto={} src={} dst={} sport={} dport={} mask-src=255.255.255.255 mask-dst=255.255.255.255 sport=0 \
         dport=65535 master-src={} master-dst={} sport={} dport={} class=0 helper={}",
        row.timeout,
        t.proto().0,
        t.src(),
        t.dst(),
        t.sport(),
        t.dport(),
        m.src(),
        m.dst(),
        m.sport(),
        m.dport(),
        row.helper.name(),
    )
}

/// How a row is printed.
#[derive(Clone, Copy, Debug)]
pub struct RowLook {
    /// The mark, even if it is 0.
    pub mark: bool,
    /// The time-out and TCP's state.
    pub proto: bool,
    /// How many hold on to the entry.
    pub uses: Option<usize>,
}

/// A row as `conntrack -L` prints it.
pub fn row_words(row: &Row) -> Vec<CtWord> {
    words(row, RowLook { mark: true, proto: true, uses: Some(1) })
}

/// A row in one line.
pub fn row_line(row: &Row, look: RowLook) -> String {
    join(&words(row, look))
}

/// An event as `conntrack -E` prints it, without its tag. DESTROY tells neither a helper nor a time-out that is over.
pub fn event_line(event: &CtEvent) -> String {
    let mut row = event.row;
    if event.kind == CtEventKind::Destroy {
        row.helper = None;
    } else {
        (row.counters, row.age) = (None, None);
    }
    row_line(&row, RowLook { mark: event.mark || row.mark != 0, proto: event.proto, uses: None })
}

fn words(row: &Row, look: RowLook) -> Vec<CtWord> {
    let mut out = Vec::new();
    let name = proto_name(row.orig.proto()).unwrap_or("unknown");
    let plain = |text: String| CtWord { text, nat: false };
    out.push(plain(format!("{name:<8} {} {}", row.orig.proto().0, row.timeout)));
    let state = row.tcp.map(|tcp| tcp.state.name()).or(row.sctp.map(|state| state.name()));
    if let Some(state) = state.filter(|_| look.proto) {
        out.push(plain(state.to_owned()));
    }
    let mirror = row.orig.invert();
    tuple_words(&mut out, &row.orig, row.reply.invert().as_ref());
    let zone = |only, word: &str| {
        (row.zone.id != 0 && row.zone.only == only).then(|| plain(format!("{word}={}", row.zone.id)))
    };
    out.extend(zone(Some(Direction::Original), "zone-orig"));
    let counted = |c: CtCounter| plain(format!("packets={} bytes={}", c.packets, c.bytes));
    out.extend(row.counters.map(|c| counted(c[0])));
    if row.status & status::SEEN_REPLY == 0 {
        out.push(plain("[UNREPLIED]".to_owned()));
    }
    tuple_words(&mut out, &row.reply, mirror.as_ref());
    out.extend(row.counters.map(|c| counted(c[1])));
    out.extend(zone(Some(Direction::Reply), "zone-reply"));
    if row.status & status::ASSURED != 0 {
        out.push(plain("[ASSURED]".to_owned()));
    }
    if look.mark {
        out.push(plain(format!("mark={}", row.mark)));
    }
    out.extend(zone(None, "zone"));
    if let Some(helper) = row.helper {
        out.push(plain(format!("helper={}", helper.name())));
    }
    if let Some(age) = row.age {
        out.push(plain(format!("delta-time={age}")));
    }
    if let Some(uses) = look.uses {
        out.push(plain(format!("use={uses}")));
    }
    out
}

/// `expected` is what the tuple would be without NAT.
fn tuple_words(out: &mut Vec<CtWord>, t: &Tuple, expected: Option<&Tuple>) {
    let nat = |differs: fn(&Tuple, &Tuple) -> bool| expected.is_some_and(|e| differs(t, e));
    let (src, dst) = (nat(|a, b| a.src() != b.src()), nat(|a, b| a.dst() != b.dst()));
    out.push(CtWord { text: format!("src={}", t.src()), nat: src });
    out.push(CtWord { text: format!("dst={}", t.dst()), nat: dst });
    match t.key() {
        L4Key::Ports { sport, dport } => {
            let (s, d) = (nat(|a, b| a.sport() != b.sport()), nat(|a, b| a.dport() != b.dport()));
            out.push(CtWord { text: format!("sport={sport}"), nat: s });
            out.push(CtWord { text: format!("dport={dport}"), nat: d });
        }
        L4Key::Echo { kind, code, id } if t.proto() == Protocol::ICMP => {
            for text in [format!("type={kind}"), format!("code={code}"), format!("id={id}")] {
                out.push(CtWord { text, nat: false });
            }
        }
        _ => {}
    }
}

/// The connections of IPVS in a box up to and including `until`, and the time then.
pub fn ipvs_at(world: &World, host: NetnsId, until: EventId) -> (Vec<IpvsConn>, Instant) {
    let mut conns: Vec<IpvsConn> = Vec::new();
    let mut now = Instant(0);
    for (_, entry) in (0u32..).map(EventId).zip(world.log().entries()).take_while(|(e, _)| *e <= until) {
        now = entry.at;
        let (IpvsStep::Rewritten { conn, .. } | IpvsStep::Forwarded(conn)) = (match &*entry.seen {
            Seen::Kernel(What::Ipvs { step, .. }) => step,
            _ => continue,
        }) else {
            continue;
        };
        if entry.host != host {
            continue;
        }
        match conns.iter_mut().find(|c| c.id == conn.id) {
            Some(known) => *known = *conn,
            None => conns.push(*conn),
        }
    }
    conns.retain(|c| c.expires > now);
    (conns, now)
}
