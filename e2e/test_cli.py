"""The command line, the configuration file, and the management port."""

import subprocess
import urllib.error
import urllib.request

import pytest

from server import binary, free_ports, yaml_of


def cinclus(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([str(binary()), *arguments], capture_output=True, text=True, timeout=30)


def refused_with(config: str, tmp_path) -> str:
    """What a start with this configuration says before it ends with an error."""
    file = tmp_path / "config.yaml"
    file.write_text(config)
    port, management_port = free_ports(2)
    ended = cinclus("standalone", "--config", str(file), "--data-dir", str(tmp_path / "data"), "--listen",
                    f"127.0.0.1:{port}", "--management-listen", f"127.0.0.1:{management_port}")
    assert ended.returncode != 0
    return ended.stdout + ended.stderr


def test_help_explains_the_roles_and_flags():
    helped = cinclus("--help")
    assert helped.returncode == 0
    for word in ["standalone", "--data-dir", "--listen", "--management-listen", "--config"]:
        assert word in helped.stdout, word
    helped = cinclus("standalone", "--help")
    assert helped.returncode == 0
    for word in ["127.0.0.1:19530", "127.0.0.1:9091", "./cinclus-data"]:
        assert word in helped.stdout, word


def test_an_unknown_flag_is_named():
    ended = cinclus("standalone", "--datadir", "x")
    assert ended.returncode != 0
    assert "--datadir" in ended.stderr and "--data-dir" in ended.stderr


@pytest.mark.parametrize("config, words", [
    ("proxy:\n  prt: 1\n", ["proxy.prt", "proxy.port"]),
    ("rootCoord:\n  dmlChannelNum: many\n", ["rootCoord.dmlChannelNum", "many"]),
    ("proxy: [1\n", ["config.yaml"]),
])
def test_a_wrong_configuration_is_an_error_that_names_the_key(tmp_path, config, words):
    said = refused_with(config, tmp_path)
    for word in words:
        assert word in said, said


def test_the_configuration_file_uses_the_names_of_milvus(new_server):
    server = new_server(config={"rootCoord.dmlChannelNum": 3, "rootCoord.maxDatabaseNum": 2}).start()
    client = server.client()
    client.create_database("second")
    with pytest.raises(Exception) as caught:
        client.create_database("third")
    assert "database" in str(caught.value)
    client.close()


def test_one_line_says_where_it_listens(new_server):
    server = new_server().start()
    said = [line for line in server.log_tail().splitlines()
            if f"127.0.0.1:{server.port}" in line and f"127.0.0.1:{server.management_port}" in line
            and not line.startswith("---")]
    assert len(said) == 1, server.log_tail()


def test_a_data_directory_of_a_newer_release_is_refused_by_name(tmp_path, new_server):
    server = new_server().start()
    server.terminate()
    format = server.data_dir / "FORMAT"
    format.write_text("999\n")
    with pytest.raises(AssertionError) as caught:
        server.start()
    assert "999" in str(caught.value) and str(server.data_dir) in str(caught.value)


def test_health_and_metrics(server, client):
    client.list_collections()
    with urllib.request.urlopen(f"{server.management_uri}/healthz", timeout=5) as answer:
        assert (answer.status, answer.read()) == (200, b"OK")
    lines = server.metrics().splitlines()
    families = [line.split()[2] for line in lines if line.startswith("# TYPE ")]
    assert len(families) == len(set(families)) > 0
    assert any(family.startswith("milvus_") for family in families), families
    for line in lines:
        if not line.startswith("#"):
            float(line.rsplit(" ", 1)[1])
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{server.management_uri}/nothing", timeout=5)
    assert caught.value.code == 404


def test_the_yaml_of_the_tests_is_nested():
    assert yaml_of({"a.b": 1, "a.c.d": "2"}).replace("\n", "").replace(" ", "") == '{"a":{"b":1,"c":{"d":"2"}}}'
