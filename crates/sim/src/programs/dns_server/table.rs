//! Records that a server knows of itself.

use packet::{Dns, DnsData, DnsName, DnsRecord, dns_type, rcode};
use std::net::{IpAddr, Ipv4Addr};

/// Records of one or several zones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// The zones that it answers for, without the dot at the end; the root is empty.
    pub zones: Vec<String>,
    /// The records.
    pub records: Vec<DnsRecord>,
    /// `pods insecure`: a name such as `10-244-1-2.default.pod.cluster.local` has the address that it tells.
    pub pods_insecure: bool,
    /// Zones for which a name that is not there is a matter of the next plugin.
    pub fallthrough: Vec<String>,
    /// Seconds for which answers may be kept, negative ones too.
    pub ttl: u32,
}

impl Table {
    /// The answer to a query for a name in its zones. `None` if it is a matter of the next plugin.
    pub fn answer(&self, query: &Dns) -> Option<Dns> {
        let question = query.questions.first()?;
        let name = question.name.as_str();
        let mut answer = Dns { authoritative: true, ..query.answer() };
        let own: Vec<&DnsRecord> = self.records.iter().filter(|r| r.name.is(name)).collect();
        let alias = own.iter().find(|r| r.kind == dns_type::CNAME && question.kind != dns_type::CNAME);
        if let Some(alias) = alias {
            answer.answers.push((*alias).clone());
            if let DnsData::Name(target) = &alias.data {
                let target = self.records.iter().filter(|r| r.name == *target && r.kind == question.kind);
                answer.answers.extend(target.cloned());
            }
            return Some(answer);
        }
        let wanted = |r: &&&DnsRecord| r.kind == question.kind || question.kind == dns_type::ANY;
        answer.answers = own.iter().filter(wanted).map(|r| (*r).clone()).collect();
        if question.kind == dns_type::A && self.pods_insecure {
            answer.answers.extend(self.pod(&question.name));
        }
        for r in &answer.answers {
            // Where a service is, with its addresses.
            if let DnsData::Srv(_, _, _, target) = &r.data {
                let known = self.records.iter().filter(|r| r.name == *target && r.kind == dns_type::A);
                answer.additional.extend(known.cloned());
            }
        }
        if !answer.answers.is_empty() {
            return Some(answer);
        }
        let below = |r: &DnsRecord| r.name.below(name).is_some();
        let is_pod = self.pods_insecure && self.pod(&question.name).is_some();
        let zone = self.zones.iter().find(|z| question.name.below(z).is_some())?;
        let is_there = self.records.iter().any(below) || question.name.is(zone) || is_pod;
        if !is_there && self.fallthrough.iter().any(|z| question.name.below(z).is_some()) {
            return None;
        }
        answer.rcode = if is_there { rcode::NOERROR } else { rcode::NXDOMAIN };
        answer.authority.push(self.soa(zone)?);
        Some(answer)
    }

    /// The address that the name of a pod tells.
    fn pod(&self, name: &DnsName) -> Option<DnsRecord> {
        let zone = self.zones.iter().find(|z| name.below(z).is_some())?;
        let mut labels = name.below(zone)?.split('.');
        let (dashed, namespace, pod) = (labels.next()?, labels.next()?, labels.next()?);
        if labels.next().is_some() || namespace.is_empty() || !pod.eq_ignore_ascii_case("pod") {
            return None;
        }
        let addr = dashed.replace('-', ".").parse().ok()?;
        Some(DnsRecord {
            name: name.clone(),
            kind: dns_type::A,
            class: 1,
            ttl: self.ttl,
            data: DnsData::A(addr),
        })
    }

    fn soa(&self, zone: &str) -> Option<DnsRecord> {
        let name = |head: &str| DnsName::new(&format!("{head}.{zone}"));
        let numbers = [1, 7200, 1800, 86400, self.ttl];
        let data = DnsData::Soa(Box::new((name("ns.dns")?, name("hostmaster")?, numbers)));
        Some(DnsRecord { name: DnsName::new(zone)?, kind: dns_type::SOA, class: 1, ttl: self.ttl, data })
    }

