//! What a drill found.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::plan::{Fault, FaultKind};
use super::scene::Counts;
use super::violation::{Broken, Violation};

/// Violations that are told one by one.
const TOLD_MAX: usize = 10;

/// Longest times without an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Still {
    /// Without an acknowledged write.
    pub(super) writes: Duration,
    /// Without an answered read.
    pub(super) reads: Duration,
}

impl Still {
    fn or_longer(self, other: Still) -> Still {
        Still { writes: self.writes.max(other.writes), reads: self.reads.max(other.reads) }
    }
}

/// One round.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    /// What was done.
    pub(super) fault: Fault,
    /// Before it.
    pub(super) calm: Still,
    /// From the fault until every client had an answer again.
    pub(super) hit: Still,
}

/// The report.
#[derive(Clone, Debug)]
pub(super) struct Report {
    /// What the plan was drawn from.
    pub(super) seed: u64,
    /// Clients that wrote.
    pub(super) clients: u32,
    /// Whether requests had names.
    pub(super) named: bool,
    /// How long it took.
    pub(super) took: Duration,
    /// The rounds.
    pub(super) rounds: Vec<Round>,
    /// What clients did and were told.
    pub(super) counts: Counts,
    /// What the server did wrong.
    pub(super) violations: Vec<Violation>,
    /// Why the drill ended before its time.
    pub(super) ended: Option<String>,
    /// Where everything was kept.
    pub(super) kept: Vec<PathBuf>,
}

impl Report {
    /// How many violations of a kind there are.
    pub(super) fn count(&self, broken: Broken) -> usize {
        self.violations.iter().filter(|violation| violation.broken == broken).count()
    }

    /// Whether the server kept its word.
    pub(super) fn is_good(&self) -> bool {
        self.violations.is_empty() && self.ended.is_none()
    }

