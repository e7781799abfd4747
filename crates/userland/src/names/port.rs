//! Ports and ranges of ports.

use super::{any_service, number, service, service_name};
use crate::diagnostic::{Fault, q};
use kernel::netfilter::xtables::PortRange;
use packet::{Port, Protocol};

/// What a port may look like.
const EXPECTED: &str = "expected a port from 0 to 65535 or the name of a service";

/// A port: a number, or the name of a service of that protocol.
pub(crate) fn port(text: &str, proto: Protocol) -> Result<Port, Fault> {
    let n = number::unsigned(text, 0, 65535).and_then(|n| Port::try_from(n).ok());
    n.or_else(|| service(text, proto)).ok_or_else(|| {
        let help = match text.contains([',', '-']) {
            true => "expected one port or a range with a colon such as 80:90 (lists need -m multiport)",
            false => EXPECTED,
        };
        Fault::new(format!("{} is not a port", q(text)), help)
            .usage(format!("invalid port/service `{text}' specified"))
    })
}

/// `PORT` or `[PORT]:[PORT]`; an end that is left out is the smallest or largest port.
pub(crate) fn range(text: &str, proto: Protocol) -> Result<PortRange, Fault> {
    let Some((min, max)) = text.split_once(':') else {
        let port = port(text, proto)?;
        return Ok(PortRange { min: port, max: port });
    };
    let min = if min.is_empty() { 0 } else { port(min, proto)? };
    let max = if max.is_empty() { Port::MAX } else { port(max, proto)? };
    if min > max {
        let message = format!("the port range {} runs backwards", q(text));
        return Err(
            Fault::new(message, "expected the smaller port first").usage("invalid portrange (min > max)")
        );
    }
    Ok(PortRange { min, max })
}

/// A port as `getaddrinfo` reads it: decimal only, or the service of any protocol.
pub(crate) fn resolved(text: &str) -> Result<Port, Fault> {
    if text.is_empty() {
        return port(text, Protocol::UDP);
    }
    let decimal = text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    decimal.or_else(|| any_service(text)).ok_or_else(|| {
        Fault::new(format!("{} is not a port", q(text)), EXPECTED)
            .usage(format!("Port \"{text}\" does not resolve to anything.\n"))
    })
}

/// As [`range`] with ports as in [`resolved`]. A range that runs backwards is accepted, though no port is in it.
pub(crate) fn resolved_range(text: &str) -> Result<PortRange, Fault> {
    let Some((min, max)) = text.split_once(':') else {
        // An empty word is no open end.
        let port = resolved(text)?;
        return Ok(PortRange { min: port, max: port });
    };
    let min = if min.is_empty() { 0 } else { resolved(min)? };
    let max = if max.is_empty() { Port::MAX } else { resolved(max)? };
    Ok(PortRange { min, max })
}

/// `80` or `80:90`.
pub(crate) fn range_text(range: PortRange) -> String {
    if range.min == range.max { range.min.to_string() } else { format!("{}:{}", range.min, range.max) }
}

/// A port, by name if there is one and names are wanted.
pub(crate) fn shown(port: Port, proto: Protocol, numeric: bool) -> String {
    let name = if numeric { None } else { service_name(port, proto) };
    name.map_or_else(|| port.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_iptables_reads_them() {
        for (text, min, max) in [
            ("80", 80, 80),
            ("http", 80, 80),
            (":1023", 0, 1023),
            ("1024:", 1024, 65535),
            (":", 0, 65535),
            ("http:https", 80, 443),
            ("0x50", 80, 80),
        ] {
            assert_eq!(range(text, Protocol::TCP), Ok(PortRange { min, max }), "{text}");
        }
        for (text, message) in [
            ("", "\"\" is not a port"),
            ("65536", "\"65536\" is not a port"),
            ("-1", "\"-1\" is not a port"),
            ("80,443", "\"80,443\" is not a port"),
            ("1:2:3", "\"2:3\" is not a port"),
            ("90:80", "the port range \"90:80\" runs backwards"),
        ] {
            assert_eq!(range(text, Protocol::TCP).unwrap_err().message, message, "{text}");
        }
    }
}
