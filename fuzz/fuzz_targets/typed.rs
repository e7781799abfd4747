//! What a person types in a lab: the first line names the lab (by a number), the rest is what a link carries. Everything that the page
//! asks of the run is asked.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::rc::Rc;
use workshop::session::text;
use workshop::{Session, labs};

/// So many commands are typed at most.
const MOST: usize = 12;

fuzz_target!(|data: &[u8]| {
    let Ok(input) = std::str::from_utf8(data) else { return };
    let (lab, typed) = input.split_once('\n').unwrap_or((input, ""));
    let texts: Vec<&str> = labs::TEXTS.iter().filter(|(name, _)| !SLOW.contains(name)).map(|(_, text)| *text).collect();
    let Some(lab) = lab.parse().ok().and_then(|n: usize| texts.get(n % texts.len())) else { return };
    let lab = fuzz::own_lab(lab);
    let Ok(mut typed) = text::parse(typed) else { return };
    typed.truncate(MOST);
    fuzz::ask(&Session { typed, ..Session::new(Rc::new(lab)) });
});

/// Labs whose runs take long.
const SLOW: [&str; 3] = ["many-rules", "cost-of-services", "conntrack-load"];
