//! What a bench found: rounds, the figures that count, and what the server used.

use std::fmt::Write;

use serde_json::{Value, json};

use super::machine::Machine;
use super::usage::Usage;

/// The unit of a figure; part of its name in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Milliseconds.
    Millis,
    /// Seconds.
    Seconds,
    /// So many a second.
    PerSecond,
    /// Millions of bytes a second.
    MegabytesPerSecond,
    /// 2^10 bytes.
    Kibibytes,
    /// 2^20 bytes.
    Mebibytes,
    /// One figure divided by another.
    Ratio,
    /// CPU time in seconds for 10^9 bytes inserted.
    CoreSecondsPerGigabyte,
    /// Hundredths of one core.
    PercentOfCore,
    /// A number of things.
    Count,
}

/// A column of the rounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    /// What it is.
    pub(super) name: &'static str,
    /// Its unit.
    pub(super) unit: Unit,
}

/// The goal of a figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Reach {
    /// Not more than this.
    AtMost(f64),
    /// Not less than this.
    AtLeast(f64),
}

/// A figure that counts.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    name: String,
    value: f64,
    unit: Unit,
    reach: Option<Reach>,
}

/// All that one bench found.
#[derive(Clone, Debug)]
pub(super) struct Report {
    name: String,
    settings: Vec<(&'static str, String)>,
    columns: Vec<Column>,
    rounds: Vec<Vec<f64>>,
    outcomes: Vec<Outcome>,
    usages: Vec<(&'static str, Usage)>,
}

impl Unit {
    fn suffix(self) -> &'static str {
        match self {
            Unit::Millis => "ms",
            Unit::Seconds => "s",
            Unit::PerSecond => "/s",
            Unit::MegabytesPerSecond => "MB/s",
            Unit::Kibibytes => "KiB",
            Unit::Mebibytes => "MiB",
            Unit::Ratio => "×",
            Unit::CoreSecondsPerGigabyte => "core-s/GB",
            Unit::PercentOfCore => "% of a core",
            Unit::Count => "",
        }
    }

    fn show(self, value: f64) -> String {
        match self {
            Unit::Millis | Unit::Seconds | Unit::Ratio => format!("{value:.3}"),
            Unit::MegabytesPerSecond | Unit::Kibibytes | Unit::Mebibytes => format!("{value:.1}"),
            Unit::CoreSecondsPerGigabyte | Unit::PercentOfCore => format!("{value:.2}"),
            Unit::PerSecond | Unit::Count => format!("{value:.0}"),
        }
    }
}

impl Reach {
    fn is_met(self, value: f64) -> bool {
        match self {
            Reach::AtMost(limit) => value <= limit,
            Reach::AtLeast(limit) => value >= limit,
        }
    }

