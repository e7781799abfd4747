//! The text of a lab: it is read or refused; what is read is run, in each position of its switches.
#![no_main]

use libfuzzer_sys::fuzz_target;
use workshop::Session;
use workshop::exercise::read_course;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = read_course(text);
    let Ok(session) = Session::from_text(text) else { return };
    fuzz::ask(&session);
    for switch in session.lab.switches.iter().take(2) {
        for value in switch.values().take(3) {
            let mut other = session.clone();
            other.changes.insert(switch.name.clone(), value.to_owned());
            let _ = other.run();
        }
    }
});
