//! What `conntrack` prints, deletes and changes.

mod formats;

use super::{CommandOutput, refused};
use crate::EventId;
use crate::log::Seen;
use crate::view::{RowLook, event_line, expect_line, row_line};
use crate::world::World;
use kernel::event::{CtEventKind, ExpectEventKind, What};
use kernel::netfilter::conntrack::{Change, CtStats, Direction, L4Key, NewEntry, Row, Tuple, Zone, status};
use kernel::{Instant, Netns, NetnsId};
use packet::Protocol;
use std::net::{IpAddr, Ipv4Addr};
use userland::conntrack::{
    CONNTRACK_HELP, ConntrackCommand, ConntrackFilter, ConntrackOp, ConntrackOutput, ConntrackTable, NatEnd,
    parse_conntrack,
};
use userland::{Diagnostic, ToolError};

/// True if one side of a translation is what a filter asks for. The tool compares both directions itself: their addresses, and
/// what stands in the places of ports; in ICMP that always differs.
fn leads_to(
    wanted: Option<Option<NatEnd>>,
    decided: bool,
    here: (IpAddr, u16),
    there: (IpAddr, u16),
) -> bool {
    let (addr, port) = (decided && here.0 != there.0, decided && here.1 != there.1);
    let end = |(a, p): NatEnd| addr && there.0 == IpAddr::V4(a) && p.is_none_or(|p| port && p == there.1);
    wanted.is_none_or(|w| w.map_or(addr || port, end))
}

/// True if an entry fits every part of a filter that is given.
fn fits(f: &ConntrackFilter, row: &Row) -> bool {
    let (orig, reply) = (&row.orig, &row.reply);
    let (kind, code, id) = match orig.key() {
        L4Key::Echo { kind, code, id } => (Some(kind), Some(code), Some(id)),
        _ => (None, None, None),
    };
    let has = |bit: u32| row.status & bit != 0;
    let (snat, dnat) = (has(status::SRC_NAT_DONE), has(status::DST_NAT_DONE));
    let from = |w| leads_to(w, snat, (orig.src(), orig.sport()), (reply.dst(), reply.dport()));
    let to = |w| leads_to(w, dnat, (orig.dst(), orig.dport()), (reply.src(), reply.sport()));
    !f.ipv6
        && f.proto.is_none_or(|p| p == orig.proto())
        && f.orig_src.is_none_or(|a| a.contains(orig.src()))
        && f.orig_dst.is_none_or(|a| a.contains(orig.dst()))
        && f.reply_src.is_none_or(|a| a.contains(reply.src()))
        && f.reply_dst.is_none_or(|a| a.contains(reply.dst()))
        && f.orig_sport.is_none_or(|p| p == orig.sport())
        && f.orig_dport.is_none_or(|p| p == orig.dport())
        && f.reply_sport.is_none_or(|p| p == reply.sport())
        && f.reply_dport.is_none_or(|p| p == reply.dport())
        && (f.icmp_type.is_none() || f.icmp_type == kind)
        && (f.icmp_code.is_none() || f.icmp_code == code)
        && (f.icmp_id.is_none() || f.icmp_id == id)
        && f.state.is_none_or(|s| row.tcp.is_some_and(|t| t.state == s))
        && f.mark.is_none_or(|(value, mask)| row.mark & mask == value)
        && row.status & f.status == f.status
        && !(f.unreplied && has(status::SEEN_REPLY))
        && zone_fits(f.zone, row, None)
        && zone_fits(f.orig_zone, row, Some(Direction::Original))
        && zone_fits(f.reply_zone, row, Some(Direction::Reply))
        && from(f.src_nat)
        && to(f.dst_nat)
        && (f.any_nat.is_none() || from(f.any_nat) || to(f.any_nat))
}

/// Whether the address of the source, and that of the destination, is translated, as the tool sees it.
fn leads_to_address(row: &Row) -> (bool, bool) {
    let has = |bit: u32| row.status & bit != 0;
    let (orig, reply) = (&row.orig, &row.reply);
    let snat = has(status::SRC_NAT_DONE) && orig.src() != reply.dst();
    (snat, has(status::DST_NAT_DONE) && orig.dst() != reply.src())
}

