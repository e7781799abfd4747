//! Rules: their statements, and what nft leaves out when it lists them.

use super::{Parsed, Parser, blame};
use crate::diagnostic::Fault;
use kernel::netfilter::nftables::{
    CmpOp, CtKey, Data, DataType, Expr, Field, Header, MapData, MetaKey, NftFamily, NftRule, NftTable,
    NftVerdict, RejectKind, Right, SetRef, Stmt,
};

/// What a rule may refer to, and what has been said in it so far.
pub(in crate::nft) struct RuleCx<'t> {
    pub table: &'t NftTable,
    slots: usize,
    /// What the values of a map in it must be.
    pub wanted: Option<MapData>,
}

impl<'t> RuleCx<'t> {
    pub fn new(table: &'t NftTable) -> RuleCx<'t> {
        RuleCx { table, slots: 0, wanted: None }
    }

    /// A place for what the rule remembers.
    pub fn slot(&mut self) -> usize {
        self.slots += 1;
        self.slots - 1
    }

    pub fn family(&self) -> &'static str {
        self.table.family.name()
    }

    /// True if packets of the table may have that header.
    pub fn sees(&self, header: Header) -> bool {
        match self.table.family {
            NftFamily::Ip => header != Header::Ip6,
            NftFamily::Ip6 => header != Header::Ip,
            NftFamily::Inet => true,
        }
    }
}

impl Parser<'_> {
    /// A rule up to the end of its line.
    pub(super) fn rule(&mut self, table: &NftTable) -> Parsed<NftRule> {
        let mut cx = RuleCx::new(table);
        let mut stmts = Vec::new();
        let mut comment = None;
        if self.at_end() {
            return Err(self.unexpected("a rule"));
        }
        while !self.at_end() && self.peek() != "}" {
            self.expand()?;
            if self.take("comment") {
                comment = Some(self.quoted("a comment")?.into());
                if !self.at_end() && self.peek() != "}" {
                    return Err(self.unexpected("the end of the line"));
                }
                break;
            }
            let from = self.at;
            self.stmt(&mut cx, &mut stmts)?;
            if let [.., before, _] = &stmts[..]
                && is_terminal(before)
            {
                let message = "Statement after terminal statement has no effect";
                return Err(self.wrong(from, message, "expected nothing behind a verdict"));
            }
            self.check_protocols(from, &stmts)?;
            needs_of_reject(&mut stmts, table.family);
        }
        Ok(NftRule::new(without_implied(stmts, table.family, false), comment))
    }
}

/// `stmt_reject_gen_dependency`: what an answer asks of the packet is asked first of all, so that nothing is done about packets that
/// are not rejected.
fn needs_of_reject(stmts: &mut Vec<Stmt>, family: NftFamily) {
    let Some((Stmt::Reject(kind), before)) = stmts.split_last() else { return };
    let ask = |key, data| Stmt::Match { left: Expr::Meta(key), op: CmpOp::Eq, right: Right::Value(data) };
    let has_net = before.iter().any(|s| {
        asks_family(s).is_some()
            || matches!(asks_protocol(s, family), Some(1 | 58))
            || s.exprs().iter().any(|e| {
                let mut found = false;
                let known = [Header::Ip, Header::Ip6, Header::Icmp, Header::Icmpv6];
                e.walk(&mut |e| found |= e.header().is_some_and(|h| known.contains(&h)));
                found
            })
    });
    let has_protocol = before.iter().any(|s| {
        asks_protocol(s, family).is_some()
            || s.exprs().iter().any(|e| {
                let mut found = false;
                e.walk(&mut |e| found |= e.header().is_some_and(|h| h.protocol().is_some()));
                found
            })
    });
    let first = match kind {
        RejectKind::TcpReset if !has_protocol => ask(MetaKey::L4proto, Data::number(6, 1)),
        RejectKind::Icmp(_) if family == NftFamily::Inet && !has_net => {
            ask(MetaKey::Nfproto, Data::number(2, 1))
        }
        RejectKind::Icmpv6(_) if family == NftFamily::Inet && !has_net => {
            ask(MetaKey::Nfproto, Data::number(10, 1))
        }
        _ => return,
    };
    stmts.insert(0, first);
}

