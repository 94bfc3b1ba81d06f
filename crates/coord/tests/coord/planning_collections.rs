//! Collections: what each request comes to.

use cinclus_coord::CoordConfig;
use cinclus_rpc::Ddl;
use cinclus_types::message::Header;
use cinclus_types::message::body::{AlterCollectionBody, CreateCollectionBody, DropCollectionBody};
use cinclus_types::{ConsistencyLevel, PChannel, Tick};

use crate::desk::{DONE, Desk, NOTHING};
use crate::samples::{
    self, alter, alter_field, create, create_database, create_in, drop, move_to, names, put_alias, rename,
};

fn with_other_schema(name: &str) -> Ddl {
    let mut ddl = create(name);
    if let Ddl::CreateCollection { schema, .. } = &mut ddl {
        schema.fields.pop();
    }
    ddl
}

fn with_partitions(count: usize) -> Ddl {
    let mut ddl = create("many");
    if let Ddl::CreateCollection { partitions, .. } = &mut ddl {
        *partitions = (0..count).map(|index| format!("_default_{index}")).collect();
    }
    ddl
}

#[tokio::test]
async fn creations() {
    let mut desk = Desk::with(&[create("books"), put_alias("b", "books", false), create_database("a")]).await;
    desk.judge(&[
        (create("films"), DONE),
        (create("books"), NOTHING),
        (create_in("default", "books", 2), NOTHING),
        (create_in("a", "books", 2), DONE),
        (create_in("a", "b", 2), DONE),
        (
            with_other_schema("books"),
            "create duplicate collection with different parameters, collection: books",
        ),
        (
            create_in("", "books", 3),
            "create duplicate collection with different parameters, collection: books",
        ),
        (create("b"), "collection name [b] conflicts with an existing alias, please choose a unique name"),
        (create_in("none", "films", 1), "database not found[database=none]"),
        (create_in("", "films", 16), DONE),
        (create_in("", "films", 17), "maximum shards's number should be limited to 16"),
        (with_partitions(1024), DONE),
        (with_partitions(1025), "partition number (1025) exceeds max configuration (1024), collection: many"),
    ]);
    desk.config = CoordConfig { collections_max: 1, ..CoordConfig::default() };
    desk.judge(&[
        (create("films"), "exceeded the limit number of collections[limit=1]"),
        // One that is there needs no room.
        (create("books"), NOTHING),
    ]);
}

#[tokio::test]
async fn a_database_may_bound_its_collections() {
    let bounded = |name: &str, max: &str| {
        let properties = [("database.max.collections".to_owned(), max.to_owned())].into_iter().collect();
        Ddl::CreateDatabase { name: name.to_owned(), properties }
    };
    let first = create_in("small", "books", 1);
    let mut desk = Desk::with(&[bounded("small", "1"), bounded("odd", "x"), first]).await;
    desk.judge(&[
        (create_in("small", "films", 1), "exceeded the limit number of collections[dbName=small][limit=1]"),
        // One that is there needs no room, and other databases are not bound.
        (create_in("small", "books", 1), NOTHING),
        (create("films"), DONE),
        (create_in("odd", "films", 1), "parse value of property fail, key:database.max.collections, value:x"),
    ]);
}

#[tokio::test]
async fn a_collection_is_created_in_every_shard_and_the_control_channel() {
    let mut desk = Desk::new().await;
    let plan = desk.plan(&create("books")).unwrap();
    let message = plan.message.unwrap();
    let entry = plan.edit.at(Tick(77)).put_collections.remove(0);
    let mut targets = entry.vchannels.clone();
    targets.push(desk.control());
    assert_eq!(message.vchannels, targets);
    let partitions = vec![entry.partition("_default").unwrap().id];
    let header = Header::CreateCollection { collection: entry.id, partitions, database: entry.database };
    assert_eq!(message.header, header);
    let body = CreateCollectionBody::decode(&message.payload).unwrap();
    assert_eq!((body.collection, &*body.collection_name), (entry.id, "books"));
    assert_eq!((&body.vchannels, &body.schema), (&entry.vchannels, &samples::schema()));
    assert_eq!(body.properties, entry.properties);
    // Every tick is that of the change.
    assert_eq!((entry.created, entry.updated), (Tick(77), Tick(77)));
    assert_eq!((entry.schemas[0].from, entry.partitions[0].created), (Tick(77), Tick(77)));
    assert_eq!(entry.consistency, ConsistencyLevel::Bounded);
    assert!(!entry.is_loaded());
}

#[tokio::test]
async fn no_shards_are_one_shard() {
    let mut desk = Desk::new().await;
    let plan = desk.plan(&create_in("", "books", 0)).unwrap();
    assert_eq!(plan.edit.put_collections[0].vchannels.len(), 1);
    desk.apply(&create_in("", "books", 0)).await;
    desk.judge(&[(create_in("", "books", 1), NOTHING), (create_in("", "books", 0), NOTHING)]);
}

