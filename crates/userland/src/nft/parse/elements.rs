//! Members of sets and maps: `{ KEY [timeout T] [comment C] [: DATA], ... }`.

use super::expr::elem_of;
use super::{Parsed, Parser};
use kernel::Instant;
use kernel::netfilter::nftables::{Data, Elem, NftTable, SetSpec, Stateful};

impl Parser<'_> {
    /// The members in braces, each with the token at which it stands.
    pub(super) fn elements(&mut self, spec: &SetSpec, table: &NftTable) -> Parsed<Vec<(Elem, usize)>> {
        self.expand()?;
        self.need("{")?;
        let mut out = Vec::new();
        loop {
            self.skip_ends();
            self.expand()?;
            if self.take("}") {
                return Ok(out);
            }
            // A defined set inside a set.
            if self.peek() == "{" {
                out.extend(self.elements(spec, table)?);
            } else {
                let at = self.at;
                out.push((self.element(spec, table)?, at));
            }
            self.skip_ends();
            if !self.take(",") {
                self.need("}")?;
                return Ok(out);
            }
        }
    }

    fn element(&mut self, spec: &SetSpec, table: &NftTable) -> Parsed<Elem> {
        let (mut first, mut last) = (Data::default(), Data::default());
        for (i, t) in spec.key.iter().enumerate() {
            if i > 0 {
                self.need(".")?;
            }
            let (a, b) = self.interval(*t)?;
            first.push(&a);
            last.push(&b);
        }
        let mut elem = elem_of(first, last);
        loop {
            if self.take("timeout") {
                elem.timeout = Some(self.time()?);
            } else if self.take("expires") {
                let left = self.time()?;
                elem.expires = Some(Instant(self.names.now.0 + left * 1000));
            } else if self.take("comment") {
                elem.comment = Some(self.quoted("a comment")?.into());
            } else if self.take("counter") {
                elem.state.push(self.counter()?);
            } else {
                break;
            }
        }
        elem.data = self.elem_data(&spec.data, table)?;
        Ok(elem)
    }

    /// What stands behind `counter`.
    pub(super) fn counter(&mut self) -> Parsed<Stateful> {
        let (mut packets, mut bytes) = (0, 0);
        if self.take("packets") {
            packets = self.number("a number of packets")?;
            self.need("bytes")?;
            bytes = self.number("a number of bytes")?;
        }
        Ok(Stateful::Counter { packets, bytes })
    }
}
