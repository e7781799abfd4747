//! `-m state`, and the lists of states that conntrack shares with it.

use crate::diagnostic::Fault;
use crate::iptables::list::Names;
use crate::iptables::text::{Given, Opt, Save, Seen, Text, bang, words_of, words_text};
use kernel::netfilter::xtables::Neg;
use kernel::netfilter::xtables::matches::CtStates;

/// The words of `--state` and `--ctstate` in the order in which iptables prints them.
const STATES: [(&str, u16); 7] = [
    ("INVALID", 1),
    ("NEW", 8),
    ("RELATED", 4),
    ("ESTABLISHED", 2),
    ("UNTRACKED", 16),
    ("SNAT", CtStates::SNAT),
    ("DNAT", CtStates::DNAT),
];

/// `--state` knows only these of them.
const PLAIN: usize = 5;

impl Text for Neg<CtStates> {
    const OPTIONS: &'static [Opt] = &[Opt::value(&["state"], &["STATE[,STATE...]"]).or_not()];

    fn set(&mut self, given: &Given<'_>) -> Result<(), Fault> {
        let known = STATES.get(..PLAIN).unwrap_or_default();
        *self = given.neg(CtStates(states(given.value, known, "state")?));
        Ok(())
    }

    fn finish(&self, seen: &Seen) -> Result<(), Fault> {
        seen.need("state", "state")
    }

    fn save(&self, out: &mut Save) {
        out.value(0, self.not, "--state", &states_text(self.value));
    }

    fn list(&self, _: &Names, out: &mut String) {
        out.push_str(&format!(" {}state {}", bang(self.not), states_text(self.value)));
    }
}

/// `--ctstate`
pub(super) fn ctstates(text: &str) -> Result<CtStates, Fault> {
    states(text, &STATES, "ctstate").map(CtStates)
}

fn states(text: &str, known: &[(&'static str, u16)], what: &str) -> Result<u16, Fault> {
    words_of(text, known, "state", |word| format!("Bad {what} \"{word}\""))
}

pub(super) fn states_text(states: CtStates) -> String {
    words_text(states.0, &STATES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::netfilter::conntrack::CtState;

    #[test]
    fn bits_are_those_of_the_kernel() {
        for (state, name) in [
            (CtState::Invalid, "INVALID"),
            (CtState::New, "NEW"),
            (CtState::Related, "RELATED"),
            (CtState::Established, "ESTABLISHED"),
            (CtState::Untracked, "UNTRACKED"),
        ] {
            assert_eq!(ctstates(name), Ok(CtStates(CtStates::bit(state))), "{name}");
        }
    }

    #[test]
    fn states_are_printed_in_the_order_of_iptables() {
        let all = ctstates("DNAT,SNAT,UNTRACKED,ESTABLISHED,RELATED,NEW,INVALID").map(states_text);
        assert_eq!(all.as_deref(), Ok("INVALID,NEW,RELATED,ESTABLISHED,UNTRACKED,SNAT,DNAT"));
        assert_eq!(ctstates("ne,est").map(states_text).as_deref(), Ok("NEW,ESTABLISHED"));
        assert!(ctstates("NEW,").is_err() && ctstates("").is_err() && ctstates("FOO").is_err());
    }
}
