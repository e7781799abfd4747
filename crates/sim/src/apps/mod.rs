//! Applications: small state machines over sockets.
//!
//! An application is run when it starts, when one of its sockets has news, and at the times for which it asked. It
//! never blocks; it ends by becoming [`App::Finished`].

mod ping;
mod server;
mod tcp;
mod tcp_sender;
mod tftp;
mod udp;

pub use ping::Ping;
pub use server::{TcpServer, UdpServer};
pub use tcp::TcpClient;
pub use tcp_sender::TcpSender;
pub use tftp::{TftpClient, TftpGot, TftpServer};
pub use udp::UdpClient;

use crate::operator::CommandOutput;
use crate::programs::Process;
use crate::world::{AppId, World};
use kernel::socket::{Errno, SocketError};
use kernel::{Cx, Instant, Netns, NetnsId};
use packet::Ip;
use std::fmt;
use std::net::Ipv4Addr;

/// An IPv4 address and a port.
pub type Endpoint = (Ipv4Addr, u16);

/// What an application reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppEvent {
    /// A server accepted a connection.
    Accept {
        /// What it is bound to.
        server: Endpoint,
        /// The client as the server sees it.
        from: Endpoint,
        /// The server's own end.
        local: Endpoint,
    },
    /// A server received a datagram.
    Datagram {
        /// What it is bound to.
        server: Endpoint,
        /// The client as the server sees it.
        from: Endpoint,
        /// The address that was asked.
        to: Ipv4Addr,
        /// Bytes.
        len: usize,
    },
    /// A server's socket has an error.
    ServerError {
        /// True for TCP.
        tcp: bool,
        /// What it is bound to.
        server: Endpoint,
        /// The error.
        errno: Errno,
    },
    /// A server could not send its answer.
    SendError {
        /// What it is bound to.
        server: Endpoint,
        /// The error.
        errno: Errno,
    },
    /// A TFTP server received a request.
    TftpRequest {
        /// What it is bound to.
        server: Endpoint,
        /// The client as the server sees it.
        from: Endpoint,
        /// What is asked: 1 is a file to read.
        opcode: u16,
    },
    /// A TFTP server's data socket has an error.
    TftpData {
        /// Its port, if sending failed.
        port: Option<u16>,
        /// The error.
        error: SocketError,
    },
    /// A TFTP server has delivered a whole file.
    TftpDone {
        /// Its size.
        bytes: usize,
    },
    /// A TFTP client asks for a file.
    TftpGet {
        /// Whom.
        to: Endpoint,
        /// The file.
        file: String,
    },
    /// A TFTP client has a whole file.
    TftpReceived {
        /// Its size.
        bytes: usize,
        /// Who sent it.
        from: Option<Endpoint>,
    },
    /// A TFTP client gave up.
    TftpTimedOut {
        /// Whom it had asked.
        to: Endpoint,
    },
    /// A client begins.
    Connect {
        /// True for TCP.
        tcp: bool,
        /// Where to.
        to: Endpoint,
    },
    /// A client's connection stands.
    Connected {
        /// Where to.
        to: Endpoint,
    },
    /// A client received this.
    Reply {
        /// From whom.
        from: Endpoint,
        /// The text.
        text: String,
    },
    /// A client failed with this error.
    Failed {
        /// Where to.
        to: Endpoint,
        /// The error.
        errno: Errno,
    },
    /// A program was started: its command line.
    Started {
        /// What was typed.
        command: String,
    },
    /// A program printed a line.
    Printed {
        /// The line.
        line: String,
        /// True for a complaint on standard error.
        error: bool,
    },
    /// A client gave up waiting.
    TimedOut {
        /// Where to.
        to: Endpoint,
        /// True if not even the connection came about.
        connecting: bool,
        /// How long it has waited, in milliseconds.
        after_ms: u64,
    },
}

/// The answer to a TCP request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Bytes.
    Data(Vec<u8>),
    /// The peer closed without an answer.
    Eof,
    /// The connection failed.
    Error(Errno),
    /// No answer in time.
    Timeout,
}

/// What a UDP client got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UdpReply {
    /// A datagram.
    From(Endpoint, Vec<u8>),
    /// An error on the socket; an ICMP error is in the error queue too.
    Error(SocketError),
}

/// How an application ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing to say.
    None,
    /// A TCP client.
    Tcp {
        /// The connection: `Ok`, an error, or `None` for no answer in time.
        connect: Option<Result<(), Errno>>,
        /// The answer, if there was a connection.
        reply: Option<Reply>,
    },
    /// More was sent on a connection that was kept open: the answer, or why it could not be sent.
    TcpSent(Result<Reply, Errno>),
    /// A UDP client that could not send.
    UdpFailed(Errno),
    /// A UDP client.
    Udp {
        /// What it got.
        got: Vec<UdpReply>,
        /// It waited for an answer.
        waited: bool,
    },
    /// A TFTP client.
    Tftp {
        /// It has the whole file.
        done: bool,
        /// What it got.
        got: TftpGot,
    },
    /// A program has ended.
    Command(CommandOutput),
    /// ping could not send.
    PingFailed(Errno),
    /// ping: the ICMP message that came back, if any.
    Ping(Option<Ip>),
}

