"""A collection of real data with scalars of every kind, and its mirror in memory.

The mirror knows what must be in the collection. It answers filters with Python and searches by brute force.
"""

import random
from typing import Callable

import numpy as np
from pymilvus import DataType, MilvusClient

import oracle
import wordnet

SCALARS = ["id", "word", "length", "small", "flag", "ratio", "exact", "meta", "tags", "numbers", "rank", "color", "version"]


def schema():
    """The schema of the collection: every scalar type of this release, a nullable field, and a dynamic field."""
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=wordnet.DIM)
    schema.add_field("word", DataType.VARCHAR, max_length=200)
    schema.add_field("length", DataType.INT32)
    schema.add_field("small", DataType.INT8)
    schema.add_field("flag", DataType.BOOL)
    schema.add_field("ratio", DataType.FLOAT)
    schema.add_field("exact", DataType.DOUBLE)
    schema.add_field("meta", DataType.JSON)
    schema.add_field("tags", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=8, max_length=50)
    schema.add_field("numbers", DataType.ARRAY, element_type=DataType.INT64, max_capacity=8)
    schema.add_field("rank", DataType.INT64, nullable=True)
    return schema


def row(id: int, version: int = 0, source: int | None = None) -> dict:
    """The row of a key. `source` names the line of the data it is made of, `version` tells upserts apart."""
    i = id if source is None else source
    word, gloss = wordnet.glosses()[i]
    meta = {"n": i % 50, "lang": ["en", "de", "fr"][i % 3], "nested": {"k": i % 5, "list": [i % 4, i % 7]}}
    if i % 6 == 0:
        meta["opt"] = i % 12 == 0
    made = {
        "id": id,
        "vector": wordnet.vectors()[i],
        "word": word,
        "length": len(gloss),
        "small": i % 200 - 100,
        "flag": i % 3 == 1,
        "ratio": float(np.float32((i % 97) / 97)),
        "exact": (i % 1013) / 1013 - 0.5,
        "meta": meta,
        "tags": [word[:1], "noun"][: i % 3],
        "numbers": [i % 10 + step for step in range(i % 4)],
        "rank": None if i % 5 == 0 else i % 90,
        "version": version,
    }
    if i % 4 != 3:
        made["color"] = ["red", "green", "blue"][i % 4]
    return made


def like(pattern: str) -> Callable[[str], bool]:
    """SQL's LIKE by plain recursion: `%` any run, `_` one character."""
    def matches(text: str, pattern: str) -> bool:
        if not pattern:
            return not text
        if pattern[0] == "%":
            return any(matches(text[i:], pattern[1:]) for i in range(len(text) + 1))
        return bool(text) and (pattern[0] == "_" or pattern[0] == text[0]) and matches(text[1:], pattern[1:])
    return lambda text: matches(text, pattern)


