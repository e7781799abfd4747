//! Service names: the facts of Debian's /etc/services (netbase 6.4).

use packet::{Port, Protocol};

/// `NAME PORT PROTOCOLS ALIAS...`, in the order of the file; protocols as t(cp) u(dp) s(ctp) d(ccp).
const SERVICES: &str = include_str!("services.txt");

fn letter(proto: Protocol) -> Option<char> {
    match proto.0 {
        6 => Some('t'),
        17 => Some('u'),
        33 => Some('d'),
        132 => Some('s'),
        _ => None,
    }
}

/// The rows for a protocol: name, port, other names.
fn rows(
    proto: Protocol,
) -> impl Iterator<Item = (&'static str, Port, std::str::SplitAsciiWhitespace<'static>)> {
    SERVICES.lines().filter_map(move |line| {
        let mut words = line.split_ascii_whitespace();
        let (name, port, protos) = (words.next()?, words.next()?, words.next()?);
        let fits = letter(proto).is_some_and(|l| protos.contains(l));
        if fits { Some((name, port.parse().ok()?, words)) } else { None }
    })
}

/// The port of a service, by its name or another one of it in /etc/services.
pub fn service(name: &str, proto: Protocol) -> Option<Port> {
    rows(proto).find(|(n, _, other)| *n == name || other.clone().any(|o| o == name)).map(|(_, port, _)| port)
}

/// The port of a service of any protocol.
pub(crate) fn any_service(name: &str) -> Option<Port> {
    [Protocol::TCP, Protocol::UDP, Protocol::SCTP, Protocol(33)].into_iter().find_map(|p| service(name, p))
}

/// The name of a service in /etc/services.
pub fn service_name(port: Port, proto: Protocol) -> Option<&'static str> {
    rows(proto).find(|(_, p, _)| *p == port).map(|(name, _, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_found_both_ways() {
        assert_eq!(service("http", Protocol::TCP), Some(80));
        assert_eq!(service("domain", Protocol::UDP), Some(53));
        assert_eq!(service("tftp", Protocol::TCP), None);
        assert_eq!(service_name(69, Protocol::UDP), Some("tftp"));
        assert_eq!(service_name(8080, Protocol::TCP), Some("http-alt"));
        assert_eq!(service_name(80, Protocol::ICMP), None);
    }

    #[test]
    fn every_row_is_read() {
        let read = [6, 17, 33, 132].map(|n| rows(Protocol(n)).count()).iter().sum::<usize>();
        let written: usize = SERVICES.lines().filter_map(|l| l.split(' ').nth(2)).map(str::len).sum();
        assert_eq!(read, written);
    }
}
