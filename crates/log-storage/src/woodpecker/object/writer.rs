//! The writer's end of a pipe.

use std::sync::Arc;

use async_trait::async_trait;
use cinclus_types::PChannel;

use super::pipe::Pipe;
use super::shared::Shared;
use crate::ack::AppendAck;
use crate::error::LogError;
use crate::record::Record;
use crate::storage::LogWriter;
use crate::woodpecker::batch;
use crate::woodpecker::metadata::Fence;

pub(super) struct ObjectWriter {
    pub(super) shared: Arc<Shared>,
    pub(super) channel: PChannel,
    pub(super) fence: Fence,
    pub(super) pipe: Arc<Pipe>,
}

#[async_trait]
impl LogWriter for ObjectWriter {
    fn append(&mut self, batch: Vec<Record>) -> AppendAck {
        let (bytes, max) = (batch::encoded_len(&batch), self.shared.config.batch_bytes_max);
        if bytes > max {
            return AppendAck::ready(Err(LogError::TooLarge { bytes, max }));
        }
        self.pipe.append(batch::encode(batch, bytes))
    }

    fn in_flight_bytes(&self) -> u64 {
        self.pipe.in_flight_bytes()
    }

    async fn close(self: Box<Self>) -> Result<(), LogError> {
        let Some(segment) = self.pipe.close().await? else { return Ok(()) };
        self.pipe.put_footer(&segment).await?;
        let layout = segment.layout();
        let end = (layout.next_entry() as i64 - 1, layout.bytes());
        match self
            .shared
            .metadata
            .complete_segment(&self.channel, &self.fence, segment.id, end.0, end.1)
            .await
        {
            Ok(()) => Ok(()),
            Err(LogError::Fenced) => Err(LogError::Fenced),
            Err(error) => {
                // The records are durable and the segment has its footer: the next open completes it.
                tracing::warn!(channel = %self.channel, segment = segment.id, %error, "not completed yet");
                Ok(())
            }
        }
    }
}

impl Drop for ObjectWriter {
    fn drop(&mut self) {
        self.pipe.kill(LogError::Closed);
    }
}
