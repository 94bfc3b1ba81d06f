//! The conformance suite and a random model on an object storage that fails.

use std::time::Duration;

use cinclus_env::Random;
use cinclus_log_storage::conformance::race::History;
use cinclus_log_storage::conformance::{channel, read_from};
use cinclus_log_storage::{DynLogStorage, LogError, LogWriter, StoredRecord};
use cinclus_types::MessageId;

use crate::store::Plan;
use crate::world::{World, options, seen_by};

/// A storage whose calls fail now and then and are slow now and then.
async fn shaky(seed: u64, segment_bytes: u64) -> World {
    let world = World::new(seed, |config| {
        config.roll.bytes_max = segment_bytes;
        config.tries = 20;
        config.retry_pause = Duration::from_micros(1);
    });
    let plan = Plan {
        put_before: 0.1,
        put_after: 0.1,
        read: 0.1,
        delete_before: 0.1,
        delete_after: 0.1,
        delay_max: Duration::from_micros(200),
        list_delay: Duration::from_micros(200),
        ..Plan::default()
    };
    world.with_faults(plan).await
}

mod conformance_with_faults {
    use super::*;
    cinclus_log_storage::log_storage_conformance!(shaky(1, 256_000_000));
}

mod conformance_with_faults_and_tiny_segments {
    use super::*;
    cinclus_log_storage::log_storage_conformance!(shaky(2, 500));
}

/// One run of random operations on storages that fail often and for good.
struct Run {
    world: World,
    random: Random,
    processes: Vec<DynLogStorage>,
    writer: Option<(u64, u64, Box<dyn LogWriter>)>,
    writers: u64,
    history: History,
    earliest: MessageId,
}

impl Run {
    async fn new(seed: u64) -> Run {
        let world = World::new(seed, |config| {
            config.block_bytes_max = 150;
            config.roll.bytes_max = 1_000;
            config.roll_blocks_max = 12;
            config.uploads_max = 4;
            config.tries = 2;
            config.reads_max = 3;
            config.compact_bytes_max = 2_000;
        });
        let processes = vec![world.process(seed).await, world.process(seed + 1).await];
        let random = Random::seeded(seed).fork("model");
        let (history, earliest) = (History::default(), MessageId::EARLIEST);
        Run { world, random, processes, writer: None, writers: 0, history, earliest }
    }

    fn shake(&self) {
        let chance = |max: f64| if self.random.chance(0.5) { self.random.fraction() * max } else { 0.0 };
        self.world.store.set(Plan {
            put_before: chance(0.3),
            put_after: chance(0.3),
            read: chance(0.3),
            delete_before: chance(0.3),
            delete_after: chance(0.3),
            delay_min: Duration::ZERO,
            delay_max: Duration::from_millis(self.random.range(0..20)),
            list_delay: Duration::from_millis(self.random.range(0..20)),
            unconditional: false,
        });
        self.world.meta.set(chance(0.3), chance(0.3));
    }

    fn steady(&self) {
        self.world.store.set(Plan::default());
        self.world.meta.set(0.0, 0.0);
    }

    fn process(&self) -> &DynLogStorage {
        &self.processes[self.random.range(0..self.processes.len() as u64) as usize]
    }

    async fn step(&mut self) {
        match self.random.range(0..10) {
            0 => self.shake(),
            1 | 2 => self.open().await,
            3 => self.truncate().await,
            4 => self.read().await,
            5 if self.writer.is_some() => {
                let (_, _, writer) = self.writer.take().unwrap();
                // Closed or dropped.
                if self.random.chance(0.5) {
                    let _ = writer.close().await;
                }
            }
            _ => self.append().await,
        }
    }

    async fn open(&mut self) {
        let opened = self.process().open_writer(&channel(), options(self.writers as i64)).await;
        match opened {
            Ok(writer) => {
                self.writer = Some((self.writers, 0, writer));
                self.writers += 1;
            }
            Err(LogError::Unavailable(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }

    async fn append(&mut self) {
        let Some((writer, next, open)) = &mut self.writer else { return };
        let mut waiting = Vec::new();
        for _ in 0..self.random.range(1..30) {
            waiting.push((*next, open.append(History::record(*writer, *next))));
            *next += 1;
        }
        let mut dead = None;
        for (number, ack) in waiting {
            match (ack.await, &dead) {
                (Ok(ids), None) => {
                    self.history.acked.insert(ids[0], History::text(*writer, number));
                }
                (Ok(ids), Some(error)) => panic!("{ids:?} acknowledged after {error}"),
                (Err(error), _) => dead = Some(error),
            }
        }
        if let Some(error) = dead {
            assert!(matches!(error, LogError::Fenced | LogError::Unavailable(_)), "{error}");
            if self.random.chance(0.5) {
                self.writer = None;
            }
        }
    }

    async fn truncate(&mut self) {
        let Some(point) = self.history.acked.keys().nth(self.random.range(0..50) as usize).copied() else {
            return;
        };
        // Either way it may have happened.
        self.earliest = self.earliest.max(point);
        match self.process().truncate(&channel(), point).await {
            Ok(()) | Err(LogError::Unavailable(_) | LogError::Fenced) => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// What a reader gives is in the log, whether it comes to the end or not.
    async fn read(&mut self) {
        let from = self.earliest;
        let mut reader = match self.process().read(&channel(), from).await {
            Ok(reader) => reader,
            Err(LogError::Unavailable(_) | LogError::NotFound(_)) => return,
            Err(error) => panic!("{error}"),
        };
        let mut found = Vec::new();
        loop {
            match reader.next().await {
                Ok(Some(record)) => found.push(record),
                Ok(None) | Err(LogError::Unavailable(_)) => break,
                Err(error) => panic!("{error}"),
            }
        }
        self.steady();
        let later = seen_by(&self.world, 99, from).await;
        let differ = found.iter().zip(&later).position(|(one, other)| one != other);
        let at = differ.unwrap_or(found.len().min(later.len()));
        let around = |records: &[StoredRecord]| {
            let from = at.saturating_sub(1).min(records.len());
            let shown = &records[from..records.len().min(at + 2)];
            let text = |found: &StoredRecord| {
                (found.id, String::from_utf8_lossy(&found.record.payload).into_owned())
            };
            shown.iter().map(text).collect::<Vec<_>>()
        };
        assert!(
            later.starts_with(&found),
            "seed {}: {} records were read and {} are there; {:?} and {:?}",
            self.random.seed(),
            found.len(),
            later.len(),
            around(&found),
            around(&later)
        );
    }

    async fn check(&mut self) {
        self.steady();
        self.history.check(self.earliest, &seen_by(&self.world, 98, self.earliest).await);
        self.writer = None;
        let process = self.world.process(97).await;
        let _writer = process.open_writer(&channel(), options(self.writers as i64)).await.unwrap();
        self.writers += 1;
        self.history.check(self.earliest, &read_from(&process, self.earliest).await);
    }
}

#[tokio::test(start_paused = true)]
async fn no_acknowledged_record_is_lost_whatever_fails() {
    let mut acked = 0;
    for seed in 0..80 {
        let mut run = Run::new(seed).await;
        run.open().await;
        for _ in 0..60 {
            run.step().await;
        }
        run.check().await;
        acked += run.history.acked.len();
    }
    assert!(acked > 3_000, "{acked}");
}
