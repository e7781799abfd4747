//! Charts as text.

/// Columns of a chart.
const WIDTH: usize = 60;
/// Its rows.
const ROWS: u64 = 6;
/// A row that is filled by so many eighths.
const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A chart of a figure over the seconds of a test: each column is the mean of its seconds. `mark` is a figure of the article, a
/// dotted line.
pub(super) fn chart(title: &str, values: &[u64], mark: Option<u64>) -> String {
    let columns: Vec<u64> = (0..WIDTH)
        .filter_map(|c| {
            let part = values.get(c * values.len() / WIDTH..(c + 1) * values.len() / WIDTH)?;
            (!part.is_empty()).then(|| part.iter().sum::<u64>() / part.len() as u64)
        })
        .collect();
    let most = values.iter().copied().max().unwrap_or(0);
    let top = columns.iter().copied().chain(mark).max().unwrap_or(0).max(1);
    let mut out = format!("{title}: at most {most}");
    if let Some(mark) = mark {
        out += &format!("; the article: {mark} (dotted)");
    }
    out.push('\n');
    // In which row the mark is, from below.
    let marked = mark.map(|m| (m * ROWS).div_ceil(top).saturating_sub(1));
    for row in (0..ROWS).rev() {
        let label = if row + 1 == ROWS { top.to_string() } else { String::new() };
        out += &format!("{label:>9} |");
        for value in &columns {
            let eighths = (value * ROWS * 8).div_ceil(top).saturating_sub(row * 8).min(8);
            let dotted = eighths == 0 && marked == Some(row);
            out.push(if dotted { '·' } else { EIGHTHS.get(eighths as usize).copied().unwrap_or(' ') });
        }
        out = out.trim_end().to_owned();
        out.push('\n');
    }
    let end = format!("{} s", values.len());
    out + &format!(
        "{:>9} +{}\n{:>10} 0 s{end:>width$}\n",
        0,
        "-".repeat(columns.len()),
        "",
        width = columns.len().saturating_sub(3)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_shows_the_shape_and_the_mark() {
        let values: Vec<u64> = (0..600).map(|s| if s < 300 { 100 } else { 50 }).collect();
        let text = chart("files", &values, Some(100));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "files: at most 100; the article: 100 (dotted)");
        assert_eq!(lines[1], format!("{:>9} |{}{}", 100, "█".repeat(30), "·".repeat(30)));
        assert_eq!(lines[6], format!("{:>9} |{}", "", "█".repeat(60)));
        assert_eq!(lines[8], format!("{:>10} 0 s{:>57}", "", "600 s"));
    }

    #[test]
    fn nothing_is_a_chart_too() {
        assert!(chart("files", &[], None).starts_with("files: at most 0\n"));
        assert!(chart("files", &[0; 10], None).lines().count() > 6);
    }
}
