"""The real data: glosses of WordNet and their embeddings."""

from functools import cache
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "data"
DIM = 384


@cache
def vectors() -> np.ndarray:
    """All embeddings as float32, one a row."""
    return np.load(FOLDER / "wordnet-384.f16.npy").astype(np.float32)


@cache
def glosses() -> list[tuple[str, str]]:
    """(word, gloss) of each row."""
    lines = (FOLDER / "wordnet.txt").read_text(encoding="utf-8").splitlines()
    return [tuple(line.split(": ", 1)) for line in lines]
