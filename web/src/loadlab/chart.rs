//! A chart: lines over the seconds of a test, and levels that they are held against. What it shows stands in words and in a table
//! too. Lines differ in colour and in their dashes.

use crate::dom::{El, el, svg};
use crate::svg::{Rect, Svg};

/// A line.
pub struct Line {
    /// What it is of.
    pub name: String,
    /// A value for each second.
    pub values: Vec<u64>,
}

/// A level.
pub struct Level {
    /// What it is.
    pub name: String,
    /// Where it is.
    pub value: u64,
    /// It is the article's, not the model's.
    pub article: bool,
}

/// A chart.
pub struct Chart {
    /// The first part of the ids of its elements.
    pub id: &'static str,
    /// What it shows.
    pub title: &'static str,
    /// Its lines.
    pub lines: Vec<Line>,
    /// Its levels.
    pub levels: Vec<Level>,
    /// Seconds of the whole test.
    pub seconds: u64,
    /// Where the axis ends, if not just above what there is.
    pub top: Option<u64>,
}

/// The drawing, and in it the area of the lines.
const SIZE: (i32, i32) = (400, 176);
const PLOT: Rect = Rect { x: 44, y: 10, w: 348, h: 144 };
/// Points of a line at most: each is the mean of its seconds.
const POINTS: u64 = 174;
/// Rows of the table.
const ROWS: u64 = 12;

/// A number with commas between thousands.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number for an axis: `500`, `2.5k`, `1.2M`.
fn short(n: u64) -> String {
    let (unit, sign) = match n {
        1_000_000.. => (1_000_000, "M"),
        1000.. => (1000, "k"),
        _ => return n.to_string(),
    };
    let tenths = n * 10 / unit;
    match tenths % 10 {
        0 => format!("{}{sign}", tenths / 10),
        rest => format!("{}.{rest}{sign}", tenths / 10),
    }
}

/// The end of an axis: a round number with some room above the largest value.
fn round_up(most: u64) -> u64 {
    let wanted = most + most / 12 + 1;
    let mut power: u64 = 1;
    while power.saturating_mul(10) <= wanted {
        power = power.saturating_mul(10);
    }
    let steps = [power, power * 3 / 2, power * 2, power * 3, power * 4, power * 6, power * 8];
    // An axis of four parts ends at a multiple of four, where numbers are that small.
    let found = steps.into_iter().find(|s| *s >= wanted && *s >= 4);
    found.unwrap_or(power.saturating_mul(10)).max(4)
}

/// The means of a line's seconds, each with the second in the middle.
fn means(values: &[u64], parts: u64, seconds: u64) -> Vec<(u64, u64)> {
    let width = seconds.div_ceil(parts).max(1);
    let chunks = (0u64..).zip(values.chunks(width as usize));
    chunks
        .map(|(i, part)| {
            let len = part.len() as u64;
            (i * width + len / 2, part.iter().sum::<u64>() / len.max(1))
        })
        .collect()
}

impl Line {
    fn most(&self) -> (u64, u64) {
        let mut out = (0, 0);
        for (second, value) in (1u64..).zip(&self.values) {
            if *value > out.1 {
                out = (second, *value);
            }
        }
        out
    }

    /// The line in words.
    fn words(&self) -> String {
        let (at, most) = self.most();
        if most == 0 {
            return "0 all the time".to_owned();
        }
        let last = self.values.last().copied().unwrap_or(0);
        format!("at most {} (second {at}), at last {}", grouped(most), grouped(last))
    }
}

impl Chart {
    fn top(&self) -> u64 {
        let values = self.lines.iter().map(|l| l.most().1).chain(self.levels.iter().map(|l| l.value));
        self.top.unwrap_or_else(|| round_up(values.max().unwrap_or(0)))
    }

    fn drawing(&self) -> String {
        let (top, seconds) = (self.top(), self.seconds.max(1));
        let x = |second: u64| PLOT.x + (second * PLOT.w as u64 / seconds) as i32;
        // In tenths of a unit a line would be smoother; nobody sees it.
        let y = |value: u64| PLOT.y + PLOT.h - (value.saturating_mul(PLOT.h as u64) / top) as i32;
        let mut out = Svg::default();
        let (left, right, bottom) = (PLOT.x, PLOT.x + PLOT.w, PLOT.y + PLOT.h);
        for part in 0..=4 {
            let value = top * part / 4;
            let at = y(value);
            out.path(if part == 0 { "axis" } else { "grid" }, &format!("M{left} {at}H{right}"));
            out.text("tick-y", left - 6, at + 4, &short(value));
            let second = seconds * part / 4;
            let class = match part {
                0 => "tick-first",
                4 => "tick-last",
                _ => "tick-x",
            };
            out.text(class, x(second), bottom + 17, &format!("{second} s"));
        }
        for level in &self.levels {
            let class = if level.article { "level article" } else { "level" };
            out.path(class, &format!("M{left} {0}H{right}", y(level.value)));
        }
        for (i, line) in self.lines.iter().enumerate() {
            let mut d = String::new();
            for (second, value) in means(&line.values, POINTS, seconds) {
                d.push(if d.is_empty() { 'M' } else { 'L' });
                d.push_str(&format!("{} {}", x(second), y(value)));
            }
            if !d.is_empty() {
                out.path(&format!("series s{i}"), &d);
            }
        }
        // Words last, so that no line crosses them; those of two levels at the same height one above the other.
        let mut taken: Vec<i32> = Vec::new();
        for level in &self.levels {
            let mut at = y(level.value) - 5;
            if at < PLOT.y + 8 || taken.iter().any(|t| t.abs_diff(at) < 12) {
                at = y(level.value) + 13;
            }
            taken.push(at);
            let class = if level.article { "level-name article" } else { "level-name" };
            out.text(class, right - 4, at, &format!("{} {}", level.name, grouped(level.value)));
        }
        out.done()
    }

