//! Parameters of modules: how `insmod` hands them on, and what the kernel says of those that it does not like
//! (kernel/params.c, kernel/module/main.c).

use super::{Module, Netns, Ports};
use crate::{Cx, PacketId};

/// Why a module was not inserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsertError {
    /// `EINVAL`: a parameter is not understood.
    Invalid,
    /// `ERANGE`: a number is too large.
    Range,
    /// `EBUSY`: two of its helpers would have the same port.
    Busy,
}

impl InsertError {
    /// The words of the C library.
    pub fn text(self) -> &'static str {
        match self {
            InsertError::Invalid => "Invalid argument",
            InsertError::Range => "Numerical result out of range",
            InsertError::Busy => "Device or resource busy",
        }
    }
}

/// A parameter as it is written: its name, and what stands behind `=`, if that is there.
type Given<'a> = (&'a str, Option<&'a str>);

impl Netns {
    /// `modprobe MODULE PARAMETER...`: what the module needs comes first, and stays if it is refused itself. Nothing happens if it is
    /// there already. Gives what has come, in order.
    pub fn load_module_with(
        &mut self,
        name: &str,
        parameters: &[String],
        cx: &mut Cx<'_>,
    ) -> (Vec<&'static Module>, Result<(), InsertError>) {
        let Some(module) = super::MODULES.iter().find(|m| m.name == name) else {
            return (Vec::new(), Ok(()));
        };
        if self.modules.has(name) {
            return (Vec::new(), Ok(()));
        }
        let mut loaded: Vec<&'static Module> =
            module.needs.iter().flat_map(|n| self.load_module(n)).collect();
        // kmod shows what it is about to insert.
        loaded.push(module);
        let before = self.modules;
        let mut done = Ok(());
        for parameter in parameters {
            let given = match parameter.split_once('=') {
                Some((key, value)) => (key, Some(value)),
                None => (parameter.as_str(), None),
            };
            // The others are looked at all the same; the first error counts.
            done = done.and(self.set_parameter(name, given, cx));
        }
        done = done.and_then(|()| self.register_helpers(name, cx));
        match done {
            Ok(()) => drop(self.load_module(name)),
            Err(_) => self.modules = before,
        }
        (loaded, done)
    }

    fn set_parameter(&mut self, module: &str, given: Given<'_>, cx: &mut Cx<'_>) -> Result<(), InsertError> {
        let mut say = |line: String| cx.printk(PacketId::default(), || line);
        let (key, value) = given;
        let done = match (module, key) {
            ("nf_conntrack_tftp", "ports") => ports(value, &mut say).map(|p| self.modules.tftp_ports = p),
            ("nf_conntrack_ftp", "ports") => ports(value, &mut say).map(|p| self.modules.ftp_ports = p),
            ("nf_conntrack_ftp", "loose") => flag(value).map(|on| self.modules.ftp_loose = on),
            ("nf_nat_ftp", "ports") => {
                say(format!("{module}: kernel >= 2.6.10 only uses 'ports' for conntrack modules"));
                Ok(())
            }
            _ => {
                say(format!("{module}: unknown parameter '{key}' ignored"));
                Ok(())
            }
        };
        if done.is_err() {
            // The list has been taken apart at its commas.
            let first = value.unwrap_or_default().split(',').next().unwrap_or_default();
            say(format!("{module}: `{first}' invalid for parameter `{key}'"));
        }
        done
    }

    /// `nf_conntrack_helpers_register`: no two helpers of a protocol for one port.
    fn register_helpers(&self, module: &str, cx: &mut Cx<'_>) -> Result<(), InsertError> {
        let ports = match module {
            "nf_conntrack_tftp" => self.modules.tftp_ports,
            "nf_conntrack_ftp" => self.modules.ftp_ports,
            _ => return Ok(()),
        };
        let list = &ports.list[..usize::from(ports.count)];
        let twice = list.iter().enumerate().any(|(i, port)| list[..i].contains(port));
        if twice {
            cx.printk(PacketId::default(), || format!("{module}: failed to register helpers"));
            return Err(InsertError::Busy);
        }
        Ok(())
    }
}

/// `param_array_ops` of `ushort`.
fn ports(value: Option<&str>, say: &mut dyn FnMut(String)) -> Result<Ports, InsertError> {
    let mut ports = Ports::default();
    for text in value.ok_or(InsertError::Invalid)?.split(',') {
        let Some(place) = ports.list.get_mut(usize::from(ports.count)) else {
            say(format!("ports: can only take {} arguments", ports.list.len()));
            return Err(InsertError::Invalid);
        };
        *place = number(text)?;
        ports.count += 1;
    }
    Ok(ports)
}

/// `kstrtou16` with any base: `0x` is hexadecimal, `0` octal.
fn number(text: &str) -> Result<u16, InsertError> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let (digits, radix) = match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        Some(hex) => (hex, 16),
        None if text.len() > 1 && text.starts_with('0') => (&text[1..], 8),
        None => (text, 10),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Err(InsertError::Invalid);
    }
    u16::from_str_radix(digits, radix).map_err(|_| InsertError::Range)
}

/// `kstrtobool`; a name alone is true. Only the beginning counts.
fn flag(value: Option<&str>) -> Result<bool, InsertError> {
    let Some(value) = value else { return Ok(true) };
    match value.as_bytes() {
        [b'y' | b'Y' | b't' | b'T' | b'1', ..] | [b'o' | b'O', b'n' | b'N', ..] => Ok(true),
        [b'n' | b'N' | b'f' | b'F' | b'0', ..] | [b'o' | b'O', b'f' | b'F', ..] => Ok(false),
        _ => Err(InsertError::Invalid),
    }
}
