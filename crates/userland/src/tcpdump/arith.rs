//! Comparisons of numbers: `tcp[13] & 2 != 0`.

use super::filter::{Arith, ArithOp, Expr, Layer, Relation};
use super::id::{ethertype, ip_protocol};
use super::lex::Tok;
use super::parse::Parser;
use crate::diagnostic::Diagnostic;

/// How tightly an operator without a place binds to what is before it.
const LOOSE: u8 = 9;

impl Parser<'_> {
    /// `ARITHMETIC RELATION ARITHMETIC`; `None` if it is something else, and then nothing is taken.
    pub(super) fn relation(&mut self) -> Result<Option<Expr>, Diagnostic> {
        let begin = self.at;
        // A protocol's name may begin both, and a parenthesis too.
        let accessor = matches!(self.tok(0), Some(Tok::Word(_))) && self.is_op(1, "[");
        let sure =
            accessor || self.is_word("len") || matches!(self.tok(0), Some(Tok::Number(_) | Tok::Op("-")));
        if !sure && !self.is_op(0, "(") {
            return Ok(None);
        }
        let left = match self.arith(0) {
            Ok(left) => left,
            Err(e) if sure => return Err(e),
            Err(_) => {
                self.at = begin;
                return Ok(None);
            }
        };
        let relation = match self.tok(0) {
            Some(Tok::Op("<")) => Relation::Less,
            Some(Tok::Op("<=")) => Relation::LessEqual,
            Some(Tok::Op(">")) => Relation::Greater,
            Some(Tok::Op(">=")) => Relation::GreaterEqual,
            Some(Tok::Op("=")) => Relation::Equal,
            Some(Tok::Op("!=")) => Relation::NotEqual,
            _ if sure => return Err(self.unexpected("expected one of <, <=, >, >=, =, !=")),
            _ => {
                self.at = begin;
                return Ok(None);
            }
        };
        self.at += 1;
        let right = self.arith(0)?;
        Ok(Some(Expr::Relation(left, relation, right)))
    }

    /// Operators by how tightly they bind. grammar.y gives `%` and `^` no place: whatever is before them, they take all that
    /// follows.
    fn operator(&self) -> Option<(ArithOp, u8)> {
        let Some(Tok::Op(op)) = self.tok(0) else { return None };
        Some(match *op {
            "|" => (ArithOp::Or, 1),
            "^" => (ArithOp::Xor, LOOSE),
            "&" => (ArithOp::And, 2),
            "<<" => (ArithOp::Shl, 3),
            ">>" => (ArithOp::Shr, 3),
            "+" => (ArithOp::Add, 4),
            "-" => (ArithOp::Sub, 4),
            "*" => (ArithOp::Mul, 5),
            "/" => (ArithOp::Div, 5),
            "%" => (ArithOp::Rem, LOOSE),
            _ => return None,
        })
    }

    fn arith(&mut self, least: u8) -> Result<Arith, Diagnostic> {
        self.deeper()?;
        let arith = self.arith_inside(least);
        self.depth -= 1;
        arith
    }

    fn arith_inside(&mut self, least: u8) -> Result<Arith, Diagnostic> {
        let mut left = self.operand()?;
        while let Some((op, tight)) = self.operator().filter(|(_, tight)| *tight > least) {
            self.at += 1;
            let right = self.arith(if tight == LOOSE { 0 } else { tight })?;
            if matches!((op, &right), (ArithOp::Div | ArithOp::Rem, Arith::Number(0))) {
                let says = if op == ArithOp::Div { "division by zero" } else { "modulus by zero" };
                return Err(self.refuse(says, "expected another number"));
            }
            left = Arith::Op(Box::new(left), op, Box::new(right));
        }
        Ok(left)
    }

    fn operand(&mut self) -> Result<Arith, Diagnostic> {
        if self.take_op("(") {
            let inside = self.arith(0)?;
            self.need_op(")")?;
            return Ok(inside);
        }
        if self.take_op("-") {
            return Ok(Arith::Minus(Box::new(self.arith(5)?)));
        }
        match self.tok(0) {
            Some(Tok::Number(n)) => {
                let n = *n;
                self.at += 1;
                Ok(Arith::Number(n))
            }
            Some(Tok::Word("len")) => {
                self.at += 1;
                Ok(Arith::Len)
            }
            Some(Tok::Word(word)) if self.is_op(1, "[") => {
                let word = *word;
                self.at += 2;
                self.accessor(word)
            }
            _ => Err(self.unexpected("expected a number, \"len\" or an accessor such as tcp[13]")),
        }
    }

    fn accessor(&mut self, word: &str) -> Result<Arith, Diagnostic> {
        let layer = match (word, ethertype(word), ip_protocol(word)) {
            ("ether" | "link", ..) => Layer::Link,
            (_, Some(t), _) => Layer::Network(t),
            ("icmp6", ..) => Layer::Icmp6,
            ("esp" | "ah", ..) => {
                return Err(self.refuse("unsupported index operation", "expected another protocol"));
            }
            (_, _, Some(n)) => Layer::Transport(n),
            _ => return Err(self.unexpected("expected the name of a protocol before \"[\"")),
        };
        let offset = Box::new(self.arith(0)?);
        let mut size = 1;
        if self.take_op(":") {
            let Some(Tok::Number(n)) = self.tok(0) else {
                return Err(self.unexpected("expected 1, 2 or 4 bytes"));
            };
            let n = *n;
            self.at += 1;
            size = match n {
                1 => 1,
                2 => 2,
                4 => 4,
                _ => return Err(self.refuse("data size must be 1, 2, or 4", "expected 1, 2 or 4")),
            };
        }
        self.need_op("]")?;
        Ok(Arith::Load { layer, offset, size })
    }
}
