"""The calls of a user with Milvus' Node SDK, unchanged: the script in `node/` against a server.

The pinned packages are installed once into a folder under cargo's target folder, beside the environment of the
Python tests. Without Node the test fails: it is part of what is promised.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from server import binary

HERE = Path(__file__).parent / "node"
PINNED = ["package.json", "package-lock.json"]
NODE_MAJOR_MIN = 20


def program(name: str) -> str:
    found = shutil.which(name)
    assert found, f"{name} is missing: install Node.js {NODE_MAJOR_MIN} or newer with npm, the Node SDK is tested with it"
    return found


def run(command: list[str], seconds: int, **kwargs) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds,
                          stdin=subprocess.DEVNULL, **kwargs)
    assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-20000:]}"
    return done.stdout


def target() -> Path:
    """Cargo's target folder: the binary is in its `release` or `debug`, or it is named, or it is the default."""
    built = binary().resolve().parent
    if built.name in ("release", "debug"):
        return built.parent
    named = os.environ.get("CARGO_TARGET_DIR")
    return Path(named) if named else HERE.parent.parent / "target"


@pytest.fixture(scope="module")
def modules() -> Path:
    """A folder with exactly the pinned packages."""
    folder = target() / "e2e-node"
    wanted = [(HERE / name).read_bytes() for name in PINNED]
    # Written last: an installation that was not finished has no such file and is made again.
    stamp = folder / "installed"
    if stamp.exists() and stamp.read_bytes() == b"".join(wanted):
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, text in zip(PINNED, wanted):
        (folder / name).write_bytes(text)
    run([program("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund"], 600, cwd=folder)
    stamp.write_bytes(b"".join(wanted))
    return folder


# The first run downloads the packages.
@pytest.mark.timeout(900)
def test_the_node_sdk_does_what_pymilvus_does(server, modules):
    node = program("node")
    version = run([node, "--version"], 30).strip()
    assert int(version.lstrip("v").split(".")[0]) >= NODE_MAJOR_MIN, f"Node.js {version} is too old"
    report = run([node, "--test", "--test-reporter=tap", str(HERE / "sdk.test.mjs")], 200,
                 env={**os.environ, "CINCLUS_ADDRESS": f"127.0.0.1:{server.port}", "CINCLUS_NODE_MODULES": str(modules)})
    summary = dict(line[2:].split(" ", 1) for line in report.splitlines() if line.startswith("# ") and " " in line[2:])
    assert summary["fail"] == "0" and summary["skipped"] == "0", report
    assert int(summary["pass"]) >= 15, report
