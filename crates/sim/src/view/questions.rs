//! What a box has asked the DNS, and what it was told.

use crate::EventId;
use crate::log::{Entry, Log};
use crate::programs::dns_server::rcode_name;
use kernel::NetnsId;
use kernel::event::What;
use packet::{Dns, DnsName, L4, rcode};
use std::net::IpAddr;
use std::ops::Range;

const DNS: u16 = 53;

/// A name that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The name.
    pub name: DnsName,
    /// Who was asked.
    pub server: IpAddr,
    /// In a word what was said last: `NXDOMAIN`, `an answer`.
    pub said: String,
}

impl Question {
    /// The server knows the name.
    pub fn is_answered(&self) -> bool {
        self.said == ANSWER
    }
}

/// The names that a box has asked for by UDP within these events, each once of a server, in the order in which they were asked first.
pub fn questions(log: &Log, host: NetnsId, within: Range<EventId>) -> Vec<Question> {
    let entries = log.entries().get(within.start.index()..within.end.index()).unwrap_or_default();
    let mut out: Vec<Question> = Vec::new();
    let mut asked: Vec<(u16, DnsName, usize)> = Vec::new();
    for (entry, (dns, server)) in entries.iter().filter_map(|e| Some((e, message(e)?))) {
        let Some(question) = dns.questions.first() else { continue };
        if !dns.response && entry.host == host {
            let same = |q: &Question| q.name == question.name && q.server == server;
            let at = out.iter().position(same).unwrap_or_else(|| {
                let said = "no answer".to_owned();
                out.push(Question { name: question.name.clone(), server, said });
                out.len() - 1
            });
            asked.push((dns.id, question.name.clone(), at));
        } else if dns.response
            && let Some((.., at)) = asked.iter().find(|(id, name, _)| *id == dns.id && *name == question.name)
            && let Some(known) = out.get_mut(*at).filter(|q| q.said != ANSWER)
        {
            known.said = match (dns.rcode, dns.answers.is_empty()) {
                (rcode::NOERROR, false) => ANSWER.to_owned(),
                (rcode::NOERROR, true) => "no such record".to_owned(),
                (code, _) => rcode_name(code),
            };
        }
    }
    out
}

const ANSWER: &str = "an answer";

/// A message of DNS as it was made, and to whom it was sent.
fn message(entry: &Entry) -> Option<(Dns, IpAddr)> {
    let Some(What::Created { frame, .. }) = entry.what() else { return None };
    let ip = frame.ip()?;
    match &ip.l4 {
        L4::Udp(u) if u.dport == DNS || u.sport == DNS => Some((Dns::parse(&u.payload)?, ip.dst)),
        _ => None,
    }
}
