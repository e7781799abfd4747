//! Tables and chains: by commands, and as the blocks in which nft lists them.

use super::command::Verb;
use super::objects::ChainSpec;
use super::{Kind, Parsed, Parser, hint};
use kernel::netfilter::hook::InetHook;
use kernel::netfilter::nftables::{ChainKey, ChainType, NftError, NftFamily, NftTable, Nftables, RulePlace};

/// What ends a line in a block.
pub(super) const LINE: &str = "newline or semicolon";

impl Parser<'_> {
    pub(super) fn table(&mut self, verb: Verb, nft: &mut Nftables) -> Parsed<()> {
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
            if nft.table(family, name).is_none() {
                return Err(self.missing(at, true, hint::table(nft, name)));
            }
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
                    self.separator(LINE)?;
                    if let Some(table) = nft.table_mut(family, name).filter(|t| t.comment.is_none()) {
                        table.comment = Some(text.into());
                    }
                }
                "flags" => {
                    self.at += 1;
                    if !self.take("dormant") {
                        return Err(self.unexpected("dormant"));
                    }
                    self.separator(LINE)?;
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
                    let last = self.toks.get(self.at - 2).filter(|_| word == "chain" && self.at - 1 > body);
                    if last.is_some_and(|t| t.kind != Kind::End) {
                        self.at -= 1;
                        self.separator(LINE)?;
                    }
                    self.separator(LINE)?;
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
    pub(super) fn skip_line(&mut self) -> Parsed<()> {
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

    pub(super) fn skip_to_elements(&mut self) -> Parsed<()> {
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
                self.separator(LINE)?;
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
                    self.separator(LINE)?;
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

    pub(super) fn chain(&mut self, verb: Verb, nft: &mut Nftables) -> Parsed<()> {
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
            self.known_chain(nft, (family, table, table_at), (name, at))?;
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

    pub(super) fn need_table<'n>(
        &self,
        nft: &'n mut Nftables,
        family: NftFamily,
        name: &str,
        at: usize,
    ) -> Parsed<&'n mut NftTable> {
        nft.table_mut(family, name).ok_or_else(|| self.refused(at, NftError::NotFound))
    }

    /// A table that nft itself looks for, before it asks the kernel.
    pub(super) fn known_table(&self, nft: &Nftables, family: NftFamily, name: &str, at: usize) -> Parsed<()> {
        match nft.table(family, name) {
            Some(_) => Ok(()),
            None => Err(self.missing(at, false, hint::table(nft, name))),
        }
    }

    pub(super) fn rename(&mut self, nft: &mut Nftables) -> Parsed<()> {
        self.need("chain")?;
        let family = self.family()?;
        let table_at = self.at;
        let table = self.name("the name of a table")?;
        let at = self.at;
        let old = self.name("the name of a chain")?;
        let new = self.name("a new name")?;
        self.known_table(nft, family, table, table_at)?;
        self.known_chain(nft, (family, table, table_at), (old, at))?;
        let t = self.need_table(nft, family, table, table_at)?;
        t.rename_chain(old, new).map_err(|e| self.refused(at, e))
    }

    // ------------------------------------------------------------------ rules
}
