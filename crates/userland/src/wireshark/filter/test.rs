//! A filter's question to a packet.

use super::{Expr, Function, Literal, Operand, Relation, Seen, Side, Slice};
use crate::wireshark::known::Kind;
use crate::wireshark::tree::{Field, Value};
use std::cmp::Ordering;

impl Expr {
    pub(super) fn holds(&self, frame: &[u8], fields: &[Field]) -> bool {
        match self {
            Expr::And(a, b) => a.holds(frame, fields) && b.holds(frame, fields),
            Expr::Or(a, b) => a.holds(frame, fields) || b.holds(frame, fields),
            Expr::Not(e) => !e.holds(frame, fields),
            Expr::Exists(side) => {
                side.values(frame, fields).iter().any(|v| side.mask.is_none() || *v != Seen::Number(0))
            }
            Expr::Compare(side, relation, right) => {
                let left = side.values(frame, fields);
                match right {
                    Operand::Literal(literal) => compare(&left, *relation, |a, r| a.meets(r, literal)),
                    Operand::Field(other) => {
                        let right = other.values(frame, fields);
                        compare(&left, *relation, |a, r| {
                            let meets = |b: &Seen<'_>| a.compares(b).is_some_and(|order| r.accepts(order));
                            match relation {
                                Relation::AllNotEqual | Relation::AllEqual => {
                                    !right.is_empty() && right.iter().all(meets)
                                }
                                _ => right.iter().any(meets),
                            }
                        })
                    }
                }
            }
            Expr::In(side, members) => side.values(frame, fields).iter().any(|v| {
                members.iter().any(|(low, high)| match high {
                    None => v.meets(Relation::AnyEqual, low),
                    Some(high) => v.meets(Relation::GreaterEqual, low) && v.meets(Relation::LessEqual, high),
                })
            }),
        }
    }
}

/// Whether the values of a field meet a relation, each by itself by `meets`.
fn compare(left: &[Seen<'_>], relation: Relation, meets: impl Fn(&Seen<'_>, Relation) -> bool) -> bool {
    match relation {
        Relation::AllEqual | Relation::AllNotEqual => {
            !left.is_empty() && left.iter().all(|v| meets(v, relation))
        }
        _ => left.iter().any(|v| meets(v, relation)),
    }
}

impl Relation {
    fn accepts(self, order: Ordering) -> bool {
        match self {
            Relation::AnyEqual | Relation::AllEqual => order.is_eq(),
            Relation::AllNotEqual | Relation::AnyNotEqual => order.is_ne(),
            Relation::Greater => order.is_gt(),
            Relation::Less => order.is_lt(),
            Relation::GreaterEqual => order.is_ge(),
            Relation::LessEqual => order.is_le(),
            Relation::Contains => false,
        }
    }
}

impl Side {
    /// Its values in a packet.
    fn values<'a>(&self, frame: &'a [u8], fields: &'a [Field]) -> Vec<Seen<'a>> {
        let found = fields.iter().filter(|f| f.known == self.field);
        if self.function == Some(Function::Count) {
            // No field, no count.
            return match found.count() {
                0 => Vec::new(),
                n => vec![Seen::Number(n as i64)],
            };
        }
        found.filter_map(|f| self.value(frame, f)).collect()
    }

    fn value<'a>(&self, frame: &'a [u8], field: &'a Field) -> Option<Seen<'a>> {
        // A protocol goes on to the end of what it carries.
        let bytes = match field.known.kind {
            Kind::Group => frame.get(field.at..).unwrap_or_default(),
            _ => field.bytes(frame),
        };
        Some(match (self.function, self.slice, &field.value) {
            (Some(Function::Len), _, Value::Text(text)) => Seen::Number(text.len() as i64),
            (Some(Function::Len), _, _) => Seen::Number(bytes.len() as i64),
            (Some(Function::Upper), _, Value::Text(text)) => Seen::Text(text.to_ascii_uppercase()),
            (Some(Function::Lower), _, Value::Text(text)) => Seen::Text(text.to_ascii_lowercase()),
            (_, Some(slice), Value::Text(text)) => Seen::Bytes(slice.of(text.as_bytes())?),
            (_, Some(slice), _) => Seen::Bytes(slice.of(bytes)?),
            (_, None, Value::Number(n)) => Seen::Number(self.mask.map_or(*n, |mask| n & mask)),
            (_, None, Value::Bytes | Value::None) => Seen::Bytes(bytes),
            (_, None, value) => Seen::Value(value),
        })
    }
}

impl Slice {
    fn of(self, bytes: &[u8]) -> Option<&[u8]> {
        let place = |n: i64| {
            let n = if n < 0 { n.saturating_add(bytes.len() as i64) } else { n };
            usize::try_from(n).ok()
        };
        let to = match self.to {
            Some(to) if self.from < 0 || to >= 0 => place(to)?,
            _ => bytes.len(),
        };
        bytes.get(place(self.from)?..to)
    }
}

impl Seen<'_> {
    fn meets(&self, relation: Relation, literal: &Literal) -> bool {
        if relation == Relation::Contains {
            return match (self.text(), literal) {
                (Some(text), Literal::Text(part)) => text.contains(part.as_str()),
                (_, Literal::Bytes(part)) => {
                    matches!(self, Seen::Bytes(b) if part.is_empty() || b.windows(part.len()).any(|w| w == part))
                }
                _ => false,
            };
        }
        let order = match (self, literal) {
            // A bit is set or not.
            (Seen::Number(a), Literal::Number(b)) => a.cmp(b),
            (Seen::Value(Value::Ip(ip)), Literal::Net(net)) if net.contains(ip) => Ordering::Equal,
            (Seen::Value(Value::Ip(ip)), Literal::Net(net)) => ip.cmp(&net.network()),
            (Seen::Value(Value::Mac(a)), Literal::Mac(b)) => a.cmp(b),
            (Seen::Value(Value::Time(a)), Literal::Time(b)) => i64::try_from(*a).unwrap_or(i64::MAX).cmp(b),
            (Seen::Bytes(a), Literal::Bytes(b)) => (*a).cmp(b.as_slice()),
            (_, Literal::Text(b)) => match self.text() {
                Some(a) => a.cmp(b.as_str()),
                None => return false,
            },
            _ => return false,
        };
        relation.accepts(order)
    }

    fn text(&self) -> Option<&str> {
        match self {
            Seen::Text(text) | Seen::Value(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    fn compares(&self, other: &Seen<'_>) -> Option<Ordering> {
        Some(match (self, other) {
            (Seen::Number(a), Seen::Number(b)) => a.cmp(b),
            (Seen::Bytes(a), Seen::Bytes(b)) => a.cmp(b),
            (Seen::Value(Value::Ip(a)), Seen::Value(Value::Ip(b))) => a.cmp(b),
            (Seen::Value(Value::Mac(a)), Seen::Value(Value::Mac(b))) => a.cmp(b),
            (Seen::Value(Value::Time(a)), Seen::Value(Value::Time(b))) => a.cmp(b),
            _ => self.text()?.cmp(other.text()?),
        })
    }
}