/// Behind it nothing of the rule is done.
fn is_terminal(stmt: &Stmt) -> bool {
    let verdict = matches!(stmt, Stmt::Verdict(v) if *v != NftVerdict::Continue);
    verdict || stmt.is_nat() || matches!(stmt, Stmt::Reject(_))
}

impl Parser<'_> {
    /// A packet has one header of each layer: one of another protocol than any that was asked for, and one of another family than
    /// the last that was asked for, is none of its own.
    fn check_protocols(&self, from: usize, stmts: &[Stmt]) -> Parsed<()> {
        let Some((last, before)) = stmts.split_last() else { return Ok(()) };
        let headers = |s: &Stmt| {
            let mut found = Vec::new();
            for e in s.exprs() {
                e.walk(&mut |e| found.extend(e.header()));
            }
            found
        };
        let family = |h: Header| match h {
            Header::Icmp => Header::Ip,
            Header::Icmpv6 => Header::Ip6,
            h => h,
        };
        let is_net = |h: Header| matches!(h, Header::Ip | Header::Ip6);
        let (mut asked, mut net) = (Vec::new(), None);
        for s in before {
            asked.extend(protocols(s));
            for h in headers(s) {
                asked.extend(h.protocol().map(|p| p.0));
                net = Some(h).filter(|h| is_net(*h)).or(net).or(Some(family(h)).filter(|h| is_net(*h)));
            }
            if !matches!(s, Stmt::Match { left: Expr::Meta(MetaKey::Protocol), .. }) {
                net = asks_family(s).or(net);
            }
        }
        let mut by_port = false;
        for e in last.exprs() {
            e.walk(&mut |e| by_port |= matches!(e, Expr::Ct(CtKey::ProtoSrc | CtKey::ProtoDst, _)));
        }
        let asks = |s: &Stmt| match s {
            Stmt::Match { left, .. } | Stmt::Vmap(left, _) => asks_about_protocol(left),
            _ => false,
        };
        if by_port && asked.is_empty() && !before.iter().any(asks) {
            let help = "expected meta l4proto in front of the ports of a flow";
            return Err(self.wrong(from, "Can't parse symbolic invalid expressions", help));
        }
        for header in headers(last) {
            let other = match header.protocol() {
                Some(own) => {
                    let other = asked.iter().find(|p| **p != own.0).map(|p| protocol_name(*p));
                    asked.push(own.0);
                    other
                }
                None if is_net(header) => {
                    net.replace(header).filter(|known| *known != header).map(Header::name)
                }
                None => None,
            };
            if let Some(other) = other {
                let of = |n: &usize| self.toks.get(*n).map(|t| self.text_of(*t)) == Some(header.name());
                let (start, end) = match (from..self.at).find(of) {
                    Some(n) => (self.place(n).0, self.place(n + 1).1),
                    None => self.place(from),
                };
                let message = format!("conflicting protocols specified: {other} vs. {}", header.name());
                let fault = Fault::new(message, "expected headers of one protocol and family");
                return Err(blame(self.src, start, end, fault));
            }
        }
        Ok(())
    }
}