# A filter, the values of its template, and what it means. A comparison with null is unknown, and so is its negation.
FILTERS: list[tuple[str, dict, Callable[[dict], bool]]] = [
    ("length > 40 and length <= 80", {}, lambda r: 40 < r["length"] <= 80),
    ("10 < length < 30", {}, lambda r: 10 < r["length"] < 30),
    ("100 >= length >= 90", {}, lambda r: 90 <= r["length"] <= 100),
    ("id in [1, 5, 7, 4000, 99999999]", {}, lambda r: r["id"] in (1, 5, 7, 4000)),
    ("id not in [0, 3, 10] and id < 20", {}, lambda r: r["id"] < 20 and r["id"] not in (0, 3, 10)),
    ("length % 7 == 3", {}, lambda r: r["length"] % 7 == 3),
    ("length * 2 + 1 == 81", {}, lambda r: r["length"] * 2 + 1 == 81),
    ("length - 3 >= 120", {}, lambda r: r["length"] - 3 >= 120),
    ("small < -90 or small >= 95", {}, lambda r: r["small"] < -90 or r["small"] >= 95),
    ('word like "a%"', {}, lambda r: r["word"].startswith("a")),
    ('word like "%ness"', {}, lambda r: r["word"].endswith("ness")),
    ('word like "%ou%"', {}, lambda r: "ou" in r["word"]),
    ('word like "_at%"', {}, lambda r: like("_at%")(r["word"])),
    ('word like "s%e_"', {}, lambda r: like("s%e_")(r["word"])),
    ('word >= "m" and word < "n"', {}, lambda r: "m" <= r["word"] < "n"),
    ('word == "thing" || word == "person"', {}, lambda r: r["word"] in ("thing", "person")),
    ("flag == true && length < 30", {}, lambda r: r["flag"] and r["length"] < 30),
    ("not (flag == true) and length < 25", {}, lambda r: not r["flag"] and r["length"] < 25),
    ("ratio >= 0.9", {}, lambda r: r["ratio"] >= 0.9),
    ("exact > -0.01 and exact < 0.01", {}, lambda r: -0.01 < r["exact"] < 0.01),
    ('meta["lang"] == "de" and meta["n"] >= 45', {}, lambda r: r["meta"]["lang"] == "de" and r["meta"]["n"] >= 45),
    ('meta["nested"]["k"] == 3 and length < 40', {}, lambda r: r["meta"]["nested"]["k"] == 3 and r["length"] < 40),
    ('meta["nested"]["list"][1] == 6', {}, lambda r: r["meta"]["nested"]["list"][1] == 6),
    ('meta["opt"] == true', {}, lambda r: r["meta"].get("opt") is True),
    ('exists meta["opt"]', {}, lambda r: "opt" in r["meta"]),
    ('json_contains(meta["nested"]["list"], 3)', {}, lambda r: 3 in r["meta"]["nested"]["list"]),
    ('json_contains_all(meta["nested"]["list"], [2, 5])', {}, lambda r: {2, 5} <= set(r["meta"]["nested"]["list"])),
    ('json_contains_any(meta["nested"]["list"], [5, 6])', {}, lambda r: bool({5, 6} & set(r["meta"]["nested"]["list"]))),
    ("array_contains(numbers, 11)", {}, lambda r: 11 in r["numbers"]),
    ("array_contains_all(numbers, [9, 10, 11])", {}, lambda r: {9, 10, 11} <= set(r["numbers"])),
    ('array_contains_any(tags, ["q", "z"])', {}, lambda r: bool({"q", "z"} & set(r["tags"]))),
    ("array_length(tags) == 2 and length < 25", {}, lambda r: len(r["tags"]) == 2 and r["length"] < 25),
    ("numbers[0] == 9", {}, lambda r: r["numbers"][:1] == [9]),
    ('color == "red" and length > 150', {}, lambda r: r.get("color") == "red" and r["length"] > 150),
    ('$meta["color"] in ["green", "blue"] and length > 150', {},
     lambda r: r.get("color") in ("green", "blue") and r["length"] > 150),
    ("version >= 1", {}, lambda r: r["version"] >= 1),
    ("rank is null and length < 30", {}, lambda r: r["rank"] is None and r["length"] < 30),
    ("rank is not null and rank > 85", {}, lambda r: r["rank"] is not None and r["rank"] > 85),
    ("not (rank > 3)", {}, lambda r: r["rank"] is not None and not r["rank"] > 3),
    ("rank == 7 or length == 33", {}, lambda r: r["rank"] == 7 or r["length"] == 33),
    ("rank > length", {}, lambda r: r["rank"] is not None and r["rank"] > r["length"]),
    ("length in {lengths}", {"lengths": [20, 30, 40]}, lambda r: r["length"] in (20, 30, 40)),
    ("length > {least} and word != {word}", {"least": 200, "word": "thing"},
     lambda r: r["length"] > 200 and r["word"] != "thing"),
    ("id in []", {}, lambda r: False),
]


