//! Statements of NAT, and those that change sets.

use super::{Parsed, Parser, RuleCx};
use kernel::netfilter::nftables::{
    CmpOp, Data, DataType, Dynset, DynsetOp, Expr, Header, MapData, MetaKey, NatFlags, NatKind, NftFamily,
    NftNat, Right, Stmt,
};

impl Parser<'_> {
    /// `to :PORT[-PORT]`
    pub(super) fn ports_after_to(&mut self) -> Parsed<Option<(u16, u16)>> {
        if !self.take("to") {
            return Ok(None);
        }
        self.take(":");
        let (first, last) = self.interval(DataType::InetService)?;
        Ok(Some((first.as_u32() as u16, last.as_u32() as u16)))
    }

    pub(super) fn nat_flags(&mut self) -> Parsed<NatFlags> {
        let mut flags = NatFlags::default();
        loop {
            match self.peek() {
                "random" => flags.random = true,
                "fully-random" => flags.fully_random = true,
                "persistent" => flags.persistent = true,
                _ => return Ok(flags),
            }
            self.at += 1;
            if !self.take(",") {
                return Ok(flags);
            }
        }
    }

    /// `snat`, `dnat`
    pub(super) fn nat(
        &mut self,
        manip: NatKind,
        from: usize,
        rule: &mut RuleCx<'_>,
        before: &[Stmt],
    ) -> Parsed<NftNat> {
        let family = match (self.peek(), self.peek_at(1)) {
            ("ip", "to" | "addr" | "prefix") => Some(packet::Family::V4),
            ("ip6", "to" | "addr" | "prefix") => Some(packet::Family::V6),
            _ => None,
        };
        self.at += usize::from(family.is_some());
        let mut pairs = false;
        if self.take("addr") {
            self.need(".")?;
            self.need("port")?;
            pairs = true;
        }
        // Without a word in front, `to` may be left out.
        if self.take("prefix") || pairs || family.is_some() {
            self.need("to")?;
        } else {
            self.take("to");
        }
        let v6 = match (family, rule.table.family) {
            (Some(f), _) => f == packet::Family::V6,
            (None, NftFamily::Inet) => net_of(&mut before.iter()) == Some(Header::Ip6),
            (None, f) => f == NftFamily::Ip6,
        };
        let addr = if v6 { DataType::Ipv6Addr } else { DataType::Ipv4Addr };
        let mut nat = NftNat {
            manip,
            family,
            addr: None,
            addr_last: None,
            port: None,
            port_last: None,
            flags: NatFlags::default(),
        };
        let value = |d: Data, t: DataType| Some(Expr::Value(d, t));
        if self.peek() != ":" {
            if self.begins_expr() && self.peek() != "(" {
                let data = if pairs { vec![addr, DataType::InetService] } else { vec![addr] };
                // Whether its values have ports is seen by the values.
                rule.wanted = pairs.then_some(MapData::Values(data));
                nat.addr = Some(self.expr(rule)?);
                rule.wanted = None;
            } else {
                let (first, last) = self.interval(addr)?;
                nat.addr = value(first, addr);
                nat.addr_last = if first == last { None } else { value(last, addr) };
            }
            let inet = rule.table.family == NftFamily::Inet;
            if inet && family.is_none() && net_of(&mut before.iter()).is_none() {
                self.at = from + 1;
                let message = "ip or ip6 must be specified with address for inet tables.";
                return Err(self.wrong(from, message, "expected dnat ip to or dnat ip6 to"));
            }
            // The kernel is told of which family the address is.
            if inet && family.is_none() {
                nat.family = Some(if v6 { packet::Family::V6 } else { packet::Family::V4 });
            }
        }
        if self.take(":") {
            if self.begins_expr() {
                nat.port = Some(self.expr(rule)?);
            } else {
                let (first, last) = self.interval(DataType::InetService)?;
                nat.port = value(first, DataType::InetService);
                nat.port_last = if first == last { None } else { value(last, DataType::InetService) };
            }
        }
        if nat.port.is_some() {
            self.after_transport(from, before, rule)?;
        }
        nat.flags = self.nat_flags()?;
        Ok(nat)
    }

    /// Ports can be chosen only of protocols that have some.
    pub(super) fn after_transport(&self, from: usize, before: &[Stmt], _rule: &RuleCx<'_>) -> Parsed<()> {
        let known = before.iter().any(|s| {
            s.exprs().into_iter().any(|e| {
                let mut found = false;
                e.walk(&mut |e| {
                    found |= match e {
                        Expr::Meta(MetaKey::L4proto) => true,
                        Expr::Payload(f) => {
                            f.header.protocol().is_some()
                                || f.header == Header::Th
                                || f.name == "protocol"
                                || f.name == "nexthdr"
                        }
                        _ => false,
                    };
                });
                found
            })
        });
        if known {
            return Ok(());
        }
        let message = "transport protocol mapping is only valid after transport protocol match";
        Err(self.wrong(from, message, "expected meta l4proto or a port in front of it"))
    }

    /// `add @SET { KEY [timeout T] [counter] [: DATA] }`
    pub(super) fn dynset(&mut self, op: DynsetOp, rule: &mut RuleCx<'_>) -> Parsed<Dynset> {
        let from = self.at;
        self.need("@")?;
        let name = self.name("the name of a set")?;
        let Some((set, found)) = rule.table.set(name) else {
            return Err(self.no_set(from, name, rule));
        };
        let (name, spec) = (found.name.clone(), found.spec.clone());
        self.need("{")?;
        let at = self.at;
        let key = self.expr(rule)?;
        let types = key.types();
        if types.len() != spec.key.len() || !types.iter().zip(&spec.key).all(|(a, b)| a.fits(*b)) {
            return Err(self.wrong(at, "datatype mismatch", "expected a key of the set's type"));
        }
        let mut dynset = Dynset { op, set, name, key, timeout: None, data: None, stateful: Vec::new() };
        loop {
            if self.take("timeout") {
                dynset.timeout = Some(self.time()?);
            } else if self.take("counter") {
                dynset.stateful.push(self.counter()?);
            } else if self.peek() == "limit" {
                return Err(self.not_modelled("limit of a member", &["timeout", "counter"]));
            } else {
                break;
            }
        }
        if self.take(":") {
            let MapData::Values(types) = &spec.data else {
                return Err(self.wrong(from, "the set does not lead to values", "expected a map"));
            };
            let dtype = types.first().copied().unwrap_or(DataType::Mark);
            dynset.data = Some(self.set_value(dtype, rule)?);
        }
        self.need("}")?;
        Ok(dynset)
    }
}

/// The family that a rule has asked for.
pub(super) fn net_of(before: &mut dyn Iterator<Item = &Stmt>) -> Option<Header> {
    let mut found = None;
    for stmt in before {
        if let Stmt::Match {
            left: Expr::Meta(MetaKey::Nfproto | MetaKey::Protocol),
            op: CmpOp::Eq,
            right: Right::Value(v),
        } = stmt
        {
            found = Some(if matches!(v.as_u32(), 2 | 0x0800) { Header::Ip } else { Header::Ip6 });
        }
        // These protocols are of one family.
        if let Stmt::Match { left: Expr::Meta(MetaKey::L4proto), op: CmpOp::Eq, right: Right::Value(v) } =
            stmt
        {
            match v.as_u32() {
                1 => found = Some(Header::Ip),
                58 => found = Some(Header::Ip6),
                _ => {}
            }
        }
        for e in stmt.exprs() {
            e.walk(&mut |e| match e.header() {
                Some(Header::Ip | Header::Icmp) => found = Some(Header::Ip),
                Some(Header::Ip6 | Header::Icmpv6) => found = Some(Header::Ip6),
                _ => {}
            });
        }
    }
    found
}