/// The protocols that a question asks for.
fn protocols(stmt: &Stmt) -> Vec<u8> {
    match stmt {
        Stmt::Match { left, op: CmpOp::Eq, right } if asks_about_protocol(left) => match right {
            Right::Value(v) => vec![v.as_u32() as u8],
            Right::Set(SetRef::Anonymous(set)) => set.elems().iter().map(|e| e.key.as_u32() as u8).collect(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// How nft calls a protocol whose header it knows.
fn protocol_name(p: u8) -> &'static str {
    match (Header::ALL.iter().find(|h| h.protocol().is_some_and(|q| q.0 == p)), p) {
        (Some(h), _) => h.name(),
        (_, 2) => "igmp",
        (_, 50) => "esp",
        _ => "unknown",
    }
}

fn asks_about_protocol(e: &Expr) -> bool {
    match e {
        Expr::Meta(MetaKey::L4proto) => true,
        Expr::Payload(f) => matches!(f.name, "protocol" | "nexthdr"),
        _ => false,
    }
}

/// The protocol that a question asks for (`meta l4proto X`, and in a table of one family `ip protocol X`).
pub(super) fn asks_protocol(stmt: &Stmt, family: NftFamily) -> Option<u8> {
    let Stmt::Match { left, op: CmpOp::Eq, right: Right::Value(v) } = stmt else { return None };
    let asks = match left {
        Expr::Meta(MetaKey::L4proto) => true,
        Expr::Payload(f) => family != NftFamily::Inet && matches!(f.name, "protocol" | "nexthdr"),
        _ => false,
    };
    asks.then(|| v.as_u32() as u8)
}

/// The family that a question asks for.
pub(in crate::nft) fn asks_family(stmt: &Stmt) -> Option<Header> {
    let Stmt::Match { left, op: CmpOp::Eq, right: Right::Value(v) } = stmt else { return None };
    let asks = matches!(left, Expr::Meta(MetaKey::Nfproto | MetaKey::Protocol)) || asks_frame(stmt);
    match v.as_u32() {
        2 | 0x0800 if asks => Some(Header::Ip),
        10 | 0x86dd if asks => Some(Header::Ip6),
        _ => None,
    }
}

/// `ether type`
fn asks_frame(stmt: &Stmt) -> bool {
    matches!(stmt, Stmt::Match { left: Expr::Payload(f), .. } if f.dtype == DataType::EtherType)
}

/// `payload_try_merge`: questions about fields of the transport header that follow each other are asked at once, the first field first, where that one was
/// asked. Only what is done in between keeps them apart.
fn bring_together(stmts: &mut Vec<Stmt>) {
    let field = |s: &Stmt| match s {
        Stmt::Match { left: Expr::Payload(f), op: CmpOp::Eq, right: Right::Value(_) } => {
            Some(f.place()).filter(|(base, ..)| *base == 2)
        }
        _ => None,
    };
    let mut begin = 0;
    while begin < stmts.len() {
        let rest = stmts.get(begin..).unwrap_or_default();
        let end = begin + rest.iter().take_while(|s| matches!(s, Stmt::Match { .. })).count();
        let mut places: Vec<((u8, u16, u16), usize)> =
            (begin..end).filter_map(|i| Some((field(&stmts[i])?, i))).collect();
        sorted::sort(&mut places);
        let mut follows: Vec<(usize, usize)> = Vec::new();
        let mut joined = places.first().map_or(0, |((_, _, len), _)| *len);
        for pair in places.windows(2) {
            let [((base, at, len), first), ((base2, at2, len2), second)] = pair else { continue };
            let whole = [at, len, at2, len2].iter().all(|n| **n % 8 == 0);
            // A register has 128 bits.
            if base == base2 && at + len == *at2 && whole && joined + len2 <= 128 {
                follows.push((*first, *second));
                joined += len2;
            } else {
                joined = *len2;
            }
        }
        let part: Vec<Stmt> = stmts.splice(begin..end, std::iter::empty()).collect();
        let mut order: Vec<usize> = (begin..end).collect();
        for (first, second) in follows {
            order.retain(|i| *i != second);
            let at = order.iter().position(|i| *i == first).map_or(order.len(), |n| n + 1);
            order.insert(at, second);
        }
        let part = order.into_iter().filter_map(|i| part.get(i - begin).cloned());
        let part: Vec<Stmt> = part.collect();
        stmts.splice(begin..begin, part);
        begin = end + 1;
    }
}

/// `payload_dependency_kill`: a question that another one asks by itself is not listed. With the protocol known, a field of any
/// transport header is one of that protocol. For a listing also what a packet may fail all the same: the type of its frame, and a
/// family in front of a protocol that only that one has.
pub(in crate::nft) fn without_implied(mut stmts: Vec<Stmt>, family: NftFamily, listing: bool) -> Vec<Stmt> {
    if !listing {
        bring_together(&mut stmts);
    }
    let mut out: Vec<Option<Stmt>> = Vec::new();
    let mut protocol: Option<(usize, u8)> = None;
    let mut net: Option<(usize, Header)> = None;
    for mut stmt in stmts {
        if let Some((_, p)) = protocol {
            rename_ports(&mut stmt, p);
        }
        let mut headers: Vec<Header> = Vec::new();
        for e in stmt.exprs() {
            e.walk(&mut |e| headers.extend(e.header()));
        }
        let inet = family == NftFamily::Inet;
        let resets = matches!(stmt, Stmt::Reject(RejectKind::TcpReset)) && !inet;
        match stmt {
            Stmt::Reject(RejectKind::Icmp(_)) if inet => headers.push(Header::Ip),
            Stmt::Reject(RejectKind::Icmpv6(_)) if inet => headers.push(Header::Ip6),
            _ => {}
        }
        let alone = protocol.is_none();
        if let Some((at, p)) = protocol
            && (headers.iter().any(|h| h.protocol().is_some_and(|q| q.0 == p)) || resets && p == 6)
        {
            out[at] = None;
            protocol = None;
        }
        // In a table of one family all packets are of it.
        let known = match family {
            NftFamily::Ip => Some(Header::Ip),
            NftFamily::Ip6 => Some(Header::Ip6),
            NftFamily::Inet => None,
        };
        if let Some((at, h)) = net
            && let Some(asked) = &out[at]
        {
            let (frame, by_meta) =
                (asks_frame(asked), matches!(asked, Stmt::Match { left: Expr::Meta(MetaKey::Protocol), .. }));
            let l4 = asks_protocol(&stmt, NftFamily::Inet);
            let own = |p: u8| matches!((p, h), (1, Header::Ip) | (58, Header::Ip6));
            let mut of = headers.iter().filter_map(|h| h.protocol());
            let implied = match (inet, l4) {
                (true, Some(p)) => own(p),
                (true, None) => !by_meta && alone && of.any(|p| own(p.0)),
                (false, l4) => frame && known == Some(h) && (l4.is_some() || of.next().is_some()),
            };
            if listing && implied || !by_meta && (listing || !frame) && headers.contains(&h) {
                out[at] = None;
                net = None;
            }
        }
        let asks = asks_family(&stmt);
        if asks.is_some() && asks == known && !asks_frame(&stmt) {
            continue;
        }
        // What is behind something that is done is not brought together with what is in front of it.
        if !matches!(stmt, Stmt::Match { .. } | Stmt::Vmap(..)) {
            (protocol, net) = (None, None);
        }
        protocol = asks_protocol(&stmt, family).map(|p| (out.len(), p)).or(protocol);
        net = asks.map(|h| (out.len(), h)).or(net);
        out.push(Some(stmt));
    }
    out.into_iter().flatten().collect()
}

fn rename_ports(stmt: &mut Stmt, protocol: u8) {
    let Some(header) = Header::of(protocol) else { return };
    let rename = |e: &mut Expr| rename_in(e, header);
    match stmt {
        Stmt::Match { left, .. } => rename(left),
        Stmt::Vmap(e, _) | Stmt::MetaSet(_, e) | Stmt::CtSet(_, e) => rename(e),
        _ => {}
    }
}

fn rename_in(e: &mut Expr, header: Header) {
    match e {
        Expr::Payload(field) if field.header == Header::Th && field.dtype == DataType::InetService => {
            if let Some(f) = Field::find(header, field.name) {
                *field = f;
            }
        }
        Expr::Binary(_, a, b) => {
            rename_in(a, header);
            rename_in(b, header);
        }
        Expr::Concat(parts) => parts.iter_mut().for_each(|p| rename_in(p, header)),
        Expr::Map(key, _) => rename_in(key, header),
        _ => {}
    }
}
