//! What nft prints for a match or target of iptables (`xlate` of the extensions).
use kernel::netfilter::xtables::matches::Match;
use kernel::netfilter::xtables::targets::Target;
pub(crate) fn xlate_match(_m: &Match) -> Option<String> { None }
pub(crate) fn xlate_target(_t: &Target) -> Option<String> { None }

/// The name of a target.
pub(crate) fn target_name(t: &Target) -> &'static str {
    crate::iptables::targets::name(t).unwrap_or_default()
}
