//! The order of `ipset -sorted`.

use sorted::sort_by;
use std::cmp::Ordering;

/// Sorts lines by the member that they begin with, part by part: of two parts the shorter comes first, as the smaller of two
/// numbers does; of two networks that begin alike the smaller.
pub(super) fn sort(lines: &mut [String]) {
    let word = |line: &String| line.split(' ').next().unwrap_or_default().to_owned();
    sort_by(lines, |a, b| order(&word(a), &word(b)));
}

fn order(a: &str, b: &str) -> Ordering {
    let ends = ['.', ',', ':'];
    let parts = a.split(ends).zip(b.split(ends));
    let mut each = parts.map(|(a, b)| part(a).cmp(&part(b)));
    each.find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
}

/// Length and text of a part; the bits behind its prefix.
fn part(text: &str) -> (usize, &str, u8) {
    let (number, prefix) = text.split_once('/').unwrap_or((text, "32"));
    (number.len(), number, 32u8.saturating_sub(prefix.parse().unwrap_or(32)))
}

#[cfg(test)]
mod tests {
    use super::sort;

    fn sorted(words: &str) -> String {
        let mut lines: Vec<String> = words.split(';').map(str::to_owned).collect();
        sort(&mut lines);
        lines.join(";")
    }

    /// As ipset 7.17 printed them.
    #[test]
    fn numbers_are_compared_as_numbers_and_small_networks_come_first() {
        for line in [
            "9.0.0.1;10.0.0.2;10.0.0.15;100.0.0.1",
            "2.0.0.8/30;10.0.0.0;10.0.0.0/29;10.0.0.0/24 nomatch;10.0.0.0/8;10.0.0.8/30",
            "1.1.1.1,esp:0;1.1.1.1,tcp:5;1.1.1.1,tcp:80;1.1.1.1,udp:80;1.1.1.1,udp:443;1.1.1.1,sctp:443;1.1.1.2,tcp:443",
            "1.0.0.1 timeout 999 packets 7 bytes 0;1.0.0.2 timeout 9 packets 5 bytes 0",
        ] {
            let mut words: Vec<&str> = line.split(';').collect();
            words.reverse();
            assert_eq!(sorted(&words.join(";")), line);
        }
    }
}
