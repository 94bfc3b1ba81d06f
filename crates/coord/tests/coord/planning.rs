//! Databases, aliases, partitions and indexes: what each request comes to.

use std::collections::BTreeMap;

use cinclus_coord::CoordConfig;
use cinclus_rpc::Ddl;
use cinclus_types::message::Header;
use cinclus_types::message::body::{DatabaseBody, PartitionBody};
use cinclus_types::{DataType, FieldId, FieldSchema, Tick};

use crate::desk::{DONE, Desk, NOTHING};
use crate::samples::{self, create, create_database, create_in, create_partition, names, put_alias};

#[tokio::test]
async fn databases() {
    let mut desk =
        Desk::with(&[create_database("a"), create_database("full"), create_in("full", "x", 1)]).await;
    desk.judge(&[
        (create_database("b"), DONE),
        (create_database("a"), "database already exist: a"),
        (create_database("default"), "database already exist: default"),
        (samples::drop_database("a"), DONE),
        (samples::drop_database("full"), "full not empty, must drop all collections before drop database"),
        (samples::drop_database("b"), "database not found[database=b]"),
        (samples::drop_database("default"), "can not drop default database"),
        (samples::drop_database(""), "can not drop default database"),
        (samples::alter_database("a", &[("k", "v")]), DONE),
        (samples::alter_database("", &[("k", "v")]), DONE),
        (samples::alter_database("b", &[("k", "v")]), "database not found[database=b]"),
    ]);
    desk.config = CoordConfig { databases_max: 3, ..CoordConfig::default() };
    desk.judge(&[(create_database("b"), "database number (3) exceeds max configuration (3)")]);
}

#[tokio::test]
async fn a_database_is_created_with_its_properties_in_the_control_channel() {
    let mut desk = Desk::new().await;
    let plan = desk.plan(&create_database("a")).unwrap();
    let message = plan.message.unwrap();
    assert_eq!(message.vchannels, [desk.control()]);
    let entry = &plan.edit.put_databases[0];
    assert_eq!(message.header, Header::CreateDatabase { name: "a".to_owned(), database: entry.id });
    let properties = samples::map(&[("database.replica.number", "1")]);
    assert_eq!(message.payload, DatabaseBody { properties: properties.clone() }.encode());
    assert_eq!(entry.properties, properties);
    assert_eq!(plan.edit.at(Tick(5)).put_databases[0].created, Tick(5));
}

#[tokio::test]
async fn properties_of_a_database_are_set_and_removed() {
    let mut desk = Desk::with(&[create_database("a")]).await;
    let (set, remove) = (samples::map(&[("k", "v")]), names(&["database.replica.number", "none"]));
    let plan = desk.plan(&Ddl::AlterDatabase { name: "a".to_owned(), set, remove }).unwrap();
    let entry = &plan.edit.put_databases[0];
    assert_eq!(entry.properties, samples::map(&[("k", "v")]));
    // The tick of its creation stays.
    let created = entry.created;
    assert!(created > Tick::ZERO);
    assert_eq!(plan.edit.at(Tick(1 << 40)).put_databases[0].created, created);
}

#[tokio::test]
async fn aliases() {
    let mut desk =
        Desk::with(&[create("books"), create("films"), put_alias("b", "books", false), create_database("a")])
            .await;
    let missing = |database: &str| Ddl::PutAlias {
        database: database.to_owned(),
        alias: "c".to_owned(),
        collection: "books".to_owned(),
        alter: false,
    };
    desk.judge(&[
        (put_alias("c", "books", false), DONE),
        (put_alias("b", "books", false), NOTHING),
        (put_alias("b", "books", true), NOTHING),
        (put_alias("b", "films", true), DONE),
        (
            put_alias("b", "films", false),
            "b is alias to another collection: books: alias already exist[database=default][alias=b]",
        ),
        (
            put_alias("films", "books", false),
            "alias and collection name conflict[database=default][alias=films]",
        ),
        (
            put_alias("films", "books", true),
            "alias and collection name conflict[database=default][alias=films]",
        ),
        (put_alias("c", "films", true), "alias not found[database=default][alias=c]"),
        (put_alias("c", "none", false), "collection not found[database=default][collection=none]"),
        // An alias of an alias is none.
        (put_alias("c", "b", false), "collection not found[database=default][collection=b]"),
        (missing("a"), "collection not found[database=a][collection=books]"),
        (missing("none"), "database not found[database=none]"),
        (samples::drop_alias("", "b"), DONE),
        (samples::drop_alias("", "none"), NOTHING),
        (samples::drop_alias("none", "b"), "database not found[database=none]"),
    ]);
}

