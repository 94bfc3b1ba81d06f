"""What a person does in the first five minutes, with the newest pymilvus, unchanged."""

import pytest
from pymilvus import MilvusClient
from pymilvus.exceptions import MilvusException

import oracle
import wordnet

ROWS = 300


def rows(begin: int, end: int) -> list[dict]:
    """Rows of real data; `word` and `length` are dynamic fields."""
    return [
        {"id": i, "vector": wordnet.vectors()[i], "word": wordnet.glosses()[i][0],
         "length": len(wordnet.glosses()[i][1])}
        for i in range(begin, end)
    ]


def create(client: MilvusClient, name: str, metric: str = "COSINE", begin: int = 0, end: int = ROWS) -> None:
    client.create_collection(name, dimension=wordnet.DIM, metric_type=metric)
    answer = client.insert(name, rows(begin, end))
    assert answer["insert_count"] == end - begin
    assert list(answer["ids"]) == list(range(begin, end))


def count(client: MilvusClient, name: str, filter: str = "") -> int:
    (row,) = client.query(name, filter=filter, output_fields=["count(*)"], consistency_level="Strong")
    return row["count(*)"]


def test_a_fresh_server_is_empty_and_says_who_it_is(client):
    assert client.list_collections() == []
    assert client.list_databases() == ["default"]
    assert client.get_server_version()


@pytest.mark.parametrize("metric", ["COSINE", "IP", "L2"])
def test_a_strong_search_sees_what_was_just_acknowledged(client, collection, metric):
    create(client, collection, metric)
    query = wordnet.vectors()[ROWS + 5]
    (hits,) = client.search(collection, [query], limit=10, output_fields=["word"], consistency_level="Strong")
    expected = dict(enumerate(oracle.scores(metric, query, wordnet.vectors()[:ROWS])))
    oracle.check_hits(hits, expected, 10, metric)
    assert [hit["entity"]["word"] for hit in hits] == [wordnet.glosses()[hit["id"]][0] for hit in hits]


def test_a_strong_query_sees_each_insert_at_once(client, collection):
    client.create_collection(collection, dimension=wordnet.DIM)
    for i in range(30):
        client.insert(collection, rows(i, i + 1))
        assert count(client, collection) == i + 1
        (row,) = client.query(collection, ids=[i], consistency_level="Strong")
        assert row["word"] == wordnet.glosses()[i][0]


def test_get_returns_the_rows_with_their_vectors(client, collection):
    create(client, collection)
    found = client.get(collection, ids=[7, 3, 100000], output_fields=["*"], consistency_level="Strong")
    assert [row["id"] for row in found] == [3, 7]
    for row in found:
        assert row["vector"] == pytest.approx(wordnet.vectors()[row["id"]].tolist())
        word, gloss = wordnet.glosses()[row["id"]]
        assert (row["word"], row["length"]) == (word, len(gloss))


def test_a_query_returns_rows_in_the_order_of_keys(client, collection):
    create(client, collection)
    found = client.query(collection, filter="length > 40", output_fields=["length"], limit=50, offset=5,
                         consistency_level="Strong")
    due = [i for i in range(ROWS) if len(wordnet.glosses()[i][1]) > 40]
    assert [row["id"] for row in found] == due[5:55]


def test_delete_by_ids_and_by_filter(client, collection):
    create(client, collection)
    client.delete(collection, ids=[0, 1, 2])
    assert count(client, collection) == ROWS - 3
    client.delete(collection, filter="id >= 290")
    assert count(client, collection) == ROWS - 13
    client.delete(collection, ids=[987654])
    assert count(client, collection) == ROWS - 13
    assert client.query(collection, ids=[0, 1, 2, 295], consistency_level="Strong") == []
    (hits,) = client.search(collection, [wordnet.vectors()[1]], limit=5, consistency_level="Strong")
    assert not {hit["id"] for hit in hits} & {0, 1, 2}


def test_upsert_replaces_rows_and_adds_new_ones(client, collection):
    create(client, collection)
    changed = rows(ROWS - 10, ROWS + 10)
    for row in changed:
        row["word"] = "new " + row["word"]
    answer = client.upsert(collection, changed)
    assert answer["upsert_count"] == 20
    assert count(client, collection) == ROWS + 10
    found = client.query(collection, ids=[ROWS - 1, ROWS, 5], output_fields=["word"], consistency_level="Strong")
    assert [row["word"].startswith("new ") for row in found] == [False, True, True]


def test_a_key_inserted_twice_counts_twice_and_shows_the_newest_once(client, collection):
    create(client, collection, end=20)
    again = rows(3, 4)
    again[0]["word"] = "again"
    client.insert(collection, again)
    assert count(client, collection) == 21
    found = client.query(collection, ids=[3], output_fields=["word"], consistency_level="Strong")
    assert [row["word"] for row in found] == ["again"]
    (hits,) = client.search(collection, [wordnet.vectors()[3]], limit=20, output_fields=["word"],
                            consistency_level="Strong")
    shown = [hit["entity"]["word"] for hit in hits if hit["id"] == 3]
    assert shown == ["again"]
    assert len(hits) == 20


def test_flush_ends_and_statistics_count_the_rows(client, collection):
    create(client, collection)
    client.flush(collection)
    assert client.get_collection_stats(collection)["row_count"] == ROWS
    assert count(client, collection) == ROWS
    client.insert(collection, rows(ROWS, ROWS + 5))
    client.flush(collection)
    assert count(client, collection) == ROWS + 5


