//! Memory is bounded: what the parts of the budget hold stays below its limit and what was on its way when it was
//! full, and the write-ahead buffers stay within theirs.

use cinclus_env::MemoryBudget;
use cinclus_wal::BufferBudget;

use super::Finding;
use crate::tally::Tally;

/// What is let in before it is counted: the requests of a few clients, each once as it came and once as rows.
const SLACK_BYTES: u64 = 8 << 10;

/// Looks at a process as it is now. `replayed` bytes of log were taken in without being asked for.
#[must_use]
pub fn check(memory: &MemoryBudget, buffer: &BufferBudget, replayed: u64, tally: &Tally) -> Vec<Finding> {
    tally.count("checked: memory");
    let mut findings = Vec::new();
    let (used, limit) = (memory.used(), memory.limit());
    let bound = limit.max(replayed);
    tally.most("most bytes beyond the memory bound", used.saturating_sub(bound));
    if used > bound.saturating_add(SLACK_BYTES) {
        let text = format!("{used} bytes are held, the limit is {limit}, {replayed} were replayed");
        findings.push(Finding::new("memory", text));
    }
    let (used, limit) = (buffer.used(), buffer.bytes_max());
    if used > limit {
        let text = format!("write-ahead buffers hold {used} bytes, the limit is {limit}");
        findings.push(Finding::new("memory", text));
    }
    findings
}
