//! Steps through nf_tables where it is not part of the build: there are none.

use super::step::{Area, Draft};
use super::why::{NftLookup, Skipped, Token, Why};
use super::why_not::{Walk, WhyNot};
use kernel::Netns;
use kernel::event::NftStep;
use kernel::netfilter::nftables::NftTable;

pub(super) fn title(_: &Netns, _: &NftStep, _: usize) -> Draft {
    Draft::new(Area::Nft, "")
}

pub(super) fn parts(_: &Netns, _: &NftStep) -> Vec<Token> {
    Vec::new()
}

pub(super) fn why(_: &Netns, _: &NftStep, _: &mut Why) {}

pub(super) fn skipped(_: &Netns, _: &NftStep) -> Option<Skipped> {
    None
}

pub(super) fn why_not(_: &Walk<'_>, _: &str, _: usize, _: &mut WhyNot) {}

pub(super) fn nft_rule_parts(_: &Netns, _: &NftStep) -> Option<(String, Vec<Token>)> {
    None
}

pub fn nft_lookups(_: &Netns, _: &NftStep) -> Vec<NftLookup> {
    Vec::new()
}

pub(super) fn rule_texts(_: &Netns, _: &NftTable, _: &str, _: usize, _: usize) -> Vec<String> {
    Vec::new()
}
