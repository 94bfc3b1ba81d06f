"""Without a local disk: log, segment files and metadata in an object storage, or the metadata in etcd.

The servers are those of `cargo xtask services`; `cargo xtask e2e` starts them and says where they are.
"""

import os
import threading
import uuid

import pytest
from pymilvus import MilvusClient, MilvusException

DIM = 8


def address(variable: str) -> str:
    found = os.environ.get(variable)
    assert found, f"{variable} is not set: run these tests with `cargo xtask e2e`, which starts the servers they need"
    return found


def config(metadata: str) -> dict[str, str | int]:
    """A part of the object storage and of etcd of the test's own. One bucket for all: each takes volumes."""
    name = f"e2e-{uuid.uuid4().hex[:12]}"
    values = {
        "common.storageType": "remote",
        "minio.address": address("CINCLUS_TEST_SEAWEEDFS_ADDRESS"),
        "minio.bucketName": "cinclus-tests",
        "minio.rootPath": name,
        "metastore.type": metadata,
        # The first put of each log makes a volume of the storage; a few are enough.
        "rootCoord.dmlChannelNum": 2,
    }
    if metadata == "etcd":
        values |= {"etcd.endpoints": address("CINCLUS_TEST_ETCD_ADDRESS"), "etcd.rootPath": name}
    return values


def rows(keys) -> list[dict]:
    return [{"id": key, "vector": [float(key % 97)] * DIM, "n": key * 3} for key in keys]


def keys(client: MilvusClient, name: str) -> list[int]:
    found = client.query(name, filter="id >= 0", output_fields=["n"], limit=16384, consistency_level="Strong")
    assert all(row["n"] == row["id"] * 3 for row in found)
    return sorted(row["id"] for row in found)


@pytest.fixture(params=["objects", "etcd"])
def remote(new_server, request):
    return new_server(config=config(request.param))


def test_rows_outlive_a_process_without_a_disk(remote):
    client = remote.start().client()
    client.create_collection("c", dimension=DIM, metric_type="L2")
    client.insert("c", rows(range(500)))
    client.delete("c", ids=[7, 8])
    client.flush("c")
    client.insert("c", rows(range(1000, 1200)))
    client.upsert("c", rows(range(490, 510)))
    expected = [key for key in range(510) if key not in (7, 8)] + list(range(1000, 1200))
    assert keys(client, "c") == expected
    assert not remote.data_dir.exists(), "nothing is on the local disk"
    remote.kill9()
    client = remote.start().client()
    assert keys(client, "c") == expected
    hits = client.search("c", [[5.0] * DIM], limit=3, consistency_level="Strong")[0]
    assert all(hit["id"] % 97 == 5 for hit in hits)
    remote.terminate()
    client = remote.start().client()
    assert keys(client, "c") == expected
    client.drop_collection("c")
    assert client.list_collections() == []


def test_kill_9_under_load_loses_nothing(remote):
    client = remote.start().client()
    client.create_collection("c", dimension=DIM, metric_type="L2")
    acknowledged, unknown = set(), set()
    for life in range(2):
        stop = threading.Event()

        def write(first: int):
            client = remote.client()
            for request in range(10_000):
                if stop.is_set():
                    return
                batch = range(first + request * 10, first + request * 10 + 10)
                try:
                    client.insert("c", rows(batch), retry_times=0, timeout=30)
                    acknowledged.update(batch)
                except MilvusException:
                    unknown.update(batch)
                    return

        writers = [threading.Thread(target=write, args=((life * 4 + n) * 1_000_000,)) for n in range(4)]
        for writer in writers:
            writer.start()
        while len(acknowledged) < (life + 1) * 150:
            assert any(writer.is_alive() for writer in writers), "no writer gets on"
            stop.wait(0.01)
        remote.kill9()
        stop.set()
        for writer in writers:
            writer.join()
        client = remote.start().client()
        found = set(keys(client, "c"))
        assert acknowledged <= found, f"lost: {sorted(acknowledged - found)[:20]}"
        assert found <= acknowledged | unknown


def test_a_second_process_takes_over_and_the_first_ends(new_server):
    values = config("objects")
    first = new_server("first", config=values).start()
    client = first.client()
    client.create_collection("c", dimension=DIM, metric_type="L2")
    client.insert("c", rows(range(100)))
    second = new_server("second", config=values).start()
    # Whatever the first one still answers is true: it can acknowledge nothing that the second does not have.
    taken = set(range(100))
    try:
        client.insert("c", rows(range(100, 110)), retry_times=0, timeout=20)
        taken |= set(range(100, 110))
    except MilvusException:
        pass
    assert set(keys(second.client(), "c")) == taken
    second.client().insert("c", rows(range(200, 210)))
    try:
        stale = client.query("c", filter="id >= 0", output_fields=["n"], limit=16384, consistency_level="Strong", timeout=20)
        assert {row["id"] for row in stale} >= set(range(200, 210)), "a Strong read does not miss what was acknowledged"
    except MilvusException:
        pass
    code = first.wait_for_end(60)
    assert code == 1
    assert "another process took over" in first.log_tail()
    assert set(keys(second.client(), "c")) == taken | set(range(200, 210))


def test_a_second_process_on_etcd_waits_and_says_for_whom(new_server):
    values = config("etcd")
    first = new_server("first", config=values).start()
    client = first.client()
    client.create_collection("c", dimension=DIM, metric_type="L2")
    second = new_server("second", config=values)
    with pytest.raises(AssertionError) as refused:
        second.start()
    assert f"127.0.0.1:{first.port}" in str(refused.value) and "only one process can" in str(refused.value)
    client.insert("c", rows(range(10)))
    assert keys(client, "c") == list(range(10))


@pytest.mark.parametrize("wrong, said", [
    ({"minio.address": "127.0.0.1:1"}, "127.0.0.1:1"),
    ({"minio.bucketName": "no-such-bucket-here", "minio.createBucket": "false"}, "no-such-bucket-here"),
    ({"metastore.type": "etcd", "etcd.endpoints": "127.0.0.1:1"}, "127.0.0.1:1"),
    ({"metastore.type": "tikv"}, "TiKV"),
    ({"minio.rootPath": "/files"}, "minio.rootPath"),
])
def test_what_cannot_be_reached_is_named(new_server, wrong, said):
    server = new_server(config=config("objects") | wrong)
    with pytest.raises(AssertionError) as refused:
        server.start()
    assert said in str(refused.value)