    /// A table of lines `NAME TYPE DATA`, such as `www.example.com A 192.0.2.80`; names are below the zone or the zone itself.
    ///
    /// # Errors
    /// Names the line and what was expected.
    pub fn parse(zone: &str, ttl: u32, text: &str) -> Result<Table, String> {
        let mut records = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [name, kind, data @ ..] = words.as_slice() else {
                if words.is_empty() {
                    continue;
                }
                return Err(format!("line {number}: expected NAME TYPE DATA"));
            };
            let expected = |what: &str| format!("line {number}: expected {what} behind {kind}");
            let target =
                |text: Option<&&str>| text.and_then(|t| DnsName::new(t)).ok_or_else(|| expected("a name"));
            let (kind, data) = match *kind {
                "A" => {
                    let addr = data.first().and_then(|t| t.parse().ok());
                    (dns_type::A, DnsData::A(addr.ok_or_else(|| expected("an IPv4 address"))?))
                }
                "AAAA" => {
                    let addr = data.first().and_then(|t| t.parse().ok());
                    (dns_type::AAAA, DnsData::Aaaa(addr.ok_or_else(|| expected("an IPv6 address"))?))
                }
                "CNAME" => (dns_type::CNAME, DnsData::Name(target(data.first())?)),
                "PTR" => (dns_type::PTR, DnsData::Name(target(data.first())?)),
                "TXT" => (dns_type::TXT, DnsData::Txt(vec![data.join(" ").into_bytes()])),
                other => {
                    return Err(format!(
                        "line {number}: record type {other:?} is not modelled; A, AAAA, CNAME, PTR and TXT are"
                    ));
                }
            };
            let name = DnsName::new(name).filter(|n| n.below(zone).is_some());
            let name = name.ok_or_else(|| format!("line {number}: expected a name below {zone:?}"))?;
            records.push(DnsRecord { name, kind, class: 1, ttl, data });
        }
        Ok(Table { zones: vec![zone.to_owned()], records, ttl, ..Table::default() })
    }
}

/// What a PTR record says of an address.
pub fn ptr(addr: Ipv4Addr, name: &DnsName, ttl: u32) -> Option<DnsRecord> {
    let owner = DnsName::new(&crate::programs::resolve::reverse_name(IpAddr::V4(addr)))?;
    Some(DnsRecord { name: owner, kind: dns_type::PTR, class: 1, ttl, data: DnsData::Name(name.clone()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let text = "web.default.svc.cluster.local A 10.96.0.80\n\nalias.cluster.local CNAME web.default.svc.cluster.local\n";
        Table { pods_insecure: true, ..Table::parse("cluster.local", 5, text).unwrap() }
    }

    fn ask(name: &str, kind: u16) -> Dns {
        table().answer(&Dns::query(1, DnsName::new(name).unwrap(), kind)).unwrap()
    }

    #[test]
    fn a_name_without_that_record_is_there_nevertheless() {
        let answer = ask("web.default.svc.cluster.local", dns_type::AAAA);
        assert_eq!((answer.rcode, answer.answers.len(), answer.authority.len()), (rcode::NOERROR, 0, 1));
        assert_eq!(ask("default.svc.cluster.local", dns_type::A).rcode, rcode::NOERROR);
        assert_eq!(ask("nosuch.default.svc.cluster.local", dns_type::A).rcode, rcode::NXDOMAIN);
    }

    #[test]
    fn the_name_of_a_pod_tells_its_address() {
        let answer = ask("10-244-1-2.default.pod.cluster.local", dns_type::A);
        assert_eq!(crate::programs::resolve::addresses(&answer), [Ipv4Addr::new(10, 244, 1, 2)]);
        assert_eq!(ask("10-244-1.default.pod.cluster.local", dns_type::A).rcode, rcode::NXDOMAIN);
    }

    #[test]
    fn an_alias_comes_with_its_address() {
        assert_eq!(ask("alias.cluster.local", dns_type::A).answers.len(), 2);
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named() {
        assert_eq!(
            Table::parse("x", 5, "a.x A nonsense").unwrap_err(),
            "line 1: expected an IPv4 address behind A"
        );
        assert!(Table::parse("x", 5, "\na.y A 1.2.3.4").unwrap_err().starts_with("line 2:"));
        assert!(Table::parse("x", 5, "a.x MX 1").unwrap_err().contains("not modelled"));
    }
}
