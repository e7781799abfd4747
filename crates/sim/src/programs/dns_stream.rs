//! DNS over TCP: each message stands behind its length (RFC 1035, 4.2.2; RFC 7766).

use super::{Run, connect};
use kernel::SocketId;
use kernel::socket::{Errno, Received};
use std::net::Ipv4Addr;

/// A message as it goes over a connection.
pub(super) fn framed(message: &[u8]) -> Vec<u8> {
    let len = u16::try_from(message.len()).unwrap_or(u16::MAX);
    let message = message.get(..usize::from(len)).unwrap_or(message);
    [&len.to_be_bytes(), message].concat()
}

/// Takes the first message out of what a connection has brought; `None` while it is not whole.
pub(super) fn take(got: &mut Vec<u8>) -> Option<Vec<u8>> {
    let [high, low, ..] = got.as_slice() else { return None };
    let end = 2 + usize::from(u16::from_be_bytes([*high, *low]));
    (got.len() >= end).then(|| got.drain(..end).skip(2).collect())
}

/// A connection to a server: what is to be said once it stands, and what has come back.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    /// Its socket.
    pub(super) socket: SocketId,
    /// What waits for the connection.
    waiting: Vec<u8>,
    got: Vec<u8>,
    over: Option<Lost>,
}

/// Why a connection brings nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// It did not come about.
    Connect(Errno),
    /// The server has closed it.
    Eof,
    /// It broke.
    Broken(Errno),
}

impl Stream {
    /// Begins to connect. These messages leave in one piece when the connection stands.
    ///
    /// # Errors
    /// There is no way to the server.
    pub(super) fn open(
        run: &mut Run<'_, '_>,
        to: (Ipv4Addr, u16),
        messages: &[Vec<u8>],
    ) -> Result<Stream, Errno> {
        let socket = connect::begin(run, (Ipv4Addr::UNSPECIFIED, 0), to)?;
        let waiting = messages.iter().flat_map(|m| framed(m)).collect();
        Ok(Stream { socket, waiting, got: Vec::new(), over: None })
    }

    /// Sends one more message over a connection that stood, and says whether the server had closed it.
    pub(super) fn say(&mut self, run: &mut Run<'_, '_>, message: &[u8]) -> bool {
        let socket = self.socket;
        run.kernel(|ns, kcx| {
            let _ = ns.tcp_send(socket, &framed(message), kcx);
        });
        self.read(run);
        self.over == Some(Lost::Eof)
    }

    /// The next message; `None` while there is none.
    ///
    /// # Errors
    /// Nothing comes any more. The socket is closed.
    pub(super) fn next(&mut self, run: &mut Run<'_, '_>) -> Option<Result<Vec<u8>, Lost>> {
        if !self.waiting.is_empty() {
            if let Err(errno) = connect::stands(run, self.socket)? {
                self.waiting.clear();
                self.over = Some(Lost::Connect(errno));
            } else {
                let (socket, waiting) = (self.socket, std::mem::take(&mut self.waiting));
                run.kernel(|ns, kcx| {
                    let _ = ns.tcp_send(socket, &waiting, kcx);
                });
            }
        }
        self.read(run);
        take(&mut self.got).map(Ok).or(self.over.map(Err))
    }

    /// Reads what has come.
    fn read(&mut self, run: &mut Run<'_, '_>) {
        while self.over.is_none() {
            let socket = self.socket;
            let lost = match run.kernel(|ns, _| ns.tcp_recv(socket)) {
                Some(Received::Data(data)) => {
                    self.got.extend(data);
                    continue;
                }
                Some(Received::Nothing) | None => break,
                Some(Received::Eof) => Lost::Eof,
                Some(Received::Error(errno)) => Lost::Broken(errno),
            };
            run.close_tcp(socket);
            self.over = Some(lost);
        }
    }

    /// Closes the connection.
    pub(super) fn close(self, run: &mut Run<'_, '_>) {
        if self.over.is_none() {
            run.close_tcp(self.socket);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_taken_one_by_one_when_they_are_whole() {
        let mut got = [framed(b"one"), framed(b"")].concat();
        got.extend([0, 2, b'x']);
        assert_eq!(take(&mut got), Some(b"one".to_vec()));
        assert_eq!(take(&mut got), Some(Vec::new()));
        assert_eq!(take(&mut got), None);
        got.push(b'y');
        assert_eq!(take(&mut got), Some(b"xy".to_vec()));
        assert_eq!(take(&mut got), None);
    }
}
