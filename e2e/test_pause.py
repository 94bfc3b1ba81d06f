"""SIGSTOP: a process that stands still for a while. It loses nothing, and does not act on what it knew before."""

import os
import random
import signal
import threading
import time
from pathlib import Path

import grpc
import pytest
from pymilvus import DataType, MilvusClient
from pymilvus.exceptions import MilvusException

from server import Server
from test_zero_disk import config

DIM = 8
COLLECTION = "paused"


@pytest.fixture
def chance():
    seed = int(os.environ.get("E2E_SEED", "0")) or random.SystemRandom().randrange(1 << 32)
    print(f"E2E_SEED={seed}")
    return random.Random(seed)


def pause(server: Server) -> None:
    """When this returns every thread stands still: the signal reaches one, and that one stops the others."""
    os.kill(server.process.pid, signal.SIGSTOP)
    tasks = Path("/proc") / str(server.process.pid) / "task"
    while not all((task / "stat").read_text().rsplit(")", 1)[1].split()[0] == "T" for task in tasks.iterdir()):
        time.sleep(0.001)


def go_on(server: Server) -> None:
    os.kill(server.process.pid, signal.SIGCONT)


def create(client: MilvusClient) -> None:
    schema = client.create_schema(enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("n", DataType.INT64)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="L2")
    client.create_collection(COLLECTION, schema=schema, index_params=index)


def row(key: int, n: int) -> dict:
    return {"id": key, "n": n, "vector": [key % 97] + [0] * (DIM - 1)}


def found(client: MilvusClient, filter: str = "id >= 0") -> dict[int, int]:
    rows = client.query(COLLECTION, filter=filter, output_fields=["n"], limit=16384, consistency_level="Strong")
    assert len({row["id"] for row in rows}) == len(rows)
    return {row["id"]: row["n"] for row in rows}


class Writer(threading.Thread):
    """Inserts a row of its own after the other, and counts up the row with its number by upserts."""

    def __init__(self, number: int, server: Server, stop: threading.Event):
        super().__init__()
        self.number, self.server, self.stop = number, server, stop
        self.inserted: list[int] = []
        # What was acknowledged last, and what was sent last.
        self.counted = self.sent = 0
        self.surprise: BaseException | None = None

    def run(self) -> None:
        client = self.server.client()
        try:
            key = (self.number + 1) * 1_000_000
            while not self.stop.is_set():
                key += 1
                client.insert(COLLECTION, [row(key, key)], retry_times=0)
                self.inserted.append(key)
                self.sent += 1
                client.upsert(COLLECTION, [row(self.number, self.sent)], retry_times=0)
                self.counted = self.sent
        except BaseException as error:
            self.surprise = error
        finally:
            client.close()


class Reader(threading.Thread):
    """Reads the counters Strong: never one that is older than what was acknowledged before the read was sent."""

    def __init__(self, writers: list[Writer], server: Server, stop: threading.Event):
        super().__init__()
        self.writers, self.server, self.stop = writers, server, stop
        self.reads = 0
        self.surprise: BaseException | None = None

    def run(self) -> None:
        client = self.server.client()
        try:
            seen = [0] * len(self.writers)
            while not self.stop.is_set():
                due = [writer.counted for writer in self.writers]
                shown = found(client, f"id < {len(self.writers)}")
                for writer, least in zip(self.writers, due, strict=True):
                    n = shown.get(writer.number, 0)
                    assert least <= n <= writer.sent, f"writer {writer.number}: {least} was acknowledged, {n} is read"
                    assert seen[writer.number] <= n, "a later read shows less"
                    seen[writer.number] = n
                self.reads += 1
        except BaseException as error:
            self.surprise = error
        finally:
            client.close()


def test_pauses_under_load_lose_nothing_and_make_no_read_stale(new_server, chance):
    server = new_server(config={"woodpecker.client.segmentRollingPolicy.maxSize": 300_000,
                                "cinclus.recovery.logBytesMax": "1m", "cinclus.recovery.persistAge": "300ms"}).start()
    client = server.client()
    create(client)
    stop = threading.Event()
    writers = [Writer(number, server, stop) for number in range(3)]
    readers = [Reader(writers, server, stop) for _ in range(2)]
    for thread in [*writers, *readers]:
        thread.start()
    try:
        for _ in range(25):
            time.sleep(chance.uniform(0.0, 0.15))
            pause(server)
            time.sleep(chance.choice([0.0, 0.01, 0.05, 0.2, 0.4]))
            go_on(server)
    finally:
        stop.set()
        for thread in [*writers, *readers]:
            thread.join()
    for thread in [*writers, *readers]:
        assert thread.surprise is None, repr(thread.surprise)
    assert sum(reader.reads for reader in readers) > 25

    def check(client: MilvusClient) -> None:
        due = {writer.number: writer.counted for writer in writers if writer.counted}
        due |= {key: key for writer in writers for key in writer.inserted}
        assert found(client) == due
        (counted,) = client.query(COLLECTION, output_fields=["count(*)"], consistency_level="Strong")
        assert counted["count(*)"] == len(due)

    check(client)
    # And what the log holds is in the same order.
    client.close()
    server.kill9()
    server.start()
    client = server.client()
    check(client)
    client.close()


@pytest.mark.parametrize("metadata", ["etcd", "objects"])
def test_a_process_that_slept_through_a_take_over_acknowledges_nothing_more(new_server, metadata):
    """The claim in etcd has a lease of ten seconds; on objects the next process takes over at once."""
    # What it was asked while it slept may hang when it ends; nothing is to be learnt from waiting longer.
    values = config(metadata) | {"cinclus.shutdownTimeout": "1s"}
    first = new_server("first", config=values).start()
    client = first.client()
    create(client)
    client.insert(COLLECTION, [row(key, 1) for key in range(100)])
    pause(first)
    # Requests that reach it while it sleeps; it finds them when it wakes up.
    told: list[tuple[str, object]] = []

    def ask(what: str, call) -> None:
        try:
            told.append((what, call()))
        except (MilvusException, grpc.RpcError) as error:
            told.append((what, error))

    requests = [
        threading.Thread(target=ask, args=("insert", lambda: client.insert(
            COLLECTION, [row(500, 1)], retry_times=0, timeout=90))),
        threading.Thread(target=ask, args=("read", lambda: client.query(
            COLLECTION, ids=[0], output_fields=["n"], consistency_level="Strong", retry_times=0, timeout=90))),
    ]
    for request in requests:
        request.start()
    second = new_server("second", config=values)
    began = time.monotonic()
    second.start()
    print(f"{metadata}: taken over after {time.monotonic() - began:.1f} s")
    other = second.client()
    assert found(other) == dict.fromkeys(range(100), 1)
    other.upsert(COLLECTION, [row(0, 2)])
    other.insert(COLLECTION, [row(200, 1)])
    go_on(first)
    # It may answer what it was asked before it ends: nothing of that may be wrong.
    code = first.wait_for_end(60)
    assert code == 1, first.log_tail()
    assert "another process took over" in first.log_tail(), first.log_tail()
    for request in requests:
        request.join()
    answers = dict(told)
    assert isinstance(answers["insert"], Exception), f"acknowledged after it was taken over: {answers['insert']}"
    if not isinstance(answers["read"], Exception):
        assert answers["read"] == [{"id": 0, "n": 2}], "a Strong read does not miss what the second acknowledged"
    due = dict.fromkeys(range(100), 1) | {0: 2, 200: 1}
    assert found(other) == due
    other.insert(COLLECTION, [row(201, 1)])
    assert found(other) == due | {201: 1}
    other.close()