/// A zone counts in both directions or in one, and is looked for where it counts; 0 stands for none.
fn zone_fits(wanted: Option<u16>, row: &Row, only: Option<Direction>) -> bool {
    let has = if row.zone.only == only { row.zone.id } else { 0 };
    wanted.is_none_or(|w| w == has)
}

/// What the real tool calls itself in its messages.
const TOOL: &str = "conntrack v1.4.7 (conntrack-tools)";
/// What it adds to those about wrong usage.
const TRY: &str = "Try `conntrack -h' or 'conntrack --help' for more information.";

/// A command line that the tool refuses, or that is not modelled.
fn wrong(diagnostic: &Diagnostic) -> CommandOutput {
    match &diagnostic.tool {
        Some(ToolError::Usage(text)) => CommandOutput::failed(2, format!("{TOOL}: {text}\n{TRY}")),
        _ => refused(2, diagnostic),
    }
}

fn failed(text: &str) -> CommandOutput {
    CommandOutput::failed(1, format!("{TOOL}: Operation failed: {text}"))
}

/// What was done to how many.
fn done(stdout: Vec<String>, n: usize, what: &str, status: i32) -> CommandOutput {
    CommandOutput::ended(status, stdout, vec![format!("{TOOL}: {n} {what}.")])
}

/// `-o extended`, `-o id`
fn framed(line: String, row: &Row, o: ConntrackOutput) -> String {
    let family = if o.extended { "ipv4     2 " } else { "" };
    let id = if o.id { format!(" id={}", row.id.number()) } else { String::new() };
    format!("{family}{line}{id}")
}

/// The entries that a command means, without those that are over.
fn chosen(
    world: &mut World,
    host: NetnsId,
    command: &ConntrackCommand,
    filter: &ConntrackFilter,
) -> Vec<Row> {
    if command.table != ConntrackTable::Connections {
        return Vec::new();
    }
    world.with(host, |ns, cx| ns.ct_evict(cx));
    let now = world.now();
    let all = world.host(host).map_or(Vec::new(), |ns| ns.ct.rows(now));
    all.into_iter().filter(|r| fits(filter, r)).collect()
}

/// `conntrack`; with `-E` it prints what has happened since `from`.
pub(crate) fn conntrack(world: &mut World, host: NetnsId, from: EventId, argv: &[String]) -> CommandOutput {
    let command = match parse_conntrack(argv) {
        Ok(command) => command,
        Err(diagnostic) => return wrong(&diagnostic),
    };
    if let Some(refused) = formats::refused(&command) {
        return refused;
    }
    let mut out = if command.filter.no_status && command.op == ConntrackOp::List {
        failed("invalid parameters")
    } else if command.table == ConntrackTable::Expectations {
        expectations(world, host, from, &command)
    } else {
        connections(world, host, from, &command)
    };
    out.stderr.splice(0..0, warnings(&command.filter.ignored));
    out
}

/// What the tool says of words behind `--status` that it leaves out.
fn warnings(ignored: &[String]) -> impl Iterator<Item = String> {
    let warning = |word: &String| {
        let option = word.to_ascii_lowercase().replace('_', "-");
        format!("WARNING: ignoring {word}, use --{option} instead")
    };
    ignored.iter().map(warning)
}

