//! `-m multiport`.

use crate::diagnostic::{Fault, q};
use crate::iptables::list::Names;
use crate::iptables::text::{Given, Opt, Save, Seen, Text, bang};
use crate::names::port;
use kernel::netfilter::xtables::PortRange;
use kernel::netfilter::xtables::matches::{Multiport, PortSide};
use packet::{Port, Protocol};

/// The kernel's list has this many places; a range takes two.
const MAX: usize = 15;

/// The protocols that have ports.
pub(in crate::iptables) const PROTOCOLS: [u8; 5] = [6, 17, 136, 132, 33];

const EXPECTED: &str = "expected -p tcp, udp, udplite, sctp or dccp before it";

impl Text for Multiport {
    const OPTIONS: &'static [Opt] = &[
        Opt::value(&["source-ports", "sports"], &["PORT[,PORT:PORT...]"]).or_not(),
        Opt::value(&["destination-ports", "dports"], &["PORT[,PORT:PORT...]"]).or_not(),
        Opt::value(&["ports"], &["PORT[,PORT:PORT...]"]).or_not(),
    ];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        match given.proto {
            Some(p) if !p.not && PROTOCOLS.contains(&p.value.0) => {}
            Some(_) => {
                return Err(Fault::new("multiport needs a protocol that has ports", EXPECTED)
                    .usage("multiport only works with TCP, UDP, UDPLITE, SCTP and DCCP"));
            }
            None => {
                let text = "multiport needs `-p tcp', `-p udp', `-p udplite', `-p sctp' or `-p dccp'";
                return Err(Fault::new("multiport without a protocol", EXPECTED).usage(text));
            }
        }
        self.side = match given.name {
            "source-ports" => PortSide::Source,
            "destination-ports" => PortSide::Destination,
            _ => PortSide::Either,
        };
        self.ports = given.neg(ports(given.value, given.proto())?);
        Ok(())
    }

    fn finish(&self, seen: &Seen) -> Result<(), Fault> {
        seen.only_one("multiport", "source-ports", "destination-ports")?;
        seen.only_one("multiport", "source-ports", "ports")?;
        seen.only_one("multiport", "destination-ports", "ports")?;
        if seen.0.is_empty() {
            let help = "expected one of --sports, --dports, --ports";
            return Err(Fault::new("multiport without ports", help).usage("multiport expection an option"));
        }
        Ok(())
    }

    fn save(&self, out: &mut Save) {
        let list: Vec<String> = self.ports.value.iter().map(|r| port::range_text(*r)).collect();
        out.check(0, format!("{}--{} {}", bang(self.ports.not), word(self.side), list.join(",")));
    }

    fn list(&self, names: &Names, out: &mut String) {
        let show = |p: Port| port::shown(p, names.proto.unwrap_or(Protocol::TCP), names.numeric);
        let one = |r: &PortRange| match r.min == r.max {
            true => show(r.min),
            false => format!("{}:{}", show(r.min), show(r.max)),
        };
        let list: Vec<String> = self.ports.value.iter().map(one).collect();
        let not = if self.ports.not { " !" } else { "" };
        out.push_str(&format!(" multiport {} {not}{}", word(self.side), list.join(",")));
    }
}

fn word(side: PortSide) -> &'static str {
    match side {
        PortSide::Source => "sports",
        PortSide::Destination => "dports",
        PortSide::Either => "ports",
    }
}

fn ports(text: &str, proto: Protocol) -> Result<Vec<PortRange>, Fault> {
    let mut list = Vec::new();
    let mut places = 0;
    for part in text.split(',') {
        let range = match part.split_once(':') {
            None => {
                let p = port::port(part, proto)?;
                PortRange { min: p, max: p }
            }
            Some((min, max)) => PortRange { min: port::port(min, proto)?, max: port::port(max, proto)? },
        };
        places += if part.contains(':') { 2 } else { 1 };
        if part.contains(':') && range.min >= range.max {
            let message = format!("{} is not a range of ports", q(part));
            let help = "expected a smaller port before the colon than behind it";
            return Err(Fault::new(message, help).usage("invalid portrange specified"));
        }
        if places > MAX {
            return Err(Fault::new(
                "more ports than multiport can hold",
                format!("expected at most {MAX} ports, a range counting as two"),
            )
            .usage("too many ports specified"));
        }
        list.push(range);
    }
    Ok(list)
}
