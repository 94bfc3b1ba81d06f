"""Brute force: what a search must answer, and whether it did."""

import numpy as np

TOLERANCE = 1e-4


def scores(metric: str, query, rows: np.ndarray) -> np.ndarray:
    """The score of each row, computed in double precision."""
    query = np.asarray(query, dtype=np.float64)
    rows = rows.astype(np.float64)
    if metric == "L2":
        return ((rows - query) ** 2).sum(axis=1)
    products = rows @ query
    if metric == "IP":
        return products
    if metric == "COSINE":
        return products / (np.linalg.norm(rows, axis=1) * np.linalg.norm(query))
    raise ValueError(metric)


def is_ascending(metric: str) -> bool:
    """Whether a smaller score is a better one."""
    return metric == "L2"


def check_hits(hits, expected: dict, limit: int, metric: str, offset: int = 0, key: str = "id") -> None:
    """Compares one query's hits with the scores of all candidates ({key: score}).

    Rows whose scores differ by less than the tolerance may change places, also across the last place.
    """
    sign = 1.0 if is_ascending(metric) else -1.0
    ids = [hit[key] for hit in hits]
    assert len(set(ids)) == len(ids), f"a row came twice: {ids}"
    unknown = [each for each in ids if each not in expected]
    assert not unknown, f"rows that may not be in the answer: {unknown[:10]}"
    best_first = sorted(expected.values(), key=lambda score: sign * score)
    wanted = best_first[offset:offset + limit]
    assert len(ids) == len(wanted), f"{len(ids)} hits, but {len(wanted)} were due"
    for place, (hit, score) in enumerate(zip(hits, wanted)):
        own = expected[hit[key]]
        slack = TOLERANCE * max(1.0, abs(own))
        assert abs(hit["distance"] - own) <= slack, (
            f"place {place}: row {hit[key]} has score {own}, the answer says {hit['distance']}")
        # The right row in this place has this score, whichever row it is.
        assert abs(own - score) <= slack, (
            f"place {place}: row {hit[key]} has score {own}, but {score} is due here")


def check_hits_of_any(hits, candidates: list[dict], limit: int, metric: str) -> int:
    """Checks against several possible states, and returns which of them the answer shows."""
    errors = []
    for index, expected in enumerate(candidates):
        try:
            check_hits(hits, expected, limit, metric)
            return index
        except AssertionError as error:
            errors.append(str(error))
    raise AssertionError("the answer fits no state that it could have seen:\n" + "\n".join(errors))
