"""A full disk: reads go on, writes say so, and when there is space again they work without a restart."""

import os
import subprocess
import time

import numpy as np
import pytest
from pymilvus import DataType
from pymilvus.exceptions import MilvusException

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


@pytest.mark.timeout(240)
def test_a_full_disk_stops_writes_only(small_disk, full_server):
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(BALLAST_MIB << 20))
    client = full_server.client()
    schema = client.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="L2")
    client.create_collection("full", schema=schema, index_params=index)

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
