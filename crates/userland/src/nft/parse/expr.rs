//! Expressions and the values that they are compared with.

use super::super::lex::Kind;
use super::super::value::{read, symbols};
use super::{Parsed, Parser, RuleCx};
use kernel::Instant;
use kernel::netfilter::conntrack::Direction;
use kernel::netfilter::nftables::{
    BinaryOp, CmpOp, CtKey, Data, DataType, Elem, ElemData, Expr, Fib, FibResult, Field, Header, MapData,
    MetaKey, NftFamily, NftSet, Right, SetRef, SetSpec,
};
use std::rc::Rc;

/// Keys of `meta` that need not be written with it.
const BARE: [&str; 8] = ["mark", "iif", "oif", "iifname", "oifname", "skuid", "skgid", "pkttype"];

impl Parser<'_> {
    /// True if an expression begins here.
    pub(super) fn begins_expr(&self) -> bool {
        let word = self.peek();
        matches!(word, "meta" | "ct" | "fib" | "numgen" | "(")
            || BARE.contains(&word)
            || Header::ALL.iter().any(|h| h.name() == word)
    }

    /// An expression: parts with dots between them, and perhaps a map behind.
    pub(super) fn expr(&mut self, rule: &mut RuleCx<'_>) -> Parsed<Expr> {
        let mut parts = vec![self.operation(rule)?];
        while self.take(".") {
            parts.push(self.operation(rule)?);
        }
        let expr = match <[Expr; 1]>::try_from(parts) {
            Ok([one]) => one,
            Err(parts) => Expr::Concat(parts),
        };
        if self.peek() == "map" {
            let from = self.at;
            self.at += 1;
            let map = self.map_of(&expr, rule, None, from)?;
            return Ok(Expr::Map(Box::new(expr), map));
        }
        Ok(expr)
    }

    /// Parts with operators between them.
    fn operation(&mut self, rule: &mut RuleCx<'_>) -> Parsed<Expr> {
        self.level(0, None, rule)
    }

    /// Operators from a level on; behind the first operand may stand constants of its type.
    fn level(&mut self, level: usize, dtype: Option<DataType>, rule: &mut RuleCx<'_>) -> Parsed<Expr> {
        const LEVELS: [&[(&str, BinaryOp)]; 4] = [
            &[("|", BinaryOp::Or), ("or", BinaryOp::Or)],
            &[("^", BinaryOp::Xor), ("xor", BinaryOp::Xor)],
            &[("&", BinaryOp::And), ("and", BinaryOp::And)],
            &[
                ("<<", BinaryOp::Lshift),
                ("lshift", BinaryOp::Lshift),
                (">>", BinaryOp::Rshift),
                ("rshift", BinaryOp::Rshift),
            ],
        ];
        let Some(signs) = LEVELS.get(level) else {
            return match dtype {
                Some(t) if !self.begins_expr() => Ok(Expr::Value(self.one_value(t)?, t)),
                Some(t) if self.take("(") => {
                    let inner = self.level(0, Some(t), rule)?;
                    self.need(")")?;
                    Ok(inner)
                }
                _ => self.primary(rule),
            };
        };
        let mut left = self.level(level + 1, dtype, rule)?;
        while let Some((_, op)) = signs.iter().find(|(sign, _)| *sign == self.peek()) {
            self.at += 1;
            let right = match op {
                BinaryOp::Lshift | BinaryOp::Rshift => {
                    Expr::Value(Data::u32(self.number32("a number of bits")?), DataType::Integer(4))
                }
                _ => self.level(level + 1, Some(left.dtype()), rule)?,
            };
            left = combined(*op, left, right);
        }
        Ok(left)
    }

    fn primary(&mut self, rule: &mut RuleCx<'_>) -> Parsed<Expr> {
        self.expand()?;
        let word = self.peek();
        if word == "(" {
            self.at += 1;
            let inner = self.operation(rule)?;
            self.need(")")?;
            return Ok(inner);
        }
        if BARE.contains(&word) {
            return self.meta();
        }
        match word {
            "meta" => {
                self.at += 1;
                if self.peek() == "nfproto" && rule.table.family != NftFamily::Inet {
                    let from = self.at - 1;
                    self.at += 1;
                    let message = "meta nfproto is only useful in the inet family";
                    return Err(self.wrong(from, message, "expected a question that may have two answers"));
                }
                self.meta()
            }
            "ct" => {
                self.at += 1;
                self.ct(rule.table.family)
            }
            "fib" => {
                self.at += 1;
                self.fib()
            }
            "numgen" => {
                self.at += 1;
                self.numgen(rule)
            }
            _ => match Header::ALL.into_iter().find(|h| h.name() == word) {
                Some(header) => {
                    self.at += 1;
                    let from = self.at;
                    let name = self.peek();
                    let Some(field) = Field::find(header, name) else {
                        let known = Field::names(header);
                        return Err(self.not_modelled(&format!("{word} {name}"), &known));
                    };
                    self.at += 1;
                    // What other protocols have is not there in a table of one family.
                    if !rule.sees(header) {
                        let message =
                            format!("conflicting protocols specified: {} vs. {word}", rule.family());
                        return Err(self.wrong(from - 1, message, "expected a header of the table's family"));
                    }
                    Ok(Expr::Payload(field))
                }
                None if self.at_end() => Err(self.unexpected("an expression")),
                None => {
                    Err(self.not_modelled(word, &["meta", "ct", "fib", "numgen", "ip", "ip6", "tcp", "th"]))
                }
            },
        }
    }

    fn meta(&mut self) -> Parsed<Expr> {
        let word = self.peek();
        match MetaKey::ALL.into_iter().find(|k| k.names().0 == word) {
            Some(key) => {
                self.at += 1;
                Ok(Expr::Meta(key))
            }
            None => Err(self.not_modelled(&format!("meta {word}"), &MetaKey::ALL.map(|k| k.names().0))),
        }
    }

    fn ct(&mut self, family: NftFamily) -> Parsed<Expr> {
        let from = self.at;
        let dir = match self.peek() {
            "original" => Some(Direction::Original),
            "reply" => Some(Direction::Reply),
            _ => None,
        };
        self.at += usize::from(dir.is_some());
        let mut word = self.peek().to_owned();
        if dir.is_some() && matches!(word.as_str(), "saddr" | "daddr") && family == NftFamily::Ip {
            // In a table of one family its addresses are meant.
            word = format!("ip {word}");
        } else if dir.is_some() && word == "ip" {
            word = format!("ip {}", self.peek_at(1));
            self.at += 1;
        }
        let Some(key) = CtKey::ALL.into_iter().find(|k| k.names().0 == word) else {
            return Err(self.not_modelled(&format!("ct {word}"), &CtKey::ALL.map(|k| k.names().0)));
        };
        self.at += 1;
        if dir.is_none() && key.needs_direction() || dir.is_some() && !key.takes_direction() {
            let help = "expected original or reply in front of addresses and ports, and of nothing else";
            return Err(self.wrong(from, "the direction of the flow is not as it should be", help));
        }
        // Both directions have the same.
        let dir = dir.filter(|_| !matches!(key, CtKey::L3proto | CtKey::Protocol));
        Ok(Expr::Ct(key, dir))
    }

    fn fib(&mut self) -> Parsed<Expr> {
        let mut fib = Fib {
            saddr: false,
            mark: false,
            iif: false,
            oif: false,
            result: FibResult::Type,
            presence: false,
        };
        let from = self.at;
        let mut has_address = false;
        loop {
            match self.peek() {
                "saddr" => (fib.saddr, has_address) = (true, true),
                "daddr" => has_address = true,
                "mark" => fib.mark = true,
                "iif" => fib.iif = true,
                "oif" => fib.oif = true,
                _ => return Err(self.unexpected("saddr, daddr, mark, iif or oif")),
            }
            self.at += 1;
            if !self.take(".") {
                break;
            }
        }
        fib.result = match self.peek() {
            "type" => FibResult::Type,
            "oif" => FibResult::Oif,
            "oifname" => FibResult::Oifname,
            _ => return Err(self.unexpected("type, oif or oifname")),
        };
        self.at += 1;
        if !has_address {
            let message = "fib: need either saddr or daddr";
            return Err(self.wrong(from, message, "expected saddr or daddr"));
        }
        let word = self.peek();
        let ahead = if matches!(word, "==" | "!=" | "eq" | "ne") { self.peek_at(1) } else { word };
        fib.presence = fib.result != FibResult::Type && matches!(ahead, "exists" | "missing");
        Ok(Expr::Fib(fib))
    }

    fn numgen(&mut self, rule: &mut RuleCx<'_>) -> Parsed<Expr> {
        let random = match self.peek() {
            "random" => true,
            "inc" => false,
            _ => return Err(self.unexpected("inc or random")),
        };
        self.at += 1;
        self.need("mod")?;
        let from = self.at;
        let modulus = self.number32("a number")?;
        if modulus == 0 {
            return Err(self.wrong(from, "the number must not be 0", "expected how many numbers there are"));
        }
        let offset = if self.take("offset") { self.number32("a number")? } else { 0 };
        let slot = if random { 0 } else { rule.slot() };
        Ok(Expr::Numgen { random, modulus, offset, slot })
    }

    // ------------------------------------------------------------------ values

    /// A value of that type; `a | b` and `(a | b)` are one value.
    pub(super) fn value(&mut self, dtype: DataType) -> Parsed<Data> {
        self.expand()?;
        if self.take("(") {
            let value = self.value(dtype)?;
            self.need(")")?;
            return Ok(value);
        }
        let mut value = self.one_value(dtype)?;
        while !dtype.is_addr() && self.take("|") {
            let more = self.one_value(dtype)?;
            value = value.combine(&more, |a, b| a | b);
        }
        Ok(value)
    }

    fn one_value(&mut self, dtype: DataType) -> Parsed<Data> {
        self.expand()?;
        let from = self.at;
        let t = self.tok();
        if matches!(t.kind, Kind::Sign | Kind::End | Kind::Eof) {
            if self.take("[") {
                let value = self.one_value(dtype)?;
                self.need("]")?;
                return Ok(value);
            }
            return Err(self.unexpected(&format!("a value of type {}", dtype.names().0)));
        }
        let text = self.text_of(t);
        if matches!(text, "jhash" | "symhash" | "osf" | "socket" | "rt") {
            return Err(self.not_modelled(text, &["a value", "numgen", "a map"]));
        }
        self.at += 1;
        read(text, dtype, &self.names).map_err(|fault| {
            let known: Vec<&str> = symbols(dtype).iter().map(|(name, _)| *name).collect();
            let help = match known.is_empty() || known.len() > 20 {
                true => fault.help.clone(),
                false => format!("{} or one of {}", fault.help, known.join(", ")),
            };
            self.wrong(from, fault.message.clone(), help)
        })
    }

    /// A value of several parts.
    pub(super) fn concat_value(&mut self, types: &[DataType]) -> Parsed<Data> {
        let mut out = Data::default();
        for (i, t) in types.iter().enumerate() {
            if i > 0 {
                self.need(".")?;
            }
            out.push(&self.value(*t)?);
        }
        Ok(out)
    }

    /// One part of a key: a value, a prefix or a range; its first and its last value.
    pub(super) fn interval(&mut self, dtype: DataType) -> Parsed<(Data, Data)> {
        let from = self.at;
        if self.take("*") {
            let len = dtype.len();
            return Ok((Data::new(&vec![0; len]), Data::new(&vec![0xff; len])));
        }
        let first = self.value(dtype)?;
        if self.take("/") {
            let bits = self.number("the length of a prefix")?;
            let max = dtype.len() as u64 * 8;
            if bits > max || !dtype.has_prefixes() {
                let message = format!("Prefix length {bits} is invalid for type of {max} bits width");
                return Err(self.wrong(from, message, "expected a prefix of an address"));
            }
            return Ok(prefix_ends(&first, bits as u16));
        }
        if self.take("-") {
            let last = self.value(dtype)?;
            if last < first {
                return Err(self.wrong(
                    from,
                    "Range has zero or negative size",
                    "expected a range from low to high",
                ));
            }
            return Ok((first, last));
        }
        // A device's name with a wildcard is a range of names.
        if dtype == DataType::Ifname
            && let Some(stem) = first.as_text().strip_suffix('*')
        {
            let first = Data::ifname(stem);
            return Ok(prefix_ends(&first, stem.len() as u16 * 8));
        }
        Ok((first, first))
    }

    /// What an expression is compared with.
    pub(super) fn right(&mut self, left: &Expr, op: CmpOp, rule: &mut RuleCx<'_>) -> Parsed<Right> {
        self.expand()?;
        let types = left.all_types();
        if self.peek() == "{" {
            let spec = SetSpec { key: types, ..SetSpec::default() };
            let types = spec.key.len();
            let (set, written) = self.anonymous(spec, rule)?;
            // A set of one key is no set.
            if let ([one], 1, 1) = (set.elems(), written, types) {
                return Ok(match one.end {
                    None => Right::Value(one.key),
                    Some(last) => match prefix_len(&one.key, &last) {
                        Some(bits) if left.dtype().is_addr() || left.dtype() == DataType::Ifname => {
                            Right::Prefix(one.key, bits)
                        }
                        _ => Right::Range(one.key, last),
                    },
                });
            }
            return Ok(Right::Set(SetRef::Anonymous(Rc::new(set))));
        }
        let from = self.at;
        if self.take("@") {
            let set = self.set_named(&types, from, rule)?;
            return Ok(Right::Set(set));
        }
        if types.len() > 1 {
            return Ok(Right::Value(self.concat_value(&types)?));
        }
        let dtype = left.dtype();
        if dtype.is_bitmask() {
            return Ok(Right::Value(self.flag_list(dtype)?));
        }
        let (first, last) = self.interval(dtype)?;
        let written = self.toks.get(from..self.at).unwrap_or_default();
        let is_range = written.iter().any(|t| t.kind == Kind::Sign && self.text_of(*t) == "-");
        if first == last && !is_range {
            return Ok(Right::Value(first));
        }
        if matches!(op, CmpOp::Lt | CmpOp::Gt | CmpOp::Lte | CmpOp::Gte) {
            return Err(self.wrong(from, "a range cannot be compared", "expected one value"));
        }
        Ok(match prefix_len(&first, &last) {
            Some(bits) if !is_range => Right::Prefix(first, bits),
            _ => Right::Range(first, last),
        })
    }

    /// `a,b` of bits.
    pub(super) fn flag_list(&mut self, dtype: DataType) -> Parsed<Data> {
        let mut value = self.value(dtype)?;
        while self.take(",") {
            let more = self.value(dtype)?;
            value = value.combine(&more, |a, b| a | b);
        }
        Ok(value)
    }

    // ------------------------------------------------------------------ sets

    /// `{ ... }` as a part of a rule, and how many keys were written.
    fn anonymous(&mut self, spec: SetSpec, rule: &mut RuleCx<'_>) -> Parsed<(NftSet, usize)> {
        let mut set = NftSet::new("", spec);
        let from = self.at;
        let elems = self.elements(&set.spec, rule.table)?;
        if elems.is_empty() {
            return Err(self.wrong(
                from,
                "syntax error, unexpected '}'",
                "expected a member between the braces",
            ));
        }
        set.spec.interval = elems.iter().any(|e| e.0.end.is_some());
        // Ranges of one key that touch become one.
        set.spec.auto_merge = set.spec.interval && set.spec.key.len() == 1 && !set.is_map();
        let written = elems.len();
        for (elem, at) in elems {
            let place = at;
            set.add(elem, false, Instant(0)).map_err(|_| {
                let mut d = self.wrong(from, "conflicting intervals specified", "expected keys that differ");
                d.span = self.wrong(place, "", "").span;
                d
            })?;
        }
        Ok((set, written))
    }

    /// The table's set of that name, whose keys are of these types.
    fn set_named(&mut self, types: &[DataType], from: usize, rule: &RuleCx<'_>) -> Parsed<SetRef> {
        let name = self.name("the name of a set")?;
        let Some((key, set)) = rule.table.set(name) else {
            return Err(self.no_set(from, name, rule));
        };
        let fits =
            set.spec.key.len() == types.len() && set.spec.key.iter().zip(types).all(|(a, b)| a.fits(*b));
        if !fits {
            let words = |t: &[DataType]| match t {
                [one] => one.names().1.to_owned(),
                many => {
                    let parts: Vec<&str> = many.iter().map(|t| t.names().1).collect();
                    format!("concatenation of ({})", parts.join(", "))
                }
            };
            let message = format!(
                "datatype mismatch, expected {}, expression has type {}",
                words(types),
                words(&set.spec.key)
            );
            return Err(self.wrong(from, message, "expected a set of such keys"));
        }
        let data: Rc<[DataType]> = set.data_types().into();
        Ok(SetRef::Named(key, set.name.clone(), data))
    }

    /// What stands behind `map` and `vmap`; `verdicts` if it must lead to some, else what its values must be, if that is known.
    pub(super) fn map_of(
        &mut self,
        key: &Expr,
        rule: &mut RuleCx<'_>,
        data: Option<MapData>,
        from: usize,
    ) -> Parsed<SetRef> {
        self.expand()?;
        let types = key.all_types();
        let set = if self.peek() == "{" {
            let data = data.clone().or_else(|| rule.wanted.clone()).unwrap_or_else(|| self.guess_data());
            let spec = SetSpec { key: types, data, ..SetSpec::default() };
            SetRef::Anonymous(Rc::new(self.anonymous(spec, rule)?.0))
        } else {
            let at = self.at;
            self.need("@")?;
            self.set_named(&types, at, rule)?
        };
        let leads = match &set {
            SetRef::Anonymous(_) => data.is_none() || data == Some(MapData::Verdict),
            SetRef::Named(id, ..) => {
                let found = rule.table.set_by_key(*id).map(|s| s.spec.data.clone()).unwrap_or_default();
                match data {
                    Some(MapData::Verdict) => found == MapData::Verdict,
                    _ => matches!(found, MapData::Values(_)),
                }
            }
        };
        if !leads {
            return Err(self.wrong(from, "the set does not lead to what is asked for", "expected a map"));
        }
        Ok(set)
    }

    /// What the values of a map in a rule are, by the look of the first.
    fn guess_data(&self) -> MapData {
        let mut at = self.at;
        while let Some(t) = self.toks.get(at).filter(|t| t.kind != Kind::Eof) {
            if self.text_of(*t) == ":" && t.kind == Kind::Sign {
                break;
            }
            at += 1;
        }
        let is_addr = |n: usize| self.toks.get(at + n).is_some_and(|t| t.kind == Kind::Addr);
        let text = |n: usize| self.toks.get(at + n).map_or("", |t| self.text_of(*t));
        let addr = if text(1).contains(':') { DataType::Ipv6Addr } else { DataType::Ipv4Addr };
        MapData::Values(match (is_addr(1), text(2)) {
            (true, ".") => vec![addr, DataType::InetService],
            (true, _) => vec![addr],
            _ => vec![DataType::Mark],
        })
    }

    /// A verdict or value that a member leads to.
    pub(super) fn elem_data(
        &mut self,
        data: &MapData,
        table: &kernel::netfilter::nftables::NftTable,
    ) -> Parsed<Option<ElemData>> {
        match data {
            MapData::None => Ok(None),
            MapData::Verdict => {
                self.need(":")?;
                Ok(Some(ElemData::Verdict(self.verdict(table)?)))
            }
            MapData::Values(types) => {
                self.need(":")?;
                Ok(Some(ElemData::Value(self.concat_value(types)?)))
            }
        }
    }
}