#[tokio::test]
async fn an_alias_is_pointed_at_another_collection() {
    let mut desk = Desk::with(&[create("books"), create("films"), put_alias("b", "books", false)]).await;
    let plan = desk.plan(&put_alias("b", "films", true)).unwrap();
    let message = plan.message.unwrap();
    assert_eq!(message.vchannels, [desk.control()]);
    let films = desk.entry("films").id;
    assert!(
        matches!(&message.header, Header::AlterAlias { alias, collection, .. } if alias == "b" && *collection == films)
    );
    assert_eq!(plan.edit.put_aliases[0].collection, films);
}

#[tokio::test]
async fn partitions() {
    let setup = [create("books"), put_alias("b", "books", false), create_partition("books", "old")];
    let mut desk = Desk::with(&setup).await;
    desk.judge(&[
        (create_partition("books", "new"), DONE),
        (create_partition("b", "new"), DONE),
        (create_partition("books", "old"), NOTHING),
        (create_partition("none", "new"), "collection not found[database=default][collection=none]"),
        (samples::drop_partition("books", "old"), DONE),
        (samples::drop_partition("b", "old"), DONE),
        (samples::drop_partition("books", "none"), NOTHING),
        (samples::drop_partition("books", "_default"), "default partition cannot be deleted"),
        (samples::drop_partition("none", "old"), "collection not found[database=default][collection=none]"),
    ]);
    desk.config = CoordConfig { partitions_max: 2, ..CoordConfig::default() };
    desk.judge(&[(
        create_partition("books", "new"),
        "partition number (3) exceeds max configuration (2), collection: books",
    )]);
}

#[tokio::test]
async fn a_loaded_partition_is_not_dropped() {
    let setup = [
        create("books"),
        create_partition("books", "old"),
        create_partition("books", "other"),
        samples::create_index("books", "vector", ""),
    ];
    let mut desk = Desk::with(&setup).await;
    let text = "partition cannot be dropped, partition is loaded, please release it first";
    desk.apply(&samples::load("books", None)).await;
    desk.judge(&[(samples::drop_partition("books", "old"), text)]);
    desk.apply(&samples::release("books", Some(&["old"]))).await;
    desk.judge(&[
        (samples::drop_partition("books", "old"), DONE),
        (samples::drop_partition("books", "other"), text),
    ]);
}

#[tokio::test]
async fn partitions_of_a_collection_with_a_partition_key_are_its_own_business() {
    let mut key = FieldSchema::new(FieldId(103), "region", DataType::Int64);
    key.partition_key = true;
    let mut ddl = create("books");
    if let Ddl::CreateCollection { schema, partitions, .. } = &mut ddl {
        schema.fields.push(key);
        *partitions = (0..16).map(|index| format!("_default_{index}")).collect();
    }
    let mut desk = Desk::with(&[ddl]).await;
    desk.judge(&[
        (create_partition("books", "new"), "disable create partition if partition key mode is used"),
        (create_partition("books", "_default_3"), NOTHING),
    ]);
    assert_eq!(desk.entry("books").partitions.len(), 16);
}

#[tokio::test]
async fn a_partition_is_created_and_dropped_in_every_shard_and_the_control_channel() {
    let mut desk = Desk::with(&[create("books"), create_partition("books", "old")]).await;
    let entry = desk.entry("books");
    let mut targets = entry.vchannels.clone();
    targets.push(desk.control());

    let plan = desk.plan(&create_partition("books", "new")).unwrap();
    let message = plan.message.unwrap();
    let changed = plan.edit.at(Tick(9)).put_collections.remove(0);
    let partition = changed.partition("new").unwrap();
    assert_eq!((partition.created, changed.updated, changed.created), (Tick(9), Tick(9), entry.created));
    assert_eq!(message.vchannels, targets);
    assert_eq!(message.header, Header::CreatePartition { collection: entry.id, partition: partition.id });
    let body = PartitionBody {
        database_name: "default".to_owned(),
        collection_name: "books".to_owned(),
        partition_name: "new".to_owned(),
        database: entry.database,
        collection: entry.id,
        partition: partition.id,
    };
    assert_eq!(message.payload, body.encode_create());

    let plan = desk.plan(&samples::drop_partition("books", "old")).unwrap();
    let message = plan.message.unwrap();
    let old = entry.partition("old").unwrap().id;
    assert_eq!(message.vchannels, targets);
    assert_eq!(message.header, Header::DropPartition { collection: entry.id, partition: old });
    assert!(plan.edit.put_collections[0].partition("old").is_none());
}

