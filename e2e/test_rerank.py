"""Searches with a rerank function: decay, and the rankers of hybrid searches in their newer form."""

import math

import pytest
from pymilvus import AnnSearchRequest, DataType, Function, FunctionType, MilvusClient
from pymilvus.exceptions import MilvusException

ROWS = 40


def vector(row: int) -> list[float]:
    return [1.0, row / ROWS]


@pytest.fixture
def filled(client, collection):
    schema = MilvusClient.create_schema(enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("v", DataType.FLOAT_VECTOR, dim=2)
    schema.add_field("w", DataType.FLOAT_VECTOR, dim=2)
    schema.add_field("age", DataType.INT32)
    schema.add_field("kind", DataType.INT8)
    schema.add_field("maybe", DataType.INT64, nullable=True)
    indexes = MilvusClient.prepare_index_params()
    indexes.add_index("v", index_type="FLAT", metric_type="COSINE")
    indexes.add_index("w", index_type="FLAT", metric_type="L2")
    client.create_collection(collection, schema=schema, index_params=indexes, num_shards=2, consistency_level="Strong")
    client.insert(collection, [{"id": i, "v": vector(i), "w": vector(ROWS - i), "age": i, "kind": i % 3, "maybe": i}
                               for i in range(ROWS)])
    return collection


def decay(field: str = "age", **params) -> Function:
    params = {"reranker": "decay", "function": "gauss", "origin": 20, "scale": 5, "offset": 1, "decay": 0.5, **params}
    params = {key: value for key, value in params.items() if value is not None}
    return Function(name="decay", input_field_names=[field], function_type=FunctionType.RERANK, params=params)


def cosine(row: int) -> float:
    a, b = vector(0), vector(row)
    return sum(x * y for x, y in zip(a, b)) / math.hypot(*a) / math.hypot(*b)


def bell(row: int) -> float:
    return 0.5 ** ((max(0, abs(row - 20) - 1) / 5) ** 2)


def check(hits, scores: dict[int, float]) -> None:
    best = sorted(scores, key=lambda row: -scores[row])[:len(hits)]
    assert [hit["distance"] for hit in hits] == pytest.approx([scores[row] for row in best], rel=1e-4)
    assert [hit["id"] for hit in hits] == best


def test_hits_near_the_origin_come_first(client, filled):
    def search(**kwargs):
        (hits,) = client.search(filled, [vector(0)], anns_field="v", ranker=decay(), **kwargs)
        return hits

    scores = {row: cosine(row) * bell(row) for row in range(ROWS)}
    check(search(limit=ROWS), scores)
    # The nearest ones are found first, and then put into their order.
    check(search(limit=15), {row: scores[row] for row in range(15)})
    hits = search(limit=10, offset=5, output_fields=["kind"])
    assert [hit["id"] for hit in hits] == list(range(9, -1, -1))
    assert hits[0]["entity"] == {"kind": 0}
    (some,) = client.search(filled, [vector(0)], anns_field="v", ranker=decay(), filter="age >= 20", limit=3)
    check(some, {row: scores[row] for row in range(20, 23)})
    assert client.search(filled, [vector(0)], anns_field="v", ranker=decay(), filter="age < 0", limit=3) == [[]]


def test_groups_keep_their_best(client, filled):
    (hits,) = client.search(filled, [vector(0)], anns_field="v", ranker=decay(), limit=3, group_by_field="kind")
    assert sorted(hit["id"] for hit in hits) == [0, 1, 2]
    check(hits, {row: cosine(row) * bell(row) for row in range(3)})


def test_hybrid_searches_decay_too(client, filled):
    requests = [AnnSearchRequest([vector(0)], field, {}, limit=ROWS) for field in ("v", "w")]
    (hits,) = client.hybrid_search(filled, requests, ranker=decay(), limit=5)
    distance = {row: (vector(0)[1] - vector(ROWS - row)[1]) ** 2 for row in range(ROWS)}
    better = {row: max(cosine(row), 1 - 2 * math.atan(distance[row]) / math.pi) for row in range(ROWS)}
    check(hits, {row: better[row] * bell(row) for row in range(ROWS)})


@pytest.mark.parametrize("ranker, text", [
    (decay("none"), "Function input field not found: none"),
    (decay("maybe"), "Function input field cannot be nullable: field maybe"),
    (decay("v"), "Decay rerank: unsupported input field type:FloatVector, only support numberic field"),
    (decay(reranker="x"), "Unsupported rerank function: [x]"),
    (decay(function="x"), "Invaild decay function: decay, only support [gauss,linear,exp]"),
    (decay(scale=None), "Decay function lost param: scale"),
    (decay(scale=-1.0), "Decay function param: scale must > 0, but got -1.0"),
    (decay(decay="x"), "Param decay:x is not a number"),
])
def test_what_does_not_fit_is_told(client, filled, ranker, text):
    with pytest.raises(MilvusException) as caught:
        client.search(filled, [vector(0)], anns_field="v", ranker=ranker, limit=3)
    assert (caught.value.code, text in caught.value.message) == (65535, True), caught.value
