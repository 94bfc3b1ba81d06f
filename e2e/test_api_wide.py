"""The whole API of the first tier, the same scenarios with each of pymilvus' clients: MilvusClient, AsyncMilvusClient,
and the older object form (Collection, utility, connections)."""

import asyncio
import inspect
import re

import numpy as np
import pytest
from pymilvus import (
    AnnSearchRequest, AsyncMilvusClient, Collection, CollectionSchema, DataType, FieldSchema, MilvusClient, Partition,
    RRFRanker, WeightedRanker, connections, db, utility,
)
from pymilvus.exceptions import MilvusException

DIM = 4
STRONG = {"consistency_level": "Strong"}


class Plain:
    """MilvusClient as it is."""

    def __init__(self, uri: str, **kwargs):
        self.inner = MilvusClient(uri, dedicated=True, **kwargs)

    def __getattr__(self, name):
        return getattr(self.inner, name)


class Awaited:
    """AsyncMilvusClient, each call awaited: so that one scenario serves both."""

    def __init__(self, uri: str, **kwargs):
        self.loop = asyncio.new_event_loop()

        async def made():
            return AsyncMilvusClient(uri, **kwargs)

        self.inner = self.loop.run_until_complete(made())

    def __getattr__(self, name):
        call = getattr(self.inner, name)
        if not callable(call):
            return call

        def awaited(*args, **kwargs):
            answer = call(*args, **kwargs)
            return self.loop.run_until_complete(answer) if inspect.isawaitable(answer) else answer

        return awaited

    def close(self):
        self.loop.run_until_complete(self.inner.close())
        self.loop.close()


@pytest.fixture(params=[Plain, Awaited], ids=["sync", "async"])
def api(request, server):
    api = request.param(server.uri)
    yield api
    api.close()


def vectors(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).random((count, DIM), dtype=np.float32)


def rows(begin: int, end: int) -> list[dict]:
    return [
        {"id": i, "v": vectors(200)[i], "text": f"t{i}", "n": None if i % 5 == 0 else i, "doc": {"a": i, "b": [i, i + 1]},
         "list": [i, i + 1], "group": i % 3, "extra": f"x{i}"}
        for i in range(begin, end)
    ]


def create(api, name: str, index: str = "FLAT", metric: str = "L2", load: bool = True, **kwargs) -> None:
    schema = MilvusClient.create_schema(enable_dynamic_field=True, description="wide")
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("v", DataType.FLOAT_VECTOR, dim=DIM)
    schema.add_field("text", DataType.VARCHAR, max_length=20)
    schema.add_field("n", DataType.INT32, nullable=True)
    schema.add_field("doc", DataType.JSON)
    schema.add_field("list", DataType.ARRAY, element_type=DataType.INT64, max_capacity=8)
    schema.add_field("group", DataType.INT8)
    schema.add_field("filled", DataType.VARCHAR, max_length=9, default_value="d")
    indexes = MilvusClient.prepare_index_params()
    indexes.add_index("v", index_type=index, metric_type=metric, params={"nlist": 16} if index.startswith("IVF") else {})
    api.create_collection(name, schema=schema, index_params=indexes if load else None, **kwargs)


def filled(api, name: str, count: int = 60, **kwargs) -> None:
    create(api, name, **kwargs)
    answer = api.insert(name, rows(0, count))
    assert (answer["insert_count"], list(answer["ids"])) == (count, list(range(count)))


def count(api, name: str, filter: str = "", **kwargs) -> int:
    return api.query(name, filter=filter, output_fields=["count(*)"], **STRONG, **kwargs)[0]["count(*)"]


def nearest(query: np.ndarray, among: int, metric: str = "L2") -> list[int]:
    base = vectors(200)[:among]
    if metric == "L2":
        return np.argsort(((base - query) ** 2).sum(axis=1), kind="stable").tolist()
    return np.argsort(-(base @ query), kind="stable").tolist()


