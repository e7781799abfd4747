//! What nft believes was meant by a name that is not there.

use super::{Parsed, Parser, RuleCx};
use crate::diagnostic::{Diagnostic, q};
use kernel::netfilter::nftables::{NftError, NftFamily, NftTable, Nftables};

/// Something that is there: its name, how nft speaks of it, and its table.
type Known<'n> = (&'n str, String, &'n NftTable);

/// How many letters one name has too many, too few, in exchange or in the wrong order.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut n = (rows[i][j] + usize::from(x != y)).min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i - 1] == *y && b[j - 1] == *x {
                n = n.min(rows[i - 1][j - 1] + 1);
            }
            row.push(n);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

/// The nearest of them, the first of several; names of one letter are all alike.
fn nearest<'n>(name: &str, known: impl Iterator<Item = Known<'n>>) -> Option<Known<'n>> {
    let mut best: Option<(usize, Known<'n>)> = None;
    for k in known {
        let (n, len) = (distance(name, k.0), name.len().max(k.0.len()));
        if len > 1 && n <= (len / 3).max(1) && best.as_ref().is_none_or(|(than, _)| n < *than) {
            best = Some((n, k));
        }
    }
    best.map(|(_, k)| k)
}

fn table_words(t: &NftTable) -> String {
    format!("table ‘{}’ in family {}", t.name, t.family)
}

/// A table of another family, or of nearly that name.
pub(super) fn table(nft: &Nftables, name: &str) -> Option<String> {
    nearest(name, nft.tables().iter().map(|t| (&*t.name, table_words(t), &**t))).map(|k| k.1)
}

/// The chain that a rule was meant for: where its table is not there, the table of that chain.
pub(super) fn chain(nft: &Nftables, name: &str, table_is_there: bool) -> Option<String> {
    let words = |what: &str, t: &NftTable| format!("chain ‘{what}’ in table {} ‘{}’", t.family, t.name);
    let all = nft.tables().iter().flat_map(|t| t.chains().map(move |c| (&*c.name, words(&c.name, t), &**t)));
    let (found, words, of) = nearest(name, all)?;
    match table_is_there {
        true => Some(words).filter(|_| found != name),
        false => Some(table_words(of)),
    }
}

/// A set or map of these tables.
pub(super) fn set<'n>(tables: impl Iterator<Item = &'n NftTable>, name: &str) -> Option<String> {
    let all = tables.flat_map(|t| {
        t.sets().map(move |(_, s)| {
            let word = if s.is_map() { "map" } else { "set" };
            (&*s.name, format!("{word} ‘{}’ in table {} ‘{}’", s.name, t.family, t.name), t)
        })
    });
    nearest(name, all).map(|k| k.1)
}

impl Parser<'_> {
    /// A chain that a command is about must be there.
    pub(super) fn known_chain(
        &self,
        nft: &Nftables,
        (family, table, table_at): (NftFamily, &str, usize),
        (name, at): (&str, usize),
    ) -> Parsed<()> {
        match nft.table(family, table).map(|t| t.chain(name)) {
            Some(Some(_)) => Ok(()),
            Some(None) => Err(self.missing(at, true, chain(nft, name, true))),
            None => Err(self.missing(table_at, true, chain(nft, name, false))),
        }
    }

    /// What stands at a token is not there, as nft says it, or the kernel if nft has no other idea.
    pub(super) fn missing(&self, at: usize, by_kernel: bool, hint: Option<String>) -> Diagnostic {
        let mut d = self.refused(at, NftError::NotFound);
        match hint {
            Some(hint) => d.message = format!("{}; did you mean {hint}?", NftError::NotFound),
            None if !by_kernel => d.message = NftError::NotFound.to_string(),
            None => {}
        }
        d
    }

    /// The set that a rule names from a token on is not one of its table.
    pub(super) fn no_set(&self, from: usize, name: &str, rule: &RuleCx<'_>) -> Diagnostic {
        let d = self.missing(from, false, set(std::iter::once(rule.table), name));
        self.wrong(from, d.message.clone(), format!("expected a set of the table; {} is none", q(name)))
    }
}
