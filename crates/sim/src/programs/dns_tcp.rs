//! DNS over TCP (RFC 7766): each message has its length before it, in two bytes.

use super::Run;
use super::dns_server::Client;
use kernel::SocketId;
use kernel::socket::{Errno, Received};
use packet::Dns;
use std::net::Ipv4Addr;

/// A message with its length.
pub(super) fn framed(message: &[u8]) -> Vec<u8> {
    let len = u16::try_from(message.len()).unwrap_or(u16::MAX);
    let mut out = len.to_be_bytes().to_vec();
    out.extend_from_slice(message.get(..usize::from(len)).unwrap_or(message));
    out
}

/// Takes the first whole message out of what has come in.
pub(super) fn unframed(bytes: &mut Vec<u8>) -> Option<Vec<u8>> {
    let len = usize::from(u16::from_be_bytes([*bytes.first()?, *bytes.get(1)?]));
    let message = bytes.get(2..2 + len)?.to_vec();
    bytes.drain(..2 + len);
    Some(message)
}

/// Sends a message over a connection.
pub(super) fn send(run: &mut Run<'_, '_>, socket: SocketId, messages: &[Vec<u8>]) {
    let bytes: Vec<u8> = messages.iter().flat_map(|m| framed(m)).collect();
    run.kernel(|ns, kcx| {
        let _ = ns.tcp_send(socket, &bytes, kcx);
    });
}

/// Puts what has come in behind `bytes`. `Err` if the connection is over, and why.
pub(super) fn read(
    run: &mut Run<'_, '_>,
    socket: SocketId,
    bytes: &mut Vec<u8>,
) -> Result<(), Option<Errno>> {
    loop {
        match run.kernel(|ns, _| ns.tcp_recv(socket)) {
            Some(Received::Data(data)) => bytes.extend(data),
            Some(Received::Nothing) => return Ok(()),
            Some(Received::Error(errno)) => return Err(Some(errno)),
            Some(Received::Eof) | None => return Err(None),
        }
    }
}

/// The connections of a server.
#[derive(Clone, Debug, Default)]
pub(super) struct Clients {
    listener: Option<SocketId>,
    /// What has come in of each, and both ends.
    open: Vec<(SocketId, Vec<u8>, [(Ipv4Addr, u16); 2])>,
}

impl Clients {
    /// Begins to listen. A port that is taken is nobody's.
    pub fn listen(&mut self, run: &mut Run<'_, '_>, bind: (Ipv4Addr, u16)) {
        if let Some(Ok(listener)) = run.kernel(|ns, _| ns.tcp_listen(bind)) {
            run.own(listener);
            self.listener = Some(listener);
        }
    }

    /// The queries that have come in whole.
    pub fn queries(&mut self, run: &mut Run<'_, '_>) -> Vec<Client> {
        let Some(listener) = self.listener else { return Vec::new() };
        while let Some(Some(socket)) = run.kernel(|ns, _| ns.tcp_accept(listener)) {
            run.own(socket);
            let ends = run.kernel(|ns, _| ns.tcp_info(socket)).flatten();
            let nobody = (Ipv4Addr::UNSPECIFIED, 0);
            self.open.push((socket, Vec::new(), ends.map_or([nobody; 2], |(_, local, from)| [local, from])));
        }
        let mut out = Vec::new();
        for (socket, mut bytes, ends) in std::mem::take(&mut self.open) {
            let over = read(run, socket, &mut bytes).is_err();
            while let Some(payload) = unframed(&mut bytes) {
                out.push(Client { from: ends[1], to: ends[0].0, payload, tcp: Some(socket) });
            }
            match over {
                true => run.close_tcp(socket),
                false => self.open.push((socket, bytes, ends)),
            }
        }
        out
    }
}

/// An answer that fits: what is too long for UDP is cut, and says so.
pub(super) fn fitting(answer: &Dns, limit: usize) -> Dns {
    let mut cut = answer.clone();
    while cut.to_bytes().len() > limit && !(cut.answers.is_empty() && cut.additional.is_empty()) {
        cut.truncated = true;
        if cut.additional.pop().is_none() {
            cut.answers.pop();
        }
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::{framed, unframed};

    #[test]
    fn messages_come_out_as_they_went_in() {
        let mut bytes = [framed(b"one"), framed(b"second")].concat();
        bytes.push(0);
        assert_eq!(unframed(&mut bytes), Some(b"one".to_vec()));
        assert_eq!(unframed(&mut bytes), Some(b"second".to_vec()));
        assert_eq!(unframed(&mut bytes), None);
    }
}
