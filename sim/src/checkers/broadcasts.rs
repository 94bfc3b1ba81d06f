//! C2: a broadcast is in each of its targets exactly once, and two that lock the same thing are in one order
//! everywhere.

use std::collections::BTreeMap;

use cinclus_types::{BroadcastId, MessageId, VChannel};

use super::{Evidence, Finding};

/// Where the copies of a broadcast are.
#[derive(Default)]
struct Copies {
    targets: Vec<VChannel>,
    keys: Vec<(i32, String, bool)>,
    /// The places in the logs of the VChannels, in their order.
    found: Vec<(VChannel, MessageId)>,
}

/// A broadcast that locks a key, and whether others may hold it too.
type Holder<'a> = (BroadcastId, bool, &'a Copies);

/// Looks at every broadcast that reached a log. Runs end when no change is under way.
#[must_use]
pub fn check(evidence: &Evidence) -> Vec<Finding> {
    let mut broadcasts: BTreeMap<BroadcastId, Copies> = BTreeMap::new();
    for message in evidence.logs.values().flatten() {
        let (Some(header), Some(vchannel)) = (message.broadcast(), message.vchannel()) else { continue };
        let copies = broadcasts.entry(header.id).or_default();
        copies.targets.clone_from(&header.vchannels);
        let key =
            |key: &cinclus_types::message::ResourceKey| (key.domain.number(), key.key.clone(), key.shared);
        copies.keys = header.resource_keys.iter().map(key).collect();
        copies.found.push((vchannel.clone(), message.id()));
    }
    let mut findings = Vec::new();
    for (id, copies) in &broadcasts {
        evidence.tally.count("checked: broadcasts");
        for target in &copies.targets {
            let count = copies.found.iter().filter(|(vchannel, _)| vchannel == target).count();
            if count != 1 && evidence.drained {
                findings.push(Finding::new("C2", format!("broadcast {id} is {count} times in {target}")));
            }
        }
    }
    findings.extend(orders(evidence, &broadcasts));
    findings
}

/// Any two that exclude each other, by the channels that they share.
fn orders(evidence: &Evidence, broadcasts: &BTreeMap<BroadcastId, Copies>) -> Vec<Finding> {
    let mut by_key: BTreeMap<(i32, &str), Vec<Holder<'_>>> = BTreeMap::new();
    for (id, copies) in broadcasts {
        for (domain, key, shared) in &copies.keys {
            by_key.entry((*domain, key.as_str())).or_default().push((*id, *shared, copies));
        }
    }
    let mut findings = Vec::new();
    for ((_, key), holders) in by_key {
        for (at, (one, one_shares, one_copies)) in holders.iter().enumerate() {
            for (other, other_shares, other_copies) in &holders[at + 1..] {
                if *one_shares && *other_shares {
                    continue;
                }
                evidence.tally.count("checked: orders of broadcasts");
                let places = |(vchannel, id): &(VChannel, MessageId)| {
                    let there = other_copies.found.iter().find(|(channel, _)| channel == vchannel)?;
                    Some((vchannel.clone(), *id, there.1))
                };
                let places: Vec<_> = one_copies.found.iter().filter_map(places).collect();
                let before = places.iter().filter(|(_, one, other)| one < other).count();
                if before != 0 && before != places.len() {
                    let text =
                        format!("{one} and {other}, both of {key}, are in different orders: {places:?}");
                    findings.push(Finding::new("C2", text));
                }
            }
        }
    }
    findings
}
