//! Why a command about the cluster is refused.

use std::fmt;

/// Why a command about the cluster is refused, and by whom: that decides how kubectl prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The API server, in its words.
    Server(String),
    /// kubectl itself.
    Kubectl(String),
}

impl Refusal {
    /// The line on standard error: what the API server says stands as it is.
    pub fn line(self) -> String {
        match self {
            Refusal::Server(text) => text,
            Refusal::Kubectl(text) => format!("error: {text}"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Refusal::Server(text) | Refusal::Kubectl(text)) = self;
        f.write_str(text)
    }
}

impl From<String> for Refusal {
    fn from(text: String) -> Refusal {
        Refusal::Kubectl(text)
    }
}

impl From<&str> for Refusal {
    fn from(text: &str) -> Refusal {
        Refusal::Kubectl(text.to_owned())
    }
}