#[tokio::test]
async fn indexes() {
    let setup = [
        create("books"),
        put_alias("b", "books", false),
        samples::create_index("books", "vector", ""),
        samples::create_index("books", "title", "words"),
    ];
    let mut desk = Desk::with(&setup).await;
    let other_params = |name: &str| Ddl::CreateIndex {
        database: String::new(),
        collection: "books".to_owned(),
        field: "vector".to_owned(),
        name: name.to_owned(),
        params: BTreeMap::new(),
    };
    desk.judge(&[
        (samples::create_index("books", "vector", ""), NOTHING),
        (samples::create_index("b", "vector", "vector"), NOTHING),
        (
            samples::create_index("books", "vector", "another"),
            "CreateIndex failed: creating multiple indexes on same field is not supported: at most one distinct index is allowed per field",
        ),
        (other_params(""), "CreateIndex failed: at most one distinct index is allowed per field"),
        (
            samples::create_index("books", "id", "words"),
            "CreateIndex failed: at most one distinct index is allowed per field",
        ),
        (samples::create_index("books", "id", ""), DONE),
        (samples::create_index("books", "none", ""), "field not found[field=none]"),
        (samples::create_index("none", "id", ""), "collection not found[database=default][collection=none]"),
        (samples::alter_index("b", "words"), DONE),
        (samples::alter_index("books", "none"), "index not found[indexName=none]"),
        (samples::drop_index("b", "words"), DONE),
        // By its field's name too.
        (samples::drop_index("books", "title"), DONE),
        (samples::drop_index("books", "none"), NOTHING),
        (samples::drop_index("none", "words"), "collection not found[database=default][collection=none]"),
    ]);
    desk.apply(&samples::load("books", None)).await;
    desk.judge(&[
        (
            samples::drop_index("books", "vector"),
            "vector index cannot be dropped on loaded collection: index cannot be dropped, collection is loaded, please release it first",
        ),
        (samples::drop_index("books", "words"), DONE),
    ]);
}

#[tokio::test]
async fn a_json_field_has_an_index_for_each_of_its_paths() {
    let on = |name: &str, path: &str, cast: &str| Ddl::CreateIndex {
        database: String::new(),
        collection: "books".to_owned(),
        field: "title".to_owned(),
        name: name.to_owned(),
        params: samples::map(&[("index_type", "INVERTED"), ("json_path", path), ("json_cast_type", cast)]),
    };
    let setup = [create("books"), on("", "title['a']", "BOOL"), on("", "title['b']", "BOOL")];
    let mut desk = Desk::with(&setup).await;
    let found = desk.entry("books").indexes.iter().map(|index| index.name.clone()).collect::<Vec<_>>();
    assert_eq!(found, ["title", "title/title['b']"]);
    let many = "CreateIndex failed: creating multiple indexes on same field is not supported: at most one distinct index is allowed per field";
    desk.judge(&[
        (on("", "title['b']", "BOOL"), NOTHING),
        (on("", "title['b']", "JSON"), "CreateIndex failed: at most one distinct index is allowed per field"),
        (on("other", "title['b']", "BOOL"), many),
        (
            on("title", "title['c']", "BOOL"),
            "CreateIndex failed: at most one distinct index is allowed per field",
        ),
        (on("other", "title['c']", "BOOL"), DONE),
        (samples::drop_index("books", "title/title['b']"), DONE),
    ]);
}

#[tokio::test]
async fn an_index_has_the_name_of_its_field_unless_it_is_given_one() {
    let mut desk = Desk::with(&[create("books")]).await;
    let plan = desk.plan(&samples::create_index("books", "vector", "")).unwrap();
    assert_eq!(plan.message.unwrap().vchannels, [desk.control()]);
    let index = &plan.edit.put_collections[0].indexes[0];
    assert_eq!((index.name.as_str(), index.field), ("vector", FieldId(101)));
    let plan = desk.plan(&samples::create_index("books", "vector", "fast")).unwrap();
    assert_eq!(plan.edit.put_collections[0].indexes[0].name, "fast");
}

#[tokio::test]
async fn parameters_of_an_index_are_set_and_removed() {
    let mut desk = Desk::with(&[create("books"), samples::create_index("books", "vector", "")]).await;
    let alter = Ddl::AlterIndex {
        database: String::new(),
        collection: "books".to_owned(),
        name: "vector".to_owned(),
        set: samples::map(&[("mmap.enabled", "true")]),
        remove: names(&["metric_type"]),
    };
    let plan = desk.plan(&alter).unwrap();
    let index = &plan.edit.put_collections[0].indexes[0];
    assert_eq!(index.params, samples::map(&[("index_type", "FLAT"), ("mmap.enabled", "true")]));
    assert_eq!(index.id, desk.entry("books").indexes[0].id);
}
