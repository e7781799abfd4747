//! Steps through nf_tables where it is not part of the build: there are none.

use super::step::{Area, Draft};
use super::why::{Skipped, Token, Why};
use super::why_not::{Walk, WhyNot};
use kernel::Netns;
use kernel::event::NftStep;

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
