//! The plugin `cache`.

use kernel::Instant;
use packet::{Dns, rcode};
use std::time::Duration;

/// An answer that is kept.
#[derive(Clone, Debug)]
struct Kept {
    block: usize,
    name: String,
    kind: u16,
    answer: Dns,
    at: Instant,
    until: Instant,
}

/// The answers that are kept for the server blocks, which are told by their numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Cache(Vec<Kept>);

impl Cache {
    fn find(&self, now: Instant, block: usize, query: &Dns) -> Option<&Kept> {
        let question = query.questions.first()?;
        let asked = |k: &&Kept| k.block == block && k.kind == question.kind && question.name.is(&k.name);
        self.0.iter().filter(|k| k.until > now).find(asked)
    }

    /// An answer that was kept, with what is left of its time.
    pub fn get(&self, now: Instant, block: usize, query: &Dns) -> Option<Dns> {
        let kept = self.find(now, block, query)?;
        let age = u32::try_from(now.since(kept.at).as_secs()).unwrap_or(u32::MAX);
        let mut answer = Dns { id: query.id, questions: query.questions.clone(), ..kept.answer.clone() };
        for r in answer.answers.iter_mut().chain(&mut answer.authority).chain(&mut answer.additional) {
            r.ttl = r.ttl.saturating_sub(age);
        }
        Some(answer)
    }

    /// Keeps an answer as long as its records live, at most for `limit` seconds, if none is kept.
    pub fn keep(&mut self, now: Instant, block: usize, query: &Dns, answer: &Dns, limit: u32) {
        let Some(question) = query.questions.first() else { return };
        let good = [rcode::NOERROR, rcode::NXDOMAIN].contains(&answer.rcode) && !answer.truncated;
        let list = if answer.answers.is_empty() { &answer.authority } else { &answer.answers };
        let Some(ttl) = list.iter().map(|r| r.ttl).min().filter(|_| good) else { return };
        if self.find(now, block, query).is_some() {
            return;
        }
        self.0.retain(|k| k.until > now);
        let until = now + Duration::from_secs(u64::from(ttl.min(limit)));
        let name = question.name.as_str().to_owned();
        self.0.push(Kept { block, name, kind: question.kind, answer: answer.clone(), at: now, until });
    }
}
