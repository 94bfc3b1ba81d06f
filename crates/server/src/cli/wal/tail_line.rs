//! How a followed message is printed.

use cinclus_rpc::Delivery;
use cinclus_types::message::{Header, Message};
use serde_json::json;

use super::show;
use super::tail_from::checkpoint_text;

/// How many rows or keys a message has.
fn rows(message: &Message) -> Option<u64> {
    if let Header::Insert { rows, .. } | Header::Delete { rows, .. } = message.header() {
        Some(*rows)
    } else {
        None
    }
}

/// The lines of a delivery: one for each message. Only the last one says from where to go on: the messages of a
/// transaction belong together.
pub(super) fn lines(delivery: &Delivery, as_json: bool) -> Vec<String> {
    let last = delivery.messages.len().saturating_sub(1);
    let numbered = delivery.messages.iter().enumerate();
    numbered
        .map(|(at, message)| {
            let resume = (at == last).then(|| checkpoint_text(delivery.checkpoint));
            if as_json { json_line(delivery, message, resume) } else { text_line(delivery, message, resume) }
        })
        .collect()
}

fn text_line(delivery: &Delivery, message: &Message, resume: Option<String>) -> String {
    let vchannel = message.vchannel().map_or("all VChannels", |vchannel| vchannel.name());
    let (tick, id) = (delivery.tick, message.id());
    let mut line = format!("{tick} {} · {id} · {vchannel} · {}", show::time(tick), message.kind());
    if let Some(rows) = rows(message) {
        line += &format!(" {rows} rows,");
    }
    line += &format!(" {} bytes", message.payload().len());
    if let Some(txn) = message.txn() {
        line += &format!(" · transaction {}", txn.txn.0);
    }
    if let Some(resume) = resume {
        line += &format!(" · resume {resume}");
    }
    line
}

fn json_line(delivery: &Delivery, message: &Message, resume: Option<String>) -> String {
    json!({
        "tick": delivery.tick.0,
        "time": show::time(delivery.tick),
        "id": message.id().to_string(),
        "vchannel": message.vchannel().map(|vchannel| vchannel.name().to_owned()),
        "kind": message.kind().to_string(),
        "rows": rows(message),
        "bytes": message.payload().len(),
        "transaction": message.txn().map(|txn| txn.txn.0),
        "resume": resume,
    })
    .to_string()
}
