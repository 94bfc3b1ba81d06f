"""`cinclus drill` for real: it breaks a server of its own, says what it saw, and leaves nothing behind."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from server import binary
from test_zero_disk import config


def drill(folder: Path, *arguments: str, seconds: float = 120) -> subprocess.CompletedProcess:
    return subprocess.run([str(binary()), "drill", "--dir", str(folder), *arguments], capture_output=True, text=True,
                          timeout=seconds)


@pytest.mark.parametrize("metadata", ["objects", "etcd"])
def test_a_server_without_a_disk_that_is_killed_paused_and_stopped_loses_nothing(tmp_path, metadata):
    file = tmp_path / "cinclus.yaml"
    file.write_text(json.dumps(config(metadata)))
    done = drill(tmp_path, "--config", str(file), "--rounds", "3", "--seed", "7", "--json", seconds=300)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["good"] and report["counts"]["acknowledged"] > 20, report
    assert [fault["fault"] for fault in report["faults"]] == ["kill", "pause", "stop"]


def test_a_server_that_is_killed_paused_and_stopped_loses_nothing(tmp_path):
    done = drill(tmp_path, "--rounds", "3", "--seed", "7", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["good"] and report["verdict"] == "nothing lost, nothing repeated"
    assert {each: report[each] for each in ["lost", "repeated", "stray", "torn", "stale"]} == dict.fromkeys(
        ["lost", "repeated", "stray", "torn", "stale"], 0)
    assert [fault["fault"] for fault in report["faults"]] == ["kill", "pause", "stop"]
    counts = report["counts"]
    assert counts["acknowledged"] > 20 and counts["reads"] > 20 and counts["compared"] > 20, counts
    longest = {fault["fault"]: fault["longest_interruption"]["writes_ms"] for fault in report["faults"]}
    # The plan is printed: a pause is an interruption of its span, at least.
    planned = [line for line in done.stderr.splitlines() if line.startswith("plan")]
    assert len(planned) == 3, done.stderr
    (pause,) = (float(line.split(" pause for ")[1].split(" ")[0]) for line in planned if "pause" in line)
    assert longest["pause"] >= pause * 1000 - 20, (longest, planned)
    assert 0 < max(longest.values()) == report["longest_interruption"]["writes_ms"]
    assert list(tmp_path.iterdir()) == [], "the data directory is removed"


def test_a_seed_decides_the_plan(tmp_path):
    plans = []
    for _ in range(2):
        done = drill(tmp_path, "--rounds", "1", "--seed", "11", "--faults", "pause")
        assert done.returncode == 0, done.stderr
        assert done.stdout.endswith("nothing lost, nothing repeated\n"), done.stdout
        plans.append([line for line in done.stderr.splitlines() if line.startswith("plan")])
    assert plans[0] == plans[1]


def test_a_drill_that_cannot_start_says_why(tmp_path):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("rootCoord:\n  dmlChanelNum: 4\n")
    unreachable = tmp_path / "unreachable.yaml"
    unreachable.write_text("metastore:\n  type: etcd\netcd:\n  endpoints: 127.0.0.1:1\n  requestTimeout: 500\n")
    for arguments, said in [
        (["--config", str(wrong)], "rootCoord.dmlChannelNum"),
        (["--config", str(unreachable)], "127.0.0.1:1"),
        (["--faults", "disk"], "--small-disk"),
        (["--small-disk", str(tmp_path / "no-folder" / "x")], "no-folder/x is not a folder"),
    ]:
        done = drill(tmp_path / "drills", *arguments)
        assert done.returncode == 1 and said in done.stderr, (arguments, done.stderr)
    assert not any((tmp_path / "drills").iterdir())


def test_a_drill_that_is_stopped_leaves_nothing_behind(tmp_path):
    process = subprocess.Popen([str(binary()), "drill", "--dir", str(tmp_path), "--time", "1h"], stderr=subprocess.PIPE,
                               text=True)
    while not process.stderr.readline().startswith("round"):
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 1 and "asked to stop" in said, said
    assert list(tmp_path.iterdir()) == []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            command = Path("/proc", pid, "cmdline").read_bytes()
        except OSError:
            continue
        assert str(tmp_path).encode() not in command, "its server runs on"