def refused(call, code: int, text: str) -> None:
    with pytest.raises(MilvusException) as caught:
        call()
    assert caught.value.code == code, caught.value
    assert text in caught.value.message, caught.value


def delete_refused(api, name: str, arguments: dict, code: int, text: str) -> None:
    """As `refused`, for deletes: AsyncMilvusClient.delete does not look at the status, so the server lets it stumble."""
    if isinstance(api, Plain):
        return refused(lambda: api.delete(name, **arguments), code, text)
    with pytest.raises(ValueError, match=f"code={code}: .*{re.escape(text)}"):
        api.delete(name, **arguments)


# -- MilvusClient and AsyncMilvusClient -----------------------------------------------------------------------------


def test_the_life_of_a_collection(api, collection):
    create(api, collection, load=False, consistency_level="Session", num_shards=2, properties={"owner": "me"})
    assert api.has_collection(collection)
    found = api.describe_collection(collection)
    assert [field["name"] for field in found["fields"]] == ["id", "v", "text", "n", "doc", "list", "group", "filled"]
    assert (found["num_shards"], found["consistency_level"], found["description"]) == (2, 1, "wide")
    assert found["properties"]["owner"] == "me"
    assert (found["enable_dynamic_field"], found["num_partitions"], found["aliases"]) == (True, 1, [])
    api.alter_collection_properties(collection, {"collection.ttl.seconds": 60})
    assert api.describe_collection(collection)["properties"]["collection.ttl.seconds"] == "60"
    api.drop_collection_properties(collection, ["collection.ttl.seconds"])
    assert "collection.ttl.seconds" not in api.describe_collection(collection)["properties"]
    api.alter_collection_field(collection, "text", {"max_length": 30})
    renamed = f"{collection}_renamed"
    api.rename_collection(collection, renamed)
    assert renamed in api.list_collections() and not api.has_collection(collection)
    refused(lambda: api.describe_collection(collection), 100, "can't find collection")
    refused(lambda: api.rename_collection(renamed, renamed), 1100, "collection name or database name should be different")
    api.drop_collection(renamed)
    api.drop_collection(renamed)
    assert not api.has_collection(renamed)


def test_loading_and_releasing(api, collection):
    filled(api, collection)
    assert str(api.get_load_state(collection)["state"]) == "Loaded"
    api.release_collection(collection)
    assert str(api.get_load_state(collection)["state"]) == "NotLoad"
    refused(lambda: api.search(collection, [vectors(1)[0]], limit=1), 101, "failed to search: collection not loaded")
    refused(lambda: api.query(collection, filter="id > 0"), 101, "failed to query: collection not loaded")
    api.load_collection(collection)
    assert count(api, collection) == 60
    api.refresh_load(collection)
    assert str(api.get_load_state("none_such")["state"]) == "NotExist"
    create(api, f"{collection}_bare", load=False)
    refused(lambda: api.load_collection(f"{collection}_bare"), 700, "index not found")


