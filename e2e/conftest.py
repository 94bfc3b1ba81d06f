"""Fixtures: a server for a module, servers of a test's own, and their logs when a test fails."""

import logging

import pytest

from server import Server, binary

# pymilvus logs every failed call; the tests provoke many on purpose.
logging.getLogger("pymilvus").setLevel(logging.CRITICAL)

_servers: list[Server] = []


def pytest_sessionstart(session):
    if not binary().exists():
        raise pytest.UsageError(f"there is no server at {binary()}: build it, or name it in CINCLUS_BIN")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        for server in _servers:
            report.sections.append((f"log of the server in {server.data_dir}", server.log_tail()))


def _new_server(folder, **kwargs) -> Server:
    server = Server(folder / "data", folder / "server.log", **kwargs)
    _servers.append(server)
    return server


def _forget(server: Server) -> None:
    server.stop_whatever()
    _servers.remove(server)


@pytest.fixture
def new_server(tmp_path):
    """Makes servers that live as long as the test; each call with its own name has its own folder."""
    made = []

    def make(name: str = "server", **kwargs) -> Server:
        """`config`: keys of the configuration file; `wrapper`: words in front of the command."""
        folder = tmp_path / name
        folder.mkdir()
        made.append(_new_server(folder, **kwargs))
        return made[-1]

    yield make
    for server in made:
        _forget(server)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A running server that the tests of a module share."""
    server = _new_server(tmp_path_factory.mktemp("module"))
    try:
        server.start()
        yield server
    finally:
        _forget(server)


@pytest.fixture
def client(server):
    """A client of the module's server, started again if a test left it down."""
    if not server.is_running():
        server.stop_whatever()
        server.start()
    client = server.client()
    yield client
    client.close()


@pytest.fixture
def collection(client, request):
    """The name of a collection for this test; what a test made under it is dropped."""
    name = "".join(c if c.isalnum() else "_" for c in request.node.name)[:200]
    yield name
    for left in client.list_collections():
        if left.startswith(name):
            client.drop_collection(left)
