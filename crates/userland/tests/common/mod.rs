//! A network namespace that has nothing but tables.

#![allow(dead_code, reason = "each test uses a part")]

pub mod rules;
pub mod says;

use kernel::netfilter::conntrack::Helper;
use kernel::netfilter::xtables::{LoadedTable, TableId};
use std::collections::BTreeMap;
use userland::iptables::TableStore;

/// Tables and the order in which they were loaded.
#[derive(Clone, Default)]
pub struct Store {
    pub family: packet::Family,
    tables: BTreeMap<TableId, LoadedTable>,
    order: Vec<TableId>,
}

impl TableStore for Store {
    fn family(&self) -> packet::Family {
        self.family
    }

    fn get(&self, table: TableId) -> Option<&LoadedTable> {
        self.tables.get(&table)
    }

    fn replace(&mut self, table: TableId, loaded: LoadedTable) {
        if self.tables.insert(table, loaded).is_none() {
            self.order.insert(0, table);
        }
    }

    fn helpers(&self) -> Option<Vec<Helper>> {
        Some(vec![Helper::FTP, Helper::TFTP])
    }

    fn loaded(&self) -> Vec<TableId> {
        self.order.clone()
    }
}

/// Splits a command line as Python's `shlex.join` wrote it: `'...'` around words that need it, and `'"'"'` for a single
/// quote inside.
pub fn shell_words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}
