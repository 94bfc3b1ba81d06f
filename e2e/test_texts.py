"""What is said of reads that are not right: the words that users of Milvus' clients look for."""

import pytest
from pymilvus import DataType, MilvusClient
from pymilvus.exceptions import MilvusException


@pytest.fixture
def loaded(client, collection):
    """A collection without undeclared keys, and one with them."""
    for dynamic, name in [(False, collection), (True, f"{collection}_open")]:
        schema = MilvusClient.create_schema(enable_dynamic_field=dynamic)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("v", DataType.FLOAT_VECTOR, dim=2)
        schema.add_field("ok", DataType.BOOL)
        indexes = MilvusClient.prepare_index_params()
        indexes.add_index("v", index_type="FLAT", metric_type="L2")
        client.create_collection(name, schema=schema, index_params=indexes)
    return collection


PLAN = "failed to create query plan: "


@pytest.mark.parametrize("filter, text", [
    ("id inn [1]", PLAN + "cannot parse expression: id inn [1], error: invalid expression: id inn [1]"),
    ("id in 1", PLAN + "cannot parse expression: id in 1, error: the right-hand side of 'in' must be a list"),
    ("id in [1.0]", PLAN + "cannot parse expression: id in [1.0], error: value 'float_val:1' in list cannot be casted to Int64"),
    ("ok in [0]", PLAN + "cannot parse expression: ok in [0], error: value 'int64_val:0' in list cannot be casted to Bool"),
    ("none is null", PLAN + "cannot parse expression: none is null, error: field none not exist: invalid parameter"),
    ("v is null", "IsNull/IsNotNull operations are not supported on vector fields"),
])
def test_filters(client, loaded, filter, text):
    with pytest.raises(MilvusException) as caught:
        client.query(loaded, filter=filter)
    assert (caught.value.code, text in caught.value.message) == (1100, True), caught.value
    with pytest.raises(MilvusException) as caught:
        client.search(loaded, [[1.0, 2.0]], filter=filter)
    assert (caught.value.code, text in caught.value.message) == (1100, True), caught.value


@pytest.mark.parametrize("field, text", [
    ("none", "field none not exist"),
    ("count(none)", "target field none for aggregation:count does not exist"),
    ("count(**)", "target field ** for aggregation:count does not exist"),
])
def test_output_fields(client, loaded, field, text):
    with pytest.raises(MilvusException) as caught:
        client.query(loaded, filter="id > 0", output_fields=[field])
    assert (caught.value.code, text in caught.value.message) == (65535, True), caught.value


def test_output_fields_beside_undeclared_keys(client, loaded):
    assert list(client.query(f"{loaded}_open", filter="id > 0", output_fields=["none"])) == []
    for name in ["*%", "a b"]:
        with pytest.raises(MilvusException, match="parse output field name failed") as caught:
            client.query(f"{loaded}_open", filter="id > 0", output_fields=[name])
        assert caught.value.code == 65535


@pytest.mark.parametrize("value", [2.3, "str"])
def test_whether_to_ignore_growing_rows_is_yes_or_no(client, loaded, value):
    with pytest.raises(MilvusException, match="parse ignore growing field failed"):
        client.query(loaded, filter="id > 0", ignore_growing=value)


def test_a_name_that_is_not_allowed_is_not_found_by_a_search(client):
    with pytest.raises(MilvusException) as caught:
        client.search("12-s", [[1.0, 2.0]])
    assert (caught.value.code, "collection not found[database=default][collection=12-s]" in caught.value.message) == (100, True)


@pytest.mark.parametrize("kind, build, search, text", [
    ("HNSW", {"M": 8, "efConstruction": 64}, {"ef": -1}, "Out of range in json: param 'ef' (-1) should be in range [1, 2147483647]"),
    ("HNSW", {"M": "8"}, {"ef": 32.0}, "Type conflict in json: param 'ef' (32.0) should be integer"),
    ("HNSW", {}, {"ef": None}, "Type conflict in json: param 'ef' (null) should be integer"),
    ("IVF_FLAT", {"nlist": 16}, {"nprobe": 65537}, "Out of range in json: param 'nprobe' (65537) should be in range [1, 65536]"),
    ("DISKANN", {}, {"search_list": "x"}, "Type conflict in json: param 'search_list' (x) should be integer"),
])
def test_parameters_of_searches_with_an_index(client, collection, kind, build, search, text):
    schema = MilvusClient.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("v", DataType.FLOAT_VECTOR, dim=2)
    indexes = MilvusClient.prepare_index_params()
    indexes.add_index("v", index_type=kind, metric_type="L2", params=build)
    client.create_collection(collection, schema=schema, index_params=indexes)
    with pytest.raises(MilvusException) as caught:
        client.search(collection, [[1.0, 2.0]], search_params={"params": search})
    assert (caught.value.code, caught.value.message.startswith("fail to search on QueryNode")) == (65535, True)
    assert text in caught.value.message
    assert client.search(collection, [[1.0, 2.0]], search_params={"params": {next(iter(search)): "32"}}) == [[]]


@pytest.mark.parametrize("value, text", [
    (2049, "param 'M' (2049) should be in range [2, 2048]"),
    (16.0, "wrong data type in json"),
    (True, "invalid integer value, key: 'M', value: 'True': invalid parameter"),
    ([16], "invalid integer value, key: 'M', value: '[16]': invalid parameter"),
])
def test_parameters_of_indexes(client, loaded, value, text):
    indexes = MilvusClient.prepare_index_params()
    indexes.add_index("v", index_type="HNSW", metric_type="L2", params={"M": value})
    client.release_collection(loaded)
    client.drop_index(loaded, "v")
    with pytest.raises(MilvusException) as caught:
        client.create_index(loaded, indexes)
    assert (caught.value.code, text in caught.value.message) == (1100, True), caught.value


def test_searches_by_keys_name_all_that_are_missing(client, loaded):
    client.insert(loaded, [{"id": i, "v": [1.0, float(i)], "ok": True} for i in (2, 3)])
    (hits, _) = client.search(loaded, ids=[2, 3], anns_field="v", limit=1, consistency_level="Strong")
    assert [hit["id"] for hit in hits] == [2]
    with pytest.raises(MilvusException, match=r"primary key IDs do not exist: missing IDs = \[1 4\]") as caught:
        client.search(loaded, ids=[1, 2, 4], anns_field="v", limit=1, consistency_level="Strong")
    assert caught.value.code == 1100
