//! What the fingerprints of logs and reports are made with.

use std::fmt::{self, Write};

/// FNV-1a over everything that is written to it.
pub struct Fingerprint(pub u64);

impl Fingerprint {
    /// Of nothing.
    pub const EMPTY: Fingerprint = Fingerprint(0xcbf2_9ce4_8422_2325);
}

impl Write for Fingerprint {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        for byte in s.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Ok(())
    }
}
