//! What ipset says when it refuses.

use kernel::netfilter::ipset::SetError;

/// ipset's words, without its name in front, and what kind of mistake it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpsetError {
    /// The words. A second line is part of them.
    pub says: String,
    /// The command line is not understood: ipset points to its help, and the exit status is 2 instead of 1.
    pub usage: bool,
}

impl IpsetError {
    pub(super) fn usage(says: impl Into<String>) -> IpsetError {
        IpsetError { says: says.into(), usage: true }
    }

    pub(super) fn unknown(word: &str) -> IpsetError {
        IpsetError::usage(format!("Unknown argument: `{word}'"))
    }

    /// Nothing that ipset would say: it can do this.
    pub(super) fn not_modelled(what: &str) -> IpsetError {
        IpsetError::from(format!("{what} is not modelled"))
    }
}

impl From<String> for IpsetError {
    fn from(says: String) -> IpsetError {
        IpsetError { says, usage: false }
    }
}

impl From<SetError> for IpsetError {
    fn from(e: SetError) -> IpsetError {
        IpsetError::from(error_text(e).to_owned())
    }
}

/// What ipset says when the kernel refuses.
pub fn error_text(e: SetError) -> &'static str {
    match e {
        SetError::SetExists => "Set cannot be created: set with the same name already exists",
        SetError::NoSet => "The set with the given name does not exist",
        SetError::NoSecondSet => "Sets cannot be swapped: the second set does not exist",
        SetError::Busy => "Set cannot be destroyed: it is in use by a kernel component",
        SetError::Referenced => "Set cannot be renamed: it is in use by another system",
        SetError::NameTaken => "Set cannot be renamed: a set with the new name already exists",
        SetError::TypeMismatch => "The sets cannot be swapped: their type does not match",
        SetError::ElemExists => "Element cannot be added to the set: it's already added",
        SetError::NoElem => "Element cannot be deleted from the set: it's not added",
        SetError::HashFull => "Hash is full, cannot add more elements",
        SetError::NullElem => "Null-valued element, cannot be stored in a hash type of set",
        SetError::InvalidCidr => "The value of the CIDR parameter of the IP address is invalid",
        SetError::HashRange => "Invalid range, covers the whole address space",
        SetError::InvalidProto => "Invalid protocol specified",
        SetError::OutOfRange => "Element is out of the range of the set",
        SetError::NoTimeout => "Timeout cannot be used: set was created without timeout support",
        SetError::NoCounters => {
            "Packet/byte counters cannot be used: set was created without counter support"
        }
        SetError::NoComment => "Comment cannot be used: set was created without comment support",
        SetError::NoSkbInfo => "Skbinfo mapping cannot be used: set was created without skbinfo support",
        SetError::InvalidNetmask => "The value of the netmask parameter is invalid",
        SetError::RangeSize => "The range you specified exceeds the size limit of the set type",
        SetError::ListedAbsent => "Set to be added/deleted/tested as element does not exist.",
        SetError::Loop => "Sets with list:set type cannot be added to the set.",
        SetError::NoReference => "The set to which you referred with 'before' or 'after' does not exist.",
        SetError::ReferenceAbsent => {
            "The set to which you referred with 'before' or 'after' is not added to the set."
        }
        SetError::Invalid => "Kernel error received: Invalid argument",
        SetError::NoMemory => "Kernel error received: Cannot allocate memory",
    }
}
