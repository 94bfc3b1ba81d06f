"""Full schemas, and everything around a collection that is not its rows."""

import asyncio
import math

import numpy as np
import pytest
from pymilvus import AnnSearchRequest, AsyncMilvusClient, DataType, MilvusClient, RRFRanker, WeightedRanker
from pymilvus.exceptions import MilvusException

import mirror as mirrors
import oracle
import wordnet


def fails(code: int | None, text: str, call) -> MilvusException:
    """The call fails with this code (None: any) and a message with this text."""
    with pytest.raises(MilvusException) as caught:
        call()
    assert text in caught.value.message, caught.value
    assert code is None or caught.value.code == code, caught.value
    return caught.value


def flat(client: MilvusClient, metric: str, *fields: str):
    params = client.prepare_index_params()
    for field in fields:
        params.add_index(field, index_type="FLAT", metric_type=metric)
    return params


def simple(client: MilvusClient, name: str, **kwargs) -> None:
    """A collection with a key, a vector of 4 and a number."""
    schema = client.create_schema(enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
    schema.add_field("n", DataType.INT64)
    client.create_collection(name, schema=schema, index_params=flat(client, "L2", "vector"), **kwargs)


def simple_rows(begin: int, end: int) -> list[dict]:
    return [{"id": i, "vector": [i, 1, 0, 0], "n": i * 10} for i in range(begin, end)]


def count(client: MilvusClient, name: str) -> int:
    (row,) = client.query(name, output_fields=["count(*)"], consistency_level="Strong")
    return row["count(*)"]


# -- schemas ----------------------------------------------------------------------------------------------------


def test_a_full_schema_is_described_as_it_was_made(client, collection):
    schema = mirrors.schema()
    client.create_collection(collection, schema=schema, index_params=flat(client, "L2", "vector"), num_shards=2,
                             consistency_level="Session", description="all of it")
    described = client.describe_collection(collection)
    assert described["num_shards"] == 2
    assert described["enable_dynamic_field"] is True
    assert described["consistency_level"] == 1
    fields = {field["name"]: field for field in described["fields"]}
    assert list(fields) == [field.name for field in schema.fields]
    assert [field["field_id"] for field in described["fields"]] == list(range(100, 100 + len(fields)))
    assert fields["word"]["params"] == {"max_length": 200}
    assert fields["vector"]["params"] == {"dim": wordnet.DIM}
    assert fields["tags"]["element_type"] == DataType.VARCHAR
    assert int(fields["tags"]["params"]["max_capacity"]) == 8
    assert fields["rank"]["nullable"] is True
    assert [name for name, field in fields.items() if field.get("is_primary")] == ["id"]


def test_null_and_default_values(client, collection):
    schema = client.create_schema(enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
    schema.add_field("maybe", DataType.INT64, nullable=True)
    schema.add_field("text", DataType.VARCHAR, max_length=20, nullable=True)
    schema.add_field("doc", DataType.JSON, nullable=True)
    schema.add_field("list", DataType.ARRAY, element_type=DataType.INT64, max_capacity=4, nullable=True)
    schema.add_field("level", DataType.INT32, default_value=np.int32(7))
    schema.add_field("both", DataType.VARCHAR, max_length=20, nullable=True, default_value="given")
    client.create_collection(collection, schema=schema, index_params=flat(client, "L2", "vector"))
    client.insert(collection, [
        {"id": 1, "vector": [1, 0, 0, 0], "maybe": 5, "text": "a", "doc": {"k": 1}, "list": [1, 2], "level": 1, "both": "x"},
        {"id": 2, "vector": [2, 0, 0, 0], "maybe": None, "text": None, "doc": None, "list": None, "level": None, "both": None},
        {"id": 3, "vector": [3, 0, 0, 0]},
        {"id": 4, "vector": [4, 0, 0, 0], "maybe": 0, "text": "", "doc": {}, "list": [], "level": 0, "both": ""},
    ])

    def check() -> None:
        found = client.query(collection, filter="id > 0", consistency_level="Strong", output_fields=[
            "maybe", "text", "doc", "list", "level", "both"])
        assert [{k: list(v) if k == "list" and v is not None else v for k, v in row.items()} for row in found] == [
            {"id": 1, "maybe": 5, "text": "a", "doc": {"k": 1}, "list": [1, 2], "level": 1, "both": "x"},
            {"id": 2, "maybe": None, "text": None, "doc": None, "list": None, "level": 7, "both": "given"},
            {"id": 3, "maybe": None, "text": None, "doc": None, "list": None, "level": 7, "both": "given"},
            {"id": 4, "maybe": 0, "text": "", "doc": {}, "list": [], "level": 0, "both": ""},
        ]
        for filter, due in [("maybe is null", [2, 3]), ("text is not null", [1, 4]), ("level == 7", [2, 3]),
                            ("maybe < 100", [1, 4]), ("not (maybe == 5)", [4]), ('both == "given"', [2, 3]),
                            ("maybe == 5 or level == 7", [1, 2, 3]), ("doc is null", [2, 3]), ("list is null", [2, 3])]:
            rows = client.query(collection, filter=filter, output_fields=["id"], consistency_level="Strong")
            assert [row["id"] for row in rows] == due, filter
        (hits,) = client.search(collection, [[0, 0, 0, 0]], limit=4, output_fields=["maybe", "both"],
                                consistency_level="Strong")
        assert [(hit["id"], hit["entity"]["maybe"], hit["entity"]["both"]) for hit in hits] == [
            (1, 5, "x"), (2, None, "given"), (3, None, "given"), (4, 0, "")]

    check()
    client.flush(collection)
    check()


def test_dynamic_fields(client, collection):
    client.create_collection(collection, dimension=4, metric_type="L2")
    client.insert(collection, [
        {"id": 1, "vector": [1, 0, 0, 0], "a": 1, "b": "x", "deep": {"list": [1, {"k": True}]}},
        {"id": 2, "vector": [2, 0, 0, 0], "b": "y"},
        {"id": 3, "vector": [3, 0, 0, 0]},
    ])
    found = client.query(collection, filter="id > 0", output_fields=["a", "b"], consistency_level="Strong")
    assert [dict(row) for row in found] == [{"id": 1, "a": 1, "b": "x"}, {"id": 2, "b": "y"}, {"id": 3}]
    (row,) = client.query(collection, filter='deep["list"][1]["k"] == true', output_fields=["*"],
                          consistency_level="Strong")
    assert row == {"id": 1, "vector": [1, 0, 0, 0], "a": 1, "b": "x", "deep": {"list": [1, {"k": True}]}}
    (hits,) = client.search(collection, [[0, 0, 0, 0]], limit=3, filter='b in ["x", "y"]', output_fields=["b"],
                            consistency_level="Strong")
    assert [(hit["id"], hit["entity"]["b"]) for hit in hits] == [(1, "x"), (2, "y")]


def test_values_at_the_edges_come_back_unchanged(client, collection):
    schema = client.create_schema(enable_dynamic_field=True)
    schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=100)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
    for name, kind in [("i8", DataType.INT8), ("i16", DataType.INT16), ("i32", DataType.INT32), ("i64", DataType.INT64),
                       ("f32", DataType.FLOAT), ("f64", DataType.DOUBLE), ("truth", DataType.BOOL), ("doc", DataType.JSON)]:
        schema.add_field(name, kind)
    schema.add_field("text", DataType.VARCHAR, max_length=65535)
    for name, kind in [("bools", DataType.BOOL), ("bytes", DataType.INT8), ("floats", DataType.FLOAT), ("doubles", DataType.DOUBLE)]:
        schema.add_field(name, DataType.ARRAY, element_type=kind, max_capacity=4)
    client.create_collection(collection, schema=schema, index_params=flat(client, "IP", "vector"))
    tiny = float(np.float32(1e-30))
    rows = [
        {"id": "low", "vector": [-1e30, 1e-30, 0, -0.0], "i8": -128, "i16": -(1 << 15), "i32": -(1 << 31), "i64": -(1 << 63),
         "f32": -tiny, "f64": -1.7e308, "truth": False, "doc": {"": None, "n": -1.5e-7, "big": 1 << 53, "u": "ü\u2028\"\\"},
         "text": "", "bools": [True, False], "bytes": [-128, 127], "floats": [0.5], "doubles": []},
        {"id": "é 'q' \"d\" \\ \n", "vector": [1, 2, 3, 4], "i8": 127, "i16": (1 << 15) - 1, "i32": (1 << 31) - 1,
         "i64": (1 << 63) - 1, "f32": tiny, "f64": 5e-324, "truth": True, "doc": {"deep": [[[[{}]]]]},
         "text": "ß" * 32767, "bools": [], "bytes": [], "floats": [], "doubles": [1e300, -0.0]},
    ]
    client.insert(collection, rows)
    for _ in range(2):
        found = client.query(collection, filter='id != ""', output_fields=["*"], consistency_level="Strong")
        shown = {row["id"]: {k: list(v) if k in ("bools", "bytes", "floats", "doubles") else v for k, v in row.items()}
                 for row in found}
        for row in rows:
            got = shown[row["id"]]
            assert np.array_equal(np.float32(got.pop("vector")), np.float32(row["vector"]))
            assert got == {key: value for key, value in row.items() if key != "vector"}
        client.flush(collection)


# -- around a collection ----------------------------------------------------------------------------------------


def test_partitions(client, collection):
    simple(client, collection)
    assert client.list_partitions(collection) == ["_default"]
    client.create_partition(collection, "one")
    client.create_partition(collection, "two")
    assert sorted(client.list_partitions(collection)) == ["_default", "one", "two"]
    assert client.has_partition(collection, "one") and not client.has_partition(collection, "three")
    client.insert(collection, simple_rows(0, 10))
    client.insert(collection, simple_rows(10, 15), partition_name="one")
    client.insert(collection, simple_rows(15, 18), partition_name="two")
    client.flush(collection)
    assert client.get_partition_stats(collection, "one")["row_count"] == 5
    fails(200, "partition not found", lambda: client.insert(collection, simple_rows(0, 1), partition_name="three"))
    fails(None, "three", lambda: client.search(collection, [[0, 0, 0, 0]], partition_names=["three"], limit=1))
    fails(None, "partition cannot be d", lambda: client.drop_partition(collection, "_default"))
    fails(None, "partition cannot be dropped, partition is loaded", lambda: client.drop_partition(collection, "one"))
    client.release_partitions(collection, ["one"])
    client.drop_partition(collection, "one")
    assert sorted(client.list_partitions(collection)) == ["_default", "two"]
    assert count(client, collection) == 13
    client.drop_partition(collection, "one")


def test_aliases(client, collection):
    name, other, alias = collection, f"{collection}_other", f"{collection}_alias"
    simple(client, name)
    simple(client, other)
    client.insert(name, simple_rows(0, 3))
    client.create_alias(name, alias)
    assert client.describe_alias(alias)["collection_name"] == name
    assert client.list_aliases(name)["aliases"] == [alias]
    assert count(client, alias) == 3
    client.insert(alias, simple_rows(3, 5))
    assert count(client, name) == 5
    assert client.describe_collection(alias)["aliases"] == [alias]
    fails(1602, "alias already exist", lambda: client.create_alias(other, alias))
    fails(1601, "alias and collection name conflict", lambda: client.create_alias(name, other))
    client.alter_alias(other, alias)
    assert count(client, alias) == 0
    fails(1600, "alias not found", lambda: client.describe_alias("nobody"))
    client.drop_alias(alias)
    client.drop_alias(alias)
    assert not client.has_collection(alias)


def test_databases(client, server, collection):
    database = f"db_{collection}"[:60]
    client.create_database(database)
    assert sorted(client.list_databases()) == sorted(["default", database])
    assert client.describe_database(database)["name"] == database
    inside = server.client(db_name=database)
    simple(inside, collection)
    simple(client, collection)
    inside.insert(collection, simple_rows(0, 4))
    assert (count(inside, collection), count(client, collection)) == (4, 0)
    assert inside.list_collections() == [collection]
    fails(None, "not empty", lambda: client.drop_database(database))
    inside.drop_collection(collection)
    assert client.has_collection(collection)
    inside.close()
    client.drop_database(database)
    assert client.list_databases() == ["default"]
    nowhere = server.client(db_name="nowhere")
    fails(800, "database not found", nowhere.list_collections)
    nowhere.close()
    fails(None, "default", lambda: client.drop_database("default"))


def test_indexes(client, collection):
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
    schema.add_field("n", DataType.INT64)
    client.create_collection(collection, schema=schema)
    assert client.list_indexes(collection) == []
    fails(700, "index not found", lambda: client.load_collection(collection))
    params = client.prepare_index_params()
    params.add_index("vector", index_type="HNSW", metric_type="IP", index_name="by_vector",
                     params={"M": 8, "efConstruction": 64})
    params.add_index("n", index_type="INVERTED", index_name="by_n")
    client.create_index(collection, params)
    assert sorted(client.list_indexes(collection)) == ["by_n", "by_vector"]
    described = client.describe_index(collection, "by_vector")
    assert (described["field_name"], described["index_type"], described["metric_type"]) == ("vector", "HNSW", "IP")
    assert (str(described["M"]), str(described["efConstruction"])) == ("8", "64")
    assert described["state"] == "Finished"
    client.create_index(collection, params)
    again = client.prepare_index_params()
    again.add_index("vector", index_type="FLAT", metric_type="L2", index_name="second")
    fails(None, "at most one distinct index is allowed per field", lambda: client.create_index(collection, again))
    client.load_collection(collection)
    client.insert(collection, [{"id": i, "vector": [i, 0, 0, 0], "n": i} for i in range(10)])
    (hits,) = client.search(collection, [[1, 0, 0, 0]], limit=3, consistency_level="Strong")
    assert [hit["id"] for hit in hits] == [9, 8, 7]
    fails(1100, "metric type not match", lambda: client.search(
        collection, [[1, 0, 0, 0]], limit=3, search_params={"metric_type": "L2"}))
    fails(None, "index cannot be dropped, collection is loaded", lambda: client.drop_index(collection, "by_vector"))
    client.release_collection(collection)
    client.drop_index(collection, "by_vector")
    assert client.list_indexes(collection) == ["by_n"]


def test_rename(client, collection):
    renamed = f"{collection}_renamed"
    simple(client, collection)
    client.insert(collection, simple_rows(0, 3))
    client.rename_collection(collection, renamed)
    assert not client.has_collection(collection)
    assert count(client, renamed) == 3
    client.insert(renamed, simple_rows(3, 6))
    assert count(client, renamed) == 6
    simple(client, collection)
    assert count(client, collection) == 0
    fails(None, renamed, lambda: client.rename_collection(collection, renamed))


def test_properties(client, collection):
    simple(client, collection, properties={"collection.ttl.seconds": 86400})
    assert str(client.describe_collection(collection)["properties"]["collection.ttl.seconds"]) == "86400"
    with pytest.raises(MilvusException, match="can not alter mmap properties if collection loaded"):
        client.alter_collection_properties(collection, {"mmap.enabled": True})
    client.release_collection(collection)
    client.alter_collection_properties(collection, {"mmap.enabled": True})
    properties = client.describe_collection(collection)["properties"]
    assert str(properties["mmap.enabled"]).lower() == "true"
    assert str(properties["collection.ttl.seconds"]) == "86400"
    client.drop_collection_properties(collection, ["collection.ttl.seconds"])
    assert "collection.ttl.seconds" not in client.describe_collection(collection)["properties"]


# -- iterators and hybrid search --------------------------------------------------------------------------------


def drain(iterator) -> list[list]:
    batches = []
    while batch := iterator.next():
        batches.append(list(batch))
    iterator.close()
    return batches


def test_a_query_iterator_shows_one_snapshot(client, collection):
    simple(client, collection)
    client.insert(collection, simple_rows(0, 250))
    iterator = client.query_iterator(collection, batch_size=40, filter="n >= 100", output_fields=["n"],
                                     consistency_level="Strong")
    first = list(iterator.next())
    client.delete(collection, filter="id >= 100 and id < 150")
    client.insert(collection, simple_rows(1000, 1100))
    client.upsert(collection, [{"id": 200, "vector": [0, 0, 0, 0], "n": -5}])
    client.flush(collection)
    rest = drain(iterator)
    rows = first + [row for batch in rest for row in batch]
    assert [(row["id"], row["n"]) for row in rows] == [(i, i * 10) for i in range(10, 250)]
    assert all(len(batch) <= 40 for batch in [first, *rest])
    assert count(client, collection) == 300


def test_a_search_iterator_shows_one_snapshot_best_first(client, collection):
    total = 300
    client.create_collection(collection, dimension=wordnet.DIM, metric_type="L2")
    client.insert(collection, [{"id": i, "vector": wordnet.vectors()[i], "n": i} for i in range(total)])
    query = wordnet.vectors()[500]
    iterator = client.search_iterator(collection, data=[query], batch_size=35, output_fields=["n"], filter="n < 280",
                                      consistency_level="Strong")
    first = list(iterator.next())
    client.delete(collection, filter="id >= 100 and id < 150")
    client.insert(collection, [{"id": 5000, "vector": query, "n": 0}])
    hits = first + [hit for batch in drain(iterator) for hit in batch]
    expected = dict(enumerate(oracle.scores("L2", query, wordnet.vectors()[:280])))
    oracle.check_hits(hits, expected, total, "L2")
    assert all(hit["entity"]["n"] == hit["id"] for hit in hits)


def two_vectors(client: MilvusClient, name: str, rows: int) -> None:
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("meaning", DataType.FLOAT_VECTOR, dim=wordnet.DIM)
    schema.add_field("head", DataType.FLOAT_VECTOR, dim=8)
    schema.add_field("n", DataType.INT64)
    params = client.prepare_index_params()
    params.add_index("meaning", index_type="FLAT", metric_type="COSINE")
    params.add_index("head", index_type="FLAT", metric_type="L2")
    client.create_collection(name, schema=schema, index_params=params, num_shards=2)
    client.insert(name, [{"id": i, "meaning": wordnet.vectors()[i], "head": wordnet.vectors()[i][:8], "n": i}
                         for i in range(rows)])


def test_hybrid_search_by_ranks_and_by_weights(client, collection):
    rows, limit = 400, 30
    two_vectors(client, collection, rows)
    query = wordnet.vectors()[rows + 3]
    cosine = oracle.scores("COSINE", query, wordnet.vectors()[:rows])
    squared = oracle.scores("L2", query[:8], wordnet.vectors()[:rows, :8])
    first = np.argsort(-cosine)[:limit]
    second = [i for i in np.argsort(squared) if i % 2 == 0][:limit]
    requests = [
        AnnSearchRequest([query], "meaning", {}, limit),
        AnnSearchRequest([query[:8]], "head", {}, limit, expr="n % 2 == 0"),
    ]

    def sums(parts: list[dict[int, float]]) -> dict[int, float]:
        return {id: sum(part.get(id, 0.0) for part in parts) for id in set().union(*parts)}

    rrf = sums([{int(id): 1 / (60 + rank) for rank, id in enumerate(ids, 1)} for ids in (first, second)])
    (hits,) = client.hybrid_search(collection, requests, RRFRanker(60), limit=20, output_fields=["n"],
                                   consistency_level="Strong")
    # Ranks have no tolerance for ties, so the data must have none near the places that count.
    oracle.check_hits(hits, rrf, 20, "IP")
    assert all(hit["entity"]["n"] == hit["id"] for hit in hits)

    weighted = sums([
        {int(id): 0.7 * (1 + cosine[id]) / 2 for id in first},
        {int(id): 0.3 * (1 - 2 * math.atan(squared[id]) / math.pi) for id in second},
    ])
    (hits,) = client.hybrid_search(collection, requests, WeightedRanker(0.7, 0.3, norm_score=True), limit=20,
                                   consistency_level="Strong")
    oracle.check_hits(hits, weighted, 20, "IP")
    fails(1100, "the length of weights param mismatch", lambda: client.hybrid_search(
        collection, requests, WeightedRanker(0.7), limit=20))
    fails(None, "multiple anns_fields exist", lambda: client.search(collection, [query], limit=3))


def test_the_async_client(client, server, collection):
    async def run() -> None:
        own = AsyncMilvusClient(server.uri)
        await own.create_collection(collection, dimension=4, metric_type="L2")
        answers = await asyncio.gather(*(
            own.insert(collection, [{"id": i * 10 + k, "vector": [i, k, 0, 0]} for k in range(10)]) for i in range(20)))
        assert sum(answer["insert_count"] for answer in answers) == 200
        (hits,) = await own.search(collection, [[7, 3, 0, 0]], limit=1, consistency_level="Strong")
        assert hits[0]["id"] == 73
        await own.delete(collection, ids=[73])
        await own.upsert(collection, [{"id": 1, "vector": [9, 9, 9, 9], "new": True}])
        rows = await own.query(collection, filter="id in [1, 73]", output_fields=["new"], consistency_level="Strong")
        assert [dict(row) for row in rows] == [{"id": 1, "new": True}]
        await own.flush(collection)
        await own.drop_collection(collection)
        await own.close()

    asyncio.run(run())


def test_schemas_that_are_refused(client, collection):
    def create(*fields, **kwargs):
        schema = client.create_schema(**kwargs)
        for name, kind, params in fields:
            schema.add_field(name, kind, **params)
        client.create_collection(collection, schema=schema)

    key = ("id", DataType.INT64, {"is_primary": True})
    vector = ("vector", DataType.FLOAT_VECTOR, {"dim": 4})
    fails(None, "dimension", lambda: create(key, ("vector", DataType.FLOAT_VECTOR, {"dim": 1})))
    fails(None, "dimension", lambda: create(key, ("vector", DataType.FLOAT_VECTOR, {"dim": 40000})))
    fails(None, "should be in (0, 65535]", lambda: create(key, vector, ("s", DataType.VARCHAR, {"max_length": 70000})))
    fails(1701, "Invalid field name", lambda: create(key, vector, ("1s", DataType.INT64, {})))
    fails(1100, "Invalid collection name", lambda: client.create_collection("1 bad name", dimension=4))
    assert not client.has_collection(collection)
    simple(client, collection)
    simple(client, collection)
    with pytest.raises(MilvusException) as caught:
        create(key, vector)
    assert "create duplicate collection with different parameters" in caught.value.message
