"""`cinclus wal tail`: what a client of the log is given, over kill -9 and restarts of the server."""

import json
import queue
import subprocess
import threading

from pymilvus import DataType, MilvusClient

from server import Server, binary

COLLECTION = "followed"


def create(client: MilvusClient) -> None:
    """Makes a collection of one shard."""
    schema = client.create_schema(auto_id=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=4)
    client.create_collection(COLLECTION, schema=schema, num_shards=1)


def insert(client: MilvusClient, begin: int, end: int) -> None:
    for key in range(begin, end):
        client.insert(COLLECTION, [{"id": key, "vector": [0.0] * 4}])


def tail(server: Server, *arguments: str) -> subprocess.CompletedProcess:
    command = [str(binary()), "wal", "tail", "--address", f"http://127.0.0.1:{server.port}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def messages(server: Server, *arguments: str) -> list[dict]:
    ended = tail(server, "--json", *arguments)
    assert ended.returncode == 0, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


class Follower:
    """`cinclus wal tail --follow` and what it printed so far."""

    def __init__(self, server: Server, *arguments: str):
        command = [str(binary()), "wal", "tail", "--json", "--follow", "--address",
                   f"http://127.0.0.1:{server.port}", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self) -> None:
        for line in self.process.stdout:
            self.lines.put(line)

    def rows(self, count: int) -> list[dict]:
        """The next so many messages."""
        return [json.loads(self.lines.get(timeout=60)) for _ in range(count)]

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def vchannel_of(server: Server) -> str:
    created = messages(server, "--kind", "create-collection")
    return next(message["vchannel"] for message in created if not message["vchannel"].endswith("_vcchan"))


def test_a_follower_sees_every_insert_once_over_kills(new_server):
    server = new_server().start()
    client = server.client()
    create(client)
    vchannel = vchannel_of(server)
    follower = Follower(server, "--vchannel", vchannel, "--kind", "insert")
    try:
        seen = []
        for life in range(4):
            insert(client, life * 20, life * 20 + 20)
            # Every second time it is in the middle of its work when the server is killed.
            if life % 2:
                seen += follower.rows(20)
            client.close()
            server.kill9()
            server.start(same_address=True)
            client = server.client()
            if not life % 2:
                seen += follower.rows(20)
        ticks = [message["tick"] for message in seen]
        assert ticks == sorted(set(ticks)) and all(message["rows"] == 1 for message in seen)
        # The same is there for whoever reads it now, from the beginning or from any place in between.
        again = messages(server, "--vchannel", vchannel, "--kind", "insert")
        assert [message["id"] for message in again] == [message["id"] for message in seen]
        rest = messages(server, "--vchannel", vchannel, "--kind", "insert", "--from", seen[33]["resume"])
        assert [message["id"] for message in rest] == [message["id"] for message in seen[34:]]
        rest = messages(server, "--vchannel", vchannel, "--kind", "insert", "--from", f"tick:{ticks[50]}")
        assert [message["id"] for message in rest] == [message["id"] for message in seen[51:]]
    finally:
        follower.stop()


def test_an_upsert_is_one_transaction(new_server):
    server = new_server().start()
    client = server.client()
    create(client)
    insert(client, 1, 2)
    client.upsert(COLLECTION, [{"id": 1, "vector": [1.0] * 4}])
    rows = messages(server, "--vchannel", vchannel_of(server), "--kind", "insert,delete")
    assert [message["kind"] for message in rows] == ["Insert", "Delete", "Insert"]
    assert rows[0]["transaction"] is None and rows[1]["transaction"] == rows[2]["transaction"] is not None
    assert rows[1]["tick"] == rows[2]["tick"] and rows[1]["resume"] is None and rows[2]["resume"]
    plain = tail(server, "--kind", "delete")
    assert "· Delete 1 rows," in plain.stdout and "goes on --from" in plain.stderr


def test_what_is_not_there_is_named(new_server):
    server = new_server().start()
    unknown = tail(server, "--channel", "by-dev-rootcoord-dml_99")
    assert unknown.returncode != 0
    assert "by-dev-rootcoord-dml_99" in unknown.stderr and "by-dev-rootcoord-dml_0" in unknown.stderr
    kind = tail(server, "--kind", "upsert")
    assert kind.returncode != 0 and "Insert" in kind.stderr
    nobody = subprocess.run([str(binary()), "wal", "tail", "--address", "http://127.0.0.1:1"],
                            capture_output=True, text=True, timeout=60)
    assert nobody.returncode != 0 and "http://127.0.0.1:1" in nobody.stderr


def test_a_reader_behind_the_truncation_is_told_where_the_log_begins(new_server):
    server = new_server().start()
    client = server.client()
    create(client)
    vchannel = vchannel_of(server)
    insert(client, 0, 5)
    first = messages(server, "--vchannel", vchannel)[0]["resume"]
    insert(client, 5, 10)
    client.flush(COLLECTION)
    # What was persisted goes from the log with a segment of it; a restart begins a new one.
    for _ in range(3):
        server.terminate()
        server.start()
        client = server.client()
        insert(client, 10, 12)
        client.flush(COLLECTION)
        late = tail(server, "--vchannel", vchannel, "--from", first)
        if late.returncode != 0:
            break
    assert late.returncode != 0, late.stdout
    assert "truncated: the earliest record is" in late.stderr and "--from earliest" in late.stderr
    assert tail(server, "--vchannel", vchannel).returncode == 0


def test_a_vchannel_that_is_not_there_is_told_with_the_nearest(new_server):
    # What nobody needs any more stays.
    server = new_server(config={"cinclus.wal.retentionBytes": "64m"}).start()
    nothing = tail(server, "--vchannel", "by-dev-rootcoord-dml_0_7v0")
    assert nothing.returncode != 0 and "there is no" in nothing.stderr, nothing.stderr
    client = server.client()
    create(client)
    vchannel = vchannel_of(server)
    wrong = vchannel[:-1] + "9"
    missed = tail(server, "--vchannel", wrong)
    assert missed.returncode != 0 and missed.stdout == ""
    assert wrong in missed.stderr and vchannel in missed.stderr, missed.stderr
    # What a dropped collection left in the log can still be read.
    client.drop_collection(COLLECTION)
    assert any(message["vchannel"] == vchannel for message in messages(server, "--vchannel", vchannel))
