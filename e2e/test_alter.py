"""Changes of collections and fields, and what is said of those that cannot be."""

import pytest
from pymilvus import DataType, MilvusClient
from pymilvus.exceptions import MilvusException


def create(client, name: str, auto_id: bool = False, dynamic: bool = False) -> None:
    schema = MilvusClient.create_schema(enable_dynamic_field=dynamic)
    schema.add_field("id", DataType.INT64, is_primary=True, auto_id=auto_id)
    schema.add_field("v", DataType.FLOAT_VECTOR, dim=2)
    schema.add_field("text", DataType.VARCHAR, max_length=20, description="before")
    indexes = MilvusClient.prepare_index_params()
    indexes.add_index("v", index_type="FLAT", metric_type="L2")
    client.create_collection(name, schema=schema, index_params=indexes)


def refused(call, code: int, text: str) -> None:
    with pytest.raises(MilvusException) as caught:
        call()
    assert caught.value.code == code, caught.value
    assert text in caught.value.message, caught.value


def test_properties_that_a_loaded_collection_keeps(client, collection):
    create(client, collection)
    assert client.describe_collection(collection)["properties"] == {"timezone": "UTC"}
    for key in ["mmap.enabled", "lazyload.enabled"]:
        refused(lambda: client.alter_collection_properties(collection, {key: True}), 104,
                f"can not alter mmap properties if collection loaded: collection already loaded[collection={collection}]")
        refused(lambda: client.drop_collection_properties(collection, [key]), 104,
                "can not delete mmap properties if collection loaded")
    refused(lambda: client.alter_collection_properties(collection, {"warmup.vectorField": "sync"}), 104,
            "can not alter warmup properties if collection loaded")
    client.release_collection(collection)
    client.alter_collection_properties(collection, {"mmap.enabled": True, "warmup.vectorField": "sync"})
    assert client.describe_collection(collection)["properties"]["mmap.enabled"] == "True"


@pytest.mark.parametrize("dynamic", [True, False])
def test_undeclared_keys_cannot_be_allowed_or_forbidden_later(client, collection, dynamic):
    create(client, collection, dynamic=dynamic)

    def alter(**properties):
        client.alter_collection_properties(collection, {"dynamicfield.enabled": dynamic, **properties})

    alter()
    refused(lambda: alter(**{"dynamicfield.enabled": not dynamic}), 1100 if dynamic else 3000,
            "dynamic schema cannot supported to be disabled: invalid parameter" if dynamic else "not supported")
    refused(lambda: alter(**{"collection.ttl.seconds": 9}), 1100, "cannot alter dynamic schema with other properties")
    refused(lambda: client.drop_collection_properties(collection, ["dynamicfield.enabled"]), 1100,
            "cannot delete key dynamicfield.enabled")
    described = client.describe_collection(collection)
    assert (described["enable_dynamic_field"], "dynamicfield.enabled" in described["properties"]) == (dynamic, False)


def test_keys_for_a_collection_whose_server_makes_keys(client, collection):
    create(client, collection, auto_id=True)

    def insert(**row):
        return list(client.insert(collection, [{"v": [1.0, 2.0], "text": "a", **row}])["ids"])

    refused(lambda: insert(id=7), 1100, "more fieldData has pass in: invalid parameter[expected=3][actual=4]")
    client.alter_collection_properties(collection, {"allow_insert_auto_id": True})
    assert insert(id=7) == [7]
    (made,) = insert()
    assert made != 7
    client.alter_collection_properties(collection, {"allow_insert_auto_id": "false"})
    refused(lambda: insert(id=8), 1100, "more fieldData has pass in")
    found = client.query(collection, filter="id > 0", output_fields=["id"], consistency_level="Strong")
    assert sorted(row["id"] for row in found) == sorted([7, made])

    other = f"{collection}_own"
    create(client, other)
    refused(lambda: client.alter_collection_properties(other, {"allow_insert_auto_id": True}), 1100,
            "the value for allow_insert_auto_id must be false when autoID is false")


def test_what_can_be_changed_of_a_field(client, collection):
    create(client, collection)

    def alter(field: str, **params):
        client.alter_collection_field(collection, field, {key.replace("__", "."): value for key, value in params.items()})

    def described(field: str) -> dict:
        return {field["name"]: field for field in client.describe_collection(collection)["fields"]}[field]

    alter("text", field__description="after\n\u8aac\u660e")
    assert (described("text")["description"], described("text")["params"]) == ("after\n\u8aac\u660e", {"max_length": 20})
    alter("text", max_length=30)
    assert described("text")["params"]["max_length"] == 30
    client.insert(collection, [{"id": 1, "v": [1.0, 2.0], "text": "x" * 30}])
    refused(lambda: alter("none", field__description="x"), 1100, f"field none does not exist in collection {collection}")
    refused(lambda: alter("v", max_length=9), 1100, "can not modify the maxlength for non-string types")
    refused(lambda: alter("text", max_capacity=9), 1100, "can not modify the maxcapacity for non-array types")
    refused(lambda: alter("text", nullable=True), 1100, "nullable does not allow update in collection field param")
    refused(lambda: alter("v", dim=3), 1100, "dim does not allow update in collection field param")
    refused(lambda: alter("text", mmap_enabled=True), 104, "can not alter collection field properties if collection loaded")
    client.release_collection(collection)
    alter("text", mmap_enabled=True)
    assert str(described("text")["params"]["mmap_enabled"]) == "True"