    /// In one sentence.
    pub(super) fn verdict(&self) -> String {
        let kinds = [Broken::Lost, Broken::Repeated, Broken::Stray, Broken::Torn, Broken::Stale];
        let counts = kinds.map(|broken| (broken, self.count(broken)));
        let broken: Vec<String> = counts
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(broken, count)| format!("{count} {broken}"))
            .collect();
        match (&self.ended, broken.is_empty()) {
            (None, true) => "nothing lost, nothing repeated".to_owned(),
            (None, false) => broken.join(", "),
            (Some(reason), true) => reason.clone(),
            (Some(reason), false) => format!("{}; {reason}", broken.join(", ")),
        }
    }

    fn by_kind(&self) -> BTreeMap<FaultKind, (usize, Still)> {
        let mut kinds: BTreeMap<FaultKind, (usize, Still)> = BTreeMap::new();
        for round in &self.rounds {
            let (rounds, still) = kinds.entry(round.fault.kind).or_default();
            *rounds += 1;
            *still = still.or_longer(round.hit);
        }
        kinds
    }

    fn longest(&self, of: impl Fn(&Round) -> Still) -> Still {
        self.rounds.iter().map(of).fold(Still::default(), Still::or_longer)
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        let (rounds, took) = (self.rounds.len(), self.took.as_secs_f64());
        let _ = writeln!(
            out,
            "drill · seed {}, {} clients, {rounds} rounds, {took:.1} s\n",
            self.seed, self.clients
        );
        let _ = writeln!(out, "  longest without   rounds  acknowledged write  answered read");
        let mut line = |name: &str, rounds: usize, still: Still| {
            let (writes, reads) = (still.writes.as_secs_f64(), still.reads.as_secs_f64());
            let _ = writeln!(out, "  {name:<16}  {rounds:>6}  {writes:>16.3} s  {reads:>11.3} s");
        };
        line("(no fault)", rounds, self.longest(|round| round.calm));
        for (kind, (rounds, still)) in self.by_kind() {
            line(&kind.to_string(), rounds, still);
        }
        line("in all", rounds, self.longest(|round| round.calm.or_longer(round.hit)));
        let Counts { acknowledged, acknowledged_rows, reads, unknown, compared, .. } = self.counts;
        let Counts { disk_full, failed, retried, repeats, .. } = self.counts;
        let _ = writeln!(out, "\n  acknowledged  {acknowledged} writes of {acknowledged_rows} rows");
        let _ = writeln!(out, "  failed        {failed} tries, and {disk_full} refused for a full disk;");
        let _ = writeln!(
            out,
            "                {unknown} of them left as they were: happened or not, but not twice"
        );
        if self.named {
            let _ = writeln!(out, "  sent again    {retried} until they were answered, {repeats} after that");
        }
        let _ = writeln!(out, "  read          {reads} times under load, {compared} rows compared at rest");
        for broken in [Broken::Lost, Broken::Repeated, Broken::Stray, Broken::Torn, Broken::Stale] {
            let _ = writeln!(out, "  {:<12}  {}", broken.to_string(), self.count(broken));
        }
        if !self.violations.is_empty() {
            out.push('\n');
        }
        for violation in self.violations.iter().take(TOLD_MAX) {
            let _ = writeln!(out, "  {violation}");
        }
        for path in &self.kept {
            let _ = writeln!(out, "\n  kept: {}", path.display());
        }
        let _ = writeln!(out, "\n  {}", self.verdict());
        out
    }

    /// For machines: one object.
    pub(super) fn json(&self) -> Value {
        let still = |still: Still| json!({"writes_ms": still.writes.as_secs_f64() * 1e3, "reads_ms": still.reads.as_secs_f64() * 1e3});
        let faults = self.by_kind().into_iter().map(|(kind, (rounds, longest))| {
            json!({"fault": kind, "rounds": rounds, "longest_interruption": still(longest)})
        });
        json!({
            "seed": self.seed,
            "clients": self.clients,
            "named_requests": self.named,
            "seconds": self.took.as_secs_f64(),
            "rounds": self.rounds.len(),
            "faults": faults.collect::<Vec<_>>(),
            "longest_without_fault": still(self.longest(|round| round.calm)),
            "longest_interruption": still(self.longest(|round| round.calm.or_longer(round.hit))),
            "counts": self.counts,
            "lost": self.count(Broken::Lost),
            "repeated": self.count(Broken::Repeated),
            "stray": self.count(Broken::Stray),
            "torn": self.count(Broken::Torn),
            "stale": self.count(Broken::Stale),
            "first": self.violations.iter().take(TOLD_MAX).collect::<Vec<_>>(),
            "kept": self.kept,
            "good": self.is_good(),
            "verdict": self.verdict(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let fault = Fault {
            kind: FaultKind::Kill,
            after: Duration::from_millis(300),
            span: Duration::ZERO,
            killed: false,
        };
        let still = |millis| Still {
            writes: Duration::from_millis(millis),
            reads: Duration::from_millis(millis / 2),
        };
        let paused = Fault { kind: FaultKind::Pause, ..fault };
        let rounds = [(fault, 400), (paused, 900), (fault, 250)].map(|(fault, millis)| Round {
            fault,
            calm: still(10),
            hit: still(millis),
        });
        Report {
            seed: 7,
            clients: 4,
            named: true,
            took: Duration::from_secs(9),
            rounds: rounds.to_vec(),
            counts: Counts { acknowledged: 12_345, ..Counts::default() },
            violations: Vec::new(),
            ended: None,
            kept: Vec::new(),
        }
    }

    #[test]
    fn the_longest_interruption_stands_for_each_fault_and_for_all() {
        let report = report();
        assert!(report.is_good());
        let text = report.text();
        let line =
            |start: &str| text.lines().find(|line| line.trim_start().starts_with(start)).unwrap().to_owned();
        assert_eq!(line("kill"), "  kill                   2             0.400 s        0.200 s");
        assert_eq!(line("in all"), "  in all                 3             0.900 s        0.450 s");
        assert!(text.ends_with("\n  nothing lost, nothing repeated\n"), "{text}");
        let json = report.json();
        assert_eq!(json["faults"][1]["longest_interruption"]["writes_ms"], 900.0);
        assert_eq!((&json["good"], &json["counts"]["acknowledged"]), (&json!(true), &json!(12_345)));
    }

    #[test]
    fn what_was_lost_is_named() {
        let mut report = report();
        report.violations = vec![
            Violation::new(Broken::Lost, 3, "there is no row"),
            Violation::new(Broken::Repeated, 4, "it is there twice"),
        ];
        report.kept = vec![PathBuf::from("/tmp/kept")];
        assert!(!report.is_good());
        assert_eq!(report.verdict(), "1 lost, 1 repeated");
        let text = report.text();
        assert!(text.contains("lost: the row with key 3: there is no row\n"), "{text}");
        assert!(text.contains("kept: /tmp/kept"), "{text}");
        report.ended = Some("no answers".to_owned());
        assert_eq!(report.verdict(), "1 lost, 1 repeated; no answers");
        assert_eq!(report.json()["repeated"], 1);
    }
}
