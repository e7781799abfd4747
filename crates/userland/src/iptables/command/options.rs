//! The options of `iptables` itself.

/// An option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Append,
    Check,
    Delete,
    Insert,
    Replace,
    List,
    ListRules,
    Flush,
    Zero,
    New,
    DeleteChain,
    Rename,
    Policy,
    Source,
    Destination,
    Protocol,
    InIface,
    OutIface,
    Jump,
    Goto,
    Match,
    Fragment,
    Counters,
    Table,
    Numeric,
    Verbose,
    Exact,
    LineNumbers,
    Wait,
    WaitInterval,
    Modprobe,
    Ipv4,
    Ipv6,
    Version,
    Help,
}

/// What stands behind an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arg {
    /// Nothing.
    None,
    /// A word, named for messages.
    One(&'static str),
    /// A word, but only if it is attached.
    Attached,
}

/// An option with its names.
pub(super) struct Main {
    pub key: Key,
    /// The letter behind `-`; `\0` if there is none.
    pub short: char,
    /// The words behind `--`.
    pub long: &'static [&'static str],
    pub arg: Arg,
}

const fn main(key: Key, short: char, long: &'static [&'static str], arg: Arg) -> Main {
    Main { key, short, long, arg }
}

pub(super) const MAIN: &[Main] = &[
    main(Key::Append, 'A', &["append"], Arg::One("CHAIN")),
    main(Key::Check, 'C', &["check"], Arg::One("CHAIN")),
    main(Key::Delete, 'D', &["delete"], Arg::One("CHAIN")),
    main(Key::Insert, 'I', &["insert"], Arg::One("CHAIN")),
    main(Key::Replace, 'R', &["replace"], Arg::One("CHAIN")),
    main(Key::List, 'L', &["list"], Arg::Attached),
    main(Key::ListRules, 'S', &["list-rules"], Arg::Attached),
    main(Key::Flush, 'F', &["flush"], Arg::Attached),
    main(Key::Zero, 'Z', &["zero"], Arg::Attached),
    main(Key::New, 'N', &["new-chain"], Arg::One("CHAIN")),
    main(Key::DeleteChain, 'X', &["delete-chain"], Arg::Attached),
    main(Key::Rename, 'E', &["rename-chain"], Arg::One("CHAIN")),
    main(Key::Policy, 'P', &["policy"], Arg::One("CHAIN")),
    main(Key::Source, 's', &["source", "src"], Arg::One("ADDRESS[/MASK]")),
    main(Key::Destination, 'd', &["destination", "dst"], Arg::One("ADDRESS[/MASK]")),
    main(Key::Protocol, 'p', &["protocol"], Arg::One("PROTOCOL")),
    main(Key::InIface, 'i', &["in-interface"], Arg::One("DEVICE")),
    main(Key::OutIface, 'o', &["out-interface"], Arg::One("DEVICE")),
    main(Key::Jump, 'j', &["jump"], Arg::One("TARGET")),
    main(Key::Goto, 'g', &["goto"], Arg::One("CHAIN")),
    main(Key::Match, 'm', &["match"], Arg::One("MATCH")),
    main(Key::Fragment, 'f', &["fragments"], Arg::None),
    main(Key::Counters, 'c', &["set-counters"], Arg::One("PACKETS BYTES")),
    main(Key::Table, 't', &["table"], Arg::One("TABLE")),
    main(Key::Numeric, 'n', &["numeric"], Arg::None),
    main(Key::Verbose, 'v', &["verbose"], Arg::None),
    main(Key::Exact, 'x', &["exact"], Arg::None),
    main(Key::LineNumbers, '\0', &["line-numbers"], Arg::None),
    main(Key::Wait, 'w', &["wait"], Arg::Attached),
    main(Key::WaitInterval, 'W', &["wait-interval"], Arg::Attached),
    main(Key::Modprobe, 'M', &["modprobe"], Arg::One("COMMAND")),
    main(Key::Ipv4, '4', &["ipv4"], Arg::None),
    main(Key::Ipv6, '6', &["ipv6"], Arg::None),
    main(Key::Version, 'V', &["version"], Arg::None),
    main(Key::Help, 'h', &["help"], Arg::None),
];

impl Key {
    /// The letter that iptables uses in its messages.
    pub fn letter(self) -> char {
        match self {
            // It has no letter; iptables' table has a zero there.
            Key::LineNumbers => '0',
            key => MAIN.iter().find(|m| m.key == key).map_or('?', |m| m.short),
        }
    }

    /// True for the options of which a command line has exactly one.
    pub fn is_command(self) -> bool {
        self <= Key::Policy
    }

    /// True for the options that may be negated.
    pub fn can_negate(self) -> bool {
        use Key::{Destination, Fragment, InIface, OutIface, Protocol, Source};
        matches!(self, Source | Destination | Protocol | InIface | OutIface | Fragment)
    }
}

/// The options of which iptables checks whether they belong to the command, in the order in which it does.
pub(super) const CHECKED: [Key; 12] = [
    Key::Numeric,
    Key::Source,
    Key::Destination,
    Key::Protocol,
    Key::Jump,
    Key::Verbose,
    Key::Exact,
    Key::InIface,
    Key::OutIface,
    Key::LineNumbers,
    Key::Counters,
    Key::Fragment,
];

/// True if an option of [`CHECKED`] belongs to a command. `numbered`: `-D CHAIN NUMBER`.
pub(super) fn belongs(option: Key, command: Key, numbered: bool) -> bool {
    let of_rule = !matches!(option, Key::Numeric | Key::Exact | Key::LineNumbers);
    match command {
        _ if option == Key::Verbose => true,
        Key::Append | Key::Insert | Key::Replace => of_rule,
        Key::Delete if numbered => false,
        Key::Delete | Key::Check => of_rule && option != Key::Counters,
        Key::List => matches!(option, Key::Numeric | Key::Exact | Key::LineNumbers),
        Key::Policy => option == Key::Counters,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_stands_once_in_the_table() {
        let mut keys: Vec<Key> = MAIN.iter().map(|m| m.key).collect();
        let n = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!((keys.len(), n), (Key::Help as usize + 1, Key::Help as usize + 1));
    }
}
