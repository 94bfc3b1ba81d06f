"""kill -9 at random moments of a mixed write load: what was acknowledged is there once, everything else wholly or not."""

import os
import random
import threading
import time
from dataclasses import dataclass, field

import pytest
from pymilvus import DataType, MilvusClient
from pymilvus.exceptions import MilvusException

from server import Server

WRITERS = 3
COLLECTION = "killed"
# Each writer writes keys of its own, more than it can ever use, so that its requests alone decide what is there.
KEYS_OF_A_WRITER = 1_000_000_000
DIM = 16


# Everything that happens in hours on a large server happens in seconds: small log files, a small log to replay.
SMALL = {
    "woodpecker.client.segmentRollingPolicy.maxSize": 300_000,
    "cinclus.recovery.logBytesMax": "1m",
    "cinclus.recovery.persistAge": "300ms",
}


@pytest.fixture
def chance():
    seed = int(os.environ.get("E2E_SEED", "0")) or random.SystemRandom().randrange(1 << 32)
    print(f"E2E_SEED={seed}")
    return random.Random(seed)


@dataclass
class Request:
    """One write: what the keys show after it. None: the key is gone."""

    kind: str
    effect: dict[int, int | None]


@dataclass
class Writer:
    """A client that writes one request after the other until its server dies."""

    number: int
    chance: random.Random
    # key -> number of the request that wrote the row
    state: dict[int, int] = field(default_factory=dict, repr=False)
    unknown: Request | None = field(default=None, repr=False)
    requests: int = 0
    acknowledged: int = 0
    unknown_total: int = 0
    unknown_applied: int = 0
    surprise: BaseException | None = None

    def run(self, server: Server, stop: threading.Event) -> None:
        self.surprise = until_killed(server, stop, self.write)
        if self.unknown is not None:
            self.unknown_total += 1

    def write(self, client: MilvusClient, stop: threading.Event) -> None:
        while not stop.is_set():
            request = self.next_request()
            # Until it is answered it may have happened or not.
            self.unknown = request
            self.send(client, request)
            self.unknown = None
            self.apply(request)
            self.acknowledged += 1

    def apply(self, request: Request) -> None:
        for key, version in request.effect.items():
            if version is None:
                self.state.pop(key, None)
            else:
                self.state[key] = version

    def next_request(self) -> Request:
        self.requests += 1
        known = list(self.state)
        kind = self.chance.choice(["insert", "insert", "insert", "upsert", "delete"]) if known else "insert"
        if kind == "insert":
            begin = self.number * KEYS_OF_A_WRITER + self.requests * 1000
            count = self.chance.choice([1, 2, 20, 200])
            return Request(kind, {begin + i: self.requests for i in range(count)})
        keys = self.chance.sample(known, min(len(known), self.chance.choice([1, 5, 40])))
        if kind == "upsert":
            # Some keys are new: an upsert is also an insert.
            fresh = self.number * KEYS_OF_A_WRITER + self.requests * 1000
            return Request(kind, {key: self.requests for key in [*keys, fresh]})
        return Request(kind, {key: None for key in keys})

    def send(self, client: MilvusClient, request: Request) -> None:
        keys = list(request.effect)
        if request.kind == "delete":
            client.delete(COLLECTION, ids=keys, retry_times=0)
            return
        rows = [{"id": key, "vector": [key % 97, self.number] + [0] * (DIM - 2), "writer": self.number,
                 "request": request.effect[key], "filler": "x" * 100} for key in keys]
        write = client.insert if request.kind == "insert" else client.upsert
        answer = write(COLLECTION, rows, retry_times=0)
        assert answer[f"{request.kind}_count"] == len(rows)

    def check(self, client: MilvusClient, shards: int) -> None:
        """What is there is the state, or the state with the one unanswered request wholly applied."""
        found = {}
        mine = f"writer == {self.number}"
        for row in pages(client, mine):
            assert row["id"] not in found, f"row {row['id']} came twice"
            found[row["id"]] = row["request"]
        if self.unknown is not None:
            self.settle(found, shards)
        assert found == self.state, self.difference(found, self.state)
        # count(*) counts rows, not keys: an insert that happened twice would show.
        (row,) = client.query(COLLECTION, filter=mine, output_fields=["count(*)"], consistency_level="Strong")
        assert row["count(*)"] == len(self.state)

    def settle(self, found: dict[int, int], shards: int) -> None:
        """The one unanswered request happened or not. Over several shards each of them has its own answer: there a
        key tells for itself whether its part happened."""
        before = dict(self.state)
        if shards == 1:
            self.apply(self.unknown)
            if found != self.state:
                assert found == before, self.difference(found, before)
                self.state = before
        else:
            happened = {key: version for key, version in self.unknown.effect.items() if found.get(key) == version}
            self.apply(Request(self.unknown.kind, happened))
        if self.state != before:
            self.unknown_applied += 1
        self.unknown = None

    def difference(self, found: dict, due: dict) -> str:
        missing = sorted(set(due) - set(found))
        extra = sorted(set(found) - set(due))
        changed = sorted(key for key in set(due) & set(found) if due[key] != found[key])
        return (f"writer {self.number}: missing {missing[:10]} ({len(missing)}), "
                f"not due {extra[:10]} ({len(extra)}), other version {changed[:10]} ({len(changed)}), "
                f"unanswered: {self.unknown and (self.unknown.kind, len(self.unknown.effect))}")


