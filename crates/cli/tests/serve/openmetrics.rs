//! A strict reader of the text format of OpenMetrics: what it does not know is an error.
#![allow(unreachable_pub, reason = "as in the modules beside it")]

use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug)]
pub struct Metrics(Vec<Sample>);

#[derive(Debug)]
pub struct Sample {
    pub name: String,
    labels: BTreeMap<String, String>,
    pub value: f64,
}

impl Sample {
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.get(name).map(String::as_str)
    }
}

impl Metrics {
    /// The only one, or the first, of those.
    pub fn sample(&self, name: &str, is_meant: impl Fn(&Sample) -> bool) -> Option<&Sample> {
        self.0.iter().find(|sample| sample.name == name && is_meant(sample))
    }
}

/// A family of samples: they stand together, after what describes them.
#[derive(Default)]
struct Family {
    name: String,
    kind: String,
    unit: String,
}

pub fn parse(text: &str) -> Metrics {
    let body = text.strip_suffix("# EOF\n").expect("it ends with # EOF");
    let mut samples: Vec<Sample> = Vec::new();
    let mut families: BTreeSet<String> = BTreeSet::new();
    let mut series: BTreeSet<String> = BTreeSet::new();
    let mut family = Family::default();
    for line in body.split_terminator('\n') {
        if let Some(told) = line.strip_prefix("# ") {
            let (what, rest) = told.split_once(' ').expect(line);
            let (name, value) = rest.split_once(' ').expect(line);
            check_name(name);
            if name != family.name {
                assert!(families.insert(name.to_owned()), "a family in two places: {line}");
                family = Family { name: name.to_owned(), ..Family::default() };
            }
            match what {
                "TYPE" => family.kind = value.to_owned(),
                "UNIT" => family.unit = value.to_owned(),
                "HELP" => assert!(!value.is_empty(), "{line}"),
                _ => panic!("{line}"),
            }
            assert!(family.unit.is_empty() || name.ends_with(&format!("_{}", family.unit)), "{line}");
            continue;
        }
        let sample = parse_sample(line);
        let suffix = match family.kind.as_str() {
            "gauge" => "",
            "counter" => "_total",
            other => panic!("{line}: of type {other}"),
        };
        assert_eq!(sample.name, format!("{}{suffix}", family.name), "{line}");
        assert!(family.kind != "counter" || sample.value >= 0.0, "{line}");
        let own = format!("{} {:?}", sample.name, sample.labels);
        assert!(series.insert(own), "twice: {line}");
        samples.push(sample);
    }
    Metrics(samples)
}

fn check_name(name: &str) {
    let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    assert!(name.starts_with(is_letter), "{name}");
    assert!(name.chars().all(|c| is_letter(c) || c.is_ascii_digit()), "{name}");
}

/// `name{label="value",…} number`
fn parse_sample(line: &str) -> Sample {
    let end = line.find(['{', ' ']).expect(line);
    let (name, mut rest) = line.split_at(end);
    check_name(name);
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"").expect(line);
            check_name(label);
            let (value, after) = quoted(after).unwrap_or_else(|| panic!("{line}"));
            assert!(labels.insert(label.to_owned(), value).is_none(), "a label twice: {line}");
            rest = after.strip_prefix(',').filter(|rest| !rest.starts_with('}')).unwrap_or(after);
            assert!(rest.starts_with('}') || after.starts_with(','), "{line}");
        }
        rest = &rest[1..];
    }
    let number = rest.strip_prefix(' ').expect(line);
    assert!(!number.contains(' '), "no time stamp is expected: {line}");
    Sample { name: name.to_owned(), labels, value: number.parse().expect(line) }
}

/// A value up to its closing quote, and what comes after.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((index, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[index + 1..])),
            '\\' => value.push(match chars.next()?.1 {
                'n' => '\n',
                c @ ('"' | '\\') => c,
                _ => return None,
            }),
            c => value.push(c),
        }
    }
    None
}
