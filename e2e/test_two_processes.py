"""Two processes on one data directory: the second refuses and names the first."""

import subprocess

from server import binary, free_ports


def second_on(data_dir) -> subprocess.CompletedProcess:
    port, management_port = free_ports(2)
    return subprocess.run(
        [str(binary()), "standalone", "--data-dir", str(data_dir), "--listen", f"127.0.0.1:{port}",
         "--management-listen", f"127.0.0.1:{management_port}"],
        capture_output=True, text=True, timeout=30)


def test_the_second_process_refuses_and_names_the_first(new_server):
    server = new_server().start()
    client = server.client()
    client.create_collection("kept", dimension=4)
    for _ in range(2):
        second = second_on(server.data_dir)
        said = second.stdout + second.stderr
        assert second.returncode != 0
        assert str(server.process.pid) in said, said
        assert str(server.data_dir) in said, said
        client.insert("kept", [{"id": 1, "vector": [1, 2, 3, 4]}])
    client.close()


def test_the_directory_is_free_again_when_the_first_is_gone(new_server):
    server = new_server().start()
    server.kill9()
    server.start()
    server.terminate()
    server.start()


def test_a_port_in_use_is_named(new_server, tmp_path):
    server = new_server().start()
    port, management_port = free_ports(2)
    for listen, management in [(server.port, management_port), (port, server.management_port)]:
        second = subprocess.run(
            [str(binary()), "standalone", "--data-dir", str(tmp_path / "other"), "--listen", f"127.0.0.1:{listen}",
             "--management-listen", f"127.0.0.1:{management}"], capture_output=True, text=True, timeout=30)
        said = second.stdout + second.stderr
        assert second.returncode != 0
        assert str(server.port if listen == server.port else server.management_port) in said, said
