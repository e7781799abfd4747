//! How much a visitor downloads.

use anyhow::{Context, Result, bail};
use flate2::{Compression, write::GzEncoder};
use std::fs;
use std::io::Write;
use std::path::Path;

/// The most that wasm and scripts may weigh together, in bytes after gzip: see docs/ARCHITECTURE.md, "Size".
pub const GZIP_LIMIT: usize = 1_620_000;

/// The sizes of a built site in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// The wasm as it is.
    pub wasm: usize,
    /// The wasm after gzip.
    pub wasm_gzip: usize,
    /// The scripts after gzip.
    pub js_gzip: usize,
    /// The style sheets after gzip.
    pub css_gzip: usize,
}

impl Sizes {
    /// Measures the site in a folder.
    pub fn of(folder: &Path) -> Result<Self> {
        let mut sizes = Self::default();
        sizes.add(folder)?;
        Ok(sizes)
    }

    fn add(&mut self, folder: &Path) -> Result<()> {
        for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                self.add(&path)?;
                continue;
            }
            let Some(extension) = path.extension().and_then(|extension| extension.to_str()) else { continue };
            if !matches!(extension, "wasm" | "js" | "css") {
                continue;
            }
            let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let gzip = gzip(&bytes)?;
            match extension {
                "wasm" => (self.wasm, self.wasm_gzip) = (self.wasm + bytes.len(), self.wasm_gzip + gzip),
                "js" => self.js_gzip += gzip,
                _ => self.css_gzip += gzip,
            }
        }
        Ok(())
    }

    /// Prints them.
    pub fn print(&self) {
        println!(
            "wasm {} kB, gzip {} kB; js gzip {} kB; together {} kB (at most {} kB)",
            kb(self.wasm),
            kb(self.wasm_gzip),
            kb(self.js_gzip),
            kb(self.code_gzip()),
            GZIP_LIMIT / 1000
        );
        println!("css gzip {} kB", kb(self.css_gzip));
        println!("all gzip {} kB", kb(self.code_gzip() + self.css_gzip));
    }

    /// Wasm and scripts after gzip.
    fn code_gzip(&self) -> usize {
        self.wasm_gzip + self.js_gzip
    }

    /// An error if the app weighs too much.
    pub fn check(&self) -> Result<()> {
        let code = self.code_gzip();
        if code > GZIP_LIMIT {
            bail!(
                "wasm and scripts are {code} bytes after gzip, {} over the limit of {GZIP_LIMIT}: leave something out \
                 (`cargo tree -p web -e normal` shows what is in), or give big data a file of its own",
                code - GZIP_LIMIT
            );
        }
        Ok(())
    }
}

/// How many bytes gzip makes of it, at the level that web servers use.
pub fn gzip(bytes: &[u8]) -> Result<usize> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?.len())
}

/// In thousands of bytes, with one decimal.
fn kb(bytes: usize) -> String {
    let tenths = bytes.div_ceil(100);
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_up() {
        assert_eq!(kb(0), "0.0");
        assert_eq!(kb(1), "0.1");
        assert_eq!(kb(299_901), "300.0");
    }

    #[test]
    fn an_app_over_the_limit_is_an_error() {
        let sizes = |wasm_gzip| Sizes { wasm_gzip, js_gzip: 1000, ..Sizes::default() };
        assert!(sizes(GZIP_LIMIT - 1000).check().is_ok());
        let error = sizes(GZIP_LIMIT - 993).check().unwrap_err();
        assert!(error.to_string().contains("7 over"), "{error}");
    }
}
