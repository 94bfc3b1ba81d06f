"""A damaged log: found, named, kept apart from the others, and repaired only on request."""

import subprocess

import pytest
from pymilvus.exceptions import MilvusException

from server import Server, binary

ROWS = 12


def cinclus_wal(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([str(binary()), "wal", *arguments], capture_output=True, text=True, timeout=60)


def marker(collection: str, i: int) -> str:
    return f"{collection}-marker-{i:03d}"


def keys(client, collection: str) -> list[str]:
    rows = client.query(collection, filter='id != ""', output_fields=["id"], limit=1000, consistency_level="Strong")
    return [row["id"] for row in rows]


@pytest.fixture
def two(new_server):
    """A server with two collections in different logs, one row a request."""
    server = new_server().start()
    client = server.client()
    for name in ("first", "second"):
        client.create_collection(name, dimension=4, id_type="string", max_length=50)
    for i in range(ROWS):
        for name in ("first", "second"):
            client.insert(name, [{"id": marker(name, i), "vector": [1, 2, 3, 4]}])
    client.close()
    assert log_of(server, "first", 0) != log_of(server, "second", 0)
    return server


def log_of(server: Server, collection: str, i: int):
    """The one file that holds a row."""
    text = marker(collection, i).encode()
    (found,) = [path for path in (server.data_dir / "wal").rglob("data.log") if text in path.read_bytes()]
    return found


def damage(server: Server, collection: str, i: int):
    """Flips one bit of a row."""
    path = log_of(server, collection, i)
    content = bytearray(path.read_bytes())
    content[content.index(marker(collection, i).encode())] ^= 1
    path.write_bytes(bytes(content))
    return path


def test_verify_and_inspect_work_beside_a_running_server_and_after_it(two):
    for _ in range(2):
        verified = cinclus_wal("verify", str(two.data_dir))
        assert verified.returncode == 0, verified
        inspected = cinclus_wal("inspect", "--messages", str(two.data_dir))
        assert inspected.returncode == 0, inspected
        for word in ["TimeTick", "CreateCollection", "Insert"]:
            assert word in inspected.stdout, word
        if two.is_running():
            two.kill9()


def test_a_damaged_block_closes_its_log_only_and_is_named(two):
    two.kill9()
    path = damage(two, "second", ROWS // 2)
    verified = cinclus_wal("verify", str(two.data_dir))
    assert verified.returncode != 0
    assert "DAMAGED" in verified.stdout and "repair" in verified.stdout, verified.stdout

    two.start()
    client = two.client()
    assert keys(client, "first") == [marker("first", i) for i in range(ROWS)]
    client.insert("first", [{"id": "more", "vector": [1, 2, 3, 4]}])
    calls = [
        lambda: keys(client, "second"),
        lambda: client.search("second", [[1, 2, 3, 4]], limit=1, consistency_level="Strong", retry_times=0),
        lambda: client.insert("second", [{"id": "more", "vector": [1, 2, 3, 4]}], retry_times=0),
    ]
    for call in calls:
        with pytest.raises(MilvusException) as caught:
            call()
        for word in [str(path), "segment", "block"]:
            assert word in caught.value.message, caught.value
    client.close()


def test_repair_wants_the_block_named_and_says_what_is_lost(two):
    two.kill9()
    path = damage(two, "second", ROWS // 2)
    before = path.read_bytes()
    verified = cinclus_wal("verify", str(two.data_dir))
    (advice,) = [line for line in verified.stdout.splitlines() if "--drop-after" in line]
    arguments = advice[advice.index(" wal repair ") + len(" wal "):].split()

    two.start()
    refused = cinclus_wal(*arguments, "--yes")
    assert refused.returncode != 0 and str(two.process.pid) in refused.stderr, refused
    two.kill9()

    shown = cinclus_wal(*arguments)
    assert path.read_bytes() == before, "it was changed without --yes"
    assert "lost" in shown.stdout or "lose" in shown.stdout, shown
    wrong = [word if "/" not in word or word.startswith("/") else "0/1" for word in arguments]
    assert cinclus_wal(*wrong, "--yes").returncode != 0
    assert path.read_bytes() == before, "a block that is whole was given up"

    repaired = cinclus_wal(*arguments, "--yes")
    assert repaired.returncode == 0, repaired
    assert cinclus_wal("verify", str(two.data_dir)).returncode == 0
    two.start()
    client = two.client()
    assert keys(client, "second") == [marker("second", i) for i in range(ROWS // 2)]
    assert keys(client, "first")[:ROWS] == [marker("first", i) for i in range(ROWS)]
    client.insert("second", [{"id": "zz more", "vector": [1, 2, 3, 4]}])
    assert keys(client, "second")[-1] == "zz more"
    client.close()


@pytest.mark.parametrize("tail", [b"\x00" * 100, b"\xff" * 5000, b"torn"], ids=["zeros", "ones", "text"])
def test_a_torn_tail_is_cut(two, tail):
    """What a crash leaves behind the last whole block was never acknowledged."""
    two.kill9()
    with open(log_of(two, "second", ROWS - 1), "ab") as log:
        log.write(tail)
    two.start()
    client = two.client()
    assert keys(client, "second") == [marker("second", i) for i in range(ROWS)]
    client.insert("second", [{"id": "zz more", "vector": [1, 2, 3, 4]}])
    client.close()
    two.kill9()
    two.start()
    client = two.client()
    assert len(keys(client, "second")) == ROWS + 1
    client.close()