    fn show(self, unit: Unit) -> String {
        match self {
            Reach::AtMost(limit) => format!("≤ {}", unit.show(limit)),
            Reach::AtLeast(limit) => format!("≥ {}", unit.show(limit)),
        }
    }
}

impl Report {
    /// An empty report.
    pub(super) fn new(name: impl Into<String>, columns: &[(&'static str, Unit)]) -> Report {
        Report {
            name: name.into(),
            settings: Vec::new(),
            columns: columns.iter().map(|&(name, unit)| Column { name, unit }).collect(),
            rounds: Vec::new(),
            outcomes: Vec::new(),
            usages: Vec::new(),
        }
    }

    /// Notes with what it was measured.
    pub(super) fn setting(&mut self, name: &'static str, value: impl ToString) {
        self.settings.push((name, value.to_string()));
    }

    /// Adds a round: one value for each column.
    pub(super) fn round(&mut self, values: &[f64]) {
        assert_eq!(values.len(), self.columns.len(), "a value for each column");
        self.rounds.push(values.to_vec());
    }

    /// The values of a column.
    pub(super) fn column(&self, name: &str) -> Vec<f64> {
        let at = self.columns.iter().position(|column| column.name == name);
        let at = at.expect("the bench names its own columns");
        self.rounds.iter().map(|round| round[at]).collect()
    }

    /// Adds a figure that counts.
    pub(super) fn outcome(&mut self, name: impl Into<String>, value: f64, unit: Unit, reach: Option<Reach>) {
        self.outcomes.push(Outcome { name: name.into(), value, unit, reach });
    }

    /// Adds what a process used meanwhile.
    pub(super) fn usage(&mut self, who: &'static str, usage: Option<Usage>) {
        self.usages.extend(usage.map(|usage| (who, usage)));
    }

    /// The figures that have a goal: name, value, goal, and whether it is reached.
    pub(super) fn goals(&self) -> Vec<[String; 4]> {
        let row = |outcome: &Outcome| {
            let Outcome { name, value, unit, reach } = outcome;
            let reach = (*reach)?;
            let verdict = if reach.is_met(*value) { "reached" } else { "missed" };
            let value = format!("{} {}", unit.show(*value), unit.suffix());
            Some([name.clone(), value.trim_end().to_owned(), reach.show(*unit), verdict.to_owned()])
        };
        self.outcomes.iter().filter_map(row).collect()
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        let settings: Vec<String> =
            self.settings.iter().map(|(name, value)| format!("{name} {value}")).collect();
        let _ = writeln!(out, "{} · {}", self.name, settings.join(", "));
        self.put_rounds(&mut out);
        for Outcome { name, value, unit, reach } in &self.outcomes {
            let _ = write!(out, "  {name}: {} {}", unit.show(*value), unit.suffix());
            if let Some(reach) = reach {
                let verdict = if reach.is_met(*value) { "reached" } else { "missed" };
                let _ = write!(out, " ({}: {verdict})", reach.show(*unit));
            }
            out.push('\n');
        }
        for (who, usage) in &self.usages {
            let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
            let (resident, peak) = (mebibytes(usage.memory.resident), mebibytes(usage.memory.peak));
            let _ = writeln!(
                out,
                "  {who}: {:.2} s of CPU in {:.2} s ({:.0} % of a core), {resident:.0} MiB resident, \
                 {peak:.0} MiB at most, {:.0} MiB written",
                usage.cpu_seconds,
                usage.seconds,
                usage.cores() * 100.0,
                mebibytes(usage.written_bytes)
            );
        }
        out
    }

    fn put_rounds(&self, out: &mut String) {
        let heads: Vec<String> =
            self.columns.iter().map(|column| format!("{} {}", column.name, column.unit.suffix())).collect();
        let widths: Vec<usize> = heads.iter().map(|head| head.trim_end().chars().count().max(8)).collect();
        let _ = write!(out, "  round");
        for (head, width) in heads.iter().zip(&widths) {
            let _ = write!(out, "  {:>width$}", head.trim_end());
        }
        out.push('\n');
        for (number, round) in self.rounds.iter().enumerate() {
            let _ = write!(out, "  {:>5}", number + 1);
            for ((value, column), width) in round.iter().zip(&self.columns).zip(&widths) {
                let _ = write!(out, "  {:>width$}", column.unit.show(*value));
            }
            out.push('\n');
        }
    }

    /// For machines: one object.
    pub(super) fn json(&self, machine: &Machine) -> Value {
        let round = |values: &Vec<f64>| {
            let pairs = self.columns.iter().zip(values);
            pairs.map(|(column, value)| (column.name.to_owned(), json!(value))).collect::<Value>()
        };
        let outcome = |outcome: &Outcome| {
            let (at_most, at_least) = match outcome.reach {
                Some(Reach::AtMost(limit)) => (Some(limit), None),
                Some(Reach::AtLeast(limit)) => (None, Some(limit)),
                None => (None, None),
            };
            json!({
                "name": outcome.name,
                "value": outcome.value,
                "unit": outcome.unit.suffix(),
                "at_most": at_most,
                "at_least": at_least,
                "reached": outcome.reach.map(|reach| reach.is_met(outcome.value)),
            })
        };
        let units = self.columns.iter().map(|column| (column.name.to_owned(), json!(column.unit.suffix())));
        json!({
            "bench": self.name,
            "settings": self.settings.iter().map(|(name, value)| (*name, json!(value))).collect::<Value>(),
            "units": units.collect::<Value>(),
            "rounds": self.rounds.iter().map(round).collect::<Vec<_>>(),
            "outcomes": self.outcomes.iter().map(outcome).collect::<Vec<_>>(),
            "usage": self.usages.iter().map(|(who, usage)| (*who, json!(usage))).collect::<Value>(),
            "machine": machine,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut report = Report::new("insert one", &[("base p50", Unit::Millis), ("rows", Unit::PerSecond)]);
        report.setting("dim", 128);
        report.round(&[1.0, 900.0]);
        report.round(&[2.0, 450.4]);
        report.outcome("p50 / base", 1.25, Unit::Ratio, Some(Reach::AtMost(1.5)));
        report.outcome("speed-up", 7.0, Unit::Ratio, Some(Reach::AtLeast(20.0)));
        report
    }

    #[test]
    fn the_text_shows_every_round_and_whether_a_goal_is_reached() {
        let text = report().text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "insert one · dim 128");
        assert_eq!(lines[1], "  round  base p50 ms   rows /s");
        assert_eq!(lines[2], "      1        1.000       900");
        assert_eq!(lines[3], "      2        2.000       450");
        assert_eq!(lines[4], "  p50 / base: 1.250 × (≤ 1.500: reached)");
        assert_eq!(lines[5], "  speed-up: 7.000 × (≥ 20.000: missed)");
    }

    #[test]
    fn the_json_holds_the_same() {
        let json = report().json(&Machine::default());
        assert_eq!(json["rounds"][1], json!({"base p50": 2.0, "rows": 450.4}));
        assert_eq!(json["units"]["base p50"], "ms");
        assert_eq!(json["outcomes"][0]["reached"], true);
        assert_eq!(json["outcomes"][1]["at_least"], 20.0);
        assert_eq!(json["settings"]["dim"], "128");
    }

    #[test]
    fn a_column_can_be_read_back() {
        assert_eq!(report().column("base p50"), [1.0, 2.0]);
    }
}
