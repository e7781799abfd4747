//! Display filters: the language of wireshark-filter(4), as Wireshark 4.0 reads it.
//!
//! Left out, and refused with a word about it: `matches` (regular expressions), `any` and `all` in front of a field, arithmetic
//! other than `&`, and the names of values where a number stands.

mod lex;
mod parse;
mod test;

use super::known::Known;
use super::tree::{Field, Value};
use crate::diagnostic::Diagnostic;
use ipnet::IpNet;
use packet::Mac;

/// A display filter, read.
#[derive(Clone, Debug, PartialEq)]
pub struct DisplayFilter {
    /// `None` for the empty text, which every packet passes.
    expr: Option<Expr>,
}

impl DisplayFilter {
    /// Reads a filter.
    ///
    /// # Errors
    /// The token that does not fit, and what was expected there.
    pub fn parse(text: &str) -> Result<DisplayFilter, Diagnostic> {
        parse::parse(text)
    }

    /// Whether a packet with these bytes and fields passes.
    pub fn matches(&self, frame: &[u8], fields: &[Field]) -> bool {
        self.expr.as_ref().is_none_or(|e| e.holds(frame, fields))
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Expr {
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    /// The packet has such a field, or with a mask one of which some bit is set.
    Exists(Side),
    Compare(Side, Relation, Operand),
    /// A member of a set.
    In(Side, Vec<(Literal, Option<Literal>)>),
}

/// What stands left of a comparison, or a field on its right.
#[derive(Clone, Debug, PartialEq)]
struct Side {
    field: &'static Known,
    /// `[offset:length]`
    slice: Option<Slice>,
    function: Option<Function>,
    /// `& NUMBER`
    mask: Option<i64>,
}

/// From which byte to before which; negative ones count from the end.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Slice {
    from: i64,
    to: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Function {
    Len,
    Count,
    Upper,
    Lower,
}

#[derive(Clone, Debug, PartialEq)]
enum Operand {
    Literal(Literal),
    Field(Side),
}

#[derive(Clone, Debug, PartialEq)]
enum Literal {
    Number(i64),
    Net(IpNet),
    Mac(Mac),
    Text(String),
    Bytes(Vec<u8>),
    /// Microseconds.
    Time(i64),
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    /// `==`: some value of the field is equal.
    AnyEqual,
    /// `===`: every one is.
    AllEqual,
    /// `!=`: there are some, and none is equal.
    AllNotEqual,
    /// `!==`: some value is another.
    AnyNotEqual,
    Greater,
    Less,
    GreaterEqual,
    LessEqual,
    Contains,
}

/// A value of a packet, ready to be compared.
#[derive(Clone, Debug, PartialEq)]
enum Seen<'a> {
    Value(&'a Value),
    Number(i64),
    Text(String),
    Bytes(&'a [u8]),
}