def test_indexes(api, collection):
    create(api, collection, load=False)

    def index(field: str, **kwargs):
        params = MilvusClient.prepare_index_params()
        params.add_index(field, **kwargs)
        api.create_index(collection, params)

    index("v", index_name="by_v", index_type="HNSW", metric_type="COSINE", params={"M": 8, "efConstruction": 100})
    index("text", index_type="INVERTED")
    index("doc", index_name="a", index_type="INVERTED", params={"json_path": "doc['a']", "json_cast_type": "DOUBLE"})
    index("doc", index_name="b", index_type="INVERTED", params={"json_path": "doc['b']", "json_cast_type": "ARRAY_DOUBLE"})
    index("doc", index_type="INVERTED", params={"json_path": "doc['b'][0]", "json_cast_type": "DOUBLE"})
    index("extra", index_name="key", index_type="INVERTED", params={"json_path": "extra", "json_cast_type": "VARCHAR"})
    assert sorted(api.list_indexes(collection)) == ["a", "b", "by_v", "doc/b/0", "key", "text"]
    assert api.list_indexes(collection, field_name="v") == ["by_v"]
    found = api.describe_index(collection, "by_v")
    assert {key: found[key] for key in ["field_name", "index_type", "metric_type", "M", "state"]} == {
        "field_name": "v", "index_type": "HNSW", "metric_type": "COSINE", "M": "8", "state": "Finished"}
    assert api.describe_index(collection, "key")["field_name"] == "extra"
    # The same once more is fine; another one is not.
    index("text", index_type="INVERTED")
    refused(lambda: index("text", index_type="BITMAP"), 65535, "at most one distinct index is allowed per field")
    refused(lambda: index("v", index_name="more", index_type="FLAT", metric_type="L2"), 65535, "creating multiple indexes")
    refused(lambda: index("text", index_name="x", index_type="NONE"), 1100, "invalid index type: NONE")
    refused(lambda: index("text", index_name="n-o", index_type="INVERTED"), 1100, "Invalid index name: n-o")
    api.alter_index_properties(collection, "by_v", {"mmap.enabled": True})
    api.drop_index_properties(collection, "by_v", ["mmap.enabled"])
    api.drop_index(collection, "text")
    assert api.describe_index(collection, "text") is None
    api.load_collection(collection)
    refused(lambda: api.drop_index(collection, "by_v"), 65535, "vector index cannot be dropped on loaded collection")


def test_rows_and_filters(api, collection):
    filled(api, collection)
    (row,) = api.query(collection, filter="id == 7", output_fields=["*"], **STRONG)
    assert row.pop("v") == pytest.approx(vectors(200)[7].tolist())
    assert row == {"id": 7, "text": "t7", "n": 7, "doc": {"a": 7, "b": [7, 8]}, "list": [7, 8], "group": 1, "filled": "d",
                   "extra": "x7"}
    assert count(api, collection, "n is null") == 12
    assert count(api, collection, "doc['a'] >= 50 and json_contains(doc['b'], 55)") == 2
    assert count(api, collection, "array_length(list) == 2 and array_contains_any(list, [10, 30])") == 4
    assert count(api, collection, 'extra like "x5_"') == 10
    assert count(api, collection, "not (group == 1) and 10 < id <= 20") == 7
    found = api.query(collection, filter="id in {ids} or text == {t}", filter_params={"ids": [1, 2], "t": "t9"},
                      output_fields=["id"], **STRONG)
    assert [row["id"] for row in found] == [1, 2, 9]
    found = api.query(collection, filter="", limit=5, offset=10, output_fields=["id"], **STRONG)
    assert [row["id"] for row in found] == list(range(10, 15))
    assert [row["id"] for row in api.get(collection, [3, 1, 999], output_fields=["id"], **STRONG)] == [1, 3]


def test_upserts_and_deletes(api, collection):
    filled(api, collection)
    changed = [{**row, "text": "new"} for row in rows(58, 62)]
    assert api.upsert(collection, changed)["upsert_count"] == 4
    assert count(api, collection) == 62 and count(api, collection, 'text == "new"') == 4
    refused(lambda: api.upsert(collection, changed[:1] * 2), 1100, "duplicate primary keys are not allowed")
    answer = api.delete(collection, ids=[0, 1])
    assert answer["delete_count"] == 2
    assert api.delete(collection, filter="group == {g}", filter_params={"g": 2})["delete_count"] == 20
    assert count(api, collection) == 40
    assert api.delete(collection, ids=[12345])["delete_count"] == 1
    delete_refused(api, collection, {"filter": "id >"}, 1100, "failed to create delete plan: cannot parse expression")
    not_boolean = "failed to create delete plan: predicate is not a boolean expression: id, data type: Int64: invalid parameter"
    delete_refused(api, collection, {"filter": "id"}, 1100, not_boolean)
    delete_refused(api, f"{collection}_none", {"filter": "id > 3"}, 100, "can't find collection")
    assert count(api, collection) == 40


