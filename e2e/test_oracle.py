"""Every answer is compared with brute force over real data, while rows come, change and go."""

import os
import random
import threading
import time

import numpy as np
import pytest
from pymilvus import MilvusClient

import mirror as mirrors
import oracle
import wordnet
from mirror import FILTERS, Mirror

METRICS = ["L2", "IP", "COSINE"]


@pytest.fixture
def chance():
    """Seeded randomness; the seed is printed with a failure and can be given again in E2E_SEED."""
    seed = int(os.environ.get("E2E_SEED", "0")) or random.SystemRandom().randrange(1 << 32)
    print(f"E2E_SEED={seed}")
    return random.Random(seed)


def create(client: MilvusClient, name: str, metric: str, shards: int = 1) -> Mirror:
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type=metric)
    client.create_collection(name, schema=mirrors.schema(), index_params=index, num_shards=shards)
    return Mirror(client, name, metric)


def rows(begin: int, end: int) -> list[dict]:
    return [mirrors.row(i) for i in range(begin, end)]


@pytest.mark.parametrize("metric", METRICS)
def test_all_rows_are_loaded_while_searching(client, server, collection, chance, metric):
    """One loader, one searcher, one shard: each answer is exact for a state between the batches that were
    acknowledged when it was asked and those that were sent when it came."""
    batch = 500
    total = len(wordnet.vectors())
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type=metric)
    schema = MilvusClient.create_schema()
    schema.add_field("id", mirrors.DataType.INT64, is_primary=True)
    schema.add_field("vector", mirrors.DataType.FLOAT_VECTOR, dim=wordnet.DIM)
    client.create_collection(collection, schema=schema, index_params=index, num_shards=1)

    sent = acknowledged = 0
    failure = []

    def load():
        nonlocal sent, acknowledged
        own = server.client()
        try:
            for begin in range(0, total, batch):
                end = min(begin + batch, total)
                data = [{"id": i, "vector": wordnet.vectors()[i]} for i in range(begin, end)]
                sent = end
                own.insert(collection, data)
                acknowledged = end
        except BaseException as error:
            failure.append(error)
        finally:
            own.close()

    loader = threading.Thread(target=load)
    loader.start()
    searches = 0
    while loader.is_alive() or searches < 5:
        query = wordnet.vectors()[chance.randrange(total)]
        least = acknowledged
        (hits,) = client.search(collection, [query], limit=20, consistency_level="Strong")
        (row,) = client.query(collection, output_fields=["count(*)"], consistency_level="Strong")
        most = sent
        states = [min(state, total) for state in range(least, most + 1, batch)]
        if total in (least, most):
            states = sorted({*states, total} - {state for state in states if state > total})
        all_scores = oracle.scores(metric, query, wordnet.vectors())
        candidates = [dict(enumerate(all_scores[:state])) for state in states]
        oracle.check_hits_of_any(hits, candidates, 20, metric)
        assert row["count(*)"] in states
        searches += 1
    loader.join()
    assert not failure, failure
    assert searches >= 5
    (row,) = client.query(collection, output_fields=["count(*)"], consistency_level="Strong")
    assert row["count(*)"] == total
    queries = wordnet.vectors()[chance.sample(range(total), 20)]
    for query, hits in zip(queries, client.search(collection, list(queries), limit=100, consistency_level="Strong")):
        oracle.check_hits(hits, dict(enumerate(oracle.scores(metric, query, wordnet.vectors()))), 100, metric)


def test_every_filter(client, collection, chance):
    mirror = create(client, collection, "L2", shards=2)
    for begin in range(0, 3000, 500):
        mirror.insert(rows(begin, begin + 500))
    query = wordnet.vectors()[chance.randrange(3000)]
    for filter, values, meaning in FILTERS:
        mirror.check_query(filter, values, meaning)
        mirror.check_search(query, filter, values, meaning)
    # The filters must be worth asking: all but the two that say so take some rows and leave some.
    useless = [filter for filter, _, meaning in FILTERS if not 0 < len(mirror.matching(meaning)) < 3000]
    assert useless == ["version >= 1", "id in []"]


@pytest.mark.parametrize("metric", METRICS)
def test_offsets_and_ranges(client, collection, chance, metric):
    mirror = create(client, collection, metric)
    mirror.insert(rows(0, 1500))
    for _ in range(5):
        query = wordnet.vectors()[chance.randrange(len(wordnet.vectors()))]
        expected = mirror.scores(query, mirror.rows)
        for offset in (0, 1, 33, 1490, 1600):
            mirror.check_search(query, limit=20, offset=offset)
        check_range(client, collection, metric, query, expected)


