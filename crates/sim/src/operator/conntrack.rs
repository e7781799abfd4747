//! What `conntrack` prints and deletes.

use super::{CommandOutput, refused};
use crate::view::{expect_line, row_text};
use crate::world::World;
use kernel::NetnsId;
use kernel::netfilter::conntrack::{L4Key, Row, status};
use userland::conntrack::{ConntrackFilter, ConntrackOp, ConntrackTable, parse_conntrack};

/// True if an entry fits every part of a filter that is given.
fn fits(f: &ConntrackFilter, row: &Row) -> bool {
    let (orig, reply) = (&row.orig, &row.reply);
    let (kind, code, id) = match orig.key {
        L4Key::Echo { kind, code, id } => (Some(kind), Some(code), Some(id)),
        _ => (None, None, None),
    };
    let has = |bit: u32| row.status & bit != 0;
    f.proto.is_none_or(|p| p == orig.proto)
        && f.orig_src.is_none_or(|a| a.contains(orig.src))
        && f.orig_dst.is_none_or(|a| a.contains(orig.dst))
        && f.reply_src.is_none_or(|a| a.contains(reply.src))
        && f.reply_dst.is_none_or(|a| a.contains(reply.dst))
        && f.orig_sport.is_none_or(|p| p == orig.key.sport())
        && f.orig_dport.is_none_or(|p| p == orig.key.dport())
        && f.reply_sport.is_none_or(|p| p == reply.key.sport())
        && f.reply_dport.is_none_or(|p| p == reply.key.dport())
        && (f.icmp_type.is_none() || f.icmp_type == kind)
        && (f.icmp_code.is_none() || f.icmp_code == code)
        && (f.icmp_id.is_none() || f.icmp_id == id)
        && f.state.is_none_or(|s| row.tcp.is_some_and(|t| t.state == s))
        && f.mark.is_none_or(|(value, mask)| row.mark & mask == value)
        && row.status & f.status == f.status
        && (!f.src_nat || has(status::SRC_NAT))
        && (!f.dst_nat || has(status::DST_NAT))
        && (!f.any_nat || has(status::NAT_MASK))
}

/// What the real tool calls itself in its summaries.
const TOOL: &str = "conntrack v1.4.7 (conntrack-tools)";

/// `conntrack -L|-D|-F|-C|-S` with filters.
pub(super) fn conntrack(world: &mut World, host: NetnsId, argv: &[String]) -> CommandOutput {
    let command = match parse_conntrack(argv) {
        Ok(command) => command,
        Err(diagnostic) => return refused(2, &diagnostic),
    };
    let now = world.now();
    if matches!(command.op, ConntrackOp::List | ConntrackOp::Delete) {
        world.with(host, |ns, cx| ns.ct_evict(cx));
    }
    let Some(ns) = world.host(host) else { return CommandOutput::default() };
    let expectations = command.table == ConntrackTable::Expectations;
    if expectations && command.op == ConntrackOp::List {
        let stdout: Vec<String> = ns.expect_rows(now).iter().map(expect_line).collect();
        let stderr = vec![format!("{TOOL}: {} expectations have been shown.", stdout.len())];
        return CommandOutput { status: 0, stdout, stderr };
    }
    let all = if expectations { Vec::new() } else { ns.ct.rows(now) };
    let rows: Vec<Row> = all.iter().filter(|r| fits(&command.filter, r)).copied().collect();
    let what = if expectations { "expectations" } else { "flow entries" };
    let summary = |verb: &str| vec![format!("{TOOL}: {} {what} have been {verb}.", rows.len())];
    let family = if command.extended { "ipv4     2 " } else { "" };
    let lines = || rows.iter().map(|r| format!("{family}{}", row_text(r))).collect();
    match command.op {
        ConntrackOp::List => CommandOutput { status: 0, stdout: lines(), stderr: summary("shown") },
        ConntrackOp::Count => CommandOutput::lines(vec![all.len().to_string()]),
        ConntrackOp::Stats => {
            let s = ns.ct.stats();
            CommandOutput::lines(vec![format!(
                "cpu=0   \tfound={} invalid={} insert={} insert_failed={} drop={} early_drop={} error={} \
                 search_restart=0 clash_resolve={} chaintoolong=0 ",
                s.found, s.invalid, s.insert, s.insert_failed, s.drop, s.early_drop, s.error, s.clash_resolve
            )])
        }
        ConntrackOp::Flush => {
            world.with(host, |ns, cx| if expectations { ns.expect_flush(cx) } else { ns.ct_flush(cx) });
            let table = if expectations { "expectation" } else { "connection tracking" };
            let text = format!("{TOOL}: {table} table has been emptied.");
            CommandOutput { status: 0, stdout: Vec::new(), stderr: vec![text] }
        }
        ConntrackOp::Delete => {
            let out = CommandOutput {
                status: i32::from(rows.is_empty()),
                stdout: lines(),
                stderr: summary("deleted"),
            };
            for row in &rows {
                world.with(host, |ns, cx| ns.ct_delete(row.id, cx));
            }
            out
        }
        ConntrackOp::Events => {
            CommandOutput::failed(1, "conntrack -E is not modelled; the log has the events")
        }
    }
}
