//! `cinclus wal verify`.

use std::io::Write;
use std::path::Path;

use anyhow::bail;
use cinclus_env::{DynDisk, Env};
use cinclus_log_storage::LogError;
use cinclus_log_storage::woodpecker::local::inspect::{BlockReport, LogReport, SegmentReport, Shape};
use cinclus_types::{MessageId, Tick};

use super::args::VerifyArgs;
use super::{place, show};

/// Checks everything; an error says how much is wrong.
pub(super) async fn verify(args: &VerifyArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let env = Env::os();
    let mut findings = 0;
    let mut entries = 0;
    for log in place::find_logs(&env.disk, &args.place).await? {
        writeln!(out, "{}", show::log_line(&log))?;
        let mut check = LogCheck { disk: &env.disk, last_tick: None, unfinished: None, findings: Vec::new() };
        for segment in &log.segments {
            entries += check.segment(segment).await?;
        }
        for finding in &check.findings {
            writeln!(out, "  {finding}")?;
        }
        if check.findings.is_empty() {
            writeln!(out, "  whole")?;
        } else if let Some(command) = repair_command(&log, &args.place.dir, &check.findings) {
            writeln!(out, "  {command}")?;
        }
        findings += check.findings.len();
    }
    if findings > 0 {
        out.flush()?;
        bail!("{findings} findings in {entries} whole messages");
    }
    writeln!(out, "{entries} messages, every checksum right")?;
    Ok(())
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Finding {
    /// Bytes are damaged: the log does not open.
    Damage { segment: u64, block: u64, reason: String },
    /// Bytes are whole and say something that cannot be.
    Wrong { segment: u64, entry: u64, what: String },
    /// A segment in the middle has no end.
    NoFooter { segment: u64 },
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Finding::Damage { segment, block, reason } => {
                write!(f, "DAMAGED from block {segment}/{block} on: {reason}")
            }
            Finding::Wrong { segment, entry, what } => write!(f, "WRONG entry {segment}/{entry}: {what}"),
            Finding::NoFooter { segment } => {
                write!(f, "DAMAGED segment {segment}: it has no footer, and later segments have records")
            }
        }
    }
}

/// One log that is being checked, segment by segment.
struct LogCheck<'a> {
    disk: &'a DynDisk,
    last_tick: Option<Tick>,
    /// The last segment, if it had no footer.
    unfinished: Option<SegmentReport>,
    findings: Vec<Finding>,
}

impl LogCheck<'_> {
    /// Checks one segment, and says how many entries it has.
    async fn segment(&mut self, segment: &SegmentReport) -> anyhow::Result<u64> {
        let Some(mut walk) = place::walk(self.disk, segment).await? else { return Ok(0) };
        let mut entries = 0;
        loop {
            match walk.next_block().await {
                Ok(Some(block)) => {
                    entries += block.records.len() as u64;
                    self.block(segment.id, &block);
                }
                Ok(None) => break,
                Err(LogError::Corrupt { segment, block, reason, .. }) => {
                    self.findings.push(Finding::Damage { segment, block, reason });
                    return Ok(entries);
                }
                Err(error) => return Err(error.into()),
            }
        }
        if entries > 0 {
            self.check_earlier().await?;
        }
        self.unfinished = match walk.shape() {
            Shape::Unfinished { .. } => Some(segment.clone()),
            Shape::Empty if self.unfinished.is_some() => self.unfinished.take(),
            Shape::Empty | Shape::Finished | Shape::Damaged { .. } => None,
        };
        Ok(entries)
    }

    /// A later segment has records: the one before must have its footer. A running server may have written
    /// it since we looked.
    async fn check_earlier(&mut self) -> anyhow::Result<()> {
        let Some(earlier) = self.unfinished.take() else { return Ok(()) };
        let Some(mut walk) = place::walk(self.disk, &earlier).await? else { return Ok(()) };
        while walk.next_block().await?.is_some() {}
        if walk.shape() != Shape::Finished {
            self.findings.push(Finding::NoFooter { segment: earlier.id });
        }
        Ok(())
    }

    fn block(&mut self, segment: u64, block: &BlockReport) {
        for (entry, record) in (block.first_entry..).zip(&block.records) {
            let wrong = |what: String| Finding::Wrong { segment, entry, what };
            match show::message(MessageId::from_parts(0, segment, entry), record) {
                Ok(message) => {
                    // Invariant W1.
                    let tick = message.tick();
                    if self.last_tick.is_some_and(|last| tick <= last) {
                        let last = self.last_tick.unwrap_or_default();
                        self.findings.push(wrong(format!("tick {tick} stands behind tick {last}")));
                    }
                    self.last_tick = Some(tick);
                }
                Err(error) => self.findings.push(wrong(format!("not a message: {error}"))),
            }
        }
    }
}

/// What to do about the first damage.
fn repair_command(log: &LogReport, dir: &Path, findings: &[Finding]) -> Option<String> {
    let channel = log.channel.as_ref()?;
    let found = findings.iter().find_map(|finding| match finding {
        Finding::Damage { segment, block, .. } => Some((segment, block)),
        Finding::Wrong { .. } | Finding::NoFooter { .. } => None,
    });
    let (segment, block) = found?;
    Some(format!(
        "to see what giving it up would lose: cinclus wal repair {} --channel {channel} --drop-after {segment}/{block}",
        dir.display()
    ))
}
