//! Whole exchanges, byte by byte, as Milvus' contract has them.

use bytes::Bytes;
use cinclus_rpc::LogApi;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};

use crate::memory_log::{TERM, channel, delete};
use crate::raw::{RawCodec, entry, field, number};
use crate::world::World;

const PRODUCE: &str = "/milvus.proto.streaming.StreamingNodeHandlerService/Produce";
const CONSUME: &str = "/milvus.proto.streaming.StreamingNodeHandlerService/Consume";

/// The pchannel p_0 of term 3, in base64.
const P_0_OF_TERM_3: &str = "CgcKA3BfMBAD";

/// A stream of bytes in both directions.
async fn open(
    world: &World,
    path: &'static str,
    metadata: &[(&'static str, &'static str)],
) -> Result<(mpsc::Sender<Bytes>, Streaming<Bytes>), Status> {
    let connection: Channel = Endpoint::from_shared(world.address.clone()).unwrap().connect().await.unwrap();
    let mut calls = Grpc::new(connection);
    calls.ready().await.unwrap();
    let (send, queue) = mpsc::channel(8);
    let mut request = Request::new(ReceiverStream::new(queue));
    for (key, value) in metadata {
        request.metadata_mut().insert(*key, MetadataValue::from_static(value));
    }
    let answers = calls.streaming(request, PathAndQuery::from_static(path), RawCodec).await?;
    Ok((send, answers.into_inner()))
}

fn created() -> Vec<u8> {
    field(1, [field(1, "woodpecker"), number(2, 7)].concat())
}

/// A delete of one row, as its producer writes it.
fn properties() -> [(&'static str, &'static str); 4] {
    [("_h", "CAcQAQ=="), ("_t", "3"), ("_v", "1"), ("_vc", "p_0_7v0")]
}

#[tokio::test]
async fn a_producer_is_created_answered_and_closed() {
    let world = World::new().await;
    let (send, mut answers) = open(&world, PRODUCE, &[("create-producer", P_0_OF_TERM_3)]).await.unwrap();
    assert_eq!(answers.message().await.unwrap().unwrap(), created());

    let mut message = field(1, "keys");
    properties().iter().for_each(|(key, value)| message.extend(entry(2, key, value)));
    let produce = field(1, [number(1, 41), field(2, message)].concat());
    send.send(produce.into()).await.unwrap();
    send.send(field(2, "").into()).await.unwrap();

    // Segment 5, entry 1, of Woodpecker; tick 1001.
    let id = [field(1, "CAUQAQ=="), number(2, 4)].concat();
    // The first message of its log: its own id.
    let confirmed = id.clone();
    let own = [field(1000, "0/5/1"), field(1001, [0x84, 0x07])].concat();
    let result = [field(1, id), number(2, 1001), field(5, confirmed), own].concat();
    let answer = field(2, [number(1, 41), field(2, result)].concat());
    assert_eq!(answers.message().await.unwrap().unwrap(), answer);
    assert_eq!(answers.message().await.unwrap().unwrap(), field(3, ""));
    assert_eq!(answers.message().await.unwrap(), None);
    assert_eq!(world.log.deliveries()[0].messages[0].payload(), "keys");
}

#[tokio::test]
async fn a_consumer_gets_a_transaction_as_begin_bodies_and_commit() {
    let world = World::new().await;
    world.log.append(&channel(), TERM, vec![delete("one"), delete("two")]).await.unwrap();
    world.log.append(&channel(), TERM, vec![delete("alone")]).await.unwrap();
    let (send, mut answers) = open(&world, CONSUME, &[("create-consumer", P_0_OF_TERM_3)]).await.unwrap();
    assert_eq!(answers.message().await.unwrap().unwrap(), created());

    // All of the shard.
    let create = field(1, [field(1, "p_0_7v0"), field(2, field(1, ""))].concat());
    send.send(create.into()).await.unwrap();
    assert_eq!(answers.message().await.unwrap().unwrap(), field(3, number(1, 1)));

    let message = |entry_id: &str, payload: &str, kind: [(&str, &str); 3], rest: &[(&str, &str)]| {
        let mut all: Vec<(&str, &str)> = kind.to_vec();
        all.extend_from_slice(rest);
        all.extend([("_lcs", ""), ("_vc", "p_0_7v0"), ("_wt", "3")]);
        all.sort_unstable();
        let mut message = field(1, [field(1, entry_id), number(2, 4)].concat());
        if !payload.is_empty() {
            message.extend(field(2, payload));
        }
        for (key, value) in all {
            message.extend(entry(3, key, value));
        }
        field(2, message)
    };
    let checkpoint = |resume: &str, tick| field(1000, [field(1, resume), number(2, tick)].concat());
    // A transaction 1 of 10 s; ticks from 1001 on are `rt`, `ru`, … in base 36.
    let txn = ("_tx", "CAEQkE4=");
    let delete = [("_h", "CAcQAQ=="), ("_t", "3"), ("_v", "1")];
    let consume = |parts: Vec<Vec<u8>>| field(2, [number(1, 1), parts.concat()].concat());
    let wanted = [
        consume(vec![message(
            "CAUQAQ==",
            "",
            [("_h", "CJBO"), ("_t", "900"), ("_v", "2")],
            &[txn, ("_tt", "rt")],
        )]),
        consume(vec![message("CAUQAg==", "one", delete, &[txn, ("_tt", "ru")])]),
        consume(vec![message("CAUQAw==", "two", delete, &[txn, ("_tt", "rv")])]),
        consume(vec![
            message("CAUQBA==", "", [("_h", ""), ("_t", "901"), ("_v", "2")], &[txn, ("_tt", "rw")]),
            checkpoint("0/5/5", 1004),
        ]),
        consume(vec![message("CAUQBQ==", "alone", delete, &[("_tt", "rx")]), checkpoint("0/5/6", 1005)]),
    ];
    for wanted in wanted {
        assert_eq!(answers.message().await.unwrap().unwrap(), wanted);
    }
    send.send(field(4, "").into()).await.unwrap();
    assert_eq!(answers.message().await.unwrap().unwrap(), field(6, ""));
    assert_eq!(answers.message().await.unwrap(), None);
}

