//! `ipvsadm` 1.31: its commands as values, and what it prints.

mod options;
mod parse;
mod print;

pub use parse::{parse_ipvsadm, parse_ipvsadm_restore};
pub use print::{print_conns, print_list, print_listing, print_save, print_timeouts};

use kernel::netfilter::ipvs::{DestSpec, Endpoint, ServiceId, ServiceSpec};
use std::fmt;

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpvsadmCommand {
    /// `-A`, `-E`
    Service {
        /// The virtual server.
        spec: ServiceSpec,
        /// `-E`
        edit: bool,
    },
    /// `-D`
    DeleteService(ServiceId),
    /// `-a`, `-e`
    Server {
        /// The virtual server.
        id: ServiceId,
        /// The real server.
        dest: DestSpec,
        /// `-e`
        edit: bool,
    },
    /// `-d`
    DeleteServer(ServiceId, Endpoint),
    /// `-C`
    Clear,
    /// `-L`
    List(Listing),
    /// `-S`
    Save {
        /// `-n`
        numeric: bool,
    },
    /// `-R`: commands on standard input.
    Restore,
    /// `-Z`: for one virtual server, or for all.
    Zero(Option<ServiceId>),
    /// `--set TCP TCPFIN UDP`
    Timeouts([u32; 3]),
    /// `-v`
    Version,
}

/// What `-L` lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Listing {
    /// What is shown.
    pub what: Show,
    /// Only this virtual server.
    pub only: Option<ServiceId>,
    /// `-n`
    pub numeric: bool,
    /// `--exact`
    pub exact: bool,
    /// `--nosort`
    pub unsorted: bool,
}

/// The kinds of list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Show {
    /// Servers with weights and connections.
    #[default]
    Servers,
    /// `-c`
    Connections,
    /// `--stats`
    Stats,
    /// `--rate`
    Rate,
    /// `--thresholds`
    Thresholds,
    /// `--persistent-conn`
    Persistent,
    /// `--timeout`
    Timeout,
    /// `--daemon`: there is none.
    Daemon,
}

/// What ipvsadm says when it cannot do something, and its exit status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpvsadmError {
    /// Exit status.
    pub status: i32,
    /// The line on standard error.
    pub message: String,
}

impl fmt::Display for IpvsadmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for IpvsadmError {}
