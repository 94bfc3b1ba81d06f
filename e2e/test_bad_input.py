"""Bad input gets a precise status and changes nothing; broken connections harm nobody else."""

import math
import socket
import struct
import time

import grpc
import numpy as np
import pytest
from pymilvus import DataType, MilvusClient
from pymilvus.exceptions import MilvusException
from pymilvus.grpc_gen import common_pb2, milvus_pb2, milvus_pb2_grpc, schema_pb2

DIM = 8
ROWS = 20
SERVICE = "/milvus.proto.milvus.MilvusService/"


@pytest.fixture
def filled(client, collection):
    """A collection with rows; afterwards it holds exactly these and still works."""
    schema = client.create_schema(enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
    schema.add_field("text", DataType.VARCHAR, max_length=10)
    schema.add_field("small", DataType.INT8)
    schema.add_field("list", DataType.ARRAY, element_type=DataType.INT64, max_capacity=3)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="L2")
    client.create_collection(collection, schema=schema, index_params=index)
    client.insert(collection, [row(i) for i in range(ROWS)])
    yield collection
    assert count(client, collection) == ROWS
    client.insert(collection, [row(ROWS)])
    assert count(client, collection) == ROWS + 1


@pytest.fixture
def channel(server):
    channel = grpc.insecure_channel(f"127.0.0.1:{server.port}", options=[
        ("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)])
    yield channel
    channel.close()


@pytest.fixture
def stub(channel):
    return milvus_pb2_grpc.MilvusServiceStub(channel)


def row(i: int) -> dict:
    return {"id": i, "vector": [float(i)] * DIM, "text": f"t{i}", "small": i % 100, "list": [i]}


def count(client: MilvusClient, name: str) -> int:
    (answer,) = client.query(name, output_fields=["count(*)"], consistency_level="Strong")
    return answer["count(*)"]


# -- requests as pymilvus would never send them -----------------------------------------------------------------


def longs(name: str, values, kind=schema_pb2.Int64) -> schema_pb2.FieldData:
    data = schema_pb2.LongArray(data=values) if kind == schema_pb2.Int64 else schema_pb2.IntArray(data=values)
    scalars = schema_pb2.ScalarField(long_data=data) if kind == schema_pb2.Int64 else schema_pb2.ScalarField(int_data=data)
    return schema_pb2.FieldData(type=kind, field_name=name, scalars=scalars)


def texts(name: str, values) -> schema_pb2.FieldData:
    return schema_pb2.FieldData(type=schema_pb2.VarChar, field_name=name,
                                scalars=schema_pb2.ScalarField(string_data=schema_pb2.StringArray(data=values)))


def vectors(name: str, dim: int, values) -> schema_pb2.FieldData:
    return schema_pb2.FieldData(type=schema_pb2.FloatVector, field_name=name, vectors=schema_pb2.VectorField(
        dim=dim, float_vector=schema_pb2.FloatArray(data=values)))


def lists(name: str, values) -> schema_pb2.FieldData:
    rows = [schema_pb2.ScalarField(long_data=schema_pb2.LongArray(data=each)) for each in values]
    return schema_pb2.FieldData(type=schema_pb2.Array, field_name=name, scalars=schema_pb2.ScalarField(
        array_data=schema_pb2.ArrayArray(data=rows, element_type=schema_pb2.Int64)))


def columns() -> dict[str, schema_pb2.FieldData]:
    """Two good rows, to be spoiled by a test."""
    return {
        "id": longs("id", [100, 101]),
        "vector": vectors("vector", DIM, [0.5] * (2 * DIM)),
        "text": texts("text", ["a", "b"]),
        "small": longs("small", [1, 2], schema_pb2.Int8),
        "list": lists("list", [[1], [2, 3]]),
    }


def insert(stub, name: str, fields: list, rows: int = 2, **kwargs) -> common_pb2.Status:
    request = milvus_pb2.InsertRequest(collection_name=name, fields_data=fields, num_rows=rows, **kwargs)
    return stub.Insert(request, timeout=10).status


def refused(status: common_pb2.Status, code: int | None, *words: str) -> None:
    """A Milvus status: both code fields are set, and the text says what is wrong."""
    assert status.code != 0 and status.error_code != 0, status
    assert code is None or status.code == code, status
    for word in words:
        assert word in status.reason, status


SPOILED = {
    "a vector of another dimension": ({"vector": vectors("vector", DIM + 1, [0.5] * (2 * DIM + 2))}, None, ["dim"]),
    "vectors that do not fill their rows": ({"vector": vectors("vector", DIM, [0.5] * (2 * DIM - 1))}, None, []),
    "NaN": ({"vector": vectors("vector", DIM, [math.nan] + [0.5] * (2 * DIM - 1))}, 1100, ["NaN"]),
    "infinity": ({"vector": vectors("vector", DIM, [0.5] * (2 * DIM - 1) + [math.inf])}, 1100, []),
    "a text that is too long": ({"text": texts("text", ["a", "b" * 11])}, 1100, ["exceeds max length"]),
    "a list that is too long": ({"list": lists("list", [[1], [1, 2, 3, 4]])}, 1100, []),
    "a number that is too big": ({"small": longs("small", [1, 128], schema_pb2.Int8)}, 1100, []),
    "a column with a row too few": ({"text": texts("text", ["a"])}, None, []),
    "a column of another type": ({"text": longs("text", [1, 2])}, None, ["text"]),
    "an unknown field": ({"more": longs("more", [1, 2])}, None, []),
    "a missing field": ({"text": None}, None, ["text"]),
    "a missing key": ({"id": None}, None, ["id"]),
}


@pytest.mark.parametrize("what", SPOILED)
def test_a_spoiled_insert_is_refused(stub, filled, what):
    change, code, words = SPOILED[what]
    fields = {**columns(), **change}
    refused(insert(stub, filled, [data for data in fields.values() if data is not None]), code, *words)


def test_a_column_that_comes_twice_is_refused(stub, filled):
    refused(insert(stub, filled, [*columns().values(), longs("small", [1, 2], schema_pb2.Int8)]), None)


def test_a_wrong_number_of_rows_is_refused(stub, filled):
    refused(insert(stub, filled, list(columns().values()), rows=3), None)
    refused(insert(stub, filled, list(columns().values()), rows=0), None)


def test_inserts_to_nowhere_are_refused(stub, filled):
    refused(insert(stub, "nobody", list(columns().values())), 100, "nobody")
    refused(insert(stub, filled, list(columns().values()), partition_name="none"), 200, "partition not found")
    refused(insert(stub, filled, list(columns().values()), db_name="none"), 800, "database not found")


def test_a_good_insert_of_this_form_is_taken(stub, client, filled):
    """So that the refusals above are for their reasons."""
    status = insert(stub, filled, list(columns().values()))
    assert status.code == 0, status
    client.delete(filled, ids=[100, 101])


def test_bad_searches_and_queries_are_refused(client, filled):
    good = [0.5] * DIM

    def fails(call, code: int | None, *words: str) -> None:
        with pytest.raises(MilvusException) as caught:
            call()
        assert code is None or caught.value.code == code, caught.value
        for word in words:
            assert word in caught.value.message, caught.value

    def search(vector=good, limit=3, **kwargs):
        return lambda: client.search(filled, [vector], limit=limit, **kwargs)

    fails(search([0.5] * (DIM + 1)), None, "dimension")
    fails(search(limit=16385), None, "topk [16385] is invalid, it should be in range [1, 16384], but got 16385")
    fails(search(limit=10, search_params={"offset": 16380}), None, "[1, 16384]")
    fails(search(anns_field="nothing"), 1100, "failed to create query plan", "nothing")
    fails(search(search_params={"metric_type": "IP"}), 1100, "metric type not match")
    fails(search(filter="id >>> 3"), 1100, "cannot parse expression")
    fails(search(filter="nothing == 3"), 1100, "nothing")
    fails(search(filter="text + 1 == 3"), 1100, "cannot parse expression")
    fails(search(output_fields=["nothing"]), None, "nothing")
    fails(lambda: client.query(filled, filter=""), None, "empty expression should be used with limit")
    fails(lambda: client.query(filled, filter="id > 0", limit=10, offset=16380), None, "[1, 16384]")
    fails(lambda: client.query(filled, filter="id > 0 and"), 1100, "cannot parse expression")
    fails(lambda: client.query(filled, filter="(" * 5000 + "id > 0" + ")" * 5000), None, "cannot parse expression")
    fails(lambda: client.delete(filled, filter="nothing in [1]"), None, "nothing")
    fails(lambda: client.delete(filled, filter="id =="), None, "cannot parse expression")
    fails(lambda: client.search("nobody", [good], limit=1), 100, "nobody")
    fails(lambda: client.query("nobody", filter="id > 0"), 100, "nobody")


def test_a_guarantee_from_the_far_future_is_an_error_and_moves_nothing(stub, client, filled):
    far = (int(time.time() * 1000) + 3_600_000) << 18
    request = milvus_pb2.QueryRequest(collection_name=filled, expr="id >= 0", output_fields=["id"],
                                      guarantee_timestamp=far, consistency_level=common_pb2.Customized)
    begin = time.monotonic()
    status = stub.Query(request, timeout=30).status
    assert status.code != 0, status
    assert time.monotonic() - begin < 5
    answer = stub.Insert(milvus_pb2.InsertRequest(collection_name=filled, fields_data=list(columns().values()),
                                                  num_rows=2), timeout=10)
    assert answer.status.code == 0
    assert answer.timestamp < far
    client.delete(filled, ids=[100, 101])


def test_duplicated_names_are_refused(stub, client, filled):
    def create(name: str, fields: list[schema_pb2.FieldSchema]) -> common_pb2.Status:
        schema = schema_pb2.CollectionSchema(name=name, fields=fields)
        return stub.CreateCollection(milvus_pb2.CreateCollectionRequest(
            collection_name=name, schema=schema.SerializeToString()), timeout=10)

    key = schema_pb2.FieldSchema(name="id", is_primary_key=True, data_type=schema_pb2.Int64)
    vector = schema_pb2.FieldSchema(name="vector", data_type=schema_pb2.FloatVector,
                                    type_params=[common_pb2.KeyValuePair(key="dim", value="4")])
    refused(create("twice", [key, vector, vector]), None, "duplicated field name")
    refused(create("twice", [key, key, vector]), None)
    refused(create("twice", [vector]), None)
    refused(create("twice", [key]), None)
    refused(create("", [key, vector]), 1100, "collection name should not be empty")
    refused(create("a" * 256, [key, vector]), 1100, "must be less than 255 characters")
    refused(create("a b", [key, vector]), 1100, "can only contain numbers, letters and underscores")
    refused(create("1a", [key, vector]), 1100, "the first character of a collection name must be an underscore or letter")
    refused(create(filled, [key, vector]), None, "create duplicate collection with different parameters")
    assert "twice" not in client.list_collections()


def test_bad_bytes_as_a_schema_are_refused(stub, client):
    for bad in (b"\xff\xff\xff", b"", bytes(range(256))):
        refused(stub.CreateCollection(milvus_pb2.CreateCollectionRequest(collection_name="broken", schema=bad),
                                      timeout=10), None)
    assert "broken" not in client.list_collections()


def test_malformed_requests_fail_at_once_and_harm_nobody(channel, filled):
    good = milvus_pb2.InsertRequest(collection_name=filled, fields_data=list(columns().values()), num_rows=2)
    whole = good.SerializeToString()
    for bad in (whole[:-3], b"\xff" * 100, b"\x0a\xff\xff\xff\xff\x0f", whole[5:]):
        call = channel.unary_unary(SERVICE + "Insert")
        try:
            answer = milvus_pb2.MutationResult.FromString(call(bad, timeout=10))
            assert answer.status.code != 0, f"taken: {bad[:20]}"
        except grpc.RpcError as error:
            assert error.code() in (grpc.StatusCode.INTERNAL, grpc.StatusCode.INVALID_ARGUMENT), error


def test_an_unknown_method_is_unimplemented(channel):
    for method in ("Nothing", "../../etc/passwd", ""):
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary(SERVICE + method)(b"", timeout=10)
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_methods_that_are_not_served_say_so_with_a_reason(stub):
    with pytest.raises(grpc.RpcError) as caught:
        stub.CreateCredential(milvus_pb2.CreateCredentialRequest(username="a", password="b"), timeout=10)
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert len(caught.value.details()) > 10, caught.value


def test_an_oversized_request_fails_without_endless_retries(client, collection):
    """More than 64 MiB in one request. pymilvus repeats most gRPC errors for minutes: this must not be one of them."""
    client.create_collection(collection, dimension=4096)
    client.insert(collection, [{"id": 0, "vector": np.zeros(4096, np.float32)}])
    vector = np.ones(4096, np.float32)
    data = [{"id": i, "vector": vector} for i in range(1, 4500)]
    begin = time.monotonic()
    with pytest.raises((MilvusException, grpc.RpcError)) as caught:
        client.insert(collection, data)
    assert time.monotonic() - begin < 30, "it was repeated"
    assert "larger than max" in str(caught.value)
    assert count(client, collection) == 1
    client.insert(collection, [{"id": 1, "vector": vector}])
    assert count(client, collection) == 2


def test_half_open_and_garbled_connections_harm_nobody(server, client, filled):
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    settings = struct.pack(">I", 0)[1:] + b"\x04\x00" + struct.pack(">I", 0)
    left_open = []
    for hello in [b"", b"P", preface, preface + settings, preface + settings + b"\x00\x40\x00\x00\x01\x00\x00\x00\x01abc",
                  b"GET / HTTP/1.1\r\nHost: x\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"\x00" * 1000, b"\xff" * 70000]:
        for _ in range(5):
            connection = socket.create_connection(("127.0.0.1", server.port), timeout=5)
            try:
                connection.sendall(hello)
            except OSError:
                pass  # The server was quicker to hang up.
            left_open.append(connection)
    # A peer that vanishes in the middle of a request: no FIN, only a reset.
    for connection in left_open[10:15]:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    begin = time.monotonic()
    fresh = server.client()
    assert count(fresh, filled) == ROWS
    assert time.monotonic() - begin < 2
    fresh.close()
    for connection in left_open:
        connection.close()