#[tokio::test]
async fn shards_go_to_the_logs_that_hold_the_fewest() {
    let mut desk = Desk::new().await;
    for (name, shards, expected) in
        [("a", 1, vec![0]), ("b", 1, vec![1]), ("c", 2, vec![2, 0]), ("d", 5, vec![1, 2, 0, 1, 2])]
    {
        desk.apply(&create_in("", name, shards)).await;
        let entry = desk.entry(name);
        let logs: Vec<_> = entry.vchannels.iter().map(|vchannel| vchannel.pchannel()).collect();
        let expected: Vec<_> = expected.iter().map(|index| PChannel::numbered("log", *index)).collect();
        assert_eq!(logs, expected, "{name}");
        for (shard, vchannel) in entry.vchannels.iter().enumerate() {
            assert_eq!(*vchannel, vchannel.pchannel().shard(entry.id, shard as u32));
        }
    }
}

#[tokio::test]
async fn shards_that_are_on_their_way_count() {
    let mut desk = Desk::new().await;
    desk.channels.insert(PChannel::numbered("log", 0), 2);
    desk.channels.insert(PChannel::numbered("log", 1), 1);
    let plan = desk.plan(&create_in("", "books", 3)).unwrap();
    let entry = &plan.edit.put_collections[0];
    let logs: Vec<_> = entry.vchannels.iter().map(|vchannel| vchannel.pchannel()).collect();
    assert_eq!(logs, [2, 1, 0].map(|index| PChannel::numbered("log", index)));
}

#[tokio::test]
async fn ids_are_never_shared() {
    let mut desk = Desk::new().await;
    let plan = desk.plan(&with_partitions(16)).unwrap();
    let entry = &plan.edit.put_collections[0];
    let mut ids: Vec<i64> = entry.partitions.iter().map(|partition| partition.id.0).collect();
    ids.push(entry.id.0);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 17);
}

#[tokio::test]
async fn drops() {
    let mut desk = Desk::with(&[
        create("books"),
        create("films"),
        put_alias("b", "books", false),
        put_alias("c", "books", false),
    ])
    .await;
    let elsewhere = Ddl::DropCollection { database: "none".to_owned(), name: "books".to_owned() };
    desk.judge(&[
        (drop("books"), DONE),
        (drop("none"), NOTHING),
        (drop("b"), "cannot drop the collection via alias = b"),
        (elsewhere, "database not found[database=none]"),
    ]);
    let entry = desk.entry("books");
    let plan = desk.plan(&drop("books")).unwrap();
    let message = plan.message.unwrap();
    assert_eq!(message.vchannels.len(), 3);
    assert_eq!(message.header, Header::DropCollection { collection: entry.id, database: entry.database });
    let body = DropCollectionBody {
        database_name: "default".to_owned(),
        collection_name: "books".to_owned(),
        database: entry.database,
        collection: entry.id,
    };
    assert_eq!(message.payload, body.encode());
    // Its aliases go with it.
    assert_eq!(plan.edit.delete_collections, [entry.id]);
    let aliases: Vec<&str> = plan.edit.delete_aliases.iter().map(|(_, alias)| alias.as_str()).collect();
    assert_eq!(aliases, ["b", "c"]);
}

#[tokio::test]
async fn renames() {
    let setup = [
        create("books"),
        create("films"),
        put_alias("b", "books", false),
        create_database("a"),
        create_in("a", "taken", 1),
    ];
    let mut desk = Desk::with(&setup).await;
    desk.judge(&[
        (rename("books", "tomes"), DONE),
        (rename("none", "tomes"), "collection not found[database=default][collection=none]"),
        (rename("b", "tomes"), "unsupported use an alias to rename collection, alias:b"),
        (
            rename("books", "books"),
            "collection name or database name should be different, database: default, collection: books",
        ),
        (
            rename("books", "films"),
            "duplicated new collection name default:films with other collection name or alias",
        ),
        (rename("films", "b"), "cannot rename collection to an existing alias: b"),
        (move_to(("films", ""), ("a", "films")), DONE),
        (move_to(("taken", "a"), ("default", "taken")), DONE),
        (
            move_to(("films", ""), ("a", "taken")),
            "duplicated new collection name a:taken with other collection name or alias",
        ),
        (
            move_to(("books", ""), ("a", "books")),
            "fail to rename db name, must drop all aliases of this collection before rename",
        ),
        (move_to(("films", ""), ("none", "films")), "database not found[database=none]"),
        (move_to(("films", "none"), ("a", "films")), "database not found[database=none]"),
    ]);
    let target = desk.collections.view().database("a").unwrap().id;
    let plan = desk.plan(&move_to(("films", ""), ("a", "movies"))).unwrap();
    let message = plan.message.unwrap();
    let changed = &plan.edit.put_collections[0];
    assert_eq!((changed.database, changed.name.as_str()), (target, "movies"));
    let Header::AlterCollection { update_mask, .. } = &message.header else { panic!("{:?}", message.header) };
    let body = AlterCollectionBody::decode(&message.payload, update_mask).unwrap();
    assert_eq!(body.collection_name.as_deref(), Some("movies"));
    assert_eq!(body.database, Some((target, "a".to_owned())));
    assert_eq!(message.vchannels.len(), 3);
}