/// The commands on the table of connections.
fn connections(world: &mut World, host: NetnsId, from: EventId, command: &ConntrackCommand) -> CommandOutput {
    let (now, o) = (world.now(), command.output);
    let line = |ns: &Netns, row: &Row, more: usize| {
        let uses = ns.ct.uses(row.id) + more;
        match (o.save, o.xml) {
            (true, _) => formats::save(row, command.op),
            (_, true) => formats::xml(row, uses),
            _ => framed(row_line(row, RowLook { mark: true, proto: true, uses: Some(uses) }), row, o),
        }
    };
    match command.op {
        ConntrackOp::Version => CommandOutput::lines(vec![TOOL.to_owned()]),
        ConntrackOp::Help => CommandOutput::text(CONNTRACK_HELP),
        ConntrackOp::List => {
            let rows = chosen(world, host, command, &command.filter);
            if let Some(refused) = formats::not_modelled(o, &rows) {
                return refused;
            }
            let Some(ns) = world.host(host) else { return CommandOutput::default() };
            let lines: Vec<String> = rows.iter().map(|r| line(ns, r, 0)).collect();
            let lines = if o.xml { formats::document(lines) } else { lines };
            if let Some(ns) = world.host_mut(host).filter(|_| command.zero) {
                rows.iter().for_each(|r| ns.ct.zero(r.id));
            }
            let mut out = done(lines, rows.len(), "flow entries have been shown", 0);
            if o.labels {
                out.stderr.insert(0, "nfct_labelmap_new: No such file or directory".to_owned());
            }
            out
        }
        ConntrackOp::Delete => {
            let rows = chosen(world, host, command, &command.filter);
            if let Some(refused) = formats::not_modelled(o, &rows) {
                return refused;
            }
            let Some(ns) = world.host(host) else { return CommandOutput::default() };
            let lines = rows.iter().map(|r| line(ns, r, 0)).collect();
            for row in &rows {
                world.with(host, |ns, cx| ns.ct_delete(row.id, cx));
            }
            done(lines, rows.len(), "flow entries have been deleted", i32::from(rows.is_empty()))
        }
        ConntrackOp::Get => {
            let orig = tuples(&command.filter).filter(|_| command.filter.orig_src.is_some());
            let Some((asked, _)) = orig else { return failed("invalid parameters") };
            let Some(ns) = world.host(host) else { return CommandOutput::default() };
            let found = ns.ct.find(&asked, Zone::default(), now).and_then(|(id, _)| ns.ct.get(id));
            match found.map(|c| c.row(now)) {
                Some(row) => done(vec![line(ns, &row, 1)], 1, "flow entries have been shown", 0),
                None => failed("such conntrack doesn't exist"),
            }
        }
        ConntrackOp::Create | ConntrackOp::Add => create(world, host, command),
        ConntrackOp::Update => {
            // What shall be set is not looked for.
            let f = &command.filter;
            let filter = ConntrackFilter { mark: None, status: 0, state: None, ..f.clone() };
            let change = Change {
                timeout: command.timeout,
                status: f.status,
                mark: f.mark.map(|(value, mask)| (mask, value)),
                tcp: f.state,
            };
            // The tool prints one of those that it has changed.
            let (mut lines, mut n) = (Vec::new(), 0);
            // Without an address the kernel does not take what the tool sends.
            let address = f.orig_src.or(f.orig_dst).or(f.reply_src).or(f.reply_dst);
            for row in chosen(world, host, command, &filter) {
                if address.is_none() {
                    let text = "Operation failed: Operation not supported";
                    return CommandOutput::failed(1, format!("{text}\n{TOOL}: {text}"));
                }
                // What is over at once is not there when the tool looks at what it has changed.
                let lives = command.timeout != Some(0);
                if world.with(host, |ns, cx| ns.ct_change(row.id, &change, cx)) == Some(true) && lives {
                    n += 1;
                    let after = |ns: &Netns| Some(line(ns, &ns.ct.get(row.id)?.row(now), 1));
                    if lines.is_empty() {
                        lines.extend(world.host(host).and_then(after));
                    }
                }
            }
            world.with(host, |ns, cx| ns.ct_evict(cx));
            done(lines, n, "flow entries have been updated", i32::from(n == 0))
        }
        ConntrackOp::Count => {
            let count = world.host(host).map_or(0, |ns| ns.ct.count());
            CommandOutput::lines(vec![count.to_string()])
        }
        ConntrackOp::Stats => {
            let Some(ns) = world.host(host) else { return CommandOutput::default() };
            // Columns that this kernel does not have are not printed.
            let clashes = ns.era().counts_clashes();
            let line = |(cpu, s): (usize, CtStats)| {
                let mut line = format!(
                    "cpu={cpu:<4}\tfound={} invalid={} insert={} insert_failed={} drop={} early_drop={} error={} search_restart=0 ",
                    s.found, s.invalid, s.insert, s.insert_failed, s.drop, s.early_drop, s.error
                );
                if clashes {
                    line += &format!("clash_resolve={} chaintoolong=0 ", s.clash_resolve);
                }
                line
            };
            CommandOutput::lines((0..).zip(ns.ct.stats_by_cpu()).map(line).collect())
        }
        ConntrackOp::Flush => {
            world.with(host, |ns, cx| ns.ct_flush(cx));
            let text = format!("{TOOL}: connection tracking table has been emptied.");
            CommandOutput::failed(0, text)
        }
        ConntrackOp::Events => {
            let lines: Vec<String> = events(world, host, from, command);
            let n = lines.len();
            done(lines, n, "flow events have been shown", 0)
        }
    }
}

