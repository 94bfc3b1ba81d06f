//! Loading and releasing: what each request comes to.

use cinclus_catalog::LoadState;
use cinclus_rpc::Ddl;
use cinclus_types::FieldId;
use cinclus_types::message::Header;

use crate::desk::{DONE, Desk, NOTHING};
use crate::samples::{create, create_index, create_partition, load, names, put_alias, release};

async fn indexed() -> Desk {
    Desk::with(&[
        create("books"),
        put_alias("b", "books", false),
        create_partition("books", "p"),
        create_partition("books", "q"),
        create_index("books", "vector", ""),
    ])
    .await
}

/// The names of the loaded partitions; `all`, or nothing.
fn loaded(desk: &Desk) -> Vec<String> {
    let entry = desk.entry("books");
    match &entry.load {
        LoadState::Released => Vec::new(),
        LoadState::Loaded { partitions: None, .. } => names(&["all"]),
        LoadState::Loaded { partitions: Some(ids), .. } => {
            let name = |id| entry.partitions.iter().find(|p| p.id == id).map(|p| p.name.clone());
            ids.iter().filter_map(|id| name(*id)).collect()
        }
    }
}

#[tokio::test]
async fn loads_and_releases() {
    let mut desk = indexed().await;
    let unindexed = Desk::with(&[create("books")]).await.verdict(&load("books", None));
    assert_eq!(
        unindexed,
        "there is no vector index on field: [vector], please create index firstly: index not found[collection=books]"
    );
    let with_fields = |field: &str| Ddl::Load {
        database: String::new(),
        collection: "books".to_owned(),
        partitions: None,
        replicas: 1,
        fields: names(&["id", field]),
    };
    desk.judge(&[
        (load("books", None), DONE),
        (load("b", None), DONE),
        (load("books", Some(&["p"])), DONE),
        (load("books", Some(&["none"])), "partition not found[partition=none]"),
        (load("books", Some(&[])), "failed to load partition, due to no partition specified"),
        (load("none", None), "collection not found[database=default][collection=none]"),
        (with_fields("title"), DONE),
        (with_fields("none"), "field not found[field=none]"),
        (release("books", None), NOTHING),
        (release("b", None), NOTHING),
        (release("books", Some(&["p"])), NOTHING),
        (release("books", Some(&["none"])), "partition not found[partition=none]"),
        (
            release("books", Some(&[])),
            "invalid parameter[expected=any partition][actual=empty partition list]",
        ),
        (release("none", None), "collection not found[database=default][collection=none]"),
    ]);
    desk.apply(&load("books", None)).await;
    desk.judge(&[
        (load("books", None), NOTHING),
        (load("books", Some(&["p"])), NOTHING),
        (release("books", None), DONE),
        (release("books", Some(&["p"])), DONE),
        (
            release("books", Some(&[])),
            "invalid parameter[expected=any partition][actual=empty partition list]",
        ),
    ]);
}

/// Partition arithmetic: one step after the other.
#[tokio::test]
async fn partitions_are_loaded_and_released_one_by_one() {
    let steps: &[(Ddl, &[&str])] = &[
        (load("books", Some(&["q"])), &["q"]),
        (load("books", Some(&["p", "p"])), &["p", "q"]),
        (load("books", Some(&["p"])), &["p", "q"]),
        (release("books", Some(&["_default"])), &["p", "q"]),
        (release("books", Some(&["p"])), &["q"]),
        (create_partition("books", "r"), &["q"]),
        (release("books", Some(&["q", "p"])), &[]),
        (load("books", Some(&["p"])), &["p"]),
        (load("books", None), &["all"]),
        (load("books", Some(&["p"])), &["all"]),
        // A partition created later is loaded with the others.
        (create_partition("books", "s"), &["all"]),
        (release("books", Some(&["p"])), &["_default", "q", "r", "s"]),
        // And one created now is not.
        (create_partition("books", "t"), &["_default", "q", "r", "s"]),
        (release("books", Some(&["r", "s", "t"])), &["_default", "q"]),
        (release("books", None), &[]),
        (release("books", None), &[]),
    ];
    let mut desk = indexed().await;
    for (ddl, expected) in steps {
        desk.apply(ddl).await;
        let mut found = loaded(&desk);
        found.sort_unstable();
        assert_eq!(found, *expected, "{ddl:?}");
    }
}

#[tokio::test]
async fn every_partition_released_is_the_collection_released() {
    let mut desk = indexed().await;
    desk.apply(&load("books", None)).await;
    desk.apply(&release("books", Some(&["_default", "p", "q"]))).await;
    assert!(!desk.entry("books").is_loaded());
}

#[tokio::test]
async fn a_load_says_what_is_loaded_in_the_control_channel() {
    let mut desk = indexed().await;
    let entry = desk.entry("books");
    let ddl = Ddl::Load {
        database: String::new(),
        collection: "b".to_owned(),
        partitions: None,
        replicas: 0,
        fields: names(&["vector", "id"]),
    };
    let plan = desk.plan(&ddl).unwrap();
    let message = plan.message.unwrap();
    assert_eq!(message.vchannels, [desk.control()]);
    let header = Header::AlterLoadConfig {
        database: entry.database,
        collection: entry.id,
        partitions: entry.partitions.iter().map(|partition| partition.id).collect(),
        load_fields: vec![FieldId(101), FieldId(100)],
        replicas: 1,
    };
    assert_eq!(message.header, header);
    desk.apply(&ddl).await;
    let plan = desk.plan(&release("books", None)).unwrap();
    let header = Header::DropLoadConfig { database: entry.database, collection: entry.id };
    assert_eq!(plan.message.unwrap().header, header);
}

#[tokio::test]
async fn other_fields_or_replicas_are_a_change() {
    let mut desk = indexed().await;
    let with = |replicas, fields: &[&str]| Ddl::Load {
        database: String::new(),
        collection: "books".to_owned(),
        partitions: None,
        replicas,
        fields: names(fields),
    };
    desk.apply(&with(1, &[])).await;
    let too_few = "call query coordinator LoadCollection: when load 2 replica count: service resource insufficient[currentStreamingNode=1][expectedStreamingNode=2]";
    desk.judge(&[(with(0, &[]), NOTHING), (with(2, &[]), too_few), (with(1, &["id", "vector"]), DONE)]);
    desk.config.replicas_max = 2;
    desk.judge(&[(with(2, &[]), DONE), (with(3, &[]), &too_few.replace('2', "3").replace("=1", "=2"))]);
}
