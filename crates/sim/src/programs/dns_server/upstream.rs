//! A query that is sent on to another server, over UDP or TCP.

use crate::programs::Run;
use crate::programs::dns_stream::{Lost, Stream};
use kernel::SocketId;
use kernel::socket::Errno;
use packet::Dns;
use std::net::Ipv4Addr;

/// How it was sent on: as it came in.
#[derive(Clone, Debug)]
pub(super) enum Upstream {
    Udp(SocketId),
    Tcp(Stream),
}

impl Upstream {
    /// The answer to a query; `None` while it is waited for.
    pub(super) fn listen(&mut self, run: &mut Run<'_, '_>, id: u16) -> Option<Result<Dns, Failure>> {
        loop {
            let message = match self {
                Upstream::Udp(socket) => {
                    let socket = *socket;
                    if let Some(e) = run.kernel(|ns, _| ns.take_error(socket)).flatten() {
                        return Some(Err(Failure::Read(e.errno)));
                    }
                    run.kernel(|ns, _| ns.udp_recv(socket)).flatten()?.payload.to_vec()
                }
                Upstream::Tcp(stream) => match stream.next(run)? {
                    Ok(message) => message,
                    Err(Lost::Connect(errno)) => return Some(Err(Failure::Dial(errno))),
                    Err(Lost::Broken(errno)) => return Some(Err(Failure::Read(errno))),
                    Err(Lost::Eof) => return Some(Err(Failure::Eof)),
                },
            };
            if let Some(answer) = Dns::parse(&message).filter(|a| a.response && a.id == id) {
                return Some(Ok(answer));
            }
        }
    }

    pub(super) fn close(self, run: &mut Run<'_, '_>) {
        match self {
            Upstream::Udp(socket) => run.close(socket),
            Upstream::Tcp(stream) => stream.close(run),
        }
    }
}

/// Why a server has not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Dial(Errno),
    Read(Errno),
    Eof,
    Timeout,
}

impl Failure {
    /// As Go words it.
    pub(super) fn text(self, proto: &str, local: (Ipv4Addr, u16), to: (Ipv4Addr, u16)) -> String {
        let ((a, b), (c, d)) = (local, to);
        let read = |why: &str| format!("read {proto} {a}:{b}->{c}:{d}: {why}");
        match self {
            Failure::Dial(errno) => {
                format!("dial {proto} {c}:{d}: connect: {}", errno.text().to_lowercase())
            }
            Failure::Read(errno) => read(&format!("read: {}", errno.text().to_lowercase())),
            Failure::Eof => "EOF".to_owned(),
            Failure::Timeout => read("i/o timeout"),
        }
    }
}

/// Sends a query from a socket of its own.
pub(super) fn datagram(run: &mut Run<'_, '_>, to: (Ipv4Addr, u16), query: &Dns) -> Result<Upstream, Errno> {
    let bytes = query.to_bytes();
    let sent = run.kernel(|ns, kcx| {
        let socket = ns.udp_bind((Ipv4Addr::UNSPECIFIED, 0), kcx)?;
        let done = ns.udp_connect(socket, to).and_then(|()| ns.udp_send(socket, None, None, bytes, kcx));
        if let Err(errno) = done {
            ns.close(socket);
            return Err(errno);
        }
        Ok(socket)
    });
    let socket = sent.unwrap_or(Err(Errno::EINVAL))?;
    run.own(socket);
    Ok(Upstream::Udp(socket))
}