/// Both directions of the flow that a command names; `None` if it names none.
fn tuples(f: &ConntrackFilter) -> Option<(Tuple, Tuple)> {
    let proto = f.proto?;
    let key = |sport: Option<u16>, dport: Option<u16>, other: (Option<u16>, Option<u16>)| match proto {
        Protocol::ICMP => f.icmp_type.zip(f.icmp_code).zip(f.icmp_id).map(|((kind, code), id)| L4Key::Echo {
            kind,
            code,
            id,
        }),
        p if [6, 17, 33, 132, 136].contains(&p.0) => {
            let (sport, dport) = (sport.or(other.1)?, dport.or(other.0)?);
            Some(L4Key::Ports { sport, dport })
        }
        _ => Some(L4Key::Other),
    };
    let addr = |a: Option<kernel::netfilter::xtables::IpMatch>| a.map(|a| a.addr);
    let (src, dst) = (addr(f.orig_src).or(addr(f.reply_dst))?, addr(f.orig_dst).or(addr(f.reply_src))?);
    let key_orig = key(f.orig_sport, f.orig_dport, (f.reply_sport, f.reply_dport))?;
    let orig = Tuple::new(src, dst, proto, key_orig);
    let other = orig.invert()?;
    let mut reply = other
        .with_src(addr(f.reply_src).unwrap_or(other.src()))
        .with_dst(addr(f.reply_dst).unwrap_or(other.dst()));
    if let L4Key::Ports { sport, dport } = other.key() {
        reply = reply.with_sport(f.reply_sport.unwrap_or(sport)).with_dport(f.reply_dport.unwrap_or(dport));
    }
    Some((orig, reply))
}

/// A flow of which one end is translated has been decided about as a whole.
const DECIDED: u32 = status::SRC_NAT_DONE | status::DST_NAT_DONE;

/// `conntrack -I`, `-A`
fn create(world: &mut World, host: NetnsId, command: &ConntrackCommand) -> CommandOutput {
    let f = &command.filter;
    let halfway = f.reply_src.is_some() && f.reply_sport.is_none() && f.orig_sport.is_some();
    let zones =
        [(f.zone, None), (f.orig_zone, Some(Direction::Original)), (f.reply_zone, Some(Direction::Reply))];
    let mut zones = zones.into_iter().filter_map(|(id, only)| Some(Zone { id: id?, only }));
    // An entry is in one zone.
    let zone = zones.next().unwrap_or_default();
    let halfway = halfway || zones.next().is_some();
    let Some((orig, mut reply)) = tuples(f).filter(|_| !halfway) else { return failed("invalid parameters") };
    let mut bits = f.status;
    if let (Some(Some((_, Some(port)))), L4Key::Ports { .. }) = (f.dst_nat, reply.key()) {
        reply = reply.with_sport(port);
    }
    if let (Some(Some((_, Some(port)))), L4Key::Ports { .. }) = (f.src_nat, reply.key()) {
        reply = reply.with_dport(port);
    }
    let v4 = |end: NatEnd| -> IpAddr { Ipv4Addr::into(end.0) };
    if let Some(Some(end)) = f.dst_nat {
        reply = reply.with_src(v4(end));
        bits |= status::DST_NAT | DECIDED;
    }
    if let Some(Some(end)) = f.src_nat {
        reply = reply.with_dst(v4(end));
        bits |= status::SRC_NAT | DECIDED;
    }
    let new = NewEntry {
        orig,
        reply,
        timeout: command.timeout.unwrap_or(0),
        status: bits,
        mark: f.mark.map_or(0, |(value, _)| value),
        tcp: f.state,
        zone,
    };
    let made = world.with(host, |ns, cx| ns.ct_create(&new, cx)) == Some(true);
    let add = command.op == ConntrackOp::Add;
    match made {
        true if !add => done(Vec::new(), 1, "flow entries have been created", 0),
        false if !add => failed("Such conntrack exists, try -U to update"),
        made => done(Vec::new(), usize::from(made), "flow entries have been added", 0),
    }
}

