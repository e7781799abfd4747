//! ARP (print-arp.c).

use super::Printer;
use packet::{Arp, ArpOp, Mac};

impl Printer {
    pub(super) fn arp(&self, arp: &Arp, prefix: bool, out: &mut String) {
        if prefix {
            *out += "ARP, ";
        }
        if self.look.verbose > 0 {
            *out += "Ethernet (len 6), IPv4 (len 4), ";
        }
        *out += &match arp.op {
            // A target that is named already is no question.
            ArpOp::Request if arp.tha != Mac::ZERO => {
                format!("Request who-has {} ({}) tell {}, length 28", arp.tpa, arp.tha, arp.spa)
            }
            ArpOp::Request => format!("Request who-has {} tell {}, length 28", arp.tpa, arp.spa),
            ArpOp::Reply => format!("Reply {} is-at {}, length 28", arp.spa, arp.sha),
        };
    }
}