/// An application.
#[derive(Clone, Debug)]
pub enum App {
    /// See [`TcpServer`].
    TcpServer(TcpServer),
    /// See [`UdpServer`].
    UdpServer(UdpServer),
    /// See [`TftpServer`].
    TftpServer(TftpServer),
    /// A client of a scenario: [`TcpClient`], [`TcpSender`], [`UdpClient`], [`TftpClient`] or [`Ping`].
    Client(Client),
    /// See [`Process`].
    Process(Process),
    /// It has ended.
    Finished(Outcome),
}

/// What a client does. A world knows no more of it, so that who starts none does not carry them.
trait Act {
    /// Where it runs.
    fn host(&self) -> NetnsId;

    /// The name of its process.
    fn name(&self) -> &'static str;

    /// Goes on as far as it can. `Some` is how it ended.
    fn run(&mut self, cx: &mut AppCx<'_>) -> Option<Outcome>;

    /// A copy: worlds can be copied.
    fn copy(&self) -> Box<dyn Act>;
}

/// A client of a scenario.
pub struct Client(Box<dyn Act>);

impl Clone for Client {
    fn clone(&self) -> Client {
        Client(self.0.copy())
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

/// Makes an application of each of the clients.
macro_rules! clients {
    ($($client:ident $name:literal,)*) => {
        $(
            impl Act for $client {
                fn host(&self) -> NetnsId {
                    self.host
                }

                fn name(&self) -> &'static str {
                    $name
                }

                fn run(&mut self, cx: &mut AppCx<'_>) -> Option<Outcome> {
                    $client::run(self, cx)
                }

                fn copy(&self) -> Box<dyn Act> {
                    Box::new(self.clone())
                }
            }

            impl From<$client> for App {
                fn from(client: $client) -> App {
                    App::Client(Client(Box::new(client)))
                }
            }
        )*
    };
}

clients! {
    TcpClient "client",
    TcpSender "client",
    UdpClient "client",
    TftpClient "tftp",
    Ping "ping",
}

/// The status of what SIGKILL has ended: 128 and its number.
const KILLED: i32 = 137;

/// What an application may do while it runs.
pub(crate) struct AppCx<'a> {
    pub world: &'a mut World,
    pub id: AppId,
    pub wakes: &'a mut Vec<Instant>,
}

impl AppCx<'_> {
    pub(crate) fn now(&self) -> Instant {
        self.world.now()
    }

    /// The socket of a UDP server, which then belongs to this application. The inner `None`: it could not be bound, and
    /// that was reported.
    pub(crate) fn udp_server(&mut self, host: NetnsId, server: Endpoint) -> Option<Option<kernel::SocketId>> {
        Some(match self.with(host, |ns, kcx| ns.udp_bind(server, kcx))? {
            Ok(socket) => {
                self.world.own(host, socket, self.id);
                Some(socket)
            }
            Err(errno) => {
                self.report(host, AppEvent::ServerError { tcp: false, server, errno });
                None
            }
        })
    }

    /// Asks to be run again then.
    pub(crate) fn wake_at(&mut self, at: Instant) {
        self.wakes.push(at);
    }

    /// Goes on with this turn then, before any other program runs.
    pub(crate) fn go_on_at(&mut self, at: Instant) {
        self.world.keep_busy(self.id, at);
        self.wakes.push(at);
    }

    pub(crate) fn with<T>(
        &mut self,
        host: NetnsId,
        f: impl FnOnce(&mut Netns, &mut Cx<'_>) -> T,
    ) -> Option<T> {
        self.world.with(host, f)
    }

    pub(crate) fn report(&mut self, host: NetnsId, event: AppEvent) {
        self.world.app_event(host, event);
    }
}

impl App {
    /// Where it runs; `None` if it has ended.
    pub(crate) fn host(&self) -> Option<NetnsId> {
        Some(match self {
            App::TcpServer(a) => a.host,
            App::UdpServer(a) => a.host,
            App::TftpServer(a) => a.host,
            App::Client(a) => a.0.host(),
            App::Process(a) => a.host(),
            App::Finished(_) => return None,
        })
    }

    /// SIGKILL, if it runs on this box.
    pub(crate) fn kill(&mut self, host: NetnsId) {
        if self.host() == Some(host) {
            let output = match self {
                App::Process(a) => CommandOutput { status: KILLED, ..a.output().clone() },
                _ => CommandOutput { status: KILLED, ..CommandOutput::default() },
            };
            *self = App::Finished(Outcome::Command(output));
        }
    }

    /// The name of its process.
    pub(crate) fn name(&self) -> &str {
        match self {
            App::TcpServer(_) | App::UdpServer(_) => "server",
            App::TftpServer(_) => "tftpd",
            App::Client(a) => a.0.name(),
            App::Process(p) => p.name(),
            App::Finished(_) => "",
        }
    }

    pub(crate) fn run(&mut self, cx: &mut AppCx<'_>) {
        let outcome = match self {
            App::TcpServer(a) => a.run(cx),
            App::UdpServer(a) => a.run(cx),
            App::TftpServer(a) => a.run(cx),
            App::Client(a) => a.0.run(cx),
            App::Process(a) => a.run(cx),
            App::Finished(_) => None,
        };
        if let Some(outcome) = outcome {
            *self = App::Finished(outcome);
        }
    }
}
