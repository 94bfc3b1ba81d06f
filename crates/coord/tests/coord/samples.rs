//! Changes to make.

use std::collections::BTreeMap;

use cinclus_rpc::Ddl;
use cinclus_types::{CollectionSchema, ConsistencyLevel, DataType, FieldId, FieldSchema};

pub(crate) fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

pub(crate) fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A primary key, a vector, a text.
pub(crate) fn schema() -> CollectionSchema {
    CollectionSchema {
        name: "books".to_owned(),
        description: "all of them".to_owned(),
        fields: vec![
            FieldSchema::new(FieldId(100), "id", DataType::Int64).as_primary_key(),
            FieldSchema::new(FieldId(101), "vector", DataType::FloatVector).with_param("dim", 8),
            FieldSchema::new(FieldId(102), "title", DataType::VarChar).with_param("max_length", 64),
        ],
        dynamic: false,
        version: 0,
    }
}

pub(crate) fn create_in(database: &str, name: &str, shards: u32) -> Ddl {
    Ddl::CreateCollection {
        database: database.to_owned(),
        name: name.to_owned(),
        schema: schema(),
        shards,
        partitions: names(&["_default"]),
        consistency: ConsistencyLevel::Bounded,
        properties: map(&[("collection.ttl.seconds", "60")]),
    }
}

pub(crate) fn create(name: &str) -> Ddl {
    create_in("", name, 2)
}

pub(crate) fn drop(name: &str) -> Ddl {
    Ddl::DropCollection { database: String::new(), name: name.to_owned() }
}

pub(crate) fn rename(name: &str, new_name: &str) -> Ddl {
    move_to((name, ""), ("", new_name))
}

/// From a name in a database to another.
pub(crate) fn move_to((name, database): (&str, &str), (new_database, new_name): (&str, &str)) -> Ddl {
    Ddl::RenameCollection {
        database: database.to_owned(),
        name: name.to_owned(),
        new_database: new_database.to_owned(),
        new_name: new_name.to_owned(),
    }
}

pub(crate) fn alter(name: &str, set: &[(&str, &str)], remove: &[&str]) -> Ddl {
    Ddl::AlterCollection {
        database: String::new(),
        name: name.to_owned(),
        set: map(set),
        remove: names(remove),
        description: Some("some of them".to_owned()),
        consistency: Some(ConsistencyLevel::Strong),
    }
}

pub(crate) fn alter_field(name: &str, field: &str) -> Ddl {
    Ddl::AlterField {
        database: String::new(),
        name: name.to_owned(),
        field: field.to_owned(),
        set: map(&[("max_length", "128")]),
        remove: Vec::new(),
    }
}

pub(crate) fn create_partition(collection: &str, partition: &str) -> Ddl {
    let (collection, partition) = (collection.to_owned(), partition.to_owned());
    Ddl::CreatePartition { database: String::new(), collection, partition }
}

pub(crate) fn drop_partition(collection: &str, partition: &str) -> Ddl {
    let (collection, partition) = (collection.to_owned(), partition.to_owned());
    Ddl::DropPartition { database: String::new(), collection, partition }
}

pub(crate) fn put_alias(alias: &str, collection: &str, alter: bool) -> Ddl {
    let (alias, collection) = (alias.to_owned(), collection.to_owned());
    Ddl::PutAlias { database: String::new(), alias, collection, alter }
}

pub(crate) fn drop_alias(database: &str, alias: &str) -> Ddl {
    Ddl::DropAlias { database: database.to_owned(), alias: alias.to_owned() }
}

pub(crate) fn create_database(name: &str) -> Ddl {
    Ddl::CreateDatabase { name: name.to_owned(), properties: map(&[("database.replica.number", "1")]) }
}

pub(crate) fn drop_database(name: &str) -> Ddl {
    Ddl::DropDatabase { name: name.to_owned() }
}

