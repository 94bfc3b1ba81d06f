"""Writes that come again: with `proxy.idempotentRequests` a client's request id makes a write happen once.

The requests are sent as they are on the wire, so that the same bytes can be sent twice. What pymilvus sends when it
is given `client_request_id` is checked in the end.
"""

from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from pymilvus import DataType, MilvusClient
from pymilvus.grpc_gen import milvus_pb2, milvus_pb2_grpc, schema_pb2

DIM = 4
SHARDS = 3


@pytest.fixture
def idempotent(new_server):
    return new_server(config={"proxy.idempotentRequests": "true"}).start()


def stub(server):
    return milvus_pb2_grpc.MilvusServiceStub(grpc.insecure_channel(f"127.0.0.1:{server.port}"))


def named(request_id: str):
    return [("client-request-id", request_id)]


def create(client: MilvusClient, name: str, auto_id: bool) -> None:
    schema = client.create_schema(auto_id=auto_id, enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("n", DataType.INT64)
    schema.add_field("v", DataType.FLOAT_VECTOR, dim=DIM)
    index = client.prepare_index_params()
    index.add_index("v", index_type="AUTOINDEX", metric_type="L2")
    client.create_collection(name, schema=schema, index_params=index, num_shards=SHARDS)


def longs(name: str, values: list[int]) -> schema_pb2.FieldData:
    data = schema_pb2.ScalarField(long_data=schema_pb2.LongArray(data=values))
    return schema_pb2.FieldData(type=DataType.INT64, field_name=name, scalars=data)


def columns(numbers: list[int], keys: list[int] | None) -> list[schema_pb2.FieldData]:
    floats = schema_pb2.FloatArray(data=[float(n) for n in numbers for _ in range(DIM)])
    vectors = schema_pb2.FieldData(type=DataType.FLOAT_VECTOR, field_name="v",
                                   vectors=schema_pb2.VectorField(dim=DIM, float_vector=floats))
    return [*([longs("id", keys)] if keys is not None else []), longs("n", numbers), vectors]


def insertion(name: str, numbers: list[int], keys: list[int] | None = None) -> milvus_pb2.InsertRequest:
    return milvus_pb2.InsertRequest(collection_name=name, fields_data=columns(numbers, keys), num_rows=len(numbers))


def upsertion(name: str, numbers: list[int], keys: list[int]) -> milvus_pb2.UpsertRequest:
    return milvus_pb2.UpsertRequest(collection_name=name, fields_data=columns(numbers, keys), num_rows=len(numbers))


def ok(answer):
    assert answer.status.code == 0, answer.status
    return answer


def ids(answer) -> list[int]:
    return list(ok(answer).IDs.int_id.data)


def count(client: MilvusClient, name: str, condition: str = "") -> int:
    rows = client.query(name, filter=condition, output_fields=["count(*)"], consistency_level="Strong")
    return rows[0]["count(*)"]


def numbers(client: MilvusClient, name: str) -> list[int]:
    rows = client.query(name, filter="n >= 0", output_fields=["n"], consistency_level="Strong", limit=16384)
    return sorted(row["n"] for row in rows)


def test_an_insert_that_comes_again_is_the_same_insert(idempotent):
    client, calls = idempotent.client(), stub(idempotent)
    for name, auto_id in [("made", True), ("given", False)]:
        create(client, name, auto_id)
        keys = None if auto_id else list(range(50))
        request = insertion(name, list(range(50)), keys)
        first = calls.Insert(request, metadata=named("r"))
        again = calls.Insert(request, metadata=named("r"))
        assert len(set(ids(first))) == 50
        assert (ids(again), again.timestamp) == (ids(first), first.timestamp), name
        assert count(client, name) == 50

        # At once: whoever comes while the first is under way gets its answer.
        request = insertion(name, list(range(50, 90)), None if auto_id else list(range(50, 90)))
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda _: calls.Insert(request, metadata=named("at once")), range(16)))
        assert len({(tuple(ids(answer)), answer.timestamp) for answer in answers}) == 1
        assert numbers(client, name) == list(range(90))

        # Another name, no name, or another content are other requests.
        for metadata in [named("q"), [], named("")]:
            ok(calls.Insert(insertion(name, [1000], None if auto_id else [1000]), metadata=metadata))
        ok(calls.Insert(insertion(name, [1001], None if auto_id else [1001]), metadata=named("r")))
        assert count(client, name, "n == 1000") == 3
        assert count(client, name, "n == 1001") == 1