class Mirror:
    """What must be in the collection, changed together with it."""

    def __init__(self, client: MilvusClient, name: str, metric: str):
        self.client = client
        self.name = name
        self.metric = metric
        self.rows: dict[int, dict] = {}

    # -- both sides change --------------------------------------------------------------------------------------

    def insert(self, rows: list[dict], **kwargs) -> None:
        answer = self.client.insert(self.name, rows, **kwargs)
        assert answer["insert_count"] == len(rows)
        self.rows.update((row["id"], row) for row in rows)

    def upsert(self, rows: list[dict], **kwargs) -> None:
        answer = self.client.upsert(self.name, rows, **kwargs)
        assert answer["upsert_count"] == len(rows)
        self.rows.update((row["id"], row) for row in rows)

    def delete_ids(self, ids: list[int]) -> None:
        self.client.delete(self.name, ids=ids)
        for id in ids:
            self.rows.pop(id, None)

    def delete_where(self, filter: str, meaning: Callable[[dict], bool]) -> None:
        self.client.delete(self.name, filter=filter)
        self.rows = {id: row for id, row in self.rows.items() if not meaning(row)}

    # -- both sides are compared --------------------------------------------------------------------------------

    def matching(self, meaning: Callable[[dict], bool]) -> dict[int, dict]:
        return {id: row for id, row in self.rows.items() if meaning(row)}

    def scores(self, query, rows: dict[int, dict]) -> dict[int, float]:
        if not rows:
            return {}
        matrix = np.stack([row["vector"] for row in rows.values()])
        return dict(zip(rows, oracle.scores(self.metric, query, matrix)))

    def check_count(self) -> None:
        (row,) = self.client.query(self.name, output_fields=["count(*)"], consistency_level="Strong")
        assert row["count(*)"] == len(self.rows)

    def check_query(self, filter: str, values: dict, meaning: Callable[[dict], bool]) -> None:
        due = self.matching(meaning)
        found = self.client.query(self.name, filter=filter, filter_params=values, output_fields=SCALARS,
                                  consistency_level="Strong", limit=16384)
        assert [row["id"] for row in found] == sorted(due), f"filter {filter!r}"
        for row in found:
            wanted = {key: value for key, value in due[row["id"]].items() if key != "vector"}
            shown = {key: list(value) if key in ("tags", "numbers") else value for key, value in row.items()}
            assert shown == wanted, f"filter {filter!r}, row {row['id']}"
        (row,) = self.client.query(self.name, filter=filter, filter_params=values, output_fields=["count(*)"],
                                   consistency_level="Strong")
        assert row["count(*)"] == len(due), f"count of filter {filter!r}"

    def check_search(self, query, filter: str = "", values: dict | None = None,
                     meaning: Callable[[dict], bool] = lambda _: True, limit: int = 10, offset: int = 0) -> None:
        expected = self.scores(query, self.matching(meaning))
        (hits,) = self.client.search(self.name, [query], filter=filter, filter_params=values or {}, limit=limit,
                                     search_params={"offset": offset} if offset else {}, anns_field="vector",
                                     consistency_level="Strong", output_fields=["word", "version"])
        oracle.check_hits(hits, expected, limit, self.metric, offset)
        for hit in hits:
            row = self.rows[hit["id"]]
            assert hit["entity"]["word"] == row["word"]
            assert hit["entity"]["version"] == row["version"]

    def check_all(self, chance: random.Random, filters: int = 12, searches: int = 6) -> None:
        """A sample of everything; all of it is seen over a test."""
        self.check_count()
        for filter, values, meaning in chance.sample(FILTERS, filters):
            self.check_query(filter, values, meaning)
        for filter, values, meaning in chance.sample(FILTERS, searches):
            query = wordnet.vectors()[chance.randrange(len(wordnet.vectors()))]
            self.check_search(query, filter, values, meaning, limit=chance.choice([1, 10, 100]))
        query = wordnet.vectors()[chance.randrange(len(wordnet.vectors()))]
        self.check_search(query, limit=chance.choice([1, 10, 500]), offset=chance.choice([0, 0, 7, 300]))
