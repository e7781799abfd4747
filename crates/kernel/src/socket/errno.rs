//! Errors that programs see (errno(3)).

use packet::icmp_type;
use std::fmt;

/// An error number, by name.
#[allow(missing_docs, reason = "the names say it: errno(3)")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errno {
    EPERM,
    EACCES,
    EAGAIN,
    EINVAL,
    EADDRINUSE,
    EADDRNOTAVAIL,
    ENETUNREACH,
    EHOSTUNREACH,
    ECONNREFUSED,
    ECONNRESET,
    ENOBUFS,
    ENOPROTOOPT,
    EOPNOTSUPP,
    EMSGSIZE,
    EHOSTDOWN,
    ENONET,
    EPROTO,
    ETIMEDOUT,
    EPIPE,
    ENOTCONN,
    EDESTADDRREQ,
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl Errno {
    /// What an ICMP error becomes (`icmp_err_convert`); `None` if it is not reported.
    pub fn from_icmp(kind: u8, code: u8) -> Option<Errno> {
        match kind {
            icmp_type::DEST_UNREACH => Some(match code {
                0 | 6 | 9 | 11 => Errno::ENETUNREACH,
                2 => Errno::ENOPROTOOPT,
                3 => Errno::ECONNREFUSED,
                4 => Errno::EMSGSIZE,
                5 => Errno::EOPNOTSUPP,
                7 => Errno::EHOSTDOWN,
                8 => Errno::ENONET,
                _ => Errno::EHOSTUNREACH,
            }),
            icmp_type::TIME_EXCEEDED => Some(Errno::EHOSTUNREACH),
            icmp_type::PARAMETER_PROBLEM => Some(Errno::EPROTO),
            _ => None,
        }
    }

    /// The text of strerror(3).
    pub fn text(self) -> &'static str {
        match self {
            Errno::EPERM => "Operation not permitted",
            Errno::EACCES => "Permission denied",
            Errno::EAGAIN => "Resource temporarily unavailable",
            Errno::EINVAL => "Invalid argument",
            Errno::EADDRINUSE => "Address already in use",
            Errno::EADDRNOTAVAIL => "Cannot assign requested address",
            Errno::ENETUNREACH => "Network is unreachable",
            Errno::EHOSTUNREACH => "No route to host",
            Errno::ECONNREFUSED => "Connection refused",
            Errno::ECONNRESET => "Connection reset by peer",
            Errno::ENOBUFS => "No buffer space available",
            Errno::ENOPROTOOPT => "Protocol not available",
            Errno::EOPNOTSUPP => "Operation not supported",
            Errno::EMSGSIZE => "Message too long",
            Errno::EHOSTDOWN => "Host is down",
            Errno::ENONET => "Machine is not on the network",
            Errno::EPROTO => "Protocol error",
            Errno::ETIMEDOUT => "Connection timed out",
            Errno::EPIPE => "Broken pipe",
            Errno::ENOTCONN => "Transport endpoint is not connected",
            Errno::EDESTADDRREQ => "Destination address required",
        }
    }
}
