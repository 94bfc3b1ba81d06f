//! Where a subscription starts, and what it gets: Milvus' policies and filters to and from ours.

use cinclus_types::message::Kind;
use cinclus_types::{Checkpoint, PChannel, Tick, VChannel};

use super::message::{checkpoint_of, checkpoint_wire, id_of};
use super::proto::deliver_filter::Filter;
use super::proto::deliver_policy::Policy;
use super::proto::start::From;
use super::proto::{
    CreateVChannelConsumerRequest, DeliverFilter, DeliverFilterMessageType, DeliverPolicy, Empty, Start,
};
use crate::{ScanFilter, ScanFrom, Subscription};

/// A subscription, and the tick up to which nothing is wanted although it may be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) subscription: Subscription,
    pub(super) after: Tick,
    pub(super) batches: bool,
    pub(super) short_checkpoints: bool,
}

/// What a client asks for.
pub(super) fn wanted(
    channel: &PChannel,
    mut request: CreateVChannelConsumerRequest,
) -> Result<Wanted, String> {
    let vchannel =
        Some(std::mem::take(&mut request.vchannel)).filter(|name| !name.is_empty() && name != channel.name());
    let mut filter = ScanFilter { vchannel: vchannel.map(VChannel::new), kinds: None };
    let mut after = Tick::ZERO;
    for wire in std::mem::take(&mut request.deliver_filters) {
        match wire.filter {
            Some(Filter::TimeTickGt(gt)) => after = after.max(Tick(gt.time_tick)),
            Some(Filter::TimeTickGte(gte)) => after = after.max(Tick(gte.time_tick.saturating_sub(1))),
            Some(Filter::MessageType(only)) => {
                // Kinds that Cinclus never writes are in no log of ours.
                let kinds = only.message_types.into_iter().filter_map(Kind::from_number);
                filter.kinds.get_or_insert_default().extend(kinds);
            }
            None => return Err("a deliver filter without a filter".to_owned()),
        }
    }
    let from = match request.start.take().and_then(|start| start.from) {
        Some(From::Checkpoint(checkpoint)) => ScanFrom::Checkpoint(checkpoint_of(checkpoint)?),
        Some(From::Tick(tick)) => ScanFrom::Tick(Tick(tick)),
        None => from_policy(request.deliver_policy.take(), after)?,
    };
    let CreateVChannelConsumerRequest { batches, short_checkpoints, .. } = request;
    Ok(Wanted { subscription: Subscription { from, filter }, after, batches, short_checkpoints })
}

fn from_policy(policy: Option<DeliverPolicy>, after: Tick) -> Result<ScanFrom, String> {
    let text = |error: cinclus_types::message::CodecError| format!("the deliver policy: {error}");
    match policy.and_then(|policy| policy.policy) {
        Some(Policy::All(Empty {})) if after > Tick::ZERO => Ok(ScanFrom::Tick(after)),
        Some(Policy::All(Empty {})) => Ok(ScanFrom::Earliest),
        Some(Policy::Latest(Empty {})) => Ok(ScanFrom::Latest),
        // Invariant W10. A last confirmed id and a tick are a checkpoint.
        Some(Policy::StartFrom(id)) => {
            Ok(ScanFrom::Checkpoint(Checkpoint { resume: id_of(&id, 0).map_err(text)?, tick: after }))
        }
        Some(Policy::StartAfter(id)) => {
            Ok(ScanFrom::Checkpoint(Checkpoint { resume: id_of(&id, 0).map_err(text)?.next(), tick: after }))
        }
        None => Err("there is no deliver policy".to_owned()),
    }
}

