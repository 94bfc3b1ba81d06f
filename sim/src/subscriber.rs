//! Reads a log as its clients do: over all its owners, from its beginning or from where it stopped.

use std::time::Duration;

use cinclus_client::LogClient;
use cinclus_env::{Random, timeout};
use cinclus_rpc::{ConsumeError, ScanFilter, ScanFrom};
use cinclus_types::{PChannel, Tick};

use crate::checkers::readers::Read;
use crate::scene::Scene;

/// Somebody who reads a log.
pub struct Subscriber {
    /// What it was given.
    pub read: Read,
    /// The log.
    pub channel: PChannel,
    /// Its chance.
    pub random: Random,
    /// It came too late, and was told so.
    pub too_late: bool,
}

impl Subscriber {
    /// A reader of a log from its beginning.
    #[must_use]
    pub fn new(number: u64, channel: &PChannel, random: Random) -> Subscriber {
        let read = Read { number, channel: Some(channel.clone()), ..Read::default() };
        Subscriber { read, channel: channel.clone(), random, too_late: false }
    }

    /// Reads on until it was told `upto`; begins a new subscription at its checkpoint now and then.
    ///
    /// # Errors
    /// What ends a subscription for good, but being too late.
    pub async fn follow(&mut self, logs: &LogClient, scene: &Scene, upto: Tick) -> Result<(), ConsumeError> {
        while self.read.told() < upto && !self.too_late {
            let from = self.read.checkpoint.map_or(ScanFrom::Earliest, ScanFrom::Checkpoint);
            let mut consumer = logs.consume(&self.channel, from, ScanFilter::default())?;
            for _ in 0..1 + self.random.range(0..80) {
                if self.read.told() >= upto {
                    return Ok(());
                }
                // Slow only as long as there is no end to come to.
                if upto == Tick::MAX && self.random.range(0..8) == 0 {
                    scene.clock.sleep(Duration::from_millis(self.random.range(0..1_500))).await;
                }
                match timeout(&*scene.clock, Duration::from_secs(2), consumer.next()).await {
                    Ok(Ok(delivery)) => {
                        self.read.take(&delivery);
                        scene.note(format_args!("subscriber {} has {}", self.read.number, delivery.tick));
                    }
                    Ok(Err(ConsumeError::Truncated { .. })) => {
                        scene.tally.count("readers that came too late");
                        self.too_late = true;
                        return Ok(());
                    }
                    Ok(Err(ConsumeError::Unavailable(_))) | Err(_) => break,
                    Ok(Err(error)) => return Err(error),
                }
            }
            scene.clock.sleep(Duration::from_millis(1 + self.random.range(0..50))).await;
        }
        Ok(())
    }
}