def test_writes_that_fail_say_why(api, collection):
    filled(api, collection, count=3)
    (row,) = rows(3, 4)
    for write in (api.insert, api.upsert):
        refused(lambda: write(collection, [{**row, "text": "x" * 21}]), 1100, "exceeds max length")
        refused(lambda: write(collection, [{**row, "v": [1.0, float("nan"), 0.0, 0.0]}]), 1100, "NaN")
        refused(lambda: write(collection, [row], partition_name="none"), 200, "partition not found[partition=none]")
    delete_refused(api, collection, {"filter": "id > 0", "partition_name": "none"}, 200, "partition not found[partition=none]")
    assert count(api, collection) == 3


def test_keys_of_the_server(api, collection):
    api.create_collection(collection, dimension=DIM, auto_id=True, metric_type="L2")
    ids = list(api.insert(collection, [{"vector": v, "i": i} for i, v in enumerate(vectors(10))])["ids"])
    assert len(set(ids)) == 10
    new = list(api.upsert(collection, [{"id": ids[3], "vector": vectors(1)[0], "i": 33}])["ids"])
    assert new != [ids[3]]
    found = api.query(collection, filter="i >= 0", output_fields=["i"], **STRONG)
    assert sorted(row["i"] for row in found) == [0, 1, 2, 4, 5, 6, 7, 8, 9, 33]


@pytest.mark.parametrize("metric", ["L2", "IP"])
def test_searches(api, collection, metric):
    filled(api, collection, index="IVF_FLAT", metric=metric, num_shards=2)
    queries = vectors(3, seed=9)

    def search(**kwargs) -> list[list[int]]:
        return [[hit["id"] for hit in hits] for hits in api.search(collection, list(queries), **{"limit": 5, **STRONG, **kwargs})]

    due = [nearest(query, 60, metric) for query in queries]
    assert search() == [ids[:5] for ids in due]
    assert search(search_params={"offset": 3}) == [ids[3:8] for ids in due]
    assert search(filter="id < {top}", filter_params={"top": 20}) == [[i for i in ids if i < 20][:5] for ids in due]
    (hits, *_) = api.search(collection, list(queries), limit=2, output_fields=["text", "extra"], **STRONG)
    assert [hit["entity"] for hit in hits] == [{"text": f"t{i}", "extra": f"x{i}"} for i in due[0][:2]]
    grouped = api.search(collection, [queries[0]], limit=3, group_by_field="group", group_size=2, strict_group_size=True,
                         output_fields=["group"], **STRONG)[0]
    expected = sorted(i for g in range(3) for i in [i for i in due[0] if i % 3 == g][:2])
    assert sorted(hit["id"] for hit in grouped) == expected
    scores = [hit["distance"] for hit in api.search(collection, [queries[0]], limit=60, **STRONG)[0]]
    far, near = scores[20], scores[10]
    inside = api.search(collection, [queries[0]], limit=60, search_params={"params": {"radius": far, "range_filter": near}},
                        **STRONG)[0]
    assert {hit["id"] for hit in inside} == set(due[0][10:20])
    found = api.search(collection, ids=[5], limit=1, anns_field="v", **STRONG) if metric == "L2" else [[{"id": 5}]]
    assert found[0][0]["id"] == 5
    refused(lambda: search(limit=16385), 65535, "should be in range [1, 16384]")
    refused(lambda: search(search_params={"metric_type": "COSINE"}), 1100, "metric type not match")
    refused(lambda: search(anns_field="nope"), 1100, "fieldName(nope) not found")


