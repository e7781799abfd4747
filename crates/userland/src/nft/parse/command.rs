//! Commands, one by one, and what they change.

use super::{KEYWORDS, Kind, Parsed, Parser, hint};
use crate::diagnostic::Diagnostic;
use kernel::netfilter::nftables::{NftError, NftFamily, Nftables, RulePlace, Stmt};

/// What a command asks to be shown; commands that change something have been done when they are read.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::nft) enum Command {
    /// Something was changed.
    Done,
    /// `list ruleset`
    ListRuleset(Option<NftFamily>),
    /// `list tables`
    ListTables(Option<NftFamily>),
    /// `list table`
    ListTable(NftFamily, String),
    /// `list chain`
    ListChain(NftFamily, String, String),
    /// `list chains`
    ListChains(Option<NftFamily>),
    /// `list set`, `list map`
    ListSet(NftFamily, String, String),
    /// `list sets`, `list maps`; without either, what no table has: meters and flowtables
    ListSets(Option<NftFamily>, Option<String>, Option<bool>),
}

/// What `add` and its siblings do when there is something already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Add,
    Create,
    Insert,
    Replace,
    Delete,
}

impl Parser<'_> {
    /// The next command, done on `nft`; `None` at the end of the text.
    pub fn command(&mut self, nft: &mut Nftables) -> Parsed<Option<Command>> {
        self.skip_ends();
        if self.at_eof() {
            return Ok(None);
        }
        self.began = self.at;
        let word = self.peek();
        let verb = match word {
            "add" => Verb::Add,
            "create" => Verb::Create,
            "insert" => Verb::Insert,
            "replace" => Verb::Replace,
            "delete" => Verb::Delete,
            "flush" => {
                self.at += 1;
                self.flush_command(nft)?;
                self.end()?;
                return Ok(Some(Command::Done));
            }
            "list" => {
                self.at += 1;
                let command = self.list_command(nft)?;
                self.end()?;
                return Ok(Some(command));
            }
            "rename" => {
                self.at += 1;
                self.rename(nft)?;
                self.end()?;
                return Ok(Some(Command::Done));
            }
            "define" | "redefine" => {
                self.at += 1;
                self.define()?;
                return Ok(Some(Command::Done));
            }
            "reset" | "monitor" | "describe" | "get" | "export" | "import" | "include" | "undefine" => {
                return Err(self.not_modelled(
                    word,
                    &["add", "create", "insert", "replace", "delete", "flush", "list", "rename"],
                ));
            }
            "table" | "chain" | "rule" | "set" | "map" | "element" => {
                self.change(Verb::Add, nft)?;
                return Ok(Some(Command::Done));
            }
            // A rule may be added without a word for it.
            "ip" | "ip6" | "inet" => {
                self.rule_command(Verb::Add, nft)?;
                self.end()?;
                return Ok(Some(Command::Done));
            }
            _ => {
                return Err(
                    self.unexpected("a command: add, create, insert, replace, delete, flush, list or rename")
                );
            }
        };
        self.at += 1;
        self.change(verb, nft)?;
        Ok(Some(Command::Done))
    }

    fn change(&mut self, verb: Verb, nft: &mut Nftables) -> Parsed<()> {
        let word = self.peek();
        self.at += 1;
        match word {
            "table" => self.table(verb, nft)?,
            "chain" => self.chain(verb, nft)?,
            "rule" => self.rule_command(verb, nft)?,
            "set" | "map" => self.set(verb, word == "map", nft)?,
            "element" => self.element_command(verb, nft)?,
            "counter" | "quota" | "flowtable" | "limit" | "secmark" | "synproxy" | "ct" => {
                self.at -= 1;
                return Err(self.not_modelled(word, &["table", "chain", "rule", "set", "map", "element"]));
            }
            _ if verb == Verb::Add || verb == Verb::Insert => {
                self.at -= 1;
                self.rule_command(verb, nft)?;
            }
            _ => {
                self.at -= 1;
                return Err(self.unexpected("table, chain, rule, set, map or element"));
            }
        }
        self.end()
    }

    /// An error of the kernel about the object at a token.
    pub(super) fn refused(&self, at: usize, e: NftError) -> Diagnostic {
        let at = at.min(self.toks.len().saturating_sub(1));
        let mut d = self.wrong(at, format!("Could not process rule: {e}"), help_for(e));
        let (start, end) = self.place(at);
        d.span = super::blame(self.src, start, end, crate::diagnostic::Fault::new("", "")).span;
        d
    }

    // ------------------------------------------------------------------ tables

    fn rule_command(&mut self, verb: Verb, nft: &mut Nftables) -> Parsed<()> {
        let from = self.at;
        let family = self.family()?;
        let table_at = self.at;
        let table = self.name("the name of a table")?;
        let chain_at = self.at;
        let chain = self.name("the name of a chain")?;
        self.known_chain(nft, (family, table, table_at), (chain, chain_at))?;
        let t = self.need_table(nft, family, table, table_at)?;
        let Some(found) = t.chain(chain) else { return Err(self.refused(chain_at, NftError::NotFound)) };
        let key = found.key;
        let handle_at = self.at + 1;
        let mut place = if verb == Verb::Insert { RulePlace::First } else { RulePlace::Last };
        let behind =
            |handle| if verb == Verb::Insert { RulePlace::Before(handle) } else { RulePlace::After(handle) };
        let takes = matches!(verb, Verb::Add | Verb::Insert);
        if self.take("handle") || takes && self.take("position") {
            let handle = self.number("a handle")?;
            match verb {
                Verb::Delete => {
                    return t.delete_rule(key, handle).map_err(|e| self.refused(handle_at, e));
                }
                Verb::Replace => place = RulePlace::Instead(handle),
                _ => place = behind(handle),
            }
            if !found.rules().iter().any(|r| r.handle == handle) {
                let mut d = self.refused(handle_at, NftError::NotFound);
                if takes {
                    d.span = self.wrong(handle_at - 1, "", "").span;
                }
                return Err(d);
            }
        } else if takes && self.take("index") {
            let n = self.number("a number")? as usize;
            let Some(rule) = found.rules().get(n) else {
                return Err(self.refused(handle_at, NftError::NotFound));
            };
            place = behind(rule.handle);
        } else if matches!(verb, Verb::Delete | Verb::Replace) {
            let mut d = self.unexpected("handle");
            d.message.push_str(", expecting handle");
            return Err(d);
        }
        self.add_rule(nft, (family, table, chain), place, from)
    }

    pub(super) fn add_rule(
        &mut self,
        nft: &mut Nftables,
        (family, table, chain): (NftFamily, &str, &str),
        place: RulePlace,
        from: usize,
    ) -> Parsed<()> {
        let Some(t) = nft.table(family, table) else { return Err(self.refused(from, NftError::NotFound)) };
        let rule = self.rule(t)?;
        let Some(key) = t.chain(chain).map(|c| c.key) else {
            return Err(self.refused(from, NftError::NotFound));
        };
        let Some(t) = nft.table_mut(family, table) else { return Ok(()) };
        let old = self.old.iter().find(|(key, _)| *key == t.key).map_or(0, |(_, handles)| *handles);
        for stmt in &rule.stmts {
            // A set that the kernel has already stays as it is.
            if let Stmt::Dynset(d) = stmt
                && d.set.0 > old
            {
                t.make_dynamic(d.set);
            }
        }
        let says = |e| self.wrong(from, format!("Could not process rule: {e}"), help_for(e));
        t.add_rule(key, place, rule).map_err(says)?;
        if self.check_each
            && let Err(e) = t.validate()
        {
            // A rule in a block is meant alone.
            return Err(if from > self.began + 2 { says(e) } else { self.blame_command(self.began, e) });
        }
        Ok(())
    }

    // ------------------------------------------------------------------ flush, define, list

    fn flush_command(&mut self, nft: &mut Nftables) -> Parsed<()> {
        let word = self.peek();
        self.at += 1;
        match word {
            "ruleset" => {
                let family = self.some_family()?;
                nft.flush(family);
                Ok(())
            }
            "table" => {
                let family = self.family()?;
                let at = self.at;
                let name = self.name("the name of a table")?;
                self.need_table(nft, family, name, at)?.flush();
                Ok(())
            }
            "chain" | "set" | "map" => {
                let family = self.family()?;
                let table_at = self.at;
                let table = self.name("the name of a table")?;
                let at = self.at;
                let name = self.name("a name")?;
                if word != "chain" {
                    self.known_table(nft, family, table, table_at)?;
                    let is_map = word == "map";
                    let found = nft.table(family, table).and_then(|t| t.set(name));
                    if found.is_none_or(|(_, s)| s.is_map() != is_map) {
                        let hint = hint::set(nft.tables().iter().map(|t| &**t), name);
                        return Err(self.missing(at, false, hint));
                    }
                }
                let t = self.need_table(nft, family, table, table_at)?;
                if word == "chain" {
                    let Some(key) = t.chain(name).map(|c| c.key) else {
                        return Err(self.refused(at, NftError::NotFound));
                    };
                    t.flush_chain(key);
                } else {
                    let Some((key, _)) = t.set(name) else {
                        return Err(self.refused(at, NftError::NotFound));
                    };
                    t.flush_set(key);
                }
                Ok(())
            }
            _ => {
                self.at -= 1;
                Err(self.unexpected("ruleset, table, chain, set or map"))
            }
        }
    }

    /// A family, if one stands there.
    fn some_family(&mut self) -> Parsed<Option<NftFamily>> {
        if self.at_end() { Ok(None) } else { self.family().map(Some) }
    }

    /// A family, or a table of it behind `table`.
    fn some_table(&mut self, nft: &Nftables) -> Parsed<(Option<NftFamily>, Option<String>)> {
        if !self.take("table") {
            return Ok((self.some_family()?, None));
        }
        let family = self.family()?;
        let at = self.at;
        let name = self.name("the name of a table")?;
        self.known_table(nft, family, name, at)?;
        Ok((Some(family), Some(name.to_owned())))
    }

    fn define(&mut self) -> Parsed<()> {
        let name = self.name("a name")?.to_owned();
        self.need("=")?;
        let from = self.at;
        self.skip_line_or_eof();
        let toks: Vec<_> = self.toks[from..self.at].iter().filter(|t| t.kind != Kind::End).copied().collect();
        self.replace(&name, &toks);
        Ok(())
    }

    fn skip_line_or_eof(&mut self) {
        let mut depth = 0;
        while !self.at_eof() {
            let t = self.tok();
            match (t.kind, self.text_of(t)) {
                (Kind::Sign, "{") => depth += 1,
                (Kind::Sign, "}") => depth -= 1,
                (Kind::End, _) if depth <= 0 => return,
                _ => {}
            }
            self.at += 1;
        }
    }

    fn list_command(&mut self, nft: &Nftables) -> Parsed<Command> {
        let word = self.peek();
        self.at += 1;
        Ok(match word {
            "ruleset" => Command::ListRuleset(self.some_family()?),
            "tables" => Command::ListTables(self.some_family()?),
            "chains" => Command::ListChains(self.some_family()?),
            "sets" => {
                let (family, table) = self.some_table(nft)?;
                Command::ListSets(family, table, Some(false))
            }
            "maps" => Command::ListSets(self.some_family()?, None, Some(true)),
            "meters" | "flowtables" => Command::ListSets(self.some_family()?, None, None),
            // No table has any.
            "counters" | "quotas" | "limits" | "secmarks" | "synproxys" => {
                self.some_table(nft)?;
                Command::Done
            }
            "table" | "chain" | "set" | "map" => {
                let family = self.family()?;
                let at = self.at;
                let table = self.name("the name of a table")?;
                let found = nft.table(family, table);
                let missing =
                    |at: usize| self.wrong(at, "No such file or directory", "expected what there is");
                let Some(t) = found else { return Err(missing(at)) };
                if word == "table" {
                    return Ok(Command::ListTable(family, table.to_owned()));
                }
                let at = self.at;
                let name = self.name("a name")?.to_owned();
                let missing = self.wrong(at, "No such file or directory", "expected what there is");
                match word {
                    "chain" if t.chain(&name).is_none() => return Err(missing),
                    "chain" => Command::ListChain(family, table.to_owned(), name),
                    _ if t.set(&name).is_none_or(|(_, s)| s.is_map() != (word == "map")) => {
                        return Err(missing);
                    }
                    _ => Command::ListSet(family, table.to_owned(), name),
                }
            }
            _ => {
                self.at -= 1;
                if !KEYWORDS.contains(&word) && !matches!(word, "hooks" | "ct") {
                    return Err(
                        self.unexpected("ruleset, tables, table, chains, chain, sets, set, maps or map")
                    );
                }
                let known = ["ruleset", "tables", "table", "chains", "chain", "sets", "set", "maps", "map"];
                return Err(self.not_modelled(&format!("list {word}"), &known));
            }
        })
    }
}

pub(super) fn help_for(e: NftError) -> &'static str {
    match e {
        NftError::NotFound => "expected something that exists",
        NftError::Exists => "expected something that does not exist yet, or is the same",
        NftError::Busy => "expected something that no rule and no map refers to",
        NftError::NotSupported => {
            "expected a statement that the chain's type and hook allow, and no jump to a base chain"
        }
        NftError::TooManyLinks => "expected at most 16 chains that lead to each other, and no loop",
        NftError::TooMany => "expected no more members than the set's size",
        NftError::Invalid => "expected something else",
    }
}
