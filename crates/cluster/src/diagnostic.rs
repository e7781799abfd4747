//! What is wrong with a text, and where.

use core::fmt;

/// A text cannot be used: the place, what stands there and what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What stands there; empty if it is not one token.
    pub token: String,
    /// What is wrong, or what was expected.
    pub message: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: ", self.line, self.column)?;
        if !self.token.is_empty() {
            write!(f, "{:?}: ", self.token)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Diagnostic {}

/// Result of reading text. The error is boxed: it is large and rare.
pub type Read<T> = Result<T, Box<Diagnostic>>;
