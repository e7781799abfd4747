//! Tokens to an expression: `or` binds least, then `and`, then `not`.

use super::lex::{Kind as Tok, Token, lex};
use super::{DisplayFilter, Expr, Function, Literal, Operand, Relation, Side, Slice};
use crate::diagnostic::{Diagnostic, Fault, q};
use crate::wireshark::known::{KNOWN, Kind, Known, known};
use ipnet::IpNet;
use std::net::IpAddr;

pub(super) fn parse(text: &str) -> Result<DisplayFilter, Diagnostic> {
    let mut p = Parser { text, tokens: lex(text)?, at: 0, depth: 0 };
    if p.peek() == &Tok::End {
        return Ok(DisplayFilter { expr: None });
    }
    let expr = p.or()?;
    match p.peek() {
        Tok::End => Ok(DisplayFilter { expr: Some(expr) }),
        _ => Err(p.wrong("does not belong here", "expected and, or, a comparison, or the end")),
    }
}

/// So many brackets and `not` may stand in one another.
const MAX_DEPTH: usize = 100;

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

const END: Token = Token { kind: Tok::End, start: 0, end: 0 };

impl Parser<'_> {
    fn token(&self) -> &Token {
        self.tokens.get(self.at).or(self.tokens.last()).unwrap_or(&END)
    }

    fn peek(&self) -> &Tok {
        &self.token().kind
    }

    fn next(&mut self) -> Token {
        let token = self.token().clone();
        self.at = (self.at + 1).min(self.tokens.len().saturating_sub(1));
        token
    }

    fn at_token(&self, token: &Token, message: impl Into<String>, help: impl Into<String>) -> Diagnostic {
        Diagnostic::new(1, self.text, token.start, token.end, Fault::new(message, help))
    }

    /// The current token is wrong.
    fn wrong(&self, what: &str, help: impl Into<String>) -> Diagnostic {
        let token = self.token();
        let text = self.text.get(token.start..token.end).unwrap_or_default();
        let message = match token.kind {
            Tok::End => "the filter ends too early".to_owned(),
            _ => format!("{} {what}", q(text)),
        };
        self.at_token(token, message, help)
    }

    /// Takes a sign or a word if it stands here.
    fn take(&mut self, any: &[&str]) -> Option<String> {
        let found = match self.peek() {
            Tok::Sign(sign) => any.contains(sign).then(|| (*sign).to_owned()),
            Tok::Word(word) => any.contains(&word.as_str()).then(|| word.clone()),
            _ => None,
        }?;
        self.next();
        Some(found)
    }

    fn expect(&mut self, sign: &str) -> Result<(), Diagnostic> {
        match self.take(&[sign]) {
            Some(_) => Ok(()),
            None => Err(self.wrong("does not belong here", format!("expected {sign}"))),
        }
    }

    fn or(&mut self) -> Result<Expr, Diagnostic> {
        let mut left = self.and()?;
        while self.take(&["or", "||"]).is_some() {
            left = Expr::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expr, Diagnostic> {
        let mut left = self.not()?;
        while self.take(&["and", "&&"]).is_some() {
            left = Expr::And(Box::new(left), Box::new(self.not()?));
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Expr, Diagnostic> {
        if self.depth >= MAX_DEPTH {
            return Err(self.wrong("is too deep", "expected fewer brackets in one another"));
        }
        self.depth += 1;
        let out = if self.take(&["not", "!"]).is_some() {
            self.not().map(|e| Expr::Not(Box::new(e)))
        } else if self.take(&["("]).is_some() {
            let inner = self.or()?;
            self.expect(")").map(|()| inner)
        } else {
            self.test()
        };
        self.depth -= 1;
        out
    }

    fn test(&mut self) -> Result<Expr, Diagnostic> {
        let first = self.token().clone();
        let side = self.side()?;
        let regular = match self.peek() {
            Tok::Word(word) => word == "matches",
            sign => *sign == Tok::Sign("~"),
        };
        if regular {
            return Err(self.wrong("takes a regular expression, which is not modelled", "expected contains"));
        }
        if self.take(&["in"]).is_some() {
            return Ok(Expr::In(side.clone(), self.members(&side)?));
        }
        if matches!(self.peek(), Tok::Word(w) if w == "not")
            && matches!(self.tokens.get(self.at + 1).map(|t| &t.kind), Some(Tok::Word(w)) if w == "in")
        {
            self.at += 2;
            let members = self.members(&side)?;
            return Ok(Expr::Not(Box::new(Expr::In(side, members))));
        }
        let Some(relation) = self.relation() else {
            if side.function.is_some() {
                return Err(self.wrong("does not belong here", "expected a comparison such as > 0"));
            }
            return Ok(Expr::Exists(side));
        };
        let kind = kind_of(&side);
        if relation == Relation::Contains && !matches!(kind, Kind::Text | Kind::Bytes | Kind::Group) {
            let message = format!("{} has {}, which contains nothing", side.field.name, kind.words());
            return Err(self.at_token(
                &first,
                message,
                "expected a field of text or bytes, or a comparison such as ==",
            ));
        }
        if kind == Kind::Group && relation != Relation::Contains {
            let message = format!("{} is a protocol and has no value", side.field.name);
            return Err(self.at_token(&first, message, "expected one of its fields, or contains"));
        }
        let right = self.operand(kind)?;
        Ok(Expr::Compare(side, relation, right))
    }

    fn relation(&mut self) -> Option<Relation> {
        let word = self.take(&[
            "==", "eq", "any_eq", "!=", "ne", "all_ne", "===", "all_eq", "!==", "~=", "any_ne", ">", "gt",
            "<", "lt", ">=", "ge", "<=", "le", "contains",
        ])?;
        Some(match word.as_str() {
            "==" | "eq" | "any_eq" => Relation::AnyEqual,
            "!=" | "ne" | "all_ne" => Relation::AllNotEqual,
            "===" | "all_eq" => Relation::AllEqual,
            "!==" | "~=" | "any_ne" => Relation::AnyNotEqual,
            ">" | "gt" => Relation::Greater,
            "<" | "lt" => Relation::Less,
            ">=" | "ge" => Relation::GreaterEqual,
            "<=" | "le" => Relation::LessEqual,
            _ => Relation::Contains,
        })
    }

    /// A field, what is cut out of it, or what a function makes of it.
    fn side(&mut self) -> Result<Side, Diagnostic> {
        let Tok::Word(word) = self.peek().clone() else {
            return Err(
                self.wrong("is no field", "expected a field such as ip.addr, or a protocol such as tcp")
            );
        };
        let called = matches!(self.tokens.get(self.at + 1).map(|t| &t.kind), Some(Tok::Sign("(")));
        let function = match word.as_str() {
            _ if !called => None,
            "len" => Some(Function::Len),
            "count" => Some(Function::Count),
            "upper" => Some(Function::Upper),
            "lower" => Some(Function::Lower),
            _ => return Err(self.wrong("is no function", "expected len, count, upper or lower")),
        };
        if let Some(function) = function {
            self.at += 2;
            let inner = self.token().clone();
            let field = self.field()?;
            let letters = matches!(function, Function::Upper | Function::Lower);
            if letters && field.kind != Kind::Text {
                let message = format!("{} is not text", field.name);
                return Err(self.at_token(&inner, message, "expected a field of text, such as http.host"));
            }
            self.expect(")")?;
            return Ok(Side { field, slice: None, function: Some(function), mask: None });
        }
        let first = self.token().clone();
        let field = self.field()?;
        let slice = if self.take(&["["]).is_some() { Some(self.slice()?) } else { None };
        let mask = if self.take(&["&"]).is_some() {
            if slice.is_some() || !matches!(field.kind, Kind::Number | Kind::Hex(_)) {
                let message = format!("{} is not a number", field.name);
                return Err(self.at_token(&first, message, "expected a field with a number before &"));
            }
            match self.literal(field.kind)? {
                Literal::Number(n) => Some(n),
                _ => None,
            }
        } else {
            None
        };
        Ok(Side { field, slice, function: None, mask })
    }

    fn field(&mut self) -> Result<&'static Known, Diagnostic> {
        let Tok::Word(word) = self.peek().clone() else {
            return Err(
                self.wrong("is no field", "expected a field such as ip.addr, or a protocol such as tcp")
            );
        };
        match known(&word) {
            Some(field) => {
                self.next();
                Ok(field)
            }
            None => Err(self.wrong("is neither a field nor a protocol", format!("expected {}", near(&word)))),
        }
    }

    fn slice(&mut self) -> Result<Slice, Diagnostic> {
        let help = "expected [offset], [offset:length] or [first-last]";
        let Tok::Word(word) = self.peek().clone() else {
            return Err(self.wrong("is no part of a field", help));
        };
        let whole = |text: &str| text.trim().parse::<i64>().ok();
        let parsed = match word.split_once(':') {
            Some((from, len)) if len.trim().is_empty() => whole(from).map(|from| Slice { from, to: None }),
            Some((from, len)) => {
                let from = if from.trim().is_empty() { Some(0) } else { whole(from) };
                from.zip(whole(len)).map(|(from, len)| Slice { from, to: Some(from.saturating_add(len)) })
            }
            None => match word.char_indices().skip(1).find(|(_, c)| *c == '-') {
                Some((i, _)) => {
                    let (from, last) = word.split_at(i);
                    let last = last.get(1..).and_then(whole);
                    whole(from).zip(last).map(|(from, to)| Slice { from, to: Some(to.saturating_add(1)) })
                }
                None => whole(&word).map(|from| Slice { from, to: Some(from.saturating_add(1)) }),
            },
        };
        // The end of a slice from behind is the end of the field.
        let parsed = parsed.map(|s| if s.from < 0 && s.to == Some(0) { Slice { to: None, ..s } } else { s });
        let Some(slice) = parsed else { return Err(self.wrong("is no part of a field", help)) };
        self.next();
        self.expect("]")?;
        Ok(slice)
    }

    fn operand(&mut self, kind: Kind) -> Result<Operand, Diagnostic> {
        if let Tok::Word(word) = self.peek()
            && let Some(field) = known(word)
            && field.kind != Kind::Group
        {
            let token = self.token().clone();
            let side = self.side()?;
            if !alike(kind_of(&side), kind) {
                let message = format!("{} has {}", side.field.name, kind_of(&side).words());
                return Err(self.at_token(&token, message, format!("expected {}", kind.words())));
            }
            return Ok(Operand::Field(side));
        }
        self.literal(kind).map(Operand::Literal)
    }

    fn literal(&mut self, kind: Kind) -> Result<Literal, Diagnostic> {
        let token = self.token().clone();
        let (word, is_quoted) = match &token.kind {
            Tok::Word(word) => (word.clone(), false),
            Tok::Quoted(text) => (text.clone(), true),
            _ => return Err(self.wrong("is no value", format!("expected {}", kind.words()))),
        };
        match literal(&word, is_quoted, kind) {
            Some(literal) => {
                self.next();
                Ok(literal)
            }
            None => Err(self.wrong("does not fit", format!("expected {}", kind.words()))),
        }
    }

    fn members(&mut self, side: &Side) -> Result<Vec<(Literal, Option<Literal>)>, Diagnostic> {
        let kind = kind_of(side);
        self.expect("{")?;
        let mut out = Vec::new();
        loop {
            let low = self.literal(kind)?;
            let high = if self.take(&[".."]).is_some() { Some(self.literal(kind)?) } else { None };
            out.push((low, high));
            if self.take(&[","]).is_some() {
                continue;
            }
            return match self.take(&["}"]) {
                Some(_) => Ok(out),
                None => Err(self.wrong("does not belong here", "expected a comma, .. or }")),
            };
        }
    }
}

/// What is compared.
fn kind_of(side: &Side) -> Kind {
    match (side.function, side.slice) {
        (Some(Function::Len | Function::Count), _) => Kind::Number,
        (_, Some(_)) => Kind::Bytes,
        _ => side.field.kind,
    }
}

fn alike(a: Kind, b: Kind) -> bool {
    let number = |k| matches!(k, Kind::Number | Kind::Hex(_) | Kind::Bool);
    a == b || number(a) && number(b)
}

fn number(text: &str) -> Option<i64> {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let n = match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        Some(hex) => i64::from_str_radix(hex, 16),
        None if text.len() > 1 && text.starts_with('0') => i64::from_str_radix(text, 8),
        None => text.parse(),
    };
    n.ok().map(|n| if negative { -n } else { n })
}

/// `47:45:54`, `47-45-54`, `47.45.54`, `474554`; a number with 0x is one too.
fn byte_string(text: &str) -> Option<Vec<u8>> {
    let plain = text.strip_prefix("0x").unwrap_or(text);
    let parts: Vec<&str> = if plain.contains([':', '-', '.']) {
        plain.split([':', '-', '.']).collect()
    } else {
        (0..plain.len()).step_by(2).map(|i| plain.get(i..(i + 2).min(plain.len()))).collect::<Option<_>>()?
    };
    parts.into_iter().map(|p| u8::from_str_radix(p, 16).ok().filter(|_| p.len() <= 2)).collect()
}

fn literal(word: &str, is_quoted: bool, kind: Kind) -> Option<Literal> {
    Some(match kind {
        Kind::Text => Literal::Text(word.to_owned()),
        Kind::Bytes | Kind::Group if is_quoted => Literal::Bytes(word.as_bytes().to_vec()),
        Kind::Bytes | Kind::Group => Literal::Bytes(byte_string(word)?),
        _ if is_quoted => return None,
        Kind::Number | Kind::Hex(_) | Kind::Bool => Literal::Number(number(word)?),
        Kind::Ipv4 | Kind::Ipv6 => {
            let net = match word.parse::<IpNet>() {
                Ok(net) => net,
                Err(_) => IpNet::from(word.parse::<IpAddr>().ok()?),
            };
            Literal::Net(Some(net).filter(|n| n.addr().is_ipv4() == (kind == Kind::Ipv4))?)
        }
        Kind::Mac => Literal::Mac(word.replace('-', ":").parse().ok()?),
        Kind::Time => {
            let (whole, part) = word.split_once('.').unwrap_or((word, ""));
            let digits: String = part.chars().chain("000000".chars()).take(6).collect();
            let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
            Literal::Time(whole.checked_mul(1_000_000)?.checked_add(digits.parse().ok()?)?)
        }
    })
}

/// A few fields that begin like a word.
fn near(word: &str) -> String {
    let shared = |name: &str| name.bytes().zip(word.bytes()).take_while(|(a, b)| a == b).count();
    let best = KNOWN.iter().map(|k| shared(k.name)).max().unwrap_or(0);
    if best < 2 {
        return "a field such as ip.addr, tcp.port, dns.qry.name, or a protocol such as tcp, http".to_owned();
    }
    let names: Vec<&str> = KNOWN.iter().map(|k| k.name).filter(|n| shared(n) == best).take(6).collect();
    format!("one like {}", names.join(", "))
}