def pages(client: MilvusClient, filter: str, size: int = 5000):
    """All rows of a filter, page by page in the order of keys."""
    last = -1
    while True:
        rows = client.query(COLLECTION, filter=f"id > {last} and {filter}", output_fields=["request"], limit=size,
                            consistency_level="Strong")
        yield from rows
        if len(rows) < size:
            return
        last = rows[-1]["id"]


def create(client: MilvusClient, name: str, shards: int = 1) -> None:
    schema = client.create_schema(enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
    schema.add_field("writer", DataType.INT64)
    schema.add_field("request", DataType.INT64)
    schema.add_field("filler", DataType.VARCHAR, max_length=200)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="L2")
    client.create_collection(name, schema=schema, index_params=index, num_shards=shards)


def until_killed(server: Server, stop: threading.Event, work) -> BaseException | None:
    """Works with a client that may die with its server, but only then: `stop` is set right after every kill."""
    client = None
    try:
        client = server.client()
        work(client, stop)
    except MilvusException as error:
        return None if stop.wait(2.0) else error
    except BaseException as error:
        return error
    finally:
        if client is not None:
            client.close()
    return None


@dataclass
class Flusher:
    """Seals, persists and truncates in the middle of the writes."""

    chance: random.Random
    surprise: BaseException | None = None

    def run(self, server: Server, stop: threading.Event) -> None:
        self.surprise = until_killed(server, stop, self.flush)

    def flush(self, client: MilvusClient, stop: threading.Event) -> None:
        while not stop.wait(self.chance.uniform(0.1, 0.6)):
            client.flush(COLLECTION, retry_times=0)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("config, shards, kills", [(None, 1, 11), (SMALL, 1, 11), (SMALL, 2, 6)],
                         ids=["default", "small logs", "two shards"])
def test_a_mixed_load_survives_kill9(new_server, chance, config, shards, kills):
    server = new_server(config=config).start()
    client = server.client()
    create(client, COLLECTION, shards)
    client.close()
    writers = [Writer(number, random.Random(chance.random())) for number in range(WRITERS)]
    for kill in range(kills):
        stop = threading.Event()
        clients = [*writers, Flusher(random.Random(chance.random()))] if kill % 2 else writers
        threads = [threading.Thread(target=each.run, args=(server, stop)) for each in clients]
        for thread in threads:
            thread.start()
        time.sleep(chance.uniform(0.05, 1.2))
        server.kill9()
        stop.set()
        for thread in threads:
            thread.join()
        for each in clients:
            assert each.surprise is None, f"{each}: {each.surprise!r}"
        server.start()
        client = server.client()
        for writer in writers:
            writer.check(client, shards)
        client.close()
    # And once more after a polite stop, when everything that can be persisted is.
    server.restart()
    client = server.client()
    client.flush(COLLECTION)
    for writer in writers:
        writer.check(client, shards)
    client.close()
    acknowledged = sum(writer.acknowledged for writer in writers)
    print(f"{kills} kills, {acknowledged} requests acknowledged, "
          f"{sum(writer.unknown_total for writer in writers)} unknown "
          f"({sum(writer.unknown_applied for writer in writers)} of them had happened)")
    assert acknowledged >= kills * WRITERS, "too few writes to prove anything"
    assert sum(writer.unknown_total for writer in writers) > 0, "no kill hit a request"


