//! The server's answer, as far as it has come.

/// What has come of the answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Answer {
    pub bytes: Vec<u8>,
    /// Where the body begins, once the head is whole.
    pub body: Option<usize>,
    pub status: u16,
    pub length: Option<usize>,
    pub closes: bool,
}

impl Answer {
    /// Reads the head, if it is whole.
    pub fn head(&mut self) -> bool {
        let Some(end) = self.bytes.windows(4).position(|w| w == b"\r\n\r\n") else { return false };
        self.body = Some(end + 4);
        let text = String::from_utf8_lossy(self.bytes.get(..end).unwrap_or_default()).into_owned();
        let mut lines = text.lines();
        let status = lines.next().and_then(|l| l.split(' ').nth(1)).and_then(|s| s.parse().ok());
        self.status = status.unwrap_or(0);
        for line in lines {
            let Some((name, value)) = line.split_once(':') else { continue };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => self.length = value.trim().parse().ok(),
                "connection" => self.closes = value.trim().eq_ignore_ascii_case("close"),
                _ => {}
            }
        }
        true
    }

    pub fn body_len(&self) -> usize {
        self.body.map_or(0, |at| self.bytes.len().saturating_sub(at))
    }

    pub fn whole(&self, head_only: bool) -> bool {
        self.body.is_some() && (head_only || self.length.is_some_and(|n| self.body_len() >= n))
    }
}