/// The first and the last value with the first bits of this one.
pub(in crate::nft) fn prefix_ends(value: &Data, bits: u16) -> (Data, Data) {
    let mask: Vec<u8> = (0..value.bytes().len())
        .map(|i| {
            let left = usize::from(bits).saturating_sub(i * 8).min(8) as u32;
            !(0xffu32 >> left) as u8
        })
        .collect();
    let mask = Data::new(&mask);
    (value.combine(&mask, |a, m| a & m), value.combine(&mask, |a, m| a | !m))
}

/// How many bits two values share, if they are the ends of a prefix.
pub(crate) fn prefix_len(first: &Data, last: &Data) -> Option<u16> {
    let differ = first.combine(last, |a, b| a ^ b);
    let bits: Vec<bool> =
        differ.bytes().iter().flat_map(|b| (0..8).rev().map(move |i| b >> i & 1 == 1)).collect();
    let len = bits.iter().position(|b| *b).unwrap_or(bits.len());
    let rest = &bits[len..];
    let zero_one = prefix_ends(first, len as u16) == (*first, *last);
    (rest.iter().all(|b| *b) && zero_one).then_some(len as u16)
}

/// Two operands as one: constants are put together, and bits that are set anyway are not cleared before.
fn combined(op: BinaryOp, left: Expr, right: Expr) -> Expr {
    match (op, left, right) {
        (BinaryOp::And, Expr::Value(a, t), Expr::Value(b, _)) => Expr::Value(a.combine(&b, |x, y| x & y), t),
        (BinaryOp::Or, Expr::Value(a, t), Expr::Value(b, _)) => Expr::Value(a.combine(&b, |x, y| x | y), t),
        (BinaryOp::Xor, Expr::Value(a, t), Expr::Value(b, _)) => Expr::Value(a.combine(&b, |x, y| x ^ y), t),
        (BinaryOp::Or, Expr::Binary(BinaryOp::And, x, mask), Expr::Value(bits, t)) => {
            let mask = match *mask {
                Expr::Value(m, mt) => Expr::Value(m.combine(&bits, |a, b| a | b), mt),
                other => other,
            };
            let left = Expr::Binary(BinaryOp::And, x, Box::new(mask));
            Expr::Binary(BinaryOp::Or, Box::new(left), Box::new(Expr::Value(bits, t)))
        }
        (op, left, right) => Expr::Binary(op, Box::new(left), Box::new(right)),
    }
}

/// Helper for elements: a member between two ends.
pub(super) fn elem_of(first: Data, last: Data) -> Elem {
    Elem { end: (last != first).then_some(last), ..Elem::new(first) }
}
