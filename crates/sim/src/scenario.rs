//! The description of a world and of what is done in it.

use crate::operator::CommandOutput;
use crate::programs::{Daemon, Job};
use crate::world::World;
use kernel::NetnsId;
use kernel::netfilter::Hold;
use packet::{Frame, Ip, Mac};
use std::net::Ipv4Addr;
use std::pin::Pin;
use userland::ip::IpCommand;

/// Runs a command line with its standard input on a box, in parts. A scenario brings it along, so that who runs no commands does not
/// carry every parser of them.
pub type Shell = for<'a> fn(&'a mut World, NetnsId, &'a [String], Option<&'a str>) -> Doing<'a>;
/// A command that is being run; `Err` if the program is not modelled.
pub type Doing<'a> = Pin<Box<dyn Future<Output = Result<CommandOutput, String>> + 'a>>;

/// Starts a command in the background; a scenario brings it along, as it does its shell.
pub type Start = fn(&mut World, NetnsId, &[String]) -> Result<Job, String>;
/// Waits for such commands.
pub type Collect = fn(&mut World, Vec<Job>) -> Vec<(Job, CommandOutput)>;

/// A world and its story.
#[derive(Clone, Debug, Default)]
pub struct Scenario {
    /// The boxes, in order.
    pub hosts: Vec<HostSpec>,
    /// The links, in order; a box's interfaces are numbered in the order of appearance here.
    pub links: Vec<LinkSpec>,
    /// What is done, one after the other.
    pub stimuli: Vec<Stimulus>,
    /// Quiet time that ends a stimulus, in milliseconds.
    pub settle_ms: u64,
}

/// A box.
#[derive(Clone, Debug, Default)]
pub struct HostSpec {
    /// Name.
    pub name: String,
    /// Addresses, routes, neighbours: commands of ip(8), done in order.
    pub ip: Vec<IpCommand>,
    /// Settings, name and value.
    pub sysctl: Vec<(String, i64)>,
    /// `ipset restore` text, loaded before the rules that refer to the sets.
    pub ipset: Option<String>,
    /// iptables-restore text.
    pub iptables: Option<String>,
    /// What loads it, and what `iptables` is on the box.
    pub backend: Backend,
    /// What is loaded after all that, in order.
    pub setup: Vec<Setup>,
    /// Report every packet by TRACE rules at the head of raw, and the changes of conntrack.
    pub trace: bool,
    /// Register the probe that reports conntrack's opinion.
    pub ct_probe: bool,
    /// Whose kernel it is.
    pub era: kernel::Era,
    /// Not the first namespace of its machine: the limits of conntrack cannot be set in it.
    pub child: bool,
    /// The box whose machine it is part of, as a namespace beside that box's: both have one kernel, with its modules, its limits of
    /// conntrack and its ring buffer. `era` and `modules` are that box's then.
    pub machine: Option<String>,
    /// The modules that are loaded.
    pub modules: kernel::Modules,
    /// Which tables to load, empty if the text does not have them.
    pub tables: Vec<kernel::netfilter::xtables::TableId>,
    /// Frames are recorded.
    pub sniff: bool,
    /// Programs that listen.
    pub servers: Vec<ServerSpec>,
    /// Other programs that run from the start.
    pub daemons: Vec<Daemon>,
    /// Files: path and text, such as `/etc/resolv.conf` and `/etc/hosts`.
    pub files: Vec<(String, String)>,
}

/// What the plain names `iptables` and `ip6tables` stand for on a box. Debian's alternatives, for one, choose it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// `iptables-legacy`
    #[default]
    Legacy,
    /// `iptables-nft`
    #[cfg(feature = "nft")]
    Nft,
}