def test_hybrid_searches(api, collection):
    schema = MilvusClient.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("v", DataType.FLOAT_VECTOR, dim=DIM)
    schema.add_field("w", DataType.FLOAT_VECTOR, dim=2)
    indexes = MilvusClient.prepare_index_params()
    indexes.add_index("v", metric_type="L2")
    indexes.add_index("w", metric_type="IP")
    api.create_collection(collection, schema=schema, index_params=indexes)
    api.insert(collection, [{"id": i, "v": [i, 0, 0, 0], "w": [1, i]} for i in range(20)])

    def asked(limit: int = 10) -> list[AnnSearchRequest]:
        return [AnnSearchRequest([[0, 0, 0, 0]], "v", {}, limit), AnnSearchRequest([[0, 1]], "w", {}, limit, expr="id < 15")]

    (hits,) = api.hybrid_search(collection, asked(), RRFRanker(60), limit=4, **STRONG)
    by_rank = {i: 1 / (61 + i) for i in range(10)}
    for place, i in enumerate(range(14, 4, -1)):
        by_rank[i] = by_rank.get(i, 0) + 1 / (61 + place)
    due = sorted(by_rank, key=lambda i: -by_rank[i])[:4]
    assert {hit["id"] for hit in hits} == set(due)
    assert hits[0]["distance"] == pytest.approx(by_rank[hits[0]["id"]], rel=1e-5)
    (hits,) = api.hybrid_search(collection, asked(20), WeightedRanker(0.0, 1.0), limit=3, **STRONG)
    assert [hit["id"] for hit in hits] == [14, 13, 12]
    refused(lambda: api.hybrid_search(collection, asked(), WeightedRanker(1.0), limit=3), 1100, "the length of weights param mismatch")
    refused(lambda: api.search(collection, [[0, 0, 0, 0]], limit=1), 65535, "multiple anns_fields exist")


def test_partitions(api, collection):
    filled(api, collection, count=10)
    api.create_partition(collection, "p")
    assert api.list_partitions(collection) == ["_default", "p"] and api.has_partition(collection, "p")
    api.insert(collection, rows(10, 15), partition_name="p")
    assert count(api, collection, partition_names=["p"]) == 5 and count(api, collection) == 15
    api.upsert(collection, rows(10, 11), partition_name="p")
    assert api.delete(collection, filter="id >= 13", partition_name="p")["delete_count"] == 2
    (hits,) = api.search(collection, [vectors(200)[0]], limit=20, partition_names=["p"], **STRONG)
    assert {hit["id"] for hit in hits} == {10, 11, 12}
    api.flush(collection)
    assert api.get_partition_stats(collection, "p")["row_count"] >= 3
    refused(lambda: api.insert(collection, rows(20, 21), partition_name="none"), 200, "partition not found[partition=none]")
    refused(lambda: count(api, collection, partition_names=["none"]), 65535, "partition name none not found")
    refused(lambda: api.drop_partition(collection, "p"), 65535, "partition cannot be dropped, partition is loaded")
    api.release_partitions(collection, ["p"])
    refused(lambda: count(api, collection, partition_names=["p"]), 201, "partition not loaded")
    assert count(api, collection) == 10
    api.load_partitions(collection, ["p"])
    assert count(api, collection) == 13
    api.release_partitions(collection, ["p"])
    api.drop_partition(collection, "p")
    assert api.list_partitions(collection) == ["_default"]


def test_a_request_of_many_messages(api, collection):
    """Rows and keys of more than a message of the log each: whatever the sizes, they are split so that all fit."""
    schema = MilvusClient.create_schema(enable_dynamic_field=False)
    schema.add_field("key", DataType.VARCHAR, is_primary=True, max_length=2000)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=128)
    index = MilvusClient.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="L2")
    api.create_collection(collection, schema=schema, index_params=index)
    keys = [f"{number}{'x' * (number * 37 % 2000 if number % 2 else 0)}"[:2000] for number in range(24_000)]
    vector = [0.1] * 128
    api.insert(collection, [{"key": key, "vector": vector} for key in keys])
    assert count(api, collection) == len(keys)
    api.delete(collection, ids=keys)
    assert count(api, collection) == 0


