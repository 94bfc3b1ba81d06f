//! A log storage behind a seam.

use async_trait::async_trait;
use cinclus_log_storage::{
    AckSender, AppendAck, DynLogStorage, LogError, LogReader, LogStorage, LogWriter, OpenOptions, Record,
    StoredRecord,
};
use cinclus_types::{MessageId, PChannel};

use crate::member::{Condition, Member};

/// A log storage as one member reaches it.
pub struct SeamLog {
    /// The storage itself.
    pub inner: DynLogStorage,
    /// Who asks.
    pub member: Member,
}

#[async_trait]
impl LogStorage for SeamLog {
    async fn open_writer(
        &self,
        channel: &PChannel,
        options: OpenOptions,
    ) -> Result<Box<dyn LogWriter>, LogError> {
        self.member.before(format!("opens a writer of {channel}, term {}", options.term)).await;
        let inner = self.inner.open_writer(channel, options).await?;
        self.member.after().await;
        let (member, channel) = (self.member.clone(), channel.clone());
        Ok(Box::new(SeamWriter { inner, member, channel, unanswered: Vec::new() }))
    }

    async fn read(&self, channel: &PChannel, from: MessageId) -> Result<Box<dyn LogReader>, LogError> {
        self.member.pass().await;
        let inner = self.inner.read(channel, from).await?;
        Ok(Box::new(SeamReader { inner, member: self.member.clone() }))
    }

    async fn truncate(&self, channel: &PChannel, upto: MessageId) -> Result<(), LogError> {
        self.member.before(format!("truncates {channel} up to {upto}")).await;
        self.inner.truncate(channel, upto).await?;
        self.member.after().await;
        Ok(())
    }

    async fn earliest(&self, channel: &PChannel) -> Result<MessageId, LogError> {
        self.member.pass().await;
        self.inner.earliest(channel).await
    }

    async fn channels(&self) -> Result<Vec<PChannel>, LogError> {
        self.member.pass().await;
        self.inner.channels().await
    }

    async fn available_bytes(&self) -> Result<Option<u64>, LogError> {
        self.inner.available_bytes().await
    }
}

struct SeamWriter {
    inner: Box<dyn LogWriter>,
    member: Member,
    channel: PChannel,
    /// Of appends that the dead believe to have made.
    unanswered: Vec<AckSender>,
}

#[async_trait]
impl LogWriter for SeamWriter {
    fn append(&mut self, batch: Vec<Record>) -> AppendAck {
        let member = &self.member;
        member.scene.note(format_args!("{} appends {} to {}", member.name, batch.len(), self.channel));
        if member.condition() == Condition::Dead {
            let (sender, ack) = AppendAck::pair();
            self.unanswered.push(sender);
            return ack;
        }
        self.inner.append(batch)
    }

    fn in_flight_bytes(&self) -> u64 {
        self.inner.in_flight_bytes()
    }

    async fn close(self: Box<Self>) -> Result<(), LogError> {
        self.member.pass().await;
        self.inner.close().await
    }
}

struct SeamReader {
    inner: Box<dyn LogReader>,
    member: Member,
}

#[async_trait]
impl LogReader for SeamReader {
    async fn next(&mut self) -> Result<Option<StoredRecord>, LogError> {
        self.member.pass().await;
        self.inner.next().await
    }

    async fn next_batch(&mut self) -> Result<Vec<StoredRecord>, LogError> {
        self.member.pass().await;
        self.inner.next_batch().await
    }
}
