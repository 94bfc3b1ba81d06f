//! The writer's end of a pipe.

use std::sync::Arc;

use async_trait::async_trait;

use super::pipe::Pipe;
use crate::ack::AppendAck;
use crate::error::LogError;
use crate::record::Record;
use crate::storage::LogWriter;
use crate::woodpecker::batch;

pub(super) struct LocalWriter {
    pub(super) pipe: Arc<Pipe>,
    pub(super) batch_bytes_max: u64,
}

#[async_trait]
impl LogWriter for LocalWriter {
    fn append(&mut self, batch: Vec<Record>) -> AppendAck {
        let bytes = batch::encoded_len(&batch);
        if bytes > self.batch_bytes_max {
            return AppendAck::ready(Err(LogError::TooLarge { bytes, max: self.batch_bytes_max }));
        }
        self.pipe.append(batch::encode(batch, bytes))
    }

    fn in_flight_bytes(&self) -> u64 {
        self.pipe.in_flight_bytes()
    }

    async fn close(self: Box<Self>) -> Result<(), LogError> {
        self.pipe.close().await
    }
}

impl Drop for LocalWriter {
    fn drop(&mut self) {
        self.pipe.kill(LogError::Closed);
    }
}
