"""The server under test as a process: start, stop, kill, look at its log."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from pymilvus import MilvusClient

READY_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 60.0


def binary() -> Path:
    """The binary under test: CINCLUS_BIN, else what `cargo build --release` made."""
    named = os.environ.get("CINCLUS_BIN")
    if named:
        return Path(named)
    target = os.environ.get("CARGO_TARGET_DIR") or Path(__file__).parent.parent / "target"
    return Path(target) / "release" / "cinclus"


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now; all are held until the last is found, so they differ."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def yaml_of(config: dict[str, str | int]) -> str:
    """A configuration file: {"a.b": 1} becomes {"a": {"b": 1}}. JSON is YAML."""
    tree: dict = {}
    for key, value in config.items():
        *folders, name = key.split(".")
        place = tree
        for folder in folders:
            place = place.setdefault(folder, {})
        place[name] = value
    return json.dumps(tree, indent=2)


class Server:
    """One standalone server on one data directory; it can be started again and again."""

    def __init__(self, data_dir: Path, log_path: Path, config: dict[str, str | int] | None = None,
                 wrapper: list[str] | None = None):
        """`config` holds keys of the configuration file, with dots."""
        self.data_dir = data_dir
        self.log_path = log_path
        self.config_path = None
        if config:
            self.config_path = log_path.with_name("config.yaml")
            self.config_path.write_text(yaml_of(config))
        # Words in front of the command, such as a tracer.
        self.wrapper = wrapper or []
        self.process: subprocess.Popen | None = None
        self.port = 0
        self.management_port = 0
        self.starts = 0

    # -- life ---------------------------------------------------------------------------------------------------

    def start(self, same_address: bool = False) -> "Server":
        """Starts and waits until it says that it is healthy."""
        assert self.process is None, "it runs already"
        if not same_address or not self.port:
            self.port, self.management_port = free_ports(2)
        self.spawn()
        self.wait_ready()
        return self

    def command(self) -> list[str]:
        return [
            *self.wrapper, str(binary()), "standalone",
            "--data-dir", str(self.data_dir),
            "--listen", f"127.0.0.1:{self.port}",
            "--management-listen", f"127.0.0.1:{self.management_port}",
            *(["--config", str(self.config_path)] if self.config_path else []),
        ]

    def spawn(self) -> None:
        self.starts += 1
        with open(self.log_path, "ab") as log:
            log.write(f"\n--- start {self.starts}: {' '.join(self.command())}\n".encode())
            log.flush()
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=subprocess.STDOUT,
                                            stdin=subprocess.DEVNULL, start_new_session=True)

    def wait_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS_MAX
        while time.monotonic() < deadline:
            code = self.process.poll()
            if code is not None:
                self.process = None
                raise AssertionError(f"the server ended with {code} before it was ready:\n{self.log_tail()}")
            if self.healthz() == "OK":
                return
            time.sleep(0.01)
        raise AssertionError(f"the server was not ready within {READY_SECONDS_MAX} s:\n{self.log_tail()}")

    def healthz(self) -> str | None:
        try:
            with urllib.request.urlopen(f"{self.management_uri}/healthz", timeout=5) as answer:
                return answer.read().decode().strip()
        except (urllib.error.URLError, OSError):
            return None

    def kill9(self) -> None:
        """The process gets no chance to do anything."""
        # It leads a process group of its own, a tracer around it included.
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None

    def terminate(self) -> None:
        """A polite stop, which must end in time and well."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.kill9()
            raise AssertionError(f"SIGTERM did not end the server within {STOP_SECONDS_MAX} s") from None
        self.process = None
        assert code == 0, f"after SIGTERM the server ended with {code}:\n{self.log_tail()}"

    def wait_for_end(self, seconds: float) -> int:
        """Waits until it ends by itself; answers its exit code."""
        code = self.process.wait(seconds)
        self.process = None
        return code

    def restart(self, same_address: bool = False) -> None:
        self.terminate()
        self.start(same_address)

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop_whatever(self) -> None:
        """For the end of a test: nothing stays behind."""
        if self.process is not None:
            if self.process.poll() is None:
                self.kill9()
            self.process = None

    # -- reaching it --------------------------------------------------------------------------------------------

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def management_uri(self) -> str:
        return f"http://127.0.0.1:{self.management_port}"

    def client(self, **kwargs) -> MilvusClient:
        """A client with a connection of its own."""
        return MilvusClient(self.uri, dedicated=True, **kwargs)

    def metrics(self) -> str:
        with urllib.request.urlopen(f"{self.management_uri}/metrics", timeout=10) as answer:
            return answer.read().decode()

    # -- looking at it ------------------------------------------------------------------------------------------

    def log_tail(self, lines: int = 60) -> str:
        if not self.log_path.exists():
            return ""
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])
