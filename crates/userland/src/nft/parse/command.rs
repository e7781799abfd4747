//! Commands, one by one, and what they change.

use super::objects::ChainSpec;
use super::{Kind, Parsed, Parser};
use crate::diagnostic::Diagnostic;
use kernel::netfilter::hook::InetHook;
use kernel::netfilter::nftables::{
    ChainKey, ChainType, NftError, NftFamily, NftTable, Nftables, RulePlace, SetSpec, Stmt,
};

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
    /// `list sets`, `list maps`
    ListSets(Option<NftFamily>, bool),
}

/// What `add` and its siblings do when there is something already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
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
    fn refused(&self, at: usize, e: NftError) -> Diagnostic {
        let at = at.min(self.toks.len().saturating_sub(1));
        let mut d = self.wrong(at, format!("Could not process rule: {e}"), help_for(e));
        let (start, end) = self.place(at);
        d.span = super::blame(self.src, start, end, crate::diagnostic::Fault::new("", "")).span;
        d
    }

    // ------------------------------------------------------------------ tables

    fn table(&mut self, verb: Verb, nft: &mut Nftables) -> Parsed<()> {
        let family = self.family()?;
        if verb == Verb::Delete {
            let at = self.at;
            if self.take("handle") {
                let handle = self.number("a handle")?;
                let found = nft.tables().iter().find(|t| t.key.0 == handle && t.family == family);
                let name = found.map(|t| t.name.to_string()).unwrap_or_default();
                return nft.delete_table(family, &name).map_err(|e| self.refused(at, e));
            }
            let name = self.name("the name of a table")?;
            return nft.delete_table(family, name).map_err(|e| self.refused(at, e));
        }
        let at = self.at;
        let name = self.name("the name of a table")?;
        nft.add_table(family, name, verb == Verb::Create).map_err(|e| self.refused(at, e))?;
        if self.take("{") {
            self.table_block(family, name, nft)?;
        }
        Ok(())
    }

    /// What stands in the braces of a table. Chains come first, then sets, their members, and the rules: whatever a rule names may
    /// stand behind it.
    fn table_block(&mut self, family: NftFamily, name: &str, nft: &mut Nftables) -> Parsed<()> {
        let (mut chains, mut sets, mut done) = (Vec::new(), Vec::new(), false);
        while !done {
            self.skip_ends();
            self.expand()?;
            let word = self.peek();
            match word {
                "}" => {
                    self.at += 1;
                    done = true;
                }
                "comment" => {
                    self.at += 1;
                    let text = self.quoted("a comment")?;
                    self.end()?;
                    if let Some(table) = nft.table_mut(family, name).filter(|t| t.comment.is_none()) {
                        table.comment = Some(text.into());
                    }
                }
                "flags" => {
                    self.at += 1;
                    if !self.take("dormant") {
                        return Err(self.unexpected("dormant"));
                    }
                    self.end()?;
                    if let Some(table) = nft.table_mut(family, name) {
                        table.dormant = true;
                    }
                }
                "chain" | "set" | "map" => {
                    self.at += 1;
                    let at = self.at;
                    let inner = self.name("a name")?;
                    self.need("{")?;
                    let body = self.at;
                    if word == "chain" { &mut chains } else { &mut sets }.push((
                        at,
                        inner,
                        body,
                        word == "map",
                    ));
                    self.skip_block()?;
                    self.separator()?;
                }
                "counter" | "quota" | "flowtable" | "limit" | "ct" | "secmark" | "synproxy" => {
                    return Err(self.not_modelled(word, &["chain", "set", "map", "comment", "flags"]));
                }
                _ => return Err(self.unexpected("chain, set, map, comment or }")),
            }
        }
        let after = self.at;
        for (at, chain, body, _) in &chains {
            self.at = *body;
            let mut spec = ChainSpec::default();
            self.chain_head(&mut spec, family)?;
            self.add_chain(nft, (family, name, chain), spec, false, *at)?;
        }
        for (at, set, body, is_map) in &sets {
            self.at = *body;
            self.declare_set(nft, (family, name, set), *is_map, false, *at)?;
        }
        for (_, set, body, _) in &sets {
            self.at = *body;
            self.skip_to_elements()?;
            if self.take("elements") {
                self.need("=")?;
                self.add_elements(nft, (family, name, set), false)?;
            }
        }
        for (_, chain, body, _) in &chains {
            self.at = *body;
            self.chain_rules(nft, (family, name, chain))?;
        }
        self.at = after;
        Ok(())
    }

    /// Goes behind the brace that closes this block.
    fn skip_block(&mut self) -> Parsed<()> {
        let mut depth = 1;
        while depth > 0 {
            let t = self.tok();
            match (t.kind, self.text_of(t)) {
                (Kind::Eof, _) => return Err(self.unexpected("}")),
                (Kind::Sign, "{") => depth += 1,
                (Kind::Sign, "}") => depth -= 1,
                _ => {}
            }
            self.at += 1;
        }
        Ok(())
    }

    /// Goes behind the end of this line, and over what stands in braces in it.
    fn skip_line(&mut self) -> Parsed<()> {
        let mut depth = 0;
        loop {
            let t = self.tok();
            match (t.kind, self.text_of(t)) {
                (Kind::Eof, _) => return Err(self.unexpected("}")),
                (Kind::Sign, "{") => depth += 1,
                (Kind::Sign, "}") if depth == 0 => return Ok(()),
                (Kind::Sign, "}") => depth -= 1,
                (Kind::End, _) if depth == 0 => {
                    self.at += 1;
                    return Ok(());
                }
                _ => {}
            }
            self.at += 1;
        }
    }

    fn skip_to_elements(&mut self) -> Parsed<()> {
        loop {
            self.skip_ends();
            if self.peek() == "elements" || self.peek() == "}" {
                return Ok(());
            }
            self.skip_line()?;
        }
    }

    // ------------------------------------------------------------------ chains

    /// The lines in front of the rules; rules are passed over.
    fn chain_head(&mut self, spec: &mut ChainSpec, family: NftFamily) -> Parsed<()> {
        loop {
            self.skip_ends();
            if self.peek() == "}" {
                return Ok(());
            }
            // `comment` in front of rules belongs to the chain.
            if self.chain_line(spec, family)? {
                self.end()?;
            } else {
                self.skip_line()?;
            }
        }
    }

    fn chain_rules(&mut self, nft: &mut Nftables, at: (NftFamily, &str, &str)) -> Parsed<()> {
        loop {
            self.skip_ends();
            match self.peek() {
                "}" => return Ok(()),
                "type" | "policy" | "comment" => self.skip_line()?,
                _ => {
                    let from = self.at;
                    self.add_rule(nft, at, RulePlace::Last, from)?;
                    self.separator()?;
                }
            }
        }
    }

    fn add_chain(
        &mut self,
        nft: &mut Nftables,
        (family, table, name): (NftFamily, &str, &str),
        spec: ChainSpec,
        exclusive: bool,
        at: usize,
    ) -> Parsed<()> {
        let ChainSpec { base, sets_policy, policy, comment } = spec;
        // A policy alone is one of a chain that exists.
        let old = nft.table(family, table).and_then(|t| t.chain(name)).and_then(|c| c.base);
        let base = base.or_else(|| {
            old.filter(|_| sets_policy).map(|mut b| {
                b.policy = policy.unwrap_or(b.policy);
                b
            })
        });
        // nat has no business at forward, nor in front of conntrack; a chain of type route is one of output.
        let out_of_place = base.is_some_and(|b| match b.kind {
            ChainType::Filter => false,
            ChainType::Nat => b.hook == InetHook::Forward || b.priority <= -200,
            ChainType::Route => b.hook != InetHook::LocalOut,
        });
        if out_of_place {
            return Err(self.refused(at, NftError::NotSupported));
        }
        nft.add_chain(family, table, name, (base, sets_policy, comment), exclusive).map_err(|e| match e {
            NftError::NotSupported => self.blame_command(self.began, e),
            e => self.refused(at, e),
        })
    }

    fn chain(&mut self, verb: Verb, nft: &mut Nftables) -> Parsed<()> {
        let family = self.family()?;
        let table_at = self.at;
        let table = self.name("the name of a table")?;
        let at = self.at;
        if verb == Verb::Delete && self.take("handle") {
            let handle = self.number("a handle")?;
            let t = self.need_table(nft, family, table, table_at)?;
            let name = t.chain_by_key(ChainKey(handle)).map(|c| c.name.to_string()).unwrap_or_default();
            return t.delete_chain(&name).map_err(|e| self.refused(at, e));
        }
        let name = self.name("the name of a chain")?;
        if verb == Verb::Delete {
            let t = self.need_table(nft, family, table, table_at)?;
            return t.delete_chain(name).map_err(|e| self.refused(at, e));
        }
        let mut spec = ChainSpec::default();
        let mut rules = None;
        if self.take("{") {
            rules = Some(self.at);
            self.chain_head(&mut spec, family)?;
            self.need("}")?;
        }
        self.known_table(nft, family, table, table_at)?;
        self.add_chain(nft, (family, table, name), spec, verb == Verb::Create, at)?;
        if let Some(body) = rules {
            self.at = body;
            self.chain_rules(nft, (family, table, name))?;
            self.need("}")?;
        }
        Ok(())
    }

    fn need_table<'n>(
        &self,
        nft: &'n mut Nftables,
        family: NftFamily,
        name: &str,
        at: usize,
    ) -> Parsed<&'n mut NftTable> {
        nft.table_mut(family, name).ok_or_else(|| self.refused(at, NftError::NotFound))
    }

    /// A table that nft itself looks for, before it asks the kernel.
    fn known_table(&self, nft: &Nftables, family: NftFamily, name: &str, at: usize) -> Parsed<()> {
        if nft.table(family, name).is_some() {
            return Ok(());
        }
        let mut d = self.refused(at, NftError::NotFound);
        d.message = NftError::NotFound.to_string();
        Err(d)
    }

    fn rename(&mut self, nft: &mut Nftables) -> Parsed<()> {
        self.need("chain")?;
        let family = self.family()?;
        let table_at = self.at;
        let table = self.name("the name of a table")?;
        let at = self.at;
        let old = self.name("the name of a chain")?;
        let new = self.name("a new name")?;
        let t = self.need_table(nft, family, table, table_at)?;
        t.rename_chain(old, new).map_err(|e| self.refused(at, e))
    }

    // ------------------------------------------------------------------ rules

    fn rule_command(&mut self, verb: Verb, nft: &mut Nftables) -> Parsed<()> {
        let from = self.at;
        let family = self.family()?;
        let table_at = self.at;
        let table = self.name("the name of a table")?;
        let chain_at = self.at;
        let chain = self.name("the name of a chain")?;
        self.need_table(nft, family, table, table_at)?;
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
                let message = format!("Could not process rule: {}", NftError::NotFound);
                return Err(self.wrong(handle_at - 1, message, help_for(NftError::NotFound)));
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

    fn add_rule(
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

    // ------------------------------------------------------------------ sets

    fn set(&mut self, verb: Verb, is_map: bool, nft: &mut Nftables) -> Parsed<()> {
        let family = self.family()?;
        let table_at = self.at;
        let table = self.name("the name of a table")?;
        let at = self.at;
        let name = self.name("the name of a set")?;
        if verb != Verb::Delete {
            self.known_table(nft, family, table, table_at)?;
        }
        let t = self.need_table(nft, family, table, table_at)?;
        if verb == Verb::Delete {
            let Some((key, _)) = t.set(name) else { return Err(self.refused(at, NftError::NotFound)) };
            return t.delete_set(key).map_err(|e| self.refused(at, e));
        }
        self.need("{")?;
        let body = self.at;
        self.declare_set(nft, (family, table, name), is_map, verb == Verb::Create, at)?;
        self.at = body;
        self.skip_to_elements()?;
        if self.take("elements") {
            self.need("=")?;
            self.add_elements(nft, (family, table, name), false)?;
            self.skip_ends();
        }
        self.skip_to_close()?;
        self.need("}")
    }

    fn skip_to_close(&mut self) -> Parsed<()> {
        while self.peek() != "}" {
            self.skip_ends();
            if self.peek() != "}" {
                self.skip_line()?;
            }
        }
        Ok(())
    }

    fn declare_set(
        &mut self,
        nft: &mut Nftables,
        (family, table, name): (NftFamily, &str, &str),
        is_map: bool,
        exclusive: bool,
        at: usize,
    ) -> Parsed<()> {
        let Some(t) = nft.table(family, table) else { return Err(self.refused(at, NftError::NotFound)) };
        let mut spec = SetSpec::default();
        loop {
            self.skip_ends();
            match self.peek() {
                "}" => break,
                "elements" => self.skip_line()?,
                _ if self.set_line(&mut spec, is_map, t)? => self.end()?,
                _ => return Err(self.unexpected("type, flags, timeout, size, comment or elements")),
            }
        }
        self.check_set(&spec, is_map, at)?;
        let Some(t) = nft.table_mut(family, table) else { return Ok(()) };
        t.add_set(name, spec, exclusive).map(|_| ()).map_err(|e| self.refused(at, e))
    }

    fn element_command(&mut self, verb: Verb, nft: &mut Nftables) -> Parsed<()> {
        let family = self.family()?;
        let table_at = self.at;
        let table = self.name("the name of a table")?;
        let at = self.at;
        let name = self.name("the name of a set")?;
        self.need_table(nft, family, table, table_at)?;
        if nft.table(family, table).and_then(|t| t.set(name)).is_none() {
            return Err(self.refused(at, NftError::NotFound));
        }
        if verb == Verb::Delete {
            return self.delete_elements(nft, (family, table, name));
        }
        self.add_elements(nft, (family, table, name), verb == Verb::Create)
    }

    fn add_elements(
        &mut self,
        nft: &mut Nftables,
        (family, table, name): (NftFamily, &str, &str),
        exclusive: bool,
    ) -> Parsed<()> {
        let Some(t) = nft.table(family, table) else { return Ok(()) };
        let Some((key, set)) = t.set(name) else { return Err(self.refused(self.at, NftError::NotFound)) };
        let elems = self.elements(&set.spec, t)?;
        if !set.spec.interval
            && let Some((_, at)) = elems.iter().find(|(e, _)| e.end.is_some())
        {
            let message =
                "You must add 'flags interval' to your set declaration if you want to add prefix elements";
            let (start, end) = self.element_place(*at);
            let fault = crate::diagnostic::Fault::new(message, "expected a single key");
            return Err(super::blame(self.src, start, end, fault));
        }
        let now = self.names.now;
        let set_is_interval = set.spec.interval;
        let Some(t) = nft.table_mut(family, table) else { return Ok(()) };
        for (elem, at) in elems {
            let is_range = set_is_interval && !exclusive;
            t.add_elem(key, elem, exclusive, now).map_err(|e| match e {
                // nft itself looks at what there is.
                NftError::Exists if is_range => {
                    let (start, end) = self.element_place(at);
                    let message = "interval overlaps with an existing one";
                    let fault = crate::diagnostic::Fault::new(message, help_for(e));
                    super::blame(self.src, start, end, fault)
                }
                e => self.refused(at, e),
            })?;
        }
        Ok(())
    }

    /// The place of the key that begins at a token.
    fn element_place(&self, at: usize) -> (usize, usize) {
        let ends = |t: &super::Tok| matches!(self.text_of(*t), "," | "}" | ":" | "timeout" | "comment");
        let after = self.toks.get(at..).and_then(|rest| rest.iter().position(ends)).unwrap_or(1);
        (self.place(at).0, self.place(at + after.max(1) - 1).1)
    }

    fn delete_elements(
        &mut self,
        nft: &mut Nftables,
        (family, table, name): (NftFamily, &str, &str),
    ) -> Parsed<()> {
        let Some(t) = nft.table(family, table) else { return Ok(()) };
        let Some((key, set)) = t.set(name) else { return Ok(()) };
        // Where a member leads to need not be said.
        let elems = self.doomed_elements(&set.spec, t)?;
        let now = self.names.now;
        let Some(t) = nft.table_mut(family, table) else { return Ok(()) };
        for (elem, at) in elems {
            t.delete_elem(key, &elem, now).map_err(|e| self.refused(at, e))?;
        }
        Ok(())
    }

    fn doomed_elements(
        &mut self,
        spec: &SetSpec,
        table: &NftTable,
    ) -> Parsed<Vec<(kernel::netfilter::nftables::Elem, usize)>> {
        let from = self.at;
        let with = self.elements(spec, table);
        if with.is_ok() || spec.data == kernel::netfilter::nftables::MapData::None {
            return with;
        }
        self.at = from;
        let bare = SetSpec { data: kernel::netfilter::nftables::MapData::None, ..spec.clone() };
        self.elements(&bare, table).or(with)
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
            "sets" => Command::ListSets(self.some_family()?, false),
            "maps" => Command::ListSets(self.some_family()?, true),
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
                    _ if t.set(&name).is_none() => return Err(missing),
                    _ => Command::ListSet(family, table.to_owned(), name),
                }
            }
            _ => {
                self.at -= 1;
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
