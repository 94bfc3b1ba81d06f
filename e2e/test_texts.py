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
