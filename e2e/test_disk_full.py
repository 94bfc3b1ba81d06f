"""A full disk: reads go on, writes say so, and when there is space again they work without a restart."""

import os
import random
import subprocess
import threading
import time
from pathlib import Path

import grpc
import numpy as np
import pytest
from pymilvus import DataType, MilvusClient
from pymilvus.exceptions import MilvusException

from server import Server

SIZE_MIB = 200
# More than the reserve that persisting may use up while writes are refused.
BALLAST_MIB = 100
DIM = 128
BATCH = 1000
DISK_LIMIT_EXCEEDED = 7


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 200 MiB. Mounting needs root; where that is impossible CINCLUS_E2E_NO_MOUNT=1 skips."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "cinclus-e2e", str(folder)],
                             capture_output=True, text=True)
    if mounted.returncode != 0:
        if os.environ.get("CINCLUS_E2E_NO_MOUNT") == "1":
            pytest.skip("no file system can be mounted here, and CINCLUS_E2E_NO_MOUNT is set")
        pytest.fail(f"cannot mount a tmpfs ({mounted.stderr.strip()}): run as root, or set CINCLUS_E2E_NO_MOUNT=1")
    yield folder
    # The server may need a moment to let go of its files.
    for _ in range(100):
        if subprocess.run(["umount", str(folder)], capture_output=True).returncode == 0:
            return
        time.sleep(0.1)
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(params=[None, {"woodpecker.client.segmentRollingPolicy.maxSize": "1m",
                               "cinclus.recovery.logBytesMax": "8m"}], ids=["default", "persisting"])
def full_server(small_disk, new_server, request):
    """With its defaults the log fills the disk; with a small log to replay, segment files do."""
    server = new_server(config=request.param)
    server.data_dir = small_disk / "data"
    yield server.start()
    server.stop_whatever()


def rows(begin: int) -> list[dict]:
    chance = np.random.default_rng(begin)
    return [{"id": begin + i, "vector": vector} for i, vector in enumerate(chance.random((BATCH, DIM), np.float32))]


def create(client: MilvusClient) -> None:
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="L2")
    client.create_collection("full", schema=schema, index_params=index)