/// A text that is loaded while a box is set up; the world is not built if it is refused.
#[derive(Clone, Debug)]
pub enum Setup {
    /// `ipset restore`
    Ipset(String),
    /// `ipvsadm -R`
    Ipvsadm(String),
    /// `iptables-restore --noflush`
    Iptables(String),
    /// `nft -f -`
    #[cfg(feature = "nft")]
    Nft(String),
    /// A command line; it has to end well.
    Command {
        /// Who runs it.
        shell: Shell,
        /// Program and arguments.
        argv: Vec<String>,
        /// Standard input.
        stdin: Option<String>,
    },
}

/// What a server does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerMode {
    /// Says whom it saw.
    Echo,
    /// Nothing.
    Sink,
    /// Answers every TFTP request from a new socket; the first one is bound to this address and port, the others to
    /// the ports behind it.
    Tftp {
        /// Address and port of the first data socket.
        data: (Ipv4Addr, u16),
        /// Milliseconds after which a block is sent again (in.tftpd: 1000); 0 means never.
        retransmit_ms: u64,
    },
    /// Answers an HTTP GET of `/` with a line that says who answers and whom it sees; anything else is not found.
    Http,
}

/// A program that listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSpec {
    /// True for TCP, false for UDP.
    pub tcp: bool,
    /// Address and port.
    pub bind: (Ipv4Addr, u16),
    /// What it does.
    pub mode: ServerMode,
    /// It closes the connection after its answer.
    pub closes: bool,
}

/// A port of a bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgePort {
    /// Device.
    pub dev: String,
    /// Hairpin mode.
    pub hairpin: bool,
}

/// A link between boxes, or inside one.
#[derive(Clone, Debug)]
pub enum LinkSpec {
    /// A veth pair: box and device of both ends, and their MACs if not the default.
    Veth {
        /// One end.
        a: (String, String),
        /// The other end.
        b: (String, String),
        /// MAC of `a`.
        a_mac: Option<Mac>,
        /// MAC of `b`.
        b_mac: Option<Mac>,
    },
    /// A bridge.
    Bridge {
        /// In which box.
        host: String,
        /// Its name.
        name: String,
        /// Its MAC, if not the default.
        mac: Option<Mac>,
        /// Its ports.
        ports: Vec<BridgePort>,
        /// The bridge device is promiscuous.
        promisc: bool,
    },
}

/// How a TCP client ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum CloseHow {
    /// It closes.
    #[default]
    Client,
    /// It waits for the server to close first.
    Server,
    /// It resets the connection.
    Reset,
    /// Not at all: the connection stays, for [`Stimulus::TcpSend`].
    Hold,
}