pub(crate) fn alter_database(name: &str, set: &[(&str, &str)]) -> Ddl {
    Ddl::AlterDatabase { name: name.to_owned(), set: map(set), remove: Vec::new() }
}

pub(crate) fn create_index(collection: &str, field: &str, name: &str) -> Ddl {
    Ddl::CreateIndex {
        database: String::new(),
        collection: collection.to_owned(),
        field: field.to_owned(),
        name: name.to_owned(),
        params: map(&[("index_type", "FLAT"), ("metric_type", "L2")]),
    }
}

pub(crate) fn alter_index(collection: &str, name: &str) -> Ddl {
    Ddl::AlterIndex {
        database: String::new(),
        collection: collection.to_owned(),
        name: name.to_owned(),
        set: map(&[("mmap.enabled", "true")]),
        remove: Vec::new(),
    }
}

pub(crate) fn drop_index(collection: &str, name: &str) -> Ddl {
    let (collection, name) = (collection.to_owned(), name.to_owned());
    Ddl::DropIndex { database: String::new(), collection, name }
}

pub(crate) fn load(collection: &str, partitions: Option<&[&str]>) -> Ddl {
    Ddl::Load {
        database: String::new(),
        collection: collection.to_owned(),
        partitions: partitions.map(names),
        replicas: 0,
        fields: Vec::new(),
    }
}

pub(crate) fn release(collection: &str, partitions: Option<&[&str]>) -> Ddl {
    let (database, collection) = (String::new(), collection.to_owned());
    Ddl::Release { database, collection, partitions: partitions.map(names) }
}

pub(crate) fn flush(collection: &str) -> Ddl {
    Ddl::Flush { database: String::new(), collection: collection.to_owned() }
}

/// A change and what has to be there before.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) setup: Vec<Ddl>,
    pub(crate) ddl: Ddl,
}

/// Every sort of change that is broadcast.
pub(crate) fn scenarios() -> Vec<Scenario> {
    let books = || vec![create("books")];
    let indexed = || vec![create("books"), create_index("books", "vector", "")];
    let with = |mut setup: Vec<Ddl>, more: Ddl| {
        setup.push(more);
        setup
    };
    let scenario = |name, setup, ddl| Scenario { name, setup, ddl };
    vec![
        scenario("create collection", vec![], create("books")),
        scenario("drop collection", with(books(), put_alias("b", "books", false)), drop("books")),
        scenario("rename collection", books(), rename("books", "tomes")),
        scenario(
            "move collection",
            with(books(), create_database("other")),
            move_to(("books", ""), ("other", "tomes")),
        ),
        scenario("alter collection", books(), alter("books", &[("a", "1")], &["collection.ttl.seconds"])),
        scenario("alter field", books(), alter_field("books", "title")),
        scenario("create partition", books(), create_partition("books", "new")),
        scenario(
            "drop partition",
            with(books(), create_partition("books", "old")),
            drop_partition("books", "old"),
        ),
        scenario("create alias", books(), put_alias("b", "books", false)),
        scenario(
            "alter alias",
            vec![create("books"), create("films"), put_alias("b", "books", false)],
            put_alias("b", "films", true),
        ),
        scenario("drop alias", with(books(), put_alias("b", "books", false)), drop_alias("", "b")),
        scenario("create database", vec![], create_database("other")),
        scenario("alter database", vec![create_database("other")], alter_database("other", &[("a", "1")])),
        scenario(
            "alter database to what it is",
            vec![alter_database("default", &[("a", "1")])],
            alter_database("default", &[("a", "1")]),
        ),
        scenario("drop database", vec![create_database("other")], drop_database("other")),
        scenario("create index", books(), create_index("books", "vector", "")),
        scenario("alter index", indexed(), alter_index("books", "vector")),
        scenario("drop index", indexed(), drop_index("books", "vector")),
        scenario("load", indexed(), load("books", None)),
        scenario("release", with(indexed(), load("books", None)), release("books", None)),
    ]
}