@pytest.mark.timeout(240)
def test_a_full_disk_stops_writes_only(small_disk, full_server):
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(BALLAST_MIB << 20))
    client = full_server.client()
    create(client)

    acknowledged = 0

    def check_reads() -> None:
        (row,) = client.query("full", output_fields=["count(*)"], consistency_level="Strong")
        assert row["count(*)"] == acknowledged
        wanted = max(acknowledged - 1, 0)
        if acknowledged:
            vector = rows(wanted // BATCH * BATCH)[wanted % BATCH]["vector"]
            (hits,) = client.search("full", [vector], limit=1, consistency_level="Strong")
            assert hits[0]["id"] == wanted

    refusal = None
    # 200 MiB hold 400 batches at most, whatever they cost beside their 512 bytes a row.
    for batch in range(450):
        try:
            client.insert("full", rows(acknowledged), retry_times=0)
        except MilvusException as error:
            refusal = error
            break
        acknowledged += BATCH
        if batch % 20 == 0:
            check_reads()
    assert refusal is not None, "the disk never was full"
    assert refusal.code == DISK_LIMIT_EXCEEDED, refusal
    assert "disk limit exceeded" in refusal.message, refusal
    assert acknowledged > 0
    for _ in range(10):
        check_reads()
        with pytest.raises(MilvusException) as caught:
            client.insert("full", rows(acknowledged), retry_times=0)
        assert caught.value.code == DISK_LIMIT_EXCEEDED, caught.value
    check_reads()
    assert full_server.is_running()

    ballast.unlink()
    freed = time.monotonic()
    while True:
        try:
            client.insert("full", rows(acknowledged), retry_times=0)
            break
        except MilvusException as error:
            assert error.code == DISK_LIMIT_EXCEEDED, error
            assert time.monotonic() - freed < 2.0, "no insert works 2 s after there is space again"
            time.sleep(0.02)
    acknowledged += BATCH
    check_reads()

    # A refused request left nothing behind, also not after a restart.
    client.close()
    full_server.kill9()
    full_server.start()
    client = full_server.client()
    check_reads()
    client.close()


@pytest.fixture
def chance():
    seed = int(os.environ.get("E2E_SEED", "0")) or random.SystemRandom().randrange(1 << 32)
    print(f"E2E_SEED={seed}")
    return random.Random(seed)


def fill(path: Path) -> None:
    """A file that leaves no space at all."""
    with open(path, "wb", buffering=0) as file:
        for size in [1 << 20, 1 << 12]:
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                pass


class Inserter(threading.Thread):
    """Inserts its own keys, ten at a time, until it is told to stop or the server dies; notes every answer."""

    def __init__(self, number: int, server: Server, acknowledged: set[int], unknown: set[int]):
        super().__init__()
        self.next_key, self.server = number << 32, server
        self.acknowledged, self.unknown = acknowledged, unknown
        self.stop = threading.Event()
        # Since when every answer is one and the same: went well, or a code.
        self.answer: int | None = None
        self.codes: set[int] = set()
        self.messages: set[str] = set()

    def run(self) -> None:
        client = self.server.client()
        try:
            while not self.stop.is_set():
                keys = range(self.next_key, self.next_key + 10)
                self.next_key += 10
                vector = np.full(DIM, keys[0] % 97, np.float32)
                try:
                    client.insert("full", [{"id": key, "vector": vector} for key in keys], retry_times=0, timeout=20)
                    self.acknowledged.update(keys)
                    self.answer = 0
                except grpc.RpcError:
                    self.unknown.update(keys)
                    self.answer = None
                except MilvusException as error:
                    # A refused request has no effect; any other error tells nothing.
                    if error.code != DISK_LIMIT_EXCEEDED:
                        self.unknown.update(keys)
                        self.messages.add(error.message)
                    self.answer = error.code
                    self.codes.add(error.code)
                    self.stop.wait(0.01)
        finally:
            client.close()


class Cycles:
    """Writers on a disk that is filled and freed."""

    def __init__(self, server: Server):
        self.server = server
        self.acknowledged: set[int] = set()
        self.unknown: set[int] = set()
        self.writers: list[Inserter] = []
        self.started = 0

    def start_writers(self) -> None:
        for _ in range(3):
            self.started += 1
            self.writers.append(Inserter(self.started, self.server, self.acknowledged, self.unknown))
            self.writers[-1].start()

    def stop_writers(self) -> None:
        for writer in self.writers:
            writer.stop.set()
        for writer in self.writers:
            writer.join()
        self.writers = []

    def wait_for(self, code: int, seconds: float) -> None:
        """Every writer has this answer, and no other after it."""
        for writer in self.writers:
            writer.answer = None
        deadline = time.monotonic() + seconds
        while any(writer.answer != code for writer in self.writers):
            answers = [(writer.answer, writer.messages) for writer in self.writers]
            assert time.monotonic() < deadline, f"{code} is not answered within {seconds} s, but {answers}"
            time.sleep(0.01)

    def check(self) -> None:
        client = self.server.client()
        found, last = [], -1
        while page := client.query("full", filter=f"id > {last}", output_fields=["id"], limit=16384,
                                   consistency_level="Strong"):
            found += [row["id"] for row in page]
            last = found[-1]
        (counted,) = client.query("full", output_fields=["count(*)"], consistency_level="Strong")
        client.close()
        seen = set(found)
        assert counted["count(*)"] == len(found) == len(seen), "a row is there twice"
        assert self.acknowledged <= seen, f"lost: {sorted(self.acknowledged - seen)[:10]}"
        assert seen <= self.acknowledged | self.unknown, f"refused, and there: {sorted(seen - self.acknowledged)[:10]}"


@pytest.mark.timeout(240)
def test_full_and_free_again_and_again_under_load(small_disk, new_server, chance):
    """With kills in between, also while the disk is full. So little log is kept that rounds of persisting meet it."""
    server = new_server(config={"woodpecker.client.segmentRollingPolicy.maxSize": "300k",
                                "cinclus.recovery.logBytesMax": "1m", "cinclus.recovery.persistAge": "300ms"})
    server.data_dir = small_disk / "data"
    client = server.start().client()
    create(client)
    client.close()
    ballast = small_disk / "ballast"
    cycles = Cycles(server)
    try:
        for cycle in range(6):
            cycles.start_writers()
            cycles.wait_for(0, 10)
            time.sleep(chance.uniform(0.0, 0.4))
            fill(ballast)
            cycles.wait_for(DISK_LIMIT_EXCEEDED, 10)
            time.sleep(chance.uniform(0.0, 0.5))
            cycles.wait_for(DISK_LIMIT_EXCEEDED, 5)
            if cycle % 2:
                server.kill9()
                cycles.stop_writers()
                restarted = restart_while_full(server)
                print(f"cycle {cycle}: killed; {'started' if restarted else 'did not start'} on the full disk")
                if restarted:
                    cycles.start_writers()
                    cycles.wait_for(DISK_LIMIT_EXCEEDED, 5)
            ballast.unlink()
            if not server.is_running():
                server.start()
            if not cycles.writers:
                cycles.start_writers()
            # A log that could not be opened is tried again every five seconds.
            cycles.wait_for(0, 15)
            cycles.stop_writers()
            cycles.check()
            server.kill9()
            server.start()
            cycles.check()
        assert len(cycles.acknowledged) > 100
    finally:
        cycles.stop_writers()


def restart_while_full(server: Server) -> bool:
    """It starts, or says at once that it cannot for want of space."""
    try:
        server.start()
        return True
    except AssertionError as error:
        assert "No space left on device" in str(error) or "no space left" in str(error), error
        return False
