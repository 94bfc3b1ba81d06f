"""Reads what strace wrote, and tells what was durable when.

A write to a file is durable once a sync of that file has succeeded that *began* after the write had ended. A name in a
directory (a new file, a new directory, the target of a rename or link) is durable once a sync of that directory has
succeeded that began after the name was made. Times are places in the trace: strace writes a line when a call begins
and, if anything happened meanwhile, another when it ends.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

CALLS = ("open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,unlink,unlinkat,"
         "write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,fsync,fdatasync,ftruncate,fallocate,"
         "copy_file_range,io_uring_setup,mmap")


def tracer(output: Path, inject: str | None = None) -> list[str]:
    """Words to put in front of a command. `inject` names calls that shall do nothing and say that they did."""
    words = ["strace", "-f", "-y", "-s", "262144", "-o", str(output), "-e", f"trace={CALLS}"]
    return words + (["-e", f"inject={inject}:retval=0"] if inject else [])


@dataclass
class Event:
    """One call: the lines of the trace on which it began and ended."""

    begin: int
    end: int
    name: str
    arguments: str
    result: int


LINE = re.compile(r"^(\d+)\s+(.*)$")
CALL = re.compile(r"^(\w+)\((.*)$", re.S)
RESULT = re.compile(r"^(.*)\)\s+= (-?\d+|0x[0-9a-f]+|\?)(.*)$", re.S)
PATH_OF_FD = re.compile(r"^(-?\d+|AT_FDCWD)<((?:[^>\\]|\\.|->)*)>")
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


def parse(text: str) -> list[Event]:
    """All finished calls in the order in which they ended. Calls that strace made up are left out."""
    unfinished: dict[str, tuple[int, str, str]] = {}
    events = []
    for number, line in enumerate(text.splitlines()):
        matched = LINE.match(line)
        if not matched:
            continue
        pid, rest = matched.groups()
        begin = number
        if rest.startswith("<... "):
            if pid not in unfinished:
                continue
            begin, name, arguments = unfinished.pop(pid)
            rest = arguments + rest.split(" resumed>", 1)[1]
        else:
            called = CALL.match(rest)
            if not called:
                continue
            name, rest = called.groups()
            if rest.endswith("<unfinished ...>"):
                unfinished[pid] = (begin, name, rest.removesuffix("<unfinished ...>"))
                continue
        ended = RESULT.match(rest)
        if ended and ended.group(2) != "?" and "(INJECTED)" not in ended.group(3):
            events.append(Event(begin, number, name, ended.group(1), int(ended.group(2), 0)))
    return events


class Durability:
    """What a trace says about the files below one directory."""

    WRITES = {"write", "writev", "pwrite64", "pwritev", "pwritev2", "sendto", "sendmsg", "copy_file_range"}

    def __init__(self, text: str, root: Path):
        self.root = str(root)
        self.events = parse(text)
        # path -> events, in order
        self.writes: dict[str, list[Event]] = {}
        self.syncs: dict[str, list[Event]] = {}
        # path -> when its name was made; a renamed file keeps the writes of its old name
        self.names: dict[str, Event] = {}
        self.removed: list[tuple[str, Event]] = []
        # old name -> the writes and syncs under it belong to the new one
        self.sockets: list[Event] = []
        for event in self.events:
            if event.result >= 0:
                self.take(event)

    def take(self, event: Event) -> None:
        if event.name in ("open", "openat", "creat"):
            path = self.argument_path(event)
            if path and ("O_CREAT" in event.arguments or event.name == "creat") and path not in self.names:
                self.names[path] = event
        elif event.name in ("mkdir", "mkdirat"):
            path = self.argument_path(event)
            if path:
                self.names[path] = event
        elif event.name in ("rename", "renameat", "renameat2", "link", "linkat"):
            self.take_rename(event)
        elif event.name in ("unlink", "unlinkat"):
            path = self.argument_path(event)
            if path:
                self.names.pop(path, None)
                self.removed.append((path, event))
        elif event.name in ("fsync", "fdatasync"):
            path = self.fd_path(event)
            if path:
                self.syncs.setdefault(path, []).append(event)
        elif event.name in self.WRITES:
            path = self.fd_path(event)
            if path and path.startswith(("socket:", "TCP:", "TCPv6:")):
                self.sockets.append(event)
            elif path and self.is_ours(path):
                self.writes.setdefault(path, []).append(event)

    def take_rename(self, event: Event) -> None:
        paths = [path for path in self.quoted_paths(event) if path]
        if len(paths) != 2 or not self.is_ours(paths[1]):
            return
        old, new = paths
        for table in (self.writes, self.syncs):
            if old in table:
                table[new] = [*table.pop(old)]
        if event.name.startswith("rename"):
            self.names.pop(old, None)
        self.names[new] = event

    # -- arguments ----------------------------------------------------------------------------------------------

    def is_ours(self, path: str) -> bool:
        return path == self.root or path.startswith(self.root + "/")

    def fd_path(self, event: Event) -> str | None:
        matched = PATH_OF_FD.match(event.arguments)
        return matched.group(2) if matched else None

    def quoted_paths(self, event: Event) -> list[str]:
        """Paths among the arguments, made absolute by the directory in front of each."""
        paths = []
        for matched in QUOTED.finditer(event.arguments):
            path = matched.group(1)
            if not path.startswith("/"):
                before = re.search(r"<([^>]*)>, $", event.arguments[:matched.start()])
                path = os.path.join(before.group(1) if before else os.getcwd(), path)
            paths.append(os.path.normpath(path))
        return paths

    def argument_path(self, event: Event) -> str | None:
        paths = self.quoted_paths(event)
        return paths[0] if paths and self.is_ours(paths[0]) else None

    # -- questions ----------------------------------------------------------------------------------------------

    def write_problem(self, path: str, write: Event, before: int) -> str | None:
        """Why a write was not durable before a place of the trace; None if it was."""
        for sync in self.syncs.get(path, []):
            if sync.begin > write.end and sync.end < before:
                return None
        return f"{self.short(path)}: written at {write.end}, not synced before {before}"

    def name_problem(self, path: str, before: int) -> str | None:
        """Why the name of a file, or of a directory above it, was not durable before a place of the trace."""
        while path != self.root and self.is_ours(path):
            made = self.names.get(path)
            parent = os.path.dirname(path)
            if made is not None:
                synced = any(sync.begin > made.end and sync.end < before for sync in self.syncs.get(parent, []))
                if not synced:
                    return f"{self.short(path)}: named at {made.end}, its directory not synced before {before}"
            path = parent
        return None

    def problem_of_file(self, path: str, before: int) -> list[str]:
        """All problems of a file as it was at a place of the trace: each write before it, and its name."""
        problems = [self.write_problem(path, write, before)
                    for write in self.writes.get(path, []) if write.end < before]
        return [problem for problem in [*problems, self.name_problem(path, before)] if problem]

    def short(self, path: str) -> str:
        return os.path.relpath(path, self.root)
