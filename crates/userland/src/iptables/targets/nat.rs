//! `-j DNAT`, `SNAT`, `MASQUERADE`, `REDIRECT`.

use crate::diagnostic::{Fault, q};
use crate::iptables::list::Names;
use crate::iptables::text::{Given, Opt, Save, Seen, Text};
use crate::names::number::leading;
use crate::names::{addr, any_service};
use kernel::netfilter::xtables::PortRange;
use kernel::netfilter::xtables::targets::{Dnat, Masquerade, Redirect, Snat};
use packet::{Family, Port};
use std::net::IpAddr;

/// The protocols whose ports NAT can change.
const WITH_PORTS: [u8; 5] = [6, 17, 132, 33, 1];

impl Text for Dnat {
    const OPTIONS: &'static [Opt] = &[
        Opt::value(&["to-destination"], &["[ADDRESS[-ADDRESS]][:PORT[-PORT[/BASE]]]"]),
        Opt::flag(&["random"]),
        Opt::flag(&["persistent"]),
    ];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        match given.name {
            "to-destination" => (self.addr, self.ports, self.base) = to(given)?,
            "random" => self.random = true,
            _ => self.persistent = true,
        }
        Ok(())
    }

    fn finish(&self, seen: &Seen) -> Result<(), Fault> {
        seen.need("DNAT", "to-destination")
    }

    fn save(&self, out: &mut Save) {
        out.other(format!("--to-destination {}", to_text(self.addr, self.ports, self.base)));
        out.flag(self.random, "--random");
        out.flag(self.persistent, "--persistent");
    }

    fn list(&self, _: &Names, out: &mut String) {
        out.push_str(&format!(" to:{}", to_text(self.addr, self.ports, self.base)));
        words(out, &[(self.random, "random"), (self.persistent, "persistent")]);
    }
}

impl Text for Snat {
    const OPTIONS: &'static [Opt] = &[
        Opt::value(&["to-source"], &["[ADDRESS[-ADDRESS]][:PORT[-PORT]]"]),
        Opt::flag(&["random"]),
        Opt::flag(&["random-fully"]),
        Opt::flag(&["persistent"]),
    ];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        match given.name {
            "to-source" => {
                (self.addr, self.ports, self.base) = to(given)?;
                // iptables reads the base and forgets it.
                self.base = self.base.map(|_| 0);
            }
            "random" => self.random = true,
            "random-fully" => self.random_fully = true,
            _ => self.persistent = true,
        }
        Ok(())
    }

    fn finish(&self, seen: &Seen) -> Result<(), Fault> {
        seen.need("SNAT", "to-source")
    }

    fn save(&self, out: &mut Save) {
        out.other(format!("--to-source {}", to_text(self.addr, self.ports, self.base)));
        out.flag(self.random, "--random");
        out.flag(self.random_fully, "--random-fully");
        out.flag(self.persistent, "--persistent");
    }

    fn list(&self, _: &Names, out: &mut String) {
        out.push_str(&format!(" to:{}", to_text(self.addr, self.ports, self.base)));
        let flags =
            [(self.random, "random"), (self.random_fully, "random-fully"), (self.persistent, "persistent")];
        words(out, &flags);
    }
}

impl Text for Masquerade {
    const OPTIONS: &'static [Opt] =
        &[Opt::value(&["to-ports"], &["PORT[-PORT]"]), Opt::flag(&["random"]), Opt::flag(&["random-fully"])];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        match given.name {
            "to-ports" => self.ports = Some(unshifted(given)?),
            "random" => self.random = true,
            _ => self.random_fully = true,
        }
        Ok(())
    }

    fn finish(&self, _: &Seen) -> Result<(), Fault> {
        Ok(())
    }

    fn save(&self, out: &mut Save) {
        if let Some(p) = self.ports {
            out.other(format!("--to-ports {}", ports_text(p)));
        }
        out.flag(self.random, "--random");
        out.flag(self.random_fully, "--random-fully");
    }

    fn list(&self, _: &Names, out: &mut String) {
        if let Some(p) = self.ports {
            out.push_str(&format!(" masq ports: {}", ports_text(p)));
        }
        words(out, &[(self.random, "random"), (self.random_fully, "random-fully")]);
    }
}

impl Text for Redirect {
    const OPTIONS: &'static [Opt] = &[Opt::value(&["to-ports"], &["PORT[-PORT]"]), Opt::flag(&["random"])];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        match given.name {
            "to-ports" => self.ports = Some(unshifted(given)?),
            _ => self.random = true,
        }
        Ok(())
    }

    fn finish(&self, _: &Seen) -> Result<(), Fault> {
        Ok(())
    }

    fn save(&self, out: &mut Save) {
        if let Some(p) = self.ports {
            out.other(format!("--to-ports {}", ports_text(p)));
        }
        out.flag(self.random, "--random");
    }

    fn list(&self, _: &Names, out: &mut String) {
        if let Some(p) = self.ports {
            out.push_str(&format!(" redir ports {}", ports_text(p)));
        }
        words(out, &[(self.random, "random")]);
    }
}

fn words(out: &mut String, flags: &[(bool, &str)]) {
    for (_, word) in flags.iter().filter(|(set, _)| *set) {
        out.push(' ');
        out.push_str(word);
    }
}

type To = (Option<(IpAddr, IpAddr)>, Option<PortRange>, Option<Port>);

