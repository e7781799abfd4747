//! What curl prints: answers, what it says with `-v`, errors, and what `-w` asks for.

use super::{Curl, Run};
use std::time::Duration;

impl Curl {
    /// Where this transfer's body goes, if not to standard output.
    pub(super) fn output(&self) -> Option<&String> {
        self.options.outputs.get(self.done)
    }

    /// `-v` says that this transfer's connection is closed.
    pub(super) fn note_closing(&self, run: &mut Run<'_, '_>) {
        self.note(run, &format!("Closing connection {}", self.number));
    }

    /// A line of `-v`.
    pub(super) fn note(&self, run: &mut Run<'_, '_>, text: &str) {
        if self.options.verbose {
            run.complain(format!("* {text}"));
        }
    }

    pub(super) fn fail(&mut self, run: &mut Run<'_, '_>, status: i32, text: &str) -> i32 {
        if !self.options.silent || self.options.show_error {
            run.complain(format!("curl: ({status}) {text}"));
        }
        self.write_out(run, status, text);
        status
    }

    pub(super) fn print_head(&mut self, run: &mut Run<'_, '_>) {
        let head = self.answer.bytes.get(..self.answer.body.unwrap_or(0)).unwrap_or_default();
        let text = String::from_utf8_lossy(head).into_owned();
        for line in text.split_terminator('\n') {
            if self.options.verbose {
                run.complain(format!("< {line}"));
            }
            if (self.options.include || self.options.head) && self.output().is_none() {
                run.print(line);
            }
        }
    }

    /// The body goes to standard output or into a file.
    pub(super) fn print_body(&mut self, run: &mut Run<'_, '_>) {
        let body = self.answer.bytes.get(self.answer.body.unwrap_or(usize::MAX)..).unwrap_or_default();
        let text = String::from_utf8_lossy(body).into_owned();
        match self.output() {
            Some(path) => run.write_file(path, text),
            None => run.print_text(&text),
        }
    }

    /// `-w`: the variables that are known, `\n` and `\t`.
    pub(super) fn write_out(&self, run: &mut Run<'_, '_>, status: i32, error: &str) {
        let Some(format) = &self.options.write_out else { return };
        let seconds = |d: Duration| format!("{}.{:06}", d.as_secs(), d.subsec_micros());
        let total = self.begun.map_or(Duration::ZERO, |b| run.now().since(b));
        // The other end is known once there is a connection.
        let remote = self.local_end.and(self.addresses.first());
        let mut out = String::new();
        let mut rest = format.as_str();
        while let Some(c) = rest.chars().next() {
            if let Some((name, after)) = rest.strip_prefix("%{").and_then(|r| r.split_once('}')) {
                out += &match name {
                    "http_code" | "response_code" => format!("{:03}", self.answer.status),
                    "exitcode" => status.to_string(),
                    "size_download" => self.answer.body_len().to_string(),
                    "time_total" => seconds(total),
                    "time_namelookup" => seconds(self.times.lookup),
                    "time_connect" => seconds(self.times.connect),
                    "time_starttransfer" => seconds(self.times.first),
                    "remote_ip" => remote.map_or(String::new(), ToString::to_string),
                    "remote_port" => remote.map_or(0, |_| self.port).to_string(),
                    "errormsg" => error.to_owned(),
                    "local_ip" => self.local_end.map_or(String::new(), |e| e.0.to_string()),
                    "local_port" => self.local_end.map_or("0".to_owned(), |e| e.1.to_string()),
                    "num_connects" => i32::from(self.local_end.is_some() && !self.reused).to_string(),
                    other => {
                        run.complain(format!("curl: unknown --write-out variable: '{other}'"));
                        String::new()
                    }
                };
                rest = after;
                continue;
            }
            let (text, len) = match rest.get(..2) {
                Some("\\n") => ("\n".to_owned(), 2),
                Some("\\t") => ("\t".to_owned(), 2),
                Some("%%") => ("%".to_owned(), 2),
                _ => (c.to_string(), c.len_utf8()),
            };
            out += &text;
            rest = rest.get(len..).unwrap_or_default();
        }
        run.print_text(&out);
    }
}