def test_list_describe_has_drop(client, collection):
    assert not client.has_collection(collection)
    create(client, collection, end=1)
    assert client.has_collection(collection)
    assert collection in client.list_collections()
    description = client.describe_collection(collection)
    assert description["collection_name"] == collection
    assert description["enable_dynamic_field"] is True
    assert description["auto_id"] is False
    assert [field["name"] for field in description["fields"]] == ["id", "vector"]
    assert description["fields"][0]["is_primary"] is True
    assert description["fields"][1]["params"] == {"dim": wordnet.DIM}
    client.drop_collection(collection)
    assert not client.has_collection(collection)
    assert collection not in client.list_collections()
    client.drop_collection(collection)
    with pytest.raises(MilvusException) as caught:
        client.describe_collection(collection)
    assert caught.value.code == 100


def test_a_dropped_name_can_be_used_again_and_is_empty(client, collection):
    create(client, collection)
    client.drop_collection(collection)
    create(client, collection, end=3)
    assert count(client, collection) == 3


def test_a_released_collection_is_not_searched_but_still_written(client, collection):
    create(client, collection)
    client.release_collection(collection)
    assert "NotLoad" in str(client.get_load_state(collection)["state"])
    for read, text in [
        (lambda: client.search(collection, [wordnet.vectors()[0]], limit=1), "failed to search: collection not loaded"),
        (lambda: client.query(collection, filter="id >= 0", limit=1), "failed to query: collection not loaded"),
    ]:
        with pytest.raises(MilvusException) as caught:
            read()
        assert caught.value.code == 101
        assert text in caught.value.message
    client.insert(collection, rows(ROWS, ROWS + 10))
    client.delete(collection, ids=[0])
    client.load_collection(collection)
    assert "Loaded" in str(client.get_load_state(collection)["state"])
    assert count(client, collection) == ROWS + 9


def test_auto_ids_and_text_keys(client, collection):
    client.create_collection(collection, dimension=wordnet.DIM, auto_id=True)
    answer = client.insert(collection, [{"vector": wordnet.vectors()[i], "n": i} for i in range(50)])
    ids = list(answer["ids"])
    assert len(set(ids)) == 50
    found = client.query(collection, ids=ids, output_fields=["n"], consistency_level="Strong")
    assert {row["id"]: row["n"] for row in found} == {id: n for n, id in enumerate(ids)}

    texts = f"{collection}_texts"
    client.create_collection(texts, dimension=wordnet.DIM, id_type="string", max_length=40)
    keys = [f"key '{i}' \"é\"" for i in range(20)]
    client.insert(texts, [{"id": key, "vector": wordnet.vectors()[i]} for i, key in enumerate(keys)])
    client.delete(texts, filter=r"id in ['key \'3\' \"é\"']")
    found = client.query(texts, filter='id != ""', limit=100, output_fields=["id"], consistency_level="Strong")
    assert [row["id"] for row in found] == sorted(keys[:3] + keys[4:])


def test_several_queries_in_one_search(client, collection):
    create(client, collection, "IP")
    queries = wordnet.vectors()[400:420]
    answers = client.search(collection, list(queries), limit=7, consistency_level="Strong")
    assert len(answers) == len(queries)
    for query, hits in zip(queries, answers):
        expected = dict(enumerate(oracle.scores("IP", query, wordnet.vectors()[:ROWS])))
        oracle.check_hits(hits, expected, 7, "IP")


def test_a_search_of_an_empty_collection_is_empty(client, collection):
    client.create_collection(collection, dimension=wordnet.DIM)
    assert [list(hits) for hits in client.search(collection, [wordnet.vectors()[0]], limit=3)] == [[]]
    assert client.query(collection, filter="id > 0", limit=10) == []
    assert count(client, collection) == 0


@pytest.mark.parametrize("way", ["terminate", "kill9"])
def test_a_restart_keeps_everything(new_server, way):
    server = new_server().start()
    client = server.client()
    create(client, "kept")
    client.delete("kept", ids=[1])
    client.upsert("kept", [{**rows(2, 3)[0], "word": "upserted"}])
    client.flush("kept")
    client.insert("kept", rows(ROWS, ROWS + 50))
    client.create_collection("released", dimension=4)
    client.release_collection("released")
    client.create_collection("gone", dimension=4)
    client.drop_collection("gone")
    for _ in range(2):
        client.close()
        getattr(server, way)()
        server.start()
        client = server.client()
        assert sorted(client.list_collections()) == ["kept", "released"]
        assert count(client, "kept") == ROWS + 49
        assert client.query("kept", ids=[1], consistency_level="Strong") == []
        (row,) = client.query("kept", ids=[2], consistency_level="Strong")
        assert row["word"] == "upserted"
        assert "NotLoad" in str(client.get_load_state("released")["state"])
        query = wordnet.vectors()[ROWS + 7]
        (hits,) = client.search("kept", [query], limit=5, consistency_level="Strong")
        expected = dict(enumerate(oracle.scores("COSINE", query, wordnet.vectors()[:ROWS + 50])))
        del expected[1]
        oracle.check_hits(hits, expected, 5, "COSINE")


def test_a_client_survives_a_restart_of_its_server(new_server):
    server = new_server().start()
    client = server.client()
    create(client, "kept", end=10)
    server.restart(same_address=True)
    assert count(client, "kept") == 10
    client.insert("kept", rows(10, 20))
    assert count(client, "kept") == 20