/// What to ask for.
pub(super) fn request(subscription: &Subscription) -> CreateVChannelConsumerRequest {
    let Subscription { from, filter } = subscription;
    let policy = if *from == ScanFrom::Latest { Policy::Latest(Empty {}) } else { Policy::All(Empty {}) };
    let start = match from {
        ScanFrom::Earliest | ScanFrom::Latest => None,
        ScanFrom::Checkpoint(checkpoint) => Some(From::Checkpoint(checkpoint_wire(*checkpoint))),
        ScanFrom::Tick(tick) => Some(From::Tick(tick.0)),
    };
    let kinds = filter.kinds.as_ref().map(|kinds| DeliverFilter {
        filter: Some(Filter::MessageType(DeliverFilterMessageType {
            message_types: kinds.iter().map(|kind| kind.number()).collect(),
        })),
    });
    CreateVChannelConsumerRequest {
        vchannel: filter.vchannel.as_ref().map(|vchannel| vchannel.name().to_owned()).unwrap_or_default(),
        deliver_policy: Some(DeliverPolicy { policy: Some(policy) }),
        deliver_filters: kinds.into_iter().collect(),
        ignore_pause_consumption: false,
        start: start.map(|from| Start { from: Some(from) }),
        batches: true,
        short_checkpoints: true,
    }
}

#[cfg(test)]
mod tests {
    use cinclus_types::MessageId;

    use super::super::message::id_wire;
    use super::super::proto::{DeliverFilterTimeTickGt, DeliverFilterTimeTickGte};
    use super::*;

    #[test]
    fn our_own_subscriptions_arrive_as_they_were_sent() {
        let channel = PChannel::new("p_0");
        let checkpoint = Checkpoint { resume: MessageId::from_parts(2, 7, 9), tick: Tick(70) };
        let kinds = Some(vec![Kind::Insert, Kind::Delete]);
        let filters = [ScanFilter::default(), ScanFilter { vchannel: Some(VChannel::new("p_0_7v0")), kinds }];
        let froms =
            [ScanFrom::Earliest, ScanFrom::Latest, ScanFrom::Tick(Tick(5)), ScanFrom::Checkpoint(checkpoint)];
        for (from, filter) in froms.into_iter().flat_map(|from| filters.clone().map(|filter| (from, filter)))
        {
            let subscription = Subscription { from, filter };
            let got = wanted(&channel, request(&subscription)).unwrap();
            let (batches, short_checkpoints) = (true, true);
            assert_eq!(got, Wanted { subscription, after: Tick::ZERO, batches, short_checkpoints });
        }
    }

    #[test]
    fn milvus_policies_and_filters_are_checkpoints_and_ticks() {
        let gt = |tick| Filter::TimeTickGt(DeliverFilterTimeTickGt { time_tick: tick });
        let gte = |tick| Filter::TimeTickGte(DeliverFilterTimeTickGte { time_tick: tick });
        let of = |policy, filters: Vec<Filter>| {
            let deliver_filters =
                filters.into_iter().map(|filter| DeliverFilter { filter: Some(filter) }).collect();
            let deliver_policy = Some(DeliverPolicy { policy: Some(policy) });
            let request =
                CreateVChannelConsumerRequest { deliver_policy, deliver_filters, ..Default::default() };
            wanted(&PChannel::new("p_0"), request).unwrap()
        };
        let id = MessageId::from_parts(0, 3, 4);
        let from = |wanted: Wanted| wanted.subscription.from;
        let at = |entry, tick| {
            ScanFrom::Checkpoint(Checkpoint { resume: MessageId::from_parts(0, 3, entry), tick: Tick(tick) })
        };
        assert_eq!(from(of(Policy::StartFrom(id_wire(id)), vec![gt(9)])), at(4, 9));
        assert_eq!(from(of(Policy::StartAfter(id_wire(id)), vec![gte(9)])), at(5, 8));
        assert_eq!(from(of(Policy::All(Empty {}), vec![])), ScanFrom::Earliest);
        assert_eq!(from(of(Policy::All(Empty {}), vec![gt(9)])), ScanFrom::Tick(Tick(9)));
        let latest = of(Policy::Latest(Empty {}), vec![gt(9), gte(20)]);
        assert_eq!((latest.after, from(latest)), (Tick(19), ScanFrom::Latest));
        let nothing = CreateVChannelConsumerRequest::default();
        assert!(wanted(&PChannel::new("p_0"), nothing).is_err());
    }
}