    /// The chart in words.
    fn words(&self) -> String {
        let lines = self.lines.iter().map(|l| format!("{}: {}", l.name, l.words()));
        let levels = self.levels.iter().map(|l| format!("{}: {}", l.name, grouped(l.value)));
        let all: Vec<String> = lines.chain(levels).collect();
        format!("{}. {}.", self.title, all.join(". "))
    }

    fn table(&self) -> El {
        let mut head = el("tr").add(el("th").attr("scope", "col").add("seconds"));
        for line in &self.lines {
            head = head.add(el("th").attr("scope", "col").add(line.name.clone()));
        }
        let mut body = el("tbody");
        let width = self.seconds.div_ceil(ROWS).max(1);
        let columns: Vec<_> = self.lines.iter().map(|l| means(&l.values, ROWS, self.seconds)).collect();
        for i in 0..columns.iter().map(Vec::len).max().unwrap_or(0) {
            let (from, to) = (i as u64 * width, ((i as u64 + 1) * width).min(self.seconds));
            let mut row = el("tr").add(el("th").attr("scope", "row").add(format!("{from} to {to}")));
            for column in &columns {
                row = row.add(el("td").add(column.get(i).map(|(_, v)| grouped(*v)).unwrap_or_default()));
            }
            body = body.add(row);
        }
        el("table")
            .class("figures")
            .add(el("caption").class("sr").add(format!("{}, means", self.title)))
            .add(el("thead").add(head))
            .add(body)
    }

    /// The chart with its title, its legend and its table.
    pub fn figure(&self) -> El {
        let mut legend = el("ul").class("legend-of");
        for (i, line) in self.lines.iter().enumerate() {
            let mut sample = Svg::default();
            sample.path(&format!("series s{i}"), "M1 5H27");
            let sample = svg("svg")
                .class("sample")
                .attr("viewBox", "0 0 28 10")
                .attr("aria-hidden", "true")
                .html(sample.done());
            let words = el("span").class("quiet").add(line.words());
            legend = legend.add(el("li").add(sample).add(el("b").add(line.name.clone())).add(" ").add(words));
        }
        let drawing = svg("svg")
            .class("chart")
            .attr("viewBox", format!("0 0 {} {}", SIZE.0, SIZE.1))
            .attr("role", "img")
            .attr("aria-label", self.words())
            .html(self.drawing());
        let table = el("div").class("wide-table").attr("tabindex", "0").add(self.table());
        el("figure")
            .class("card chart-card")
            .id(self.id)
            .add(el("figcaption").add(el("h3").add(self.title)))
            .add(drawing)
            .add(legend)
            .add(el("details").add(el("summary").add("As a table")).add(table))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn chart(values: Vec<u64>) -> Chart {
        let line = Line { name: "node".to_owned(), values };
        let level = Level { name: "nf_conntrack_max".to_owned(), value: 131_072, article: false };
        Chart {
            id: "c",
            title: "nf_conntrack_count",
            lines: vec![line],
            levels: vec![level],
            seconds: 600,
            top: None,
        }
    }

    #[test]
    fn numbers_are_short_on_an_axis_and_grouped_in_words() {
        assert_eq!([0, 950, 2500, 131_072, 1_200_000].map(short), ["0", "950", "2.5k", "131k", "1.2M"]);
        assert_eq!([0, 999, 1000, 1_048_576].map(grouped), ["0", "999", "1,000", "1,048,576"]);
    }

    #[test]
    fn an_axis_ends_at_a_round_number_above_all() {
        for (most, end) in [(0, 4), (3, 4), (100, 150), (131_072, 150_000), (4600, 6000), (524_288, 600_000)]
        {
            assert_eq!(round_up(most), end, "{most}");
        }
        for most in 1..5000 {
            assert!(round_up(most) > most, "{most}");
        }
    }

    #[test]
    fn the_words_name_the_peak_and_the_level() {
        let mut values = vec![10; 300];
        values[122] = 131_072;
        assert_eq!(
            chart(values).words(),
            "nf_conntrack_count. node: at most 131,072 (second 123), at last 10. nf_conntrack_max: 131,072."
        );
        assert!(chart(vec![0; 9]).words().contains("0 all the time"));
    }

    #[test]
    fn half_a_test_is_half_a_line() {
        let drawing = chart(vec![75_000; 300]).drawing();
        let line = drawing.split("series s0\" d=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        // 75,000 of 150,000, from the first second to the middle.
        assert!(line.starts_with("M45 82"), "{line}");
        assert!(line.ends_with("L216 82"), "{line}");
        assert!(!chart(Vec::new()).drawing().contains("series s0"));
    }

    #[test]
    fn means_keep_the_last_part() {
        assert_eq!(means(&[1, 3, 5], 2, 4), [(1, 2), (2, 5)]);
        assert_eq!(means(&[], 2, 4), []);
    }
}