/// When an event came, as `-o timestamp` prints it.
fn stamp(o: ConntrackOutput, at: Instant) -> String {
    if o.timestamp { format!("[{}.{:06}]\t", at.0 / 1_000_000, at.0 % 1_000_000) } else { String::new() }
}

/// What `conntrack -E` would have printed, had it run from the beginning.
fn events(world: &World, host: NetnsId, from: EventId, command: &ConntrackCommand) -> Vec<String> {
    let mine = world.log().entries().iter().skip(from.index()).filter(|e| e.host == host);
    let line = |entry: &crate::Entry| {
        let Seen::Kernel(What::CtEvent(e)) = &*entry.seen else { return None };
        let (tag, wanted) = match e.kind {
            CtEventKind::New => ("    [NEW] ", command.events[0]),
            CtEventKind::Update => (" [UPDATE] ", command.events[1]),
            CtEventKind::Destroy => ("[DESTROY] ", command.events[2]),
        };
        let text = framed(event_line(e), &e.row, command.output);
        (wanted && fits(&command.filter, &e.row))
            .then(|| format!("{}{tag}{text}", stamp(command.output, entry.at)))
    };
    mine.filter_map(line).collect()
}

/// The commands on the table of expectations.
fn expectations(
    world: &mut World,
    host: NetnsId,
    from: EventId,
    command: &ConntrackCommand,
) -> CommandOutput {
    let now = world.now();
    let rows = world.host(host).map_or(Vec::new(), |ns| ns.expect_rows(now));
    match command.op {
        ConntrackOp::List => {
            done(rows.iter().map(expect_line).collect(), rows.len(), "expectations have been shown", 0)
        }
        ConntrackOp::Count => CommandOutput::lines(vec![rows.len().to_string()]),
        ConntrackOp::Flush => {
            world.with(host, |ns, cx| ns.expect_flush(cx));
            let text = format!("{TOOL}: expectation table has been emptied.");
            CommandOutput::failed(0, text)
        }
        ConntrackOp::Stats => {
            let line = |(cpu, s): (usize, CtStats)| {
                let (new, create, delete) = (s.expect_new, s.expect_create, s.expect_delete);
                format!("cpu={cpu:<4}\texpect_new={new} expect_create={create} expect_delete={delete} ")
            };
            let all = world.host(host).map(|ns| ns.ct.stats_by_cpu()).unwrap_or_default();
            CommandOutput::lines((0..).zip(all).map(line).collect())
        }
        ConntrackOp::Events => {
            let mine = world.log().entries().iter().skip(from.index()).filter(|e| e.host == host);
            let line = |entry: &crate::Entry| {
                let Seen::Kernel(What::ExpectEvent(e)) = &*entry.seen else { return None };
                let (tag, wanted) = match e.kind {
                    ExpectEventKind::New => ("    [NEW] ", command.events[0]),
                    ExpectEventKind::Destroy => ("[DESTROY] ", command.events[2]),
                };
                let at = stamp(command.output, entry.at);
                wanted.then(|| format!("{at}{tag}{}", expect_line(&e.row)))
            };
            let lines: Vec<String> = mine.filter_map(line).collect();
            let n = lines.len();
            done(lines, n, "expectation events have been shown", 0)
        }
        _ => CommandOutput::failed(1, "conntrack -G, -I, -U and -D of expectations are not modelled"),
    }
}
