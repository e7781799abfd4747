//! Chance: drawn from a seeded generator, or answered by a script that goes through everything that can happen.

use rand_core::Rng;
use rand_pcg::Pcg32;

/// Half of what 32 bits can say: `statistic` draws from numbers below it.
const HALF: u32 = 1 << 31;

/// Where the engine's chance comes from.
#[derive(Clone, Debug)]
pub enum Chance {
    /// A generator: the same sequence natively and in WebAssembly.
    Drawn(Pcg32),
    /// A script.
    Script(Script),
}

impl Chance {
    /// A generator.
    pub fn new(seed: u64, stream: u64) -> Chance {
        Chance::Drawn(Pcg32::new(seed, stream))
    }

    /// 32 bits. What is made of them (ports, identifications) is no choice to a script: it says 0.
    #[inline]
    pub fn next_u32(&mut self) -> u32 {
        match self {
            Chance::Drawn(rng) => rng.next_u32(),
            Chance::Script(_) => 0,
        }
    }

    /// A number of 31 bits that will be compared with `below` (`statistic --mode random`). To a script it lies below or not,
    /// if both can be.
    #[inline]
    pub fn draw(&mut self, below: u32) -> u32 {
        match self {
            Chance::Drawn(rng) => rng.next_u32() & (HALF - 1),
            Chance::Script(_) if below == 0 || below >= HALF => 0,
            Chance::Script(script) => script.choose(2) * below,
        }
    }

    /// A number below `n` (`numgen random mod N`, by `reciprocal_scale`). To a script it is each of them; 0 if there is none.
    pub fn one_of(&mut self, n: u32) -> u32 {
        match self {
            Chance::Drawn(rng) => ((u64::from(rng.next_u32()) * u64::from(n)) >> 32) as u32,
            Chance::Script(script) => script.choose(n.max(1)),
        }
    }
}

/// Answers to the questions of one run, in order. The next run gets the next answers, depth first, until nothing is left.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// What was answered, and out of how many answers.
    answers: Vec<(u32, u32)>,
    asked: usize,
}

impl Script {
    fn choose(&mut self, of: u32) -> u32 {
        if self.asked == self.answers.len() {
            self.answers.push((0, of));
        }
        let answer = self.answers.get(self.asked).map_or(0, |(answer, _)| *answer);
        self.asked += 1;
        answer
    }

    /// The same answers from the beginning: for a run that is to go as the last one went.
    pub fn same(&self) -> Script {
        Script { answers: self.answers.clone(), asked: 0 }
    }

    /// Goes on to the next run. False if all that can happen has happened.
    pub fn again(&mut self) -> bool {
        // What was not asked this time is not left over from the last.
        self.answers.truncate(self.asked);
        self.asked = 0;
        while let Some((answer, of)) = self.answers.last_mut() {
            *answer += 1;
            if *answer < *of {
                return true;
            }
            self.answers.pop();
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each run of `f` gives.
    fn runs<T>(f: impl Fn(&mut Chance) -> T) -> Vec<T> {
        let mut chance = Chance::Script(Script::default());
        let mut out = Vec::new();
        loop {
            out.push(f(&mut chance));
            let Chance::Script(script) = &mut chance else { return out };
            if !script.again() {
                return out;
            }
        }
    }

    #[test]
    fn a_script_goes_through_everything_depth_first() {
        let third = HALF / 3;
        let endpoint = |c: &mut Chance| match () {
            () if c.draw(third) < third => 0,
            () if c.draw(HALF / 2) < HALF / 2 => 1,
            () => 2 + c.one_of(3),
        };
        assert_eq!(runs(endpoint), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn what_is_certain_is_no_choice() {
        assert_eq!(runs(|c| c.draw(0)), [0]);
        assert_eq!(runs(|c| c.draw(HALF)), [0]);
        assert_eq!(runs(|c| c.one_of(1)), [0]);
        assert_eq!(runs(|c| c.one_of(0)), [0]);
        assert_eq!(runs(Chance::next_u32), [0]);
    }

    #[test]
    fn a_generator_draws_as_it_always_did() {
        let (mut chance, mut rng) = (Chance::new(7, 9), Pcg32::new(7, 9));
        assert_eq!(chance.next_u32(), rng.next_u32());
        assert_eq!(chance.draw(5), rng.next_u32() & 0x7fff_ffff);
        assert!(chance.one_of(10) < 10);
    }
}