def check_range(client, collection, metric, query, expected) -> None:
    """L2: range_filter <= score < radius; IP and COSINE: radius < score <= range_filter. The bounds lie in the
    widest gaps between scores, so that no rounding moves a row over them."""
    ranked = np.sort(list(expected.values()))
    if not oracle.is_ascending(metric):
        ranked = ranked[::-1]

    def gap(begin: int, end: int) -> float:
        at = begin + int(np.argmax(np.abs(np.diff(ranked[begin:end]))))
        return float(ranked[at] + ranked[at + 1]) / 2

    inner, outer = gap(2, 20), gap(40, 200)
    for params in ({"radius": outer}, {"radius": outer, "range_filter": inner}):
        low, high = sorted([params["radius"], params.get("range_filter", -1e9 if metric == "L2" else 1e9)])
        due = {id: score for id, score in expected.items() if low < score < high}
        assert due
        (hits,) = client.search(collection, [query], limit=500, search_params={"params": params},
                                consistency_level="Strong")
        oracle.check_hits(hits, due, 500, metric)


@pytest.mark.parametrize("metric", METRICS)
def test_a_random_life(new_server, chance, metric):
    """Inserts, upserts, deletes, flushes and restarts in random order; after each step a sample of everything."""
    server = new_server().start()
    client = server.client()
    mirror = create(client, "life", metric, shards=chance.choice([1, 2]))
    mirror.insert(rows(0, 1000))
    next_row = 1000
    for step in range(24):
        known = list(mirror.rows)
        action = chance.choice(["insert", "insert", "upsert", "delete", "filter", "flush", "terminate", "kill9"])
        print(f"step {step}: {action}")
        if action == "insert":
            count = chance.choice([1, 10, 300])
            mirror.insert(rows(next_row, next_row + count))
            next_row += count
        elif action == "upsert":
            keys = chance.sample(known, min(len(known), chance.choice([1, 50]))) + [next_row]
            source = len(wordnet.vectors()) - 1 - step
            mirror.upsert([mirrors.row(key, version=step + 1, source=source) for key in keys])
            next_row += 1
        elif action == "delete":
            mirror.delete_ids(chance.sample(known, min(len(known), chance.choice([1, 40]))) + [123456789])
        elif action == "filter":
            modulus, rest = chance.choice([17, 23, 31]), chance.randrange(17)
            mirror.delete_where(f"length % {modulus} == {rest}", lambda r: r["length"] % modulus == rest)
        elif action == "flush":
            client.flush("life")
        else:
            client.close()
            getattr(server, action)()
            server.start()
            client = mirror.client = server.client()
        mirror.check_all(chance)


def test_partitions_are_searched_alone_and_together(client, collection, chance):
    mirror = create(client, collection, "IP")
    parts = {"_default": (0, 200), "one": (200, 500), "two": (500, 600)}
    for name, (begin, end) in parts.items():
        if name != "_default":
            client.create_partition(collection, name)
        mirror.insert(rows(begin, end), partition_name=name)
    query = wordnet.vectors()[chance.randrange(len(wordnet.vectors()))]
    for names in (["one"], ["two"], ["_default"], ["one", "two"], list(parts)):
        ids = [id for name in names for id in range(*parts[name])]
        expected = mirror.scores(query, {id: mirror.rows[id] for id in ids})
        (hits,) = client.search(collection, [query], limit=250, partition_names=names, consistency_level="Strong")
        oracle.check_hits(hits, expected, 250, "IP")
        found = client.query(collection, filter="id >= 0", partition_names=names, output_fields=["id"], limit=1000,
                             consistency_level="Strong")
        assert [row["id"] for row in found] == sorted(ids)
    mirror.check_all(chance)
    client.delete(collection, filter="id >= 0", partition_name="one")
    (row,) = client.query(collection, output_fields=["count(*)"], consistency_level="Strong")
    assert row["count(*)"] == 300


def test_consistency_levels(client, server, collection):
    """Strong and Session see the own writes at once; Bounded does after its time; none shows what is not there."""
    mirror = create(client, collection, "L2")
    query = wordnet.vectors()[50]
    mirror.insert(rows(0, 100))

    def ids(level: str, own: MilvusClient = client) -> set[int]:
        (hits,) = own.search(collection, [query], limit=1000, consistency_level=level)
        return {hit["id"] for hit in hits}

    assert ids("Strong") == set(mirror.rows)
    mirror.insert(rows(100, 130))
    assert ids("Session") == set(mirror.rows)
    mirror.delete_ids([0, 1])
    assert ids("Session") == set(mirror.rows)
    other = server.client()
    assert ids("Strong", other) == set(mirror.rows)
    assert ids("Eventually", other) <= set(range(130))
    deadline = time.monotonic() + 10
    while ids("Bounded", other) != set(mirror.rows):
        assert time.monotonic() < deadline, "Bounded is more than 10 s behind"
        time.sleep(0.1)
    other.close()


def test_vectors_come_back_as_they_were_sent(client, collection):
    mirror = create(client, collection, "L2")
    mirror.insert(rows(0, 50))
    for _ in range(2):
        found = client.query(collection, filter="id < 50", output_fields=["vector"], consistency_level="Strong")
        for row in found:
            assert np.array_equal(np.float32(row["vector"]), wordnet.vectors()[row["id"]])
        client.flush(collection)
