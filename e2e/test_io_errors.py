"""Calls on files fail under the running server: writes say so, reads go on, and when the disk works again so do writes."""

import re
import subprocess
import sys
import time
from concurrent import futures
from pathlib import Path

import pytest
from pymilvus import DataType
from pymilvus.exceptions import MilvusException

from faults import Faults, compiled
from server import Server

DIM = 8
ROWS = 10
COLLECTION = "faulty"
# A request may be retried by its sender on these (service not ready, service unavailable).
RETRIABLE = {1, 2}
HEALED_SECONDS_MAX = 5.0
# Small logs, so that persisting, truncation and new log files are part of every test.
CONFIG = {"woodpecker.client.segmentRollingPolicy.maxSize": 200_000, "cinclus.recovery.logBytesMax": "1m",
          "cinclus.recovery.persistAge": "300ms"}


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    return compiled(tmp_path_factory.mktemp("faults"))


class World:
    """A server on a disk that can fail, and what its client was told."""

    def __init__(self, server: Server, faults: Faults):
        self.server = server
        self.faults = faults
        self.client = None
        self.next_id = 0
        self.acknowledged: set[int] = set()
        self.unknown: set[int] = set()

    def start(self) -> None:
        self.server.start()
        self.client = self.server.client()

    def create(self, name: str = COLLECTION) -> None:
        schema = self.client.create_schema(enable_dynamic_field=False)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
        schema.add_field("filler", DataType.VARCHAR, max_length=1000)
        index = self.client.prepare_index_params()
        index.add_index("vector", index_type="FLAT", metric_type="L2")
        self.client.create_collection(name, schema=schema, index_params=index)

    def insert(self) -> MilvusException | None:
        """One request; the error if it failed."""
        ids = range(self.next_id, self.next_id + ROWS)
        self.next_id += ROWS
        rows = [{"id": i, "vector": [i] + [0] * (DIM - 1), "filler": "x" * 500} for i in ids]
        try:
            self.client.insert(COLLECTION, rows, retry_times=0)
        except MilvusException as error:
            self.unknown.update(ids)
            return error
        self.acknowledged.update(ids)
        return None

    def fill(self, requests: int) -> None:
        for _ in range(requests):
            error = self.insert()
            assert error is None, error

    def until_refused(self, seconds: float) -> MilvusException:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if error := self.insert():
                return error
        raise AssertionError(f"inserts still work after {seconds} s of a failing disk")

    def until_accepted(self) -> None:
        healed = time.monotonic()
        while error := self.insert():
            assert error.code in RETRIABLE, error
            assert time.monotonic() - healed < HEALED_SECONDS_MAX, f"no insert works yet: {error}"
            time.sleep(0.05)

    def seen(self) -> list[int]:
        """The keys of a Strong read. Each key was sent once, so count(*) tells whether one is there twice."""
        strong = {"consistency_level": "Strong", "timeout": 10}
        rows = self.client.query(COLLECTION, filter="id >= 0", output_fields=["id"], limit=16384, **strong)
        (counted,) = self.client.query(COLLECTION, output_fields=["count(*)"], **strong)
        assert counted["count(*)"] == len(rows)
        return [row["id"] for row in rows]

    def check_only_acknowledged(self) -> None:
        """While nothing can be synced: a Strong read shows all that is durable, and nothing else."""
        assert set(self.seen()) == self.acknowledged
        wanted = max(self.acknowledged)
        (hits,) = self.client.search(COLLECTION, [[wanted] + [0] * (DIM - 1)], limit=1, consistency_level="Strong")
        assert hits[0]["id"] == wanted

    def check(self) -> None:
        """Every acknowledged row is there, once; a request without an answer is there as a whole or not at all."""
        seen = self.seen()
        assert len(seen) == len(set(seen))
        missing = self.acknowledged - set(seen)
        assert not missing, f"{len(missing)} acknowledged rows are gone: {sorted(missing)[:10]}"
        extra = set(seen) - self.acknowledged
        assert extra <= self.unknown
        for begin in {i // ROWS * ROWS for i in extra}:
            assert set(range(begin, begin + ROWS)) <= extra, "a part of a request is there"
        self.acknowledged |= extra
        self.unknown.clear()

    def restart_after_power_cut(self) -> None:
        self.client.close()
        self.server.kill9()
        self.faults.cut_power(self.server.data_dir)
        self.start()
        self.check()

    def power_cut_while_the_disk_fails(self, words: str, folder: Path) -> None:
        self.faults.fail(words, folder)
        # Until it is noticed: an insert needs not every folder.
        for _ in range(300):
            if self.insert():
                break
        self.client.close()
        self.server.kill9()
        self.faults.heal()
        self.faults.cut_power(self.server.data_dir)
        self.start()
        self.check()
        self.fill(5)
        self.check()


@pytest.fixture
def world(new_server, library, tmp_path):
    faults = Faults(library, tmp_path)
    world = World(new_server(config=CONFIG, wrapper=faults.wrapper()), faults)
    world.start()
    world.create()
    world.fill(20)
    yield world
    if world.client is not None:
        world.client.close()


def check_refusal(error: MilvusException, operations: str) -> None:
    """It can be tried again, and says what failed, where and why."""
    assert error.code in RETRIABLE, error
    assert re.search(rf"/\S+: ({operations}) failed: Input/output error", error.message), error


@pytest.mark.parametrize("words, operations", [
    ("sync", "fdatasync"),
    ("write", "write"),
    ("sync write open rename mkdir", "write|open"),
])
def test_a_log_that_cannot_be_written_stops_writes_only(world, words, operations):
    folder = world.server.data_dir / "wal"
    world.faults.fail(words, folder)
    check_refusal(world.until_refused(2), operations)
    for _ in range(20):
        error = world.insert()
        assert error is not None and error.code in RETRIABLE, error
        world.check_only_acknowledged()
    world.faults.heal()
    world.until_accepted()
    world.check()
    world.fill(30)
    world.restart_after_power_cut()
    world.power_cut_while_the_disk_fails(words, folder)


@pytest.mark.parametrize("words, operations", [("sync", "sync directory|fdatasync"), ("write open rename", "open|rename|write")])
def test_segment_files_that_cannot_be_written_hold_up_persisting(world, words, operations):
    folder = world.server.data_dir / "objects"
    world.faults.fail(words, folder)
    world.fill(20)
    with futures.ThreadPoolExecutor() as pool:
        flushed = pool.submit(world.server.client().flush, COLLECTION)
        world.fill(5)
        world.check_only_acknowledged()
        # Nothing is persisted, so the log that a restart would replay grows up to its bound.
        refusal = world.until_refused(20)
        check_refusal(refusal, operations)
        assert "persisting fails" in refusal.message, refusal
        world.check_only_acknowledged()
        assert not flushed.done()
        world.faults.heal()
        world.until_accepted()
        flushed.result(HEALED_SECONDS_MAX)
    world.check()
    world.restart_after_power_cut()
    world.power_cut_while_the_disk_fails(words, folder)


@pytest.mark.parametrize("words, operations", [("sync", "fdatasync"), ("write open rename mkdir", "write|set length|open")])
def test_metadata_that_cannot_be_written_holds_up_what_needs_it(world, words, operations):
    folder = world.server.data_dir / "meta"
    world.faults.fail(words, folder)
    world.fill(5)
    with futures.ThreadPoolExecutor() as pool:
        created = pool.submit(world.create, "other")
        # Up to the end of the log file: the next one is entered in the metadata.
        check_refusal(world.until_refused(10), operations)
        for _ in range(5):
            error = world.insert()
            assert error is not None and error.code in RETRIABLE, error
        world.check_only_acknowledged()
        world.faults.heal()
        world.until_accepted()
        # It was refused, or it began, or it is not known whether it did: then it is carried through.
        refusal = created.exception(HEALED_SECONDS_MAX)
    if refusal is not None:
        check_refusal(refusal, operations)
        world.create("other")
    world.check()
    world.client.flush(COLLECTION, timeout=10)
    world.restart_after_power_cut()
    assert set(world.client.list_collections()) == {COLLECTION, "other"}
    world.power_cut_while_the_disk_fails(words, folder)


def test_the_disk_of_these_tests_fails_when_told_and_forgets_what_was_not_synced(library, tmp_path):
    faults, folder = Faults(library, tmp_path), tmp_path / "disk"
    folder.mkdir()
    faults.fail("none", folder)
    script = f"""
import errno, os
file = os.open({str(folder / "file")!r}, os.O_RDWR | os.O_CREAT)
def told(words):
    with open({str(faults.control)!r}, "w") as control:
        control.write(words + chr(10) + {str(folder)!r})
def fails(call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        assert error.errno == errno.EIO
        return
    raise AssertionError("it went well")
os.pwrite(file, b"durable, gone", 0)
os.fdatasync(file)
told("sync")
os.pwrite(file, b"lost", 9)
fails(os.fdatasync, file)
told("write")
fails(os.pwrite, file, b"halfhalf", 20)
told("rename open mkdir")
fails(os.rename, {str(folder / "file")!r}, {str(folder / "other")!r})
fails(os.mkdir, {str(folder / "other")!r})
fails(os.open, {str(folder / "other")!r}, os.O_RDWR | os.O_CREAT)
told("none")
# After a sync that failed another one does not help what was written before.
os.pwrite(file, b"D", 0)
os.fdatasync(file)
"""
    subprocess.run([*faults.wrapper(), sys.executable, "-c", script], check=True)
    file = folder / "file"
    assert file.read_bytes() == b"Durable, lost\0\0\0\0\0\0\0half"
    assert faults.cut_power(folder) == 1
    assert file.read_bytes() == b"Durable, gone\0\0\0\0\0\0\0half"
