//! Commands about sets, maps and their members.

use super::chain::LINE;
use super::command::{Verb, help_for};
use super::{Parsed, Parser, hint};
use kernel::netfilter::nftables::{NftError, NftFamily, NftTable, Nftables, SetSpec};

impl Parser<'_> {
    pub(super) fn set(&mut self, verb: Verb, is_map: bool, nft: &mut Nftables) -> Parsed<()> {
        let family = self.family()?;
        let table_at = self.at;
        let table = self.name("the name of a table")?;
        let at = self.at;
        let name = self.name("the name of a set")?;
        if verb != Verb::Delete {
            self.known_table(nft, family, table, table_at)?;
        }
        if nft.table(family, table).is_none() {
            return Err(self.missing(table_at, true, hint::table(nft, table)));
        }
        let t = self.need_table(nft, family, table, table_at)?;
        if verb == Verb::Delete {
            let Some((key, _)) = t.set(name) else {
                return Err(self.missing(at, true, hint::set(nft.tables().iter().map(|t| &**t), name)));
            };
            return t.delete_set(key).map_err(|e| self.refused(at, e));
        }
        if self.peek() != "{" {
            let mut d = self.unexpected("{");
            d.message.push_str(", expecting '{'");
            return Err(d);
        }
        self.at += 1;
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

    pub(super) fn declare_set(
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
                word if self.set_line(&mut spec, is_map, t)? => match word {
                    "auto-merge" if self.peek() == "}" => {}
                    "type" | "typeof" => self.separator("newline or semicolon or .")?,
                    "flags" => self.separator("newline or semicolon or comma")?,
                    _ => self.separator(LINE)?,
                },
                _ => return Err(self.unexpected("type, flags, timeout, size, comment or elements")),
            }
        }
        self.check_set(&spec, is_map, at)?;
        let Some(t) = nft.table_mut(family, table) else { return Ok(()) };
        t.add_set(name, spec, exclusive).map(|_| ()).map_err(|e| self.refused(at, e))
    }

    pub(super) fn element_command(&mut self, verb: Verb, nft: &mut Nftables) -> Parsed<()> {
        let family = self.family()?;
        let table_at = self.at;
        let table = self.name("the name of a table")?;
        let at = self.at;
        let name = self.name("the name of a set")?;
        self.known_table(nft, family, table, table_at)?;
        if nft.table(family, table).and_then(|t| t.set(name)).is_none() {
            return Err(self.missing(at, false, hint::set(nft.tables().iter().map(|t| &**t), name)));
        }
        if verb == Verb::Delete {
            return self.delete_elements(nft, (family, table, name));
        }
        self.add_elements(nft, (family, table, name), verb == Verb::Create)
    }

    pub(super) fn add_elements(
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
}
