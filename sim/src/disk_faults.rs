//! Failures of the disk of a standalone server: errors, a full disk, slow syncs.

use std::time::Duration;

use cinclus_env::Random;
use cinclus_env::disk::{Fault, FaultError, FaultOperation, MemoryDisk};

use crate::tally::Tally;

/// Plans what fails in a life; says whether anything does.
pub fn plan(disk: &MemoryDisk, random: &Random, sync_delay: Duration, tally: &Tally) -> bool {
    disk.set_sync_delay(sync_delay);
    if !random.chance(0.35) {
        return false;
    }
    if random.chance(0.3) {
        tally.count("fault slow syncs");
        disk.set_sync_delay(Duration::from_millis(random.range(20..400)));
    }
    let operations = [
        FaultOperation::Create,
        FaultOperation::Read,
        FaultOperation::Write,
        FaultOperation::Sync,
        FaultOperation::Sync,
        FaultOperation::SyncDir,
        FaultOperation::Rename,
        FaultOperation::Remove,
    ];
    for _ in 0..random.range(0..5) {
        let operation = operations[random.range(0..operations.len() as u64) as usize];
        let full = matches!(operation, FaultOperation::Write | FaultOperation::Create) && random.chance(0.5);
        let fault = Fault {
            operation,
            path_contains: ["wal", "objects", ""][random.range(0..3) as usize].to_owned(),
            error: if full { FaultError::OutOfSpace } else { FaultError::Io },
            after: random.range(0..1 + random.range(0..300)) as u32,
            times: 1 + random.range(0..3) as u32,
        };
        tally.count("fault disk errors planned");
        disk.inject(fault);
    }
    true
}

/// Ends all of it.
pub fn clear(disk: &MemoryDisk) {
    disk.clear_faults();
}