/// Something that is done.
#[derive(Clone, Debug)]
pub enum Stimulus {
    /// A TCP client runs.
    Tcp {
        /// Where.
        host: String,
        /// Source; unspecified parts are chosen.
        src: (Ipv4Addr, u16),
        /// Destination.
        dst: (Ipv4Addr, u16),
        /// What it sends.
        request: Vec<u8>,
        /// How it ends.
        close: CloseHow,
        /// How long it waits.
        timeout_ms: u64,
    },
    /// A UDP client runs.
    Udp {
        /// Where.
        host: String,
        /// Source; unspecified parts are chosen.
        src: (Ipv4Addr, u16),
        /// Destination.
        dst: (Ipv4Addr, u16),
        /// What it sends.
        payload: Vec<u8>,
        /// Connected socket.
        connect: bool,
        /// Datagrams.
        count: usize,
        /// TTL.
        ttl: Option<u8>,
        /// Wait for answers.
        reply: bool,
        /// How long.
        timeout_ms: u64,
        /// Listen on afterwards.
        linger_ms: u64,
    },
    /// A TFTP client runs.
    Tftp {
        /// Where.
        host: String,
        /// Source; unspecified parts are chosen.
        src: (Ipv4Addr, u16),
        /// Destination.
        dst: (Ipv4Addr, u16),
        /// The file.
        file: String,
        /// Data from another address is ignored.
        strict: bool,
        /// Milliseconds after which the last message is sent again (tftp: 5000); 0 means never.
        retransmit_ms: u64,
        /// How long it waits.
        timeout_ms: u64,
    },
    /// ping runs.
    Ping {
        /// Where.
        host: String,
        /// Source, or unspecified.
        src: Ipv4Addr,
        /// Destination.
        dst: Ipv4Addr,
        /// Identifier.
        id: u16,
        /// Sequence number.
        seq: u16,
        /// TTL.
        ttl: Option<u8>,
        /// How long it waits.
        timeout_ms: u64,
    },
    /// A crafted packet goes through OUTPUT.
    Raw {
        /// Where.
        host: String,
        /// The packet.
        ip: Ip,
    },
    /// A crafted frame leaves by a device.
    RawFrame {
        /// Where.
        host: String,
        /// Device.
        dev: String,
        /// The frame.
        frame: Frame,
    },
    /// A crafted packet whose TCP numbers are relative to the initial numbers seen so far.
    Relative {
        /// [`Stimulus::Raw`] or [`Stimulus::RawFrame`]
        packet: Box<Stimulus>,
        /// Sequence number: which initial number, and how far behind it.
        seq: Option<(usize, u32)>,
        /// Acknowledgement.
        ack: Option<(usize, u32)>,
    },
    /// More is sent on a connection that was kept open, and an answer awaited.
    TcpSend {
        /// Which: they are counted from 0.
        id: usize,
        /// What.
        data: Vec<u8>,
        /// How long it waits.
        timeout_ms: u64,
    },
    /// Time passes.
    Sleep {
        /// Milliseconds.
        ms: u64,
    },
    /// `conntrack -F` in one box, or in all that are traced.
    Flush {
        /// Where; `None` means everywhere.
        host: Option<String>,
    },
    /// The conntrack table is looked at.
    Dump {
        /// Where.
        host: String,
    },
    /// `iptables-restore`.
    Restore {
        /// Where.
        host: String,
        /// Text.
        iptables: String,
        /// `--noflush`
        noflush: bool,
    },
    /// The limits of conntrack are changed for all boxes, as by the first namespace of their machine.
    ConntrackLimits {
        /// `nf_conntrack_max`
        max: Option<u32>,
        /// `nf_conntrack_buckets`
        buckets: Option<u32>,
        /// `nf_conntrack_expect_max`
        expect_max: Option<u32>,
    },
    /// `sysctl -w`.
    Sysctl {
        /// Where.
        host: String,
        /// Name.
        key: String,
        /// Value.
        value: i64,
    },
    /// A command of the operator.
    Command {
        /// Who reads it: [`crate::operator::shell`].
        shell: Shell,
        /// Where.
        host: String,
        /// Program and arguments.
        argv: Vec<String>,
        /// Standard input.
        stdin: Option<String>,
    },
    /// Clients run at the same time; it ends when all have ended.
    Together {
        /// What each does.
        clients: Vec<Stimulus>,
    },
    /// Packets that come from now on stop on their way, so that others can overtake them ([`crate::race`]).
    Hold {
        /// Where.
        host: String,
        /// Which packets, and at which points.
        hold: Hold,
        /// Which processor goes on, each time all packets have stopped; without it they wait for a [`Stimulus::Release`].
        order: Option<Vec<usize>>,
    },
    /// A packet that has stopped goes on.
    Release {
        /// Where.
        host: String,
        /// The processor that it is on: it goes to its next stop. Without one all go to their ends, and nothing stops any more.
        cpu: Option<usize>,
    },
    /// A command is started and runs beside what follows: `COMMAND &`.
    Background {
        /// Who starts it: [`crate::programs::start`].
        start: Start,
        /// Where.
        host: String,
        /// Program and arguments.
        argv: Vec<String>,
    },
    /// `wait`: until every command that was started has ended.
    Wait {
        /// Who waits: [`crate::programs::collect`].
        collect: Collect,
    },
    /// Something that is not modelled; the reason says what.
    NotRun {
        /// Why.
        reason: String,
    },
}
