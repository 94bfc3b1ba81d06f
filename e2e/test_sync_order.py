"""The release binary under strace: nothing is acknowledged, referred to or removed before what it rests on is synced."""

import os
import signal
import subprocess
import textwrap
import time
from pathlib import Path

import pytest
from pymilvus import DataType

import syscalls
from server import Server

DIM = 4
MARKERS = 40
# Small log files, so that some of them are truncated in the session.
CONFIG = {"woodpecker.client.segmentRollingPolicy.maxSize": 20_000, "cinclus.recovery.logBytesMax": "100k"}


def marker(i: int) -> str:
    """Text that is found again in the log file and in the answer on the socket."""
    return f"marker-{i:06d}-of-the-sync-test"


@pytest.fixture
def traced(new_server, tmp_path):
    """Runs a session of writes under strace and gives back what it traced."""

    def run(name: str, inject: str | None = None) -> tuple[Server, syscalls.Durability]:
        output = tmp_path / f"{name}.strace"
        server = new_server(name, wrapper=syscalls.tracer(output, inject), config=CONFIG)
        server.start()
        work(server)
        stop(server)
        return server, syscalls.Durability(output.read_text(errors="replace"), server.data_dir)

    return run


def stop(server: Server) -> None:
    """Ends the traced process, not the tracer, so that the trace is whole."""
    children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(server.process.pid)], capture_output=True, text=True)
    for pid in children.stdout.split():
        os.kill(int(pid), signal.SIGKILL)
    server.process.wait(30)
    server.process = None


def work(server: Server) -> None:
    """Single rows that can be found again; then enough for files, a flush, and more rows."""
    client = server.client()
    schema = client.create_schema(enable_dynamic_field=False)
    schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=100)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="L2")
    client.create_collection("traced", schema=schema, index_params=index)
    for i in range(MARKERS):
        row = {"id": marker(i), "vector": [i] * DIM}
        write = client.upsert if i % 5 == 4 else client.insert
        write("traced", [row])
        if i == MARKERS // 2:
            client.flush("traced")
    before = log_files(server)
    for batch in range(5):
        client.insert("traced", [{"id": f"bulk {batch} {i}", "vector": [i] * DIM} for i in range(500)])
    client.flush("traced")
    client.close()
    deadline = time.monotonic() + 20
    while before <= log_files(server):
        assert time.monotonic() < deadline, "the log was not truncated"
        time.sleep(0.05)


def log_files(server: Server) -> set[str]:
    return {str(path) for path in (server.data_dir / "wal").rglob("data.log")}


def acknowledgement_problems(trace: syscalls.Durability) -> list[str]:
    """Each answer that names a marker comes after the sync of the log file that holds the marker."""
    problems = []
    for i in range(MARKERS):
        text = marker(i)
        answers = [event for event in trace.sockets if text in event.arguments]
        if not answers:
            problems.append(f"{text}: no answer in the trace")
            continue
        answer = answers[0]
        held = [(path, write) for path, writes in trace.writes.items() for write in writes
                if text in write.arguments and write.end < answer.begin]
        if not held:
            problems.append(f"{text}: answered at {answer.begin}, but in no file before")
            continue
        # One file that holds it durably is enough.
        reasons = []
        for path, write in held:
            found = [trace.write_problem(path, write, answer.begin), trace.name_problem(path, answer.begin)]
            reasons.append([reason for reason in found if reason])
        if all(reasons):
            problems.extend(reason for found in reasons for reason in found)
    return problems


def objects(trace: syscalls.Durability) -> list[str]:
    """Segment files under the names that they have in the end."""
    folder = f"{trace.root}/objects/"
    return [path for path in trace.writes if path.startswith(folder)]


def naming_writes(trace: syscalls.Durability, path: str) -> list[tuple[str, syscalls.Event]]:
    """Writes to metadata that name a segment file."""
    name = os.path.basename(path)
    return [(meta, write) for meta, writes in trace.writes.items() if meta.startswith(f"{trace.root}/meta")
            for write in writes if name in write.arguments]


def reference_problems(trace: syscalls.Durability) -> list[str]:
    """A segment file and its name are durable before metadata names it."""
    problems = []
    for path in objects(trace):
        named = naming_writes(trace, path)
        if named:
            problems.extend(trace.problem_of_file(path, min(write.begin for _, write in named)))
    return problems