@pytest.mark.parametrize("way", ["kill9", "terminate"])
def test_a_delete_of_a_sealed_row_outlives_truncation(new_server, way):
    """Deleted for Strong after the restart, but still there for an iterator that was opened before the delete."""
    server = new_server(config=SMALL).start()
    client = server.client()
    create(client, COLLECTION)

    def rows(begin: int, end: int) -> list[dict]:
        return [{"id": i, "vector": [i % 97] + [0] * (DIM - 1), "writer": 0, "request": 0, "filler": "x" * 150}
                for i in range(begin, end)]

    client.insert(COLLECTION, rows(0, 1000))
    client.flush(COLLECTION)
    iterator = client.query_iterator(COLLECTION, batch_size=100, output_fields=["request"], filter="id >= 0",
                                     consistency_level="Strong")
    seen = [row["id"] for row in iterator.next()]
    client.delete(COLLECTION, ids=[500, 501])
    first_log_files = log_files(server)
    # Everything up to here is persisted, and the log before it is no longer needed.
    for begin in range(10_000, 40_000, 10_000):
        for part in range(begin, begin + 10_000, 2000):
            client.insert(COLLECTION, rows(part, part + 2000))
        client.flush(COLLECTION)
    assert not first_log_files <= log_files(server), "the log was not truncated"
    getattr(server, way)()
    server.start(same_address=True)
    fresh = server.client()
    assert fresh.query(COLLECTION, ids=[500, 501], consistency_level="Strong") == []
    (row,) = fresh.query(COLLECTION, output_fields=["count(*)"], consistency_level="Strong")
    assert row["count(*)"] == 30_998
    while batch := iterator.next():
        seen.extend(row["id"] for row in batch)
    assert seen == list(range(1000))
    fresh.flush(COLLECTION)
    assert fresh.query(COLLECTION, ids=[500, 501], consistency_level="Strong") == []
    fresh.close()


def log_files(server: Server) -> set[str]:
    """All files of all logs. Truncation takes some away."""
    return {str(path) for path in (server.data_dir / "wal").rglob("*") if path.is_file()}


def test_ddl_survives_kill9(new_server, chance):
    """Collections, partitions and aliases that were acknowledged are there; those that were dropped are not."""
    server = new_server().start()
    there: set[str] = set()
    gone: set[str] = set()
    for kill in range(8):
        client = server.client()
        stop = threading.Event()
        unknown: list[str] = []

        def work(client=client, kill=kill, unknown=unknown):
            number = 0
            try:
                while not stop.is_set():
                    number += 1
                    name = f"c_{kill}_{number}"
                    unknown.append(name)
                    client.create_collection(name, dimension=4, retry_times=0)
                    client.create_partition(name, "part", retry_times=0)
                    client.create_alias(name, f"a_{name}", retry_times=0)
                    client.insert(name, [{"id": 1, "vector": [1, 2, 3, 4]}], retry_times=0)
                    if number % 2 == 0:
                        client.drop_alias(f"a_{name}", retry_times=0)
                        client.drop_collection(name, retry_times=0)
                        gone.add(name)
                    else:
                        there.add(name)
                    unknown.pop()
            except MilvusException:
                pass  # The server was killed.

        thread = threading.Thread(target=work)
        thread.start()
        time.sleep(chance.uniform(0.3, 2.5))
        server.kill9()
        stop.set()
        thread.join()
        client.close()
        server.start()
        client = server.client()
        listed = set(client.list_collections())
        assert there <= listed, f"lost: {there - listed}"
        assert not gone & listed, f"came back: {gone & listed}"
        assert listed - there <= set(unknown), f"from nowhere: {listed - there - set(unknown)}"
        for name in list(there)[-5:]:
            assert client.list_partitions(name) == ["_default", "part"]
            assert client.describe_alias(f"a_{name}")["collection_name"] == name
            (row,) = client.query(f"a_{name}", output_fields=["count(*)"], consistency_level="Strong")
            assert row["count(*)"] == 1
        for name in listed - there:
            drop_with_alias(client, name)
            assert not client.has_collection(name)
        client.close()
    assert there and gone


def drop_with_alias(client: MilvusClient, name: str) -> None:
    """A collection that an unanswered request may have left with its alias."""
    for alias in client.list_aliases(name)["aliases"]:
        client.drop_alias(alias)
    client.drop_collection(name)