#[tokio::test]
async fn a_renamed_collection_keeps_its_aliases_and_frees_its_name() {
    let setup = [create("books"), put_alias("b", "books", false), rename("books", "tomes")];
    let mut desk = Desk::with(&setup).await;
    desk.judge(&[
        (create("books"), DONE),
        (create("tomes"), NOTHING),
        (put_alias("b", "tomes", false), NOTHING),
        (samples::create_partition("b", "new"), DONE),
    ]);
}

#[tokio::test]
async fn alterations() {
    let mut desk = Desk::with(&[create("books"), put_alias("b", "books", false)]).await;
    desk.judge(&[
        (alter("books", &[("k", "v")], &[]), DONE),
        (alter("b", &[("k", "v")], &[]), DONE),
        (alter("none", &[], &[]), "collection not found[database=default][collection=none]"),
        (alter_field("b", "title"), DONE),
        (alter_field("books", "none"), "field not found[field=none]"),
        (alter_field("none", "title"), "collection not found[database=default][collection=none]"),
    ]);
    let ddl = alter("books", &[("k", "v")], &["collection.ttl.seconds", "none"]);
    let plan = desk.plan(&ddl).unwrap();
    let changed = &plan.edit.put_collections[0];
    assert_eq!(changed.properties, samples::map(&[("k", "v")]));
    assert_eq!(changed.consistency, ConsistencyLevel::Strong);
    assert_eq!(changed.schema().description, "some of them");
    // A description is no new version of the schema.
    assert_eq!((changed.schemas.len(), changed.schema().version), (1, 0));
    let message = plan.message.unwrap();
    let Header::AlterCollection { update_mask, collection, .. } = &message.header else { panic!() };
    assert_eq!(*collection, changed.id);
    let body = AlterCollectionBody::decode(&message.payload, update_mask).unwrap();
    assert_eq!(body.properties, Some(changed.properties.clone()));
    assert_eq!(
        (body.description.as_deref(), body.consistency),
        (Some("some of them"), Some(ConsistencyLevel::Strong))
    );
    assert!(body.schema.is_none() && body.collection_name.is_none());
}

#[tokio::test]
async fn what_an_alteration_does_not_name_stays() {
    let mut desk = Desk::with(&[create("books")]).await;
    let ddl = Ddl::AlterCollection {
        database: String::new(),
        name: "books".to_owned(),
        set: samples::map(&[("k", "v")]),
        remove: names(&[]),
        description: None,
        consistency: None,
    };
    let changed = desk.plan(&ddl).unwrap().edit.put_collections.remove(0);
    let before = desk.entry("books");
    assert_eq!(changed.properties.len(), 2);
    assert_eq!((changed.consistency, &changed.schemas), (before.consistency, &before.schemas));
}

#[tokio::test]
async fn a_field_is_altered_in_a_new_version_of_the_schema() {
    let mut desk = Desk::with(&[create("books")]).await;
    let before = desk.entry("books");
    let plan = desk.plan(&alter_field("books", "title")).unwrap();
    let message = plan.message.unwrap();
    let changed = plan.edit.at(Tick(1 << 40)).put_collections.remove(0);
    assert_eq!(changed.schemas.len(), 2);
    assert_eq!(changed.schemas[0], before.schemas[0]);
    assert_eq!((changed.schemas[1].from, changed.schema().version), (Tick(1 << 40), 1));
    assert_eq!(changed.schema().field("title").unwrap().max_length(), 128);
    let Header::AlterCollection { update_mask, .. } = &message.header else { panic!() };
    let body = AlterCollectionBody::decode(&message.payload, update_mask).unwrap();
    assert_eq!(body.schema.as_ref(), Some(&**changed.schema()));
}

#[tokio::test]
async fn flushes() {
    let mut desk = Desk::with(&[create("books"), put_alias("b", "books", false)]).await;
    let text = "collection not found[database=default][collection=none]";
    desk.judge(&[
        (samples::flush("books"), DONE),
        (samples::flush("b"), DONE),
        (samples::flush("none"), text),
    ]);
    let plan = desk.plan(&samples::flush("books")).unwrap();
    assert_eq!(plan.message.unwrap().vchannels, desk.entry("books").vchannels);
    assert_eq!(plan.edit, Default::default());
}