def removal_problems(trace: syscalls.Durability) -> list[str]:
    """When a log file goes, the metadata that took its place is durable."""
    problems = []
    for gone, removal in trace.removed:
        if not gone.startswith(f"{trace.root}/wal"):
            continue
        for path in objects(trace):
            named = [(meta, write) for meta, write in naming_writes(trace, path) if write.end < removal.begin]
            reasons = [trace.write_problem(meta, write, removal.begin) for meta, write in named]
            problems.extend(reason for reason in reasons[:1] if reason)
    return problems


def lost_names(trace: syscalls.Durability) -> list[str]:
    """Files that exist in the end although their names were never made durable. Lock files need not be remembered:
    a lock ends with its process."""
    end = trace.events[-1].end + 1
    kept = [path for path in trace.names if os.path.exists(path) and not path.lower().endswith("lock")]
    problems = [trace.name_problem(path, end) for path in kept]
    return sorted({problem for problem in problems if problem})


@pytest.mark.timeout(120)
def test_nothing_is_acknowledged_or_referred_to_before_it_is_synced(traced):
    server, trace = traced("whole")
    assert not acknowledgement_problems(trace)
    written = objects(trace)
    assert written, f"the flushes wrote no segment file below objects/:\n{server.log_tail()}"
    assert any(naming_writes(trace, path) for path in written), "no metadata names a segment file"
    assert not reference_problems(trace)
    assert any(gone.endswith("data.log") for gone, _ in trace.removed), "no log file was removed"
    assert not removal_problems(trace)
    assert not lost_names(trace)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("call", ["fdatasync", "fsync"])
def test_the_check_notices_syncs_that_do_nothing(traced, call):
    """The same session with one kind of sync taken out of the binary's hands: it must not pass."""
    _, trace = traced(f"without_{call}", inject=call)
    problems = [*acknowledgement_problems(trace), *reference_problems(trace), *lost_names(trace)]
    assert problems, f"{call} did nothing and nobody noticed"


# -- the reader of traces itself --------------------------------------------------------------------------------


def durability(lines: str) -> syscalls.Durability:
    return syscalls.Durability(textwrap.dedent(lines).strip(), Path("/d"))


def test_a_sync_counts_only_if_it_began_after_the_write_and_ended_in_time():
    trace = durability("""
        1 openat(AT_FDCWD</>, "/d/log", O_RDWR|O_CREAT, 0644) = 3</d/log>
        1 write(3</d/log>, "early", 5 <unfinished ...>
        2 fdatasync(3</d/log> <unfinished ...>
        1 <... write resumed>) = 5
        2 <... fdatasync resumed>) = 0
        1 write(3</d/log>, "late", 4) = 4
        2 fdatasync(3</d/log>) = -1 EIO (Input/output error)
        2 fdatasync(3</d/log>) = 0 (INJECTED)
        2 fsync(3</d/log>) = 0
    """)
    early, late = trace.writes["/d/log"]
    assert trace.write_problem("/d/log", early, 8) is not None
    assert trace.write_problem("/d/log", early, 9) is None
    assert trace.write_problem("/d/log", late, 8) is not None
    assert trace.name_problem("/d/log", 99) is not None


def test_names_need_a_sync_of_their_directory_and_of_those_above():
    trace = durability("""
        1 mkdir("/d/a", 0777) = 0
        1 openat(AT_FDCWD</>, "/d/a/x.tmp", O_WRONLY|O_CREAT, 0644) = 4</d/a/x.tmp>
        1 write(4</d/a/x.tmp>, "x", 1) = 1
        1 fsync(4</d/a/x.tmp>) = 0
        1 fsync(5</d/a>) = 0
        1 renameat(AT_FDCWD</d>, "a/x.tmp", AT_FDCWD</d>, "a/x") = 0
        1 fsync(5</d/a>) = 0
        1 fsync(6</d>) = 0
    """)
    assert "/d/a/x" in trace.names and "/d/a/x.tmp" not in trace.names
    assert "x: named at 5" in trace.name_problem("/d/a/x", 6)
    assert "a: named at 0" in trace.name_problem("/d/a/x", 7)
    assert trace.name_problem("/d/a/x", 8) is None
    assert trace.problem_of_file("/d/a/x", 8) == []


def test_sockets_are_told_from_files():
    trace = durability(r"""
        1 writev(9<socket:[123]>, [{iov_base="\0\0\5marker", iov_len=9}], 1) = 9
        1 sendto(10<TCP:[127.0.0.1:1->127.0.0.1:2]>, "x", 1, 0, NULL, 0) = 1
        1 write(1</tmp/out>, "x", 1) = 1
    """)
    assert len(trace.sockets) == 2 and not trace.writes
