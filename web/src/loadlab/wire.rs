//! What the page and its worker tell each other: settings and reports as text.

use workshop::load::{ARTICLE, BoxSeries, Report, Series, Setting};

/// A setting: `SWITCH=VALUE,…`, as in the address.
pub fn print_setting(setting: &Setting) -> String {
    let pairs: Vec<String> =
        setting.changes().iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join(",")
}

/// The setting that such pairs make, `iteration` first whatever their order. Says what a switch expects instead.
pub fn setting_of<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Result<Setting, String> {
    let mut setting = Setting::default();
    let of_iteration = |(name, _): &(&str, &str)| *name == "iteration";
    let rest = pairs.clone().filter(|p| !of_iteration(p));
    for (name, value) in pairs.filter(of_iteration).chain(rest) {
        setting.set(name, value).map_err(|e| e.to_string())?;
    }
    Ok(setting)
}

/// Reads what [`print_setting`] has written.
pub fn read_setting(text: &str) -> Result<Setting, String> {
    setting_of(text.split(',').filter_map(|pair| pair.split_once('=')))
}

fn numbers(out: &mut String, name: &str, values: &[u64]) {
    out.push_str(name);
    for value in values {
        out.push(' ');
        out.push_str(&value.to_string());
    }
    out.push('\n');
}

/// A report as lines of words.
pub fn print(report: &Report) -> String {
    let mut out = format!("setting {}\n", print_setting(&report.setting));
    numbers(&mut out, "seconds", &[report.seconds, report.packets]);
    let s = &report.series;
    for (name, values) in
        [("offered", &s.offered), ("served", &s.served), ("failed", &s.failed), ("busy", &s.busy)]
    {
        numbers(&mut out, name, values);
    }
    for b in &s.boxes {
        out.push_str(&format!("box {}\n", b.name));
        for (name, values) in [
            ("count", &b.count),
            ("expectations", &b.expectations),
            ("dropped", &b.dropped),
            ("early", &b.early_dropped),
        ] {
            numbers(&mut out, name, values);
        }
    }
    for (at, host, line) in &report.log {
        out.push_str(&format!("log {at} {host} {line}\n"));
    }
    out
}

/// Reads what [`print`] has written; `None` if it was something else.
pub fn read(text: &str) -> Option<Report> {
    let mut series = Series::default();
    let (mut setting, mut seconds, mut packets, mut log) = (None, 0, 0, Vec::new());
    for line in text.lines() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let values = || rest.split_ascii_whitespace().map(|n| n.parse().ok()).collect::<Option<Vec<u64>>>();
        match word {
            "setting" => setting = Some(read_setting(rest).ok()?),
            "seconds" => [seconds, packets] = values()?.try_into().ok()?,
            "offered" => series.offered = values()?,
            "served" => series.served = values()?,
            "failed" => series.failed = values()?,
            "busy" => series.busy = values()?,
            "box" => series.boxes.push(BoxSeries { name: rest.to_owned(), ..BoxSeries::default() }),
            "log" => {
                let mut words = rest.splitn(3, ' ');
                let at = words.next()?.parse().ok()?;
                log.push((at, words.next()?.to_owned(), words.next()?.to_owned()));
            }
            _ => {
                let b = series.boxes.last_mut()?;
                let values = values()?;
                match word {
                    "count" => b.count = values,
                    "expectations" => b.expectations = values,
                    "dropped" => b.dropped = values,
                    "early" => b.early_dropped = values,
                    _ => return None,
                }
            }
        }
    }
    let setting: Setting = setting?;
    let article = setting.which().and_then(|n| ARTICLE.iter().find(|a| a.iteration == n));
    Some(Report { setting, article, seconds, packets, series, log })
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_report_comes_back_as_it_was() {
        let setting = Setting { scale: 100, seconds: 4, ..Setting::iteration(3).unwrap() };
        let report = workshop::load::run(&setting).unwrap();
        assert!(report.series.boxes.len() == 4 && report.packets > 0);
        assert_eq!(read(&print(&report)), Some(report));
    }

    #[test]
    fn lines_of_the_log_keep_their_words() {
        let log =
            vec![(1_500_000, "node".to_owned(), "nf_conntrack: table full, dropping packet".to_owned())];
        let report = Report { log, ..read("setting iteration=5,scale=1\nseconds 2 3\n").unwrap() };
        assert_eq!(report.setting.scale, 1);
        assert_eq!(report.article.map(|a| a.served), Some(4000));
        assert_eq!(read(&print(&report)), Some(report));
    }

    #[test]
    fn what_is_no_report_is_none() {
        for bad in [
            "",
            "seconds 1 2",
            "setting replicas=9",
            "setting \ncount 1",
            "setting \nserved x",
            "setting \nwhat",
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn an_iteration_comes_first_wherever_it_stands() {
        let setting = read_setting("replicas=3,iteration=9").unwrap();
        assert_eq!((setting.replicas, setting.allowed), (3, true));
        assert!(read_setting("replicas=4").unwrap_err().contains("1 to 3"));
    }
}