@pytest.mark.parametrize("auto_id", [False, True])
def test_a_partial_upsert_that_comes_again_is_the_same_upsert(idempotent, auto_id):
    """Also when the rows have changed meanwhile: what it was not given is what they had when it first came."""
    client, calls = idempotent.client(), stub(idempotent)
    create(client, "c", auto_id)
    keys = ids(calls.Insert(insertion("c", [1, 2, 3], None if auto_id else [1, 2, 3])))
    request = milvus_pb2.UpsertRequest(collection_name="c", fields_data=[longs("id", keys), longs("n", [11, 12, 13])],
                                       num_rows=3, partial_update=True)
    first = calls.Upsert(request, metadata=named("r"))
    made = ids(first)
    assert (set(made).isdisjoint(keys), len(set(made))) == (auto_id, 3)
    ok(calls.Upsert(upsertion("c", [100], made[:1]), metadata=named("q")))
    before = client.query("c", filter="n > 0", output_fields=["*"], consistency_level="Strong")
    again = calls.Upsert(request, metadata=named("r"))
    assert (ids(again), again.timestamp) == (made, first.timestamp)
    after = client.query("c", filter="n > 0", output_fields=["*"], consistency_level="Strong")
    assert list(after) == list(before)
    assert sorted((row["n"], row["v"][0]) for row in after) == [(12, 2.0), (13, 3.0), (100, 100.0)]


def test_a_kill_in_between_changes_nothing(idempotent):
    client, calls = idempotent.client(), stub(idempotent)
    create(client, "killed", True)
    create(client, "killed_deletes", False)
    request = insertion("killed", list(range(100)))
    first = ids(calls.Insert(request, metadata=named("r")))
    ok(calls.Insert(insertion("killed_deletes", list(range(30)), list(range(30)))))
    deletion = milvus_pb2.DeleteRequest(collection_name="killed_deletes", expr="n >= 10")
    assert ok(calls.Delete(deletion, metadata=named("d"))).delete_cnt == 20
    idempotent.kill9()
    idempotent.start()
    client, calls = idempotent.client(), stub(idempotent)
    ok(calls.Insert(insertion("killed_deletes", [77, 78], [77, 78])))
    assert ids(calls.Insert(request, metadata=named("r"))) == first
    assert ok(calls.Delete(deletion, metadata=named("d"))).delete_cnt == 20
    assert numbers(client, "killed") == list(range(100))
    assert numbers(client, "killed_deletes") == [*range(10), 77, 78]


def test_deletes_and_upserts_that_come_again(idempotent):
    client, calls = idempotent.client(), stub(idempotent)
    create(client, "changed", False)
    ok(calls.Insert(insertion("changed", list(range(40)), list(range(40)))))

    # A filter means the rows that it matched when the request first came.
    by_filter = milvus_pb2.DeleteRequest(collection_name="changed", expr="n < 10")
    first = ok(calls.Delete(by_filter, metadata=named("f")))
    ok(calls.Insert(insertion("changed", [3, 5], [103, 105])))
    again = ok(calls.Delete(by_filter, metadata=named("f")))
    assert (first.delete_cnt, again.delete_cnt, again.timestamp) == (10, 10, first.timestamp)
    assert numbers(client, "changed") == [3, 5, *range(10, 40)]

    nothing = milvus_pb2.DeleteRequest(collection_name="changed", expr="n < 0")
    first, again = (ok(calls.Delete(nothing, metadata=named("n"))) for _ in range(2))
    assert (again.delete_cnt, again.timestamp) == (0, first.timestamp)

    by_key = milvus_pb2.DeleteRequest(collection_name="changed", expr="id in [20, 21]")
    first = ok(calls.Delete(by_key, metadata=named("k")))
    ok(calls.Insert(insertion("changed", [20], [20])))
    assert ok(calls.Delete(by_key, metadata=named("k"))).timestamp == first.timestamp
    assert count(client, "changed", "id in [20, 21]") == 1

    upsert = upsertion("changed", [500, 501], [30, 31])
    first = ok(calls.Upsert(upsert, metadata=named("u")))
    ok(calls.Upsert(upsertion("changed", [900], [30])))
    again = ok(calls.Upsert(upsert, metadata=named("u")))
    assert (again.upsert_cnt, again.timestamp, ids(again)) == (2, first.timestamp, ids(first))
    assert count(client, "changed", "n == 900") == 1 and count(client, "changed", "n == 500") == 0


def test_pymilvus_names_its_requests(idempotent):
    client = idempotent.client()
    create(client, "by_client", True)
    rows = [{"n": n, "v": [float(n)] * DIM} for n in range(5)]
    first = client.insert("by_client", rows, client_request_id="mine")
    assert list(client.insert("by_client", rows, client_request_id="mine")["ids"]) == list(first["ids"])
    client.insert("by_client", rows)
    assert count(client, "by_client") == 10


def test_without_the_setting_every_insert_is_its_own(server):
    client, calls = server.client(), stub(server)
    create(client, "plain", False)
    request = insertion("plain", [1], [1])
    assert ok(calls.Insert(request, metadata=named("r"))).timestamp < ok(calls.Insert(request, metadata=named("r"))).timestamp
    assert count(client, "plain") == 2