/// `[ADDRESS[-ADDRESS]][:PORT[-PORT[/BASE]]]`; an IPv6 address before a port stands in brackets.
fn to(given: &Given<'_>) -> Result<To, Fault> {
    let (addrs, port) = match given.family {
        Family::V4 => given.value.split_once(':').map_or((given.value, None), |(a, p)| (a, Some(p))),
        Family::V6 => split6(given.value)?,
    };
    let ports = port.map(|p| ports(given, p)).transpose().map_err(|f| {
        match given.family == Family::V4 && given.value.matches(':').count() > 1 {
            false => f,
            true => f.usage(format!("Bad IP address \"{}\"", given.value)),
        }
    })?;
    let (ports, base) = ports.map_or((None, None), |(ports, base)| (Some(ports), base));
    if addrs.is_empty() && ports.is_some() {
        return Ok((None, ports, base));
    }
    let (min, max) = addrs.split_once('-').unwrap_or((addrs, addrs));
    let address = |text: &str| {
        let bad = format!("Bad IP address \"{text}\"");
        if text.contains('/') {
            return Err(Fault::new(
                format!("{} is a network, not an address", q(text)),
                "expected an address, or a range such as 10.0.0.1-10.0.0.9",
            )
            .usage(bad));
        }
        addr::whole_address_of(given.family, text).map_err(|f| f.usage(bad))
    };
    // A range that runs backwards is one to the kernel: it goes from the first address over the last of all to the second.
    Ok((Some((address(min)?, address(max)?)), ports, base))
}

/// `[ADDRESS[-ADDRESS]]:PORT`, or addresses alone. Without brackets one colon leads to a port, more are of an address; what
/// stands between a bracket and the colon is passed over, as ip6tables does.
fn split6(text: &str) -> Result<(&str, Option<&str>), Fault> {
    let Some((_, inner)) = text.split_once('[') else {
        return Ok(match text.split_once(':') {
            Some((addr, port)) if !port.contains(':') => (addr, Some(port)),
            _ => (text, None),
        });
    };
    let Some((addrs, rest)) = inner.split_once(']') else {
        let message = format!("{} has no closing bracket", q(text));
        return Err(Fault::new(message, "expected [ADDRESS]:PORT").usage("Invalid address format"));
    };
    Ok((addrs, rest.split_once(':').map(|(_, port)| port)))
}

/// `--to-ports` of a target that knows no base.
fn unshifted(given: &Given<'_>) -> Result<PortRange, Fault> {
    match ports(given, given.value)? {
        (ports, None) => Ok(ports),
        (_, Some(_)) => Err(Fault::new(
            "a shifted port range (PORT-PORT/BASE)",
            "expected PORT or PORT-PORT; only DNAT shifts ports",
        )
        .usage("Shifted portmap ranges not supported with this kernel")),
    }
}

/// `PORT[-PORT[/BASE]]`, which needs a protocol with ports.
fn ports(given: &Given<'_>, text: &str) -> Result<(PortRange, Option<Port>), Fault> {
    if !given.proto.is_some_and(|p| WITH_PORTS.contains(&p.value.0)) {
        return Err(Fault::new(
            "a port without a protocol that has ports",
            "expected -p tcp, udp, sctp or dccp before it",
        )
        .usage("Need TCP, UDP, SCTP or DCCP with port specification"));
    }
    if text.contains(':') {
        return Err(Fault::new(
            format!("{} is not a port", q(text)),
            "expected a dash between the ports of a range, and no second colon",
        )
        .usage("Invalid port:port syntax - use dash"));
    }
    let port = |n: u32| Port::try_from(n).ok();
    let bad = |text: &str| {
        let help = "expected a port from 0 to 65535 or the name of a service";
        Fault::new(format!("{} is not a port", q(text)), help).usage(format!("Port `{text}' not valid"))
    };
    let garbage = |what: &str, rest: &str| {
        let message = format!("{} behind a port {what}", q(rest));
        let help = "expected PORT, PORT-PORT, or PORT-PORT/BASE";
        Err(Fault::new(message, help).usage(format!("Garbage after port {what}: `{rest}'")))
    };
    // A name takes the whole text; behind a number there may be more.
    let (min, rest) = match leading(text) {
        Some((n, rest)) => (port(n).ok_or_else(|| bad(text))?, rest),
        None => (any_service(text).ok_or_else(|| bad(text))?, ""),
    };
    let Some(rest) = rest.strip_prefix('-') else {
        return if rest.is_empty() {
            Ok((PortRange { min, max: min }, None))
        } else {
            garbage("value", rest)
        };
    };
    let (max, end) = leading(rest).and_then(|(n, end)| Some((port(n)?, end))).ok_or_else(|| bad(rest))?;
    if min > max {
        let message = format!("the port range {} runs backwards", q(text));
        let says = format!("Port range `{rest}' funky");
        return Err(Fault::new(message, "expected the smaller port first").usage(says));
    }
    let range = PortRange { min, max };
    let Some(base) = end.strip_prefix('/') else {
        return if end.is_empty() { Ok((range, None)) } else { garbage("range", end) };
    };
    let base = leading(base)
        .map_or_else(|| any_service(base), |(n, _)| port(n))
        .filter(|n| *n != 0)
        .ok_or_else(|| bad(base))?;
    Ok((range, Some(base)))
}

fn to_text(addr: Option<(IpAddr, IpAddr)>, ports: Option<PortRange>, base: Option<Port>) -> String {
    let bracket = ports.is_some() && addr.is_some_and(|(min, _)| min.is_ipv6());
    let addr = addr.map_or(String::new(), |(min, max)| match min == max {
        true => min.to_string(),
        false => format!("{min}-{max}"),
    });
    let addr = if bracket { format!("[{addr}]") } else { addr };
    let base = base.map_or(String::new(), |base| format!("/{base}"));
    [addr, ports.map_or(String::new(), |p| format!(":{}", ports_text(p))), base].concat()
}

/// NAT writes ranges with a dash.
fn ports_text(p: PortRange) -> String {
    if p.min == p.max { p.min.to_string() } else { format!("{}-{}", p.min, p.max) }
}