def test_aliases(api, collection):
    one, two, alias = f"{collection}_1", f"{collection}_2", f"{collection}_alias"
    filled(api, one, count=3)
    filled(api, two, count=4)
    api.create_alias(one, alias)
    assert count(api, alias) == 3 and api.has_collection(alias)
    refused(lambda: api.create_alias(two, alias), 1602, "is alias to another collection")
    refused(lambda: api.create_alias(two, one), 1601, "alias and collection name conflict")
    refused(lambda: api.alter_alias("none_such", alias), 100, "collection not found[collection=none_such]")
    refused(lambda: api.rename_collection(two, alias), 65535, f"cannot rename collection to an existing alias: {alias}")
    api.alter_alias(two, alias)
    assert count(api, alias) == 4
    assert api.describe_alias(alias)["collection_name"] == two
    listed = api.list_aliases(two)
    # AsyncMilvusClient answers the list alone.
    assert (listed["aliases"] if isinstance(listed, dict) else list(listed)) == [alias]
    api.drop_alias(alias)
    refused(lambda: api.describe_alias(alias), 1600, "alias not found")


def test_databases(api, server):
    name = f"db_{type(api).__name__.lower()}"
    api.create_database(name, properties={"database.replica.number": 1})
    assert name in api.list_databases()
    assert api.describe_database(name)["name"] == name
    inside = type(api)(server.uri, db_name=name)
    filled(inside, "c", count=5)
    assert inside.list_collections() == ["c"] and "c" not in api.list_collections()
    refused(lambda: api.drop_database(name), 65535, "must drop all collections before drop database")
    inside.drop_collection("c")
    inside.close()
    api.alter_database_properties(name, {"database.max.collections": 10})
    assert api.describe_database(name)["database.max.collections"] == "10"
    api.drop_database_properties(name, ["database.max.collections"])
    api.drop_database(name)
    assert name not in api.list_databases()
    refused(lambda: api.describe_database(name), 800, "database not found")


def test_statistics_and_partition_keys(api, collection):
    schema = MilvusClient.create_schema()
    schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=20)
    schema.add_field("v", DataType.FLOAT_VECTOR, dim=DIM)
    schema.add_field("tenant", DataType.INT64, is_partition_key=True)
    indexes = MilvusClient.prepare_index_params()
    indexes.add_index("v", metric_type="COSINE")
    api.create_collection(collection, schema=schema, index_params=indexes, num_partitions=4)
    assert len(api.list_partitions(collection)) == 4
    api.insert(collection, [{"id": f"k{i:03}", "v": v, "tenant": i % 7} for i, v in enumerate(vectors(70))])
    api.flush(collection)
    assert api.get_collection_stats(collection)["row_count"] == 70
    assert count(api, collection, "tenant == 3") == 10
    found = api.query(collection, filter="tenant in [1, 2]", output_fields=["id"], limit=4, **STRONG)
    assert [row["id"] for row in found] == ["k001", "k002", "k008", "k009"]
    refused(lambda: api.create_partition(collection, "p"), 65535, "partition key mode is used")
    refused(lambda: count(api, collection, partition_names=["_default_0"]), 1100, "partition key mode is used")


# -- what only MilvusClient has -------------------------------------------------------------------------------------


def test_iterators_read_one_snapshot(client, collection):
    filled(client, collection, count=100)
    iterator = client.query_iterator(collection, batch_size=30, filter="id >= 10", output_fields=["id"], **STRONG)
    seen = [row["id"] for row in iterator.next()]
    client.delete(collection, ids=[60, 70])
    client.insert(collection, rows(100, 110))
    while page := iterator.next():
        seen.extend(row["id"] for row in page)
    iterator.close()
    assert seen == list(range(10, 100))
    query = vectors(1, seed=5)[0]
    iterator = client.search_iterator(collection, [query], batch_size=9, limit=40, filter="id < 60", **STRONG)
    seen = []
    while page := iterator.next():
        seen.extend(hit["id"] for hit in page)
    iterator.close()
    assert seen == [i for i in nearest(query, 110) if i < 60][:40]


# -- the object form ------------------------------------------------------------------------------------------------