#[tokio::test]
async fn a_stream_that_is_not_meant_for_us_fails_with_milvus_code() {
    let world = World::new().await;
    // The code of the StreamingError in the details of the status.
    let code = |status: Status| {
        let details = status.details().to_vec();
        let at = details.windows(15).position(|bytes| bytes == b".StreamingError").unwrap();
        // The text is the type of an Any; its value begins with the field `code`.
        let value = &details[at + 15..];
        let begin = value.iter().position(|byte| *byte == 0x08).unwrap();
        value[begin + 1]
    };
    let missing = open(&world, PRODUCE, &[]).await.unwrap_err();
    assert_eq!((missing.code(), code(missing.clone())), (tonic::Code::InvalidArgument, 8));
    assert!(missing.message().contains("create-producer"));
    // Term 4.
    let moved = open(&world, CONSUME, &[("create-consumer", "CgcKA3BfMBAE")]).await.unwrap_err();
    assert_eq!((moved.code(), code(moved.clone())), (tonic::Code::FailedPrecondition, 1));
}

#[tokio::test]
async fn a_stream_has_as_many_consumers_as_its_client_wants() {
    let world = World::new().await;
    let (send, mut answers) = open(&world, CONSUME, &[("create-consumer", P_0_OF_TERM_3)]).await.unwrap();
    assert_eq!(answers.message().await.unwrap().unwrap(), created());
    let all_of = |vchannel: &str| [field(1, vchannel), field(2, field(1, ""))].concat();

    // Two at once, of which one is not here.
    let several = field(2, [field(1, all_of("p_0_7v0")), field(1, all_of("p_0_8v0"))].concat());
    send.send(several.into()).await.unwrap();
    let answer = answers.message().await.unwrap().unwrap();
    let opened = [field(4, ""), field(1, number(1, 1))];
    assert_eq!((answer[0], &answer[2..6]), (opened[0][0], &opened[1][..]), "{answer:?}");
    assert!(answer.windows(7).any(|text| text == b"p_0_8v0"), "{answer:?}");
    // One more, of the whole log.
    send.send(field(1, all_of("")).into()).await.unwrap();
    assert_eq!(answers.message().await.unwrap().unwrap(), field(3, number(1, 2)));

    world.log.append(&channel(), TERM, vec![delete("one")]).await.unwrap();
    // Of a response `consume`, behind its length of one or two bytes.
    let consumer_of = |answer: &[u8]| {
        let message = if answer[1] < 0x80 { &answer[2..] } else { &answer[3..] };
        assert_eq!((answer[0], message[0]), (0x12, 0x08), "{answer:?}");
        message[1]
    };
    let mut got = Vec::new();
    for _ in 0..2 {
        got.push(consumer_of(&answers.message().await.unwrap().unwrap()));
    }
    got.sort_unstable();
    assert_eq!(got, [1, 2]);

    // What is closed gets nothing more.
    send.send(field(3, number(1, 1)).into()).await.unwrap();
    assert_eq!(answers.message().await.unwrap().unwrap(), field(5, number(1, 1)));
    world.log.append(&channel(), TERM, vec![delete("two")]).await.unwrap();
    assert_eq!(consumer_of(&answers.message().await.unwrap().unwrap()), 2);
    send.send(field(4, "").into()).await.unwrap();
    assert_eq!(answers.message().await.unwrap().unwrap(), field(6, ""));
    assert_eq!(answers.message().await.unwrap(), None);
}
