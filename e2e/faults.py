"""A disk that fails when it is told to, under a real process: `faults.c` stands between the server and libc."""

import os
import struct
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

SOURCE = Path(__file__).parent / "faults.c"
RECORD = struct.Struct("=QQQQ")


def compiled(folder: Path) -> Path:
    """The library, built with the C compiler that the project needs anyway."""
    library = folder / "faults.so"
    compiler = os.environ.get("CC", "cc")
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(library), str(SOURCE)],
                   check=True)
    return library


@dataclass
class Image:
    """A file as a power cut would leave it: what was written counts when a sync after it went well."""

    durable: bytearray = field(default_factory=bytearray)
    # Writes (offset, bytes) and new lengths (None, length) that no sync has covered yet, in order.
    pending: list[tuple] = field(default_factory=list)

    def sync(self) -> None:
        for offset, what in self.pending:
            if offset is None:
                self.set_length(what)
            else:
                self.set_length(max(len(self.durable), offset + len(what)))
                self.durable[offset:offset + len(what)] = what
        self.pending.clear()

    def set_length(self, length: int) -> None:
        del self.durable[length:]
        self.durable.extend(bytes(length - len(self.durable)))


class Faults:
    """Faults of one server's disk."""

    def __init__(self, library: Path, folder: Path):
        self.library = library
        self.control = folder / "faults"
        self.journal = folder / "journal"

    def wrapper(self) -> list[str]:
        """Words in front of the server's command."""
        return ["env", f"LD_PRELOAD={self.library}", f"FAULTS_CONTROL={self.control}", f"FAULTS_JOURNAL={self.journal}"]

    def fail(self, words: str, folder: Path) -> None:
        """From now on calls fail in a folder: `sync`, `write`, `open` (for writing), `rename`, `mkdir`."""
        fresh = self.control.with_suffix(".new")
        fresh.write_text(f"{words}\n{folder}\n")
        fresh.rename(self.control)

    def heal(self) -> None:
        self.control.unlink()

    def cut_power(self, root: Path) -> int:
        """Makes the files below `root`, which nobody has open any more, what their disk would still have: without
        all that was written and not synced since, or whose sync failed. Gives back how many files that changed."""
        images = self.images()
        changed = 0
        for path in root.rglob("*"):
            image = images.get(path.stat().st_ino) if path.is_file() else None
            if image is not None and path.read_bytes() != image.durable:
                # In place: the file keeps its inode, so that a later cut finds it.
                with open(path, "r+b") as file:
                    file.write(image.durable)
                    file.truncate()
                changed += 1
        return changed

    def images(self) -> dict[int, Image]:
        images: dict[int, Image] = {}
        text = self.journal.read_bytes()
        at = 0
        while at < len(text):
            what, inode, offset, length = RECORD.unpack_from(text, at)
            at += RECORD.size
            image = images.setdefault(inode, Image())
            match chr(what):
                case "N":
                    images[inode] = Image()
                case "W":
                    image.pending.append((offset, text[at:at + length]))
                    at += length
                case "T":
                    image.pending.append((None, length))
                case "S":
                    image.sync()
                case "B":
                    # The kernel takes these pages for clean now: no later sync writes them.
                    image.pending.clear()
        return images