@pytest.fixture
def orm(server):
    connections.connect("wide", uri=server.uri)
    yield "wide"
    connections.disconnect("wide")


def test_the_object_form(orm, client, collection):
    schema = CollectionSchema([
        FieldSchema("id", DataType.INT64, is_primary=True),
        FieldSchema("v", DataType.FLOAT_VECTOR, dim=DIM),
        FieldSchema("text", DataType.VARCHAR, max_length=20),
    ], description="objects")
    held = Collection(collection, schema, using=orm, num_shards=2, consistency_level="Strong")
    assert utility.has_collection(collection, using=orm) and collection in utility.list_collections(using=orm)
    assert (held.name, held.description, held.primary_field.name, held.num_shards) == (collection, "objects", "id", 2)
    assert held.is_empty and held.num_entities == 0
    done = held.insert([list(range(50)), vectors(50).tolist(), [f"t{i}" for i in range(50)]])
    assert (done.insert_count, done.primary_keys) == (50, list(range(50)))
    held.flush()
    assert held.num_entities == 50
    given = {"index_type": "IVF_FLAT", "metric_type": "L2", "params": {"nlist": 16}}
    held.create_index("v", given, index_name="by_v")
    assert held.has_index(index_name="by_v") and held.index(index_name="by_v").params == given
    assert utility.index_building_progress(collection, "by_v", using=orm)["indexed_rows"] == 50
    assert utility.wait_for_index_building_complete(collection, "by_v", using=orm)
    held.load()
    assert utility.loading_progress(collection, using=orm)["loading_progress"] == "100%"
    assert str(utility.load_state(collection, using=orm)) == "Loaded"
    query = vectors(1, seed=4)[0]
    (hits,) = held.search([query.tolist()], "v", {"metric_type": "L2", "params": {"nprobe": 16}}, 5, output_fields=["text"])
    assert hits.ids == nearest(query, 50)[:5]
    assert [hit.entity.get("text") for hit in hits] == [f"t{i}" for i in hits.ids]
    assert [row["id"] for row in held.query("id < 3", output_fields=["id"])] == [0, 1, 2]
    assert held.query("", output_fields=["count(*)"]) == [{"count(*)": 50}]
    held.upsert([[1], vectors(1).tolist(), ["new"]])
    assert held.query("id == 1", output_fields=["text"])[0]["text"] == "new"
    assert held.delete("id in [4, 5]").delete_count == 2
    iterator, seen = held.query_iterator(batch_size=20, expr="id >= 0", output_fields=["id"]), []
    while page := iterator.next():
        seen.extend(row["id"] for row in page)
    iterator.close()
    assert seen == [i for i in range(50) if i not in (4, 5)]
    (hits,) = held.hybrid_search([AnnSearchRequest([query.tolist()], "v", {"metric_type": "L2"}, 5)], RRFRanker(), 3)
    assert len(hits) == 3
    part = Partition(held, "p")
    part.insert([[100], vectors(1).tolist(), ["p"]])
    assert held.has_partition("p") and {each.name for each in held.partitions} == {"_default", "p"}
    assert [row["id"] for row in part.query("id > 0", output_fields=["id"])] == [100]
    part.release()
    part.drop()
    utility.create_alias(collection, f"{collection}_alias", using=orm)
    assert utility.list_aliases(collection, using=orm) == [f"{collection}_alias"]
    utility.drop_alias(f"{collection}_alias", using=orm)
    held.release()
    held.drop_index(index_name="by_v")
    utility.rename_collection(collection, f"{collection}_2", using=orm)
    utility.drop_collection(f"{collection}_2", using=orm)
    assert not utility.has_collection(collection, using=orm)


def test_the_object_form_in_a_database(orm):
    db.create_database("objects", using=orm)
    assert "objects" in db.list_database(using=orm)
    db.using_database("objects", using=orm)
    assert utility.list_collections(using=orm) == []
    db.using_database("default", using=orm)
    db.drop_database("objects", using=orm)
    assert "objects" not in db.list_database(using=orm)
