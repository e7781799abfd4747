//! What conntrack remembers, and who reads for it.

use super::Tries;
use kernel::event::{CtEventKind, CtStep, What};
use kernel::netfilter::conntrack::Row;
use packet::Protocol;
use sim::{Entry, World};

/// Against entries that were there before an exchange began and led its packets where they should no longer go, and against flows without a
/// helper.
pub(super) fn against(world: &World, within: &[Entry], tries: &mut Tries) {
    let made = |e: &Entry| match e.what() {
        Some(What::Conntrack { step: CtStep::New | CtStep::Expected, row: Some(row), .. }) => {
            Some((e.host, row.id))
        }
        _ => None,
    };
    let made: Vec<_> = within.iter().filter_map(made).collect();
    for entry in within {
        let Some(ns) = world.host(entry.host) else { continue };
        match entry.what() {
            Some(What::Conntrack { step: CtStep::Found, row: Some(row), .. })
                if !made.contains(&(entry.host, row.id)) =>
            {
                forget(&ns.name, row, tries);
            }
            Some(What::CtEvent(event)) if event.kind == CtEventKind::New && event.row.helper.is_none() => {
                helper(&ns.name, &event.row, tries);
            }
            _ => {}
        }
    }
}

fn forget(on: &str, row: &Row, tries: &mut Tries) {
    let (orig, proto) = (row.orig, protocol(row));
    if let Some(proto) = proto {
        tries.add(on, format!("conntrack -D -p {proto} -d {} --dport {}", orig.dst(), orig.dport()));
    }
}

/// Against a TFTP or FTP server behind a translation that nobody reads along with.
fn helper(on: &str, row: &Row, tries: &mut Tries) {
    let Some((name, proto)) = (match (row.reply.sport(), protocol(row)) {
        (69, Some("udp")) => Some(("tftp", "udp")),
        (21, Some("tcp")) => Some(("ftp", "tcp")),
        _ => None,
    }) else {
        return;
    };
    let port = row.orig.dport();
    tries.add(on, "sysctl -w net.netfilter.nf_conntrack_helper=1".to_owned());
    tries.add(on, format!("iptables -t raw -A PREROUTING -p {proto} --dport {port} -j CT --helper {name}"));
}

/// Its name, of those whose ports mean something here.
fn protocol(row: &Row) -> Option<&'static str> {
    match row.orig.proto() {
        Protocol::TCP => Some("tcp"),
        Protocol::UDP => Some("udp"),
        _ => None,
    }
}
