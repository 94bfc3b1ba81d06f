"""Upserts that name some fields only."""

import pytest
from pymilvus import DataType, MilvusClient
from pymilvus.exceptions import MilvusException

STRONG = {"consistency_level": "Strong"}


def create(client, name: str, auto_id: bool = False, **kwargs) -> None:
    schema = MilvusClient.create_schema(enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True, auto_id=auto_id)
    schema.add_field("v", DataType.FLOAT_VECTOR, dim=2)
    schema.add_field("text", DataType.VARCHAR, max_length=20, nullable=True)
    schema.add_field("n", DataType.INT64, default_value=5)
    schema.add_field("list", DataType.ARRAY, element_type=DataType.INT64, max_capacity=8, nullable=True)
    schema.add_field("doc", DataType.JSON, nullable=True)
    indexes = MilvusClient.prepare_index_params()
    indexes.add_index("v", index_type="FLAT", metric_type="L2")
    client.create_collection(name, schema=schema, index_params=indexes, **kwargs)


def rows(begin: int, end: int) -> list[dict]:
    return [{"id": i, "v": [float(i), 0.5], "text": f"t{i}", "n": i, "list": [i], "doc": {"a": i}, "extra": f"x{i}"}
            for i in range(begin, end)]


def found(client, name: str, filter: str = "id >= 0", **kwargs) -> list[dict]:
    return list(client.query(name, filter=filter, output_fields=["*"], **STRONG, **kwargs))


@pytest.mark.parametrize("num_shards", [1, 3])
def test_what_is_not_named_stays(client, collection, num_shards):
    create(client, collection, num_shards=num_shards)
    client.upsert(collection, rows(0, 20), partial_update=True)
    expected = rows(0, 20)
    # Rows in sealed segments, and rows that are still growing.
    client.flush(collection)
    client.upsert(collection, rows(20, 30), partial_update=True)
    expected += rows(20, 30)

    client.upsert(collection, [{"id": i, "text": f"new{i}"} for i in range(15, 25)], partial_update=True)
    for i in range(15, 25):
        expected[i]["text"] = f"new{i}"
    assert found(client, collection) == expected

    client.upsert(collection, [{"id": i, "v": [9.0, 9.0], "text": None} for i in (3, 28)], partial_update=True)
    for i in (3, 28):
        expected[i].update(v=[9.0, 9.0], text=None)
    assert found(client, collection) == expected
    (hits,) = client.search(collection, [[9.0, 9.0]], limit=2, output_fields=["n"], **STRONG)
    assert sorted((hit["id"], hit["entity"]["n"]) for hit in hits) == [(3, 3), (28, 28)]


def test_undeclared_keys_come_beside_those_there_were(client, collection):
    create(client, collection)
    client.insert(collection, rows(0, 3))
    client.upsert(collection, [{"id": 1, "more": {"deep": [1]}}, {"id": 2, "extra": 7}], partial_update=True)
    expected = rows(0, 3)
    expected[1]["more"] = {"deep": [1]}
    expected[2]["extra"] = 7
    assert found(client, collection) == expected


def test_new_rows_need_what_has_no_default(client, collection):
    create(client, collection)
    client.insert(collection, rows(0, 2))
    with pytest.raises(MilvusException, match=r"fieldSchema\(v\) has no corresponding fieldData pass in") as caught:
        client.upsert(collection, [{"id": i, "text": "new"} for i in (1, 2)], partial_update=True)
    assert caught.value.code == 1100
    assert found(client, collection) == rows(0, 2)
    client.upsert(collection, [{"id": 1, "v": [1.0, 1.0]}, {"id": 2, "v": [2.0, 2.0]}], partial_update=True)
    kept, made = found(client, collection, "id > 0")
    assert kept == {**rows(1, 2)[0], "v": [1.0, 1.0]}
    assert made == {"id": 2, "v": [2.0, 2.0], "text": None, "n": 5, "list": None, "doc": None}


def test_a_deleted_row_keeps_nothing(client, collection):
    create(client, collection)
    client.insert(collection, rows(0, 2))
    client.delete(collection, ids=[1])
    with pytest.raises(MilvusException, match="has no corresponding fieldData pass in"):
        client.upsert(collection, [{"id": 1, "text": "new"}], partial_update=True)


def test_rows_of_other_partitions_are_other_rows(client, collection):
    create(client, collection)
    client.create_partition(collection, "p")
    client.insert(collection, rows(0, 2), partition_name="p")
    client.upsert(collection, [{"id": 1, "n": 7}], partition_name="p", partial_update=True)
    assert [row["n"] for row in found(client, collection, partition_names=["p"])] == [0, 7]
    with pytest.raises(MilvusException, match="has no corresponding fieldData pass in"):
        client.upsert(collection, [{"id": 1, "n": 8}], partition_name="_default", partial_update=True)


def test_keys_that_the_server_makes_are_made_anew(client, collection):
    create(client, collection, auto_id=True)
    (row,) = rows(3, 4)
    (old,) = client.insert(collection, [{key: value for key, value in row.items() if key != "id"}])["ids"]
    (new,) = client.upsert(collection, [{"id": old, "n": 8}], partial_update=True)["ids"]
    assert new != old
    assert found(client, collection) == [{**row, "id": new, "n": 8}]


def test_a_collection_that_is_not_loaded_cannot_be_read(client, collection):
    create(client, collection)
    client.insert(collection, rows(0, 2))
    client.release_collection(collection)
    with pytest.raises(MilvusException, match="failed to query: collection not loaded") as caught:
        client.upsert(collection, [{"id": 1, "n": 7}], partial_update=True)
    assert caught.value.code == 101
