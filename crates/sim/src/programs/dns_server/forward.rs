//! The plugin `forward`.

use super::dns_stream::Stream;
use super::upstream::{Failure, Line, Upstream, datagram};
use super::{Client, DnsServer, Run, Said, Way};
use crate::programs::resolve::{DNS_PORT, ResolvConf};
use kernel::Instant;
use packet::{Dns, DnsName};
use std::net::Ipv4Addr;
use std::time::Duration;

/// How long `forward` waits for one answer, and how long it tries altogether (plugin/forward).
const READ_TIMEOUT: Duration = Duration::from_secs(2);
const FORWARD_TIMEOUT: Duration = Duration::from_secs(5);
/// So many queries wait for answers at a time, as with `max_concurrent`: a server that asks itself comes to an end.
const MAX_CONCURRENT: usize = 100;

/// The plugin `forward`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forward {
    /// Names below it are sent on,
    pub zone: String,
    /// but not those below one of these.
    pub except: Vec<String>,
    /// Where to; the first is asked first, another after a failure.
    pub to: Vec<(Ipv4Addr, u16)>,
}

impl Forward {
    /// A name is sent on.
    pub(super) fn is_for(&self, name: &DnsName) -> bool {
        name.below(&self.zone).is_some() && !self.except.iter().any(|z| name.below(z).is_some())
    }
}

/// A query that was sent on.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    block: usize,
    query: Dns,
    client: Client,
    way: Upstream,
    /// The socket was used before.
    reused: bool,
    to: (Ipv4Addr, u16),
    local: (Ipv4Addr, u16),
    /// How many servers were tried.
    tries: usize,
    until: Instant,
    begun: Instant,
}

impl DnsServer {
    /// The first `forward` of a block that takes a query.
    pub(super) fn forward_of(&self, block: usize, query: &Dns) -> Option<Forward> {
        let name = &query.questions.first()?.name;
        self.blocks.get(block)?.forward.iter().find(|f| f.is_for(name)).cloned()
    }

    /// Asks the server whose turn it is after so many tries.
    #[allow(clippy::too_many_arguments, reason = "what a query is, and how far it has come")]
    pub(super) fn send_on(
        &mut self,
        run: &mut Run<'_, '_>,
        block: usize,
        query: &Dns,
        client: Client,
        forward: &Forward,
        tries: usize,
        begun: Instant,
    ) -> Said {
        if self.pending.len() >= MAX_CONCURRENT {
            return Said::Failed(format!("concurrent queries exceeded maximum {MAX_CONCURRENT}"));
        }
        let Some(to) = forward.to.get(tries % forward.to.len().max(1)).copied() else {
            return Said::Failed("no healthy proxies".to_owned());
        };
        let line = Line { block, to, tcp: matches!(client.way, Way::Tcp(_)) };
        let kept = self.pool.as_mut().and_then(|pool| pool.ask(run, line, query));
        if let Some(Err(_)) = kept {
            return self.send_on(run, block, query, client, forward, tries + 1, begun);
        }
        let reused = kept.is_some();
        let sent = match (kept, client.way) {
            (Some(way), _) => way,
            (None, Way::Udp(_)) => datagram(run, to, query),
            (None, Way::Tcp(_)) => Stream::open(run, to, &[query.to_bytes()]).map(Upstream::Tcp),
        };
        let way = match sent {
            Ok(way) => way,
            Err(errno) => {
                let nowhere = (Ipv4Addr::UNSPECIFIED, 0);
                return Said::Failed(Failure::Dial(errno).text(client.proto(), nowhere, to));
            }
        };
        let local = run.kernel(|ns, _| match &way {
            Upstream::Udp(socket) => ns.udp_local(*socket),
            Upstream::Tcp(stream) => ns.tcp_info(stream.socket).map(|(_, local, _)| local),
        });
        let local = local.flatten().unwrap_or((Ipv4Addr::UNSPECIFIED, 0));
        let until = run.wake_after(READ_TIMEOUT);
        let query = query.clone();
        let tries = tries + 1;
        self.pending.push(Pending { block, query, client, way, reused, to, local, tries, until, begun });
        Said::Later
    }

    /// What the servers have answered, and what has been waited for too long.
    pub(super) fn listen_to_servers(&mut self, run: &mut Run<'_, '_>) {
        for mut p in std::mem::take(&mut self.pending) {
            let why = match p.way.listen(run, p.query.id) {
                Some(Ok(answer)) => {
                    let line = Line { block: p.block, to: p.to, tcp: matches!(p.client.way, Way::Tcp(_)) };
                    match &mut self.pool {
                        Some(pool) => pool.give(run, line, p.way),
                        None => p.way.close(run),
                    }
                    self.said(run, p.block, &p.query, p.client, Said::Answer(answer));
                    continue;
                }
                Some(Err(why)) => why,
                None if run.now() < p.until => {
                    self.pending.push(p);
                    continue;
                }
                None => Failure::Timeout,
            };
            p.way.close(run);
            let forward = self.forward_of(p.block, &p.query);
            let late = run.now().since(p.begun) >= FORWARD_TIMEOUT;
            // A server that has closed a connection which was kept is asked once more, by another.
            let tries = p.tries - usize::from(p.reused && why == Failure::Eof);
            let said = match forward {
                Some(forward) if !late => {
                    self.send_on(run, p.block, &p.query, p.client, &forward, tries, p.begun)
                }
                _ => Said::Failed(why.text(p.client.proto(), p.local, p.to)),
            };
            self.said(run, p.block, &p.query, p.client, said);
        }
    }
}

/// The servers that /etc/resolv.conf names, for `forward . /etc/resolv.conf`.
pub fn servers_of(resolv_conf: &str) -> Vec<(Ipv4Addr, u16)> {
    ResolvConf::parse(resolv_conf).unwrap_or_default().servers.into_iter().map(|a| (a, DNS_PORT)).collect()
}
