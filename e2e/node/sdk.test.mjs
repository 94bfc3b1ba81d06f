// Milvus' Node SDK, unchanged: the calls that the tests with pymilvus make, from Node.
//
// CINCLUS_ADDRESS is the server; CINCLUS_NODE_MODULES the folder that has the SDK installed.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';

const require = createRequire(path.join(process.env.CINCLUS_NODE_MODULES, 'package.json'));
const { ConsistencyLevelEnum, DataType, MilvusClient, RRFRanker, WeightedRanker } =
  require('@zilliz/milvus2-sdk-node');

const address = process.env.CINCLUS_ADDRESS;
const Strong = ConsistencyLevelEnum.Strong;
const DIM = 4;
let client;
let made = 0;

/** The status of an answer, wherever it has it. */
const status = (answer) => answer.status ?? answer;
const succeed = (answer) => {
  assert.equal(status(answer).error_code, 'Success', JSON.stringify(status(answer)));
  assert.equal(Number(status(answer).code ?? 0), 0);
  return answer;
};
const fail = (answer, code, text) => {
  assert.equal(Number(status(answer).code), code, JSON.stringify(status(answer)));
  assert.ok(status(answer).reason.includes(text), status(answer).reason);
};
const newName = () => `node_${process.pid}_${(made += 1)}`;
const vector = (i) => [i, 1, 0, 0];

const FIELDS = [
  { name: 'id', data_type: DataType.Int64, is_primary_key: true, autoID: false },
  { name: 'vec', data_type: DataType.FloatVector, dim: DIM },
  { name: 'text', data_type: DataType.VarChar, max_length: 20 },
  { name: 'doc', data_type: DataType.JSON, nullable: true },
  { name: 'list', data_type: DataType.Array, element_type: DataType.Int32, max_capacity: 5 },
  { name: 'maybe', data_type: DataType.Int64, nullable: true },
  { name: 'filled', data_type: DataType.Int32, default_value: 7 },
];

const rows = (begin, end) =>
  Array.from({ length: end - begin }, (_, at) => begin + at).map((i) => ({
    id: i, vec: vector(i), text: `t${i}`, doc: { n: i, deep: { even: i % 2 === 0 } }, list: [i, i + 1],
    maybe: i % 3 === 0 ? null : i, extra: `x${i}`,
  }));

const create = async (more = {}) => {
  const name = newName();
  succeed(await client.createCollection({ collection_name: name, fields: FIELDS, enable_dynamic_field: true, ...more }));
  return name;
};
const filled = async (count = 20, more = {}) => {
  const name = await create(more);
  succeed(await client.createIndex({ collection_name: name, field_name: 'vec', index_type: 'HNSW', metric_type: 'L2',
    params: { M: 8, efConstruction: 64 } }));
  succeed(await client.loadCollectionSync({ collection_name: name }));
  const answer = succeed(await client.insert({ collection_name: name, data: rows(0, count) }));
  assert.equal(Number(answer.insert_cnt), count);
  return name;
};
const count = async (name, more = {}) =>
  Number(succeed(await client.count({ collection_name: name, consistency_level: Strong, ...more })).data);

before(async () => {
  client = new MilvusClient({ address });
  await client.connectPromise;
});
after(async () => client.closeConnection());

describe('the server', () => {
  it('says who and how it is', async () => {
    assert.ok(succeed(await client.getVersion()).version);
    assert.equal((await client.checkHealth()).isHealthy, true);
  });
});

describe('collections', () => {
  it('are created, described, listed, renamed and dropped', async () => {
    const name = await create({ consistency_level: 'Strong', description: 'a test' });
    assert.equal((await client.hasCollection({ collection_name: name })).value, true);
    const found = succeed(await client.describeCollection({ collection_name: name }));
    assert.deepEqual(found.schema.fields.map((field) => field.name), FIELDS.map((field) => field.name));
    assert.equal(found.schema.enable_dynamic_field, true);
    assert.equal(found.consistency_level, 'Strong');
    assert.equal(found.schema.description, 'a test');
    const renamed = `${name}_renamed`;
    succeed(await client.renameCollection({ collection_name: name, new_collection_name: renamed }));
    const all = succeed(await client.showCollections()).data.map((collection) => collection.name);
    assert.ok(all.includes(renamed) && !all.includes(name));
    succeed(await client.dropCollection({ collection_name: renamed }));
    assert.equal((await client.hasCollection({ collection_name: renamed })).value, false);
    fail(await client.describeCollection({ collection_name: renamed }), 100, "can't find collection");
  });

  it('of the quick form are ready to use', async () => {
    const name = newName();
    succeed(await client.createCollection({ collection_name: name, dimension: DIM }));
    succeed(await client.insert({ collection_name: name, data: [{ id: 1, vector: vector(1), any: 'thing' }] }));
    const found = succeed(await client.search({ collection_name: name, data: vector(1), limit: 1,
      output_fields: ['id', 'any'], consistency_level: Strong }));
    assert.deepEqual(found.results.map((hit) => [hit.id, hit.any]), [['1', 'thing']]);
  });

  it('have properties', async () => {
    const name = await create();
    succeed(await client.alterCollectionProperties({ collection_name: name, properties: { 'collection.ttl.seconds': 3600 } }));
    const properties = (await client.describeCollection({ collection_name: name })).properties;
    assert.ok(properties.some((pair) => pair.key === 'collection.ttl.seconds' && pair.value === '3600'));
    succeed(await client.dropCollectionProperties({ collection_name: name, properties: ['collection.ttl.seconds'] }));
    succeed(await client.alterCollectionFieldProperties({ collection_name: name, field_name: 'text',
      properties: { max_length: 30 } }));
  });

  it('are loaded and released', async () => {
    const name = await filled();
    assert.equal((await client.getLoadState({ collection_name: name })).state, 'LoadStateLoaded');
    assert.equal(Number((await client.getLoadingProgress({ collection_name: name })).progress), 100);
    succeed(await client.releaseCollection({ collection_name: name }));
    assert.equal((await client.getLoadState({ collection_name: name })).state, 'LoadStateNotLoad');
    fail(await client.search({ collection_name: name, data: vector(1), limit: 1 }), 101, 'collection not loaded');
    fail(await client.query({ collection_name: name, filter: 'id > 0' }), 101, 'collection not loaded');
  });
});

describe('rows', () => {
  it('come back as they were sent', async () => {
    const name = await filled();
    const found = succeed(await client.query({ collection_name: name, filter: 'id in [3, 4]', output_fields: ['*'],
      consistency_level: Strong })).data;
    assert.deepEqual(found.map((row) => row.id), ['3', '4']);
    const [third, fourth] = found;
    assert.deepEqual(third.vec, vector(3));
    assert.deepEqual([third.text, third.maybe, third.filled], ['t3', null, 7]);
    assert.deepEqual(third.$meta, { extra: 'x3' });
    assert.deepEqual(third.doc, { n: 3, deep: { even: false } });
    assert.deepEqual(third.list, [3, 4]);
    assert.equal(fourth.maybe, '4');
  });

  it('may have a null of JSON, which the SDK sends as no bytes', async () => {
    const name = await filled(4);
    const more = rows(4, 6).map((row) => ({ ...row, doc: null }));
    succeed(await client.insert({ collection_name: name, data: more }));
    assert.equal(await count(name, { expr: 'doc is null' }), 2);
    assert.equal(await count(name, { expr: 'doc is not null' }), 4);
  });

  it('are found by filters, also with values apart', async () => {
    const name = await filled();
    assert.equal(await count(name), 20);
    assert.equal(await count(name, { expr: 'doc["deep"]["even"] == true' }), 10);
    assert.equal(await count(name, { expr: 'array_contains(list, 5)' }), 2);
    assert.equal(await count(name, { expr: 'extra like "x1%"' }), 11);
    const found = succeed(await client.query({ collection_name: name, filter: 'id in {ids} and text != {text}',
      exprValues: { ids: [1, 2, 3], text: 't2' }, output_fields: ['text'], consistency_level: Strong }));
    assert.deepEqual(found.data.map((row) => row.text), ['t1', 't3']);
    const page = succeed(await client.query({ collection_name: name, filter: 'id >= 0', output_fields: ['id'], limit: 3,
      offset: 5, consistency_level: Strong }));
    assert.deepEqual(page.data.map((row) => row.id), ['5', '6', '7']);
    const got = succeed(await client.get({ collection_name: name, ids: [1, 2, 100] }));
    assert.deepEqual(got.data.map((row) => row.id), ['1', '2']);
    fail(await client.query({ collection_name: name, filter: 'id ==' }), 1100, 'cannot parse expression');
  });

  it('are upserted and deleted', async () => {
    const name = await filled();
    const [row] = rows(5, 6);
    const changed = succeed(await client.upsert({ collection_name: name, data: [{ ...row, text: 'new' }] }));
    assert.equal(Number(changed.upsert_cnt), 1);
    const found = await client.query({ collection_name: name, filter: 'id == 5', output_fields: ['text'],
      consistency_level: Strong });
    assert.deepEqual(found.data.map((r) => r.text), ['new']);
    succeed(await client.delete({ collection_name: name, ids: [1, 2] }));
    succeed(await client.delete({ collection_name: name, filter: 'maybe is null' }));
    succeed(await client.deleteEntities({ collection_name: name, expr: 'id in {ids}', exprValues: { ids: [4] } }));
    assert.equal(await count(name), 20 - 2 - 7 - 1);
  });

  it('get keys from the server', async () => {
    const name = newName();
    const fields = [{ ...FIELDS[0], autoID: true }, FIELDS[1]];
    succeed(await client.createCollection({ collection_name: name, fields }));
    const answer = succeed(await client.insert({ collection_name: name, data: [{ vec: vector(1) }, { vec: vector(2) }] }));
    assert.equal(new Set(answer.IDs.int_id.data).size, 2);
  });

  it('that do not fit are refused as a whole', async () => {
    const name = await filled(3);
    const bad = rows(3, 6);
    bad[2].text = 'x'.repeat(21);
    fail(await client.insert({ collection_name: name, data: bad }), 1100, 'exceeds max length');
    assert.equal(await count(name), 3);
  });
});

describe('flushing', () => {
  it('ends, also when there is nothing to flush', async () => {
    const name = await filled();
    for (let round = 0; round < 2; round += 1) {
      const answer = succeed(await client.flush({ collection_names: [name] }));
      assert.ok(answer.coll_segIDs[name]);
      assert.equal(succeed(await client.flushSync({ collection_names: [name] })).flushed, true);
    }
    const empty = await create();
    assert.deepEqual(succeed(await client.flush({ collection_names: [empty] })).coll_segIDs[empty].data, []);
    const counted = succeed(await client.getCollectionStatistics({ collection_name: name }));
    assert.equal(Number(counted.data.row_count), 20);
  });
});

describe('searching', () => {
  it('finds the nearest, with filter, range, offset, rounding and groups', async () => {
    const name = await filled();
    const search = async (more) => succeed(await client.search({ collection_name: name, data: vector(3), limit: 3,
      consistency_level: Strong, ...more })).results;
    assert.deepEqual((await search({ filter: 'id >= 3' })).map((hit) => [hit.id, hit.score]), [['3', 0], ['4', 1], ['5', 4]]);
    assert.deepEqual((await search({ filter: 'id > {low}', exprValues: { low: 10 } })).map((hit) => hit.id), ['11', '12', '13']);
    assert.deepEqual((await search({ params: { radius: 5, range_filter: 3 }, limit: 10 })).map((hit) => hit.id).sort(), ['1', '5']);
    assert.deepEqual((await search({ filter: 'id >= 3', offset: 2 })).map((hit) => hit.id), ['5', '6', '7']);
    const groups = await search({ group_by_field: 'filled', output_fields: ['id', 'filled'], limit: 5 });
    assert.deepEqual(groups.map((hit) => [hit.id, hit.filled]), [['3', 7]]);
    const several = succeed(await client.search({ collection_name: name, data: [vector(0), vector(9)], limit: 1,
      output_fields: ['*'], consistency_level: Strong })).results;
    assert.deepEqual(several.map((hits) => hits.map((hit) => [hit.id, hit.text])), [[['0', 't0']], [['9', 't9']]]);
    const byKey = succeed(await client.search({ collection_name: name, ids: ['7'], anns_field: 'vec', limit: 1,
      consistency_level: Strong })).results;
    assert.equal(byKey.flat()[0].id, '7');
    fail(await client.search({ collection_name: name, data: [1, 2], limit: 1 }), 65535, 'vector dimension mismatch');
  });

  it('fuses several searches', async () => {
    const name = newName();
    const fields = [FIELDS[0], FIELDS[1], { name: 'other', data_type: DataType.FloatVector, dim: 2 }];
    const index = (field_name) => ({ collection_name: name, field_name, index_type: 'FLAT', metric_type: 'COSINE' });
    succeed(await client.createCollection({ collection_name: name, fields, index_params: [index('vec'), index('other')] }));
    succeed(await client.loadCollectionSync({ collection_name: name }));
    const data = Array.from({ length: 10 }, (_, i) => ({ id: i, vec: vector(i), other: [1, 9 - i] }));
    succeed(await client.insert({ collection_name: name, data }));
    for (const rerank of [RRFRanker(), WeightedRanker([0.9, 0.1])]) {
      const found = succeed(await client.hybridSearch({ collection_name: name, rerank, limit: 4, consistency_level: Strong,
        output_fields: ['id'], data: [{ anns_field: 'vec', data: vector(9) }, { anns_field: 'other', data: [1, 0] }] }));
      assert.equal(found.results.length, 4);
      assert.equal(found.results[0].id, '9');
    }
  });

  it('goes page by page', async () => {
    const name = await filled(50);
    const keys = async (iterator) => {
      const found = [];
      for await (const page of iterator) found.push(...page.map((row) => Number(row.id)));
      return found;
    };
    const all = Array.from({ length: 50 }, (_, i) => i);
    const query = await client.queryIterator({ collection_name: name, batchSize: 7, expr: 'id >= 0', output_fields: ['id'],
      consistency_level: Strong });
    assert.deepEqual(await keys(query), all);
    const search = await client.searchIterator({ collection_name: name, data: vector(0), batchSize: 8, limit: 30,
      consistency_level: Strong });
    assert.deepEqual(await keys(search), all.slice(0, 30));
  });
});

describe('indexes', () => {
  it('are created, described and dropped', async () => {
    const name = await create({ enable_dynamic_field: false });
    succeed(await client.createIndex({ collection_name: name, field_name: 'vec', index_name: 'by_vec', index_type: 'IVF_FLAT',
      metric_type: 'COSINE', params: { nlist: 128 } }));
    succeed(await client.createIndex({ collection_name: name, field_name: 'text', index_name: 'by_text', index_type: 'INVERTED' }));
    succeed(await client.createIndex({ collection_name: name, field_name: 'doc', index_name: 'by_doc', index_type: 'INVERTED',
      params: { json_path: 'doc["n"]', json_cast_type: 'double' } }));
    const found = succeed(await client.describeIndex({ collection_name: name })).index_descriptions;
    assert.deepEqual(found.map((index) => index.index_name).sort(), ['by_doc', 'by_text', 'by_vec']);
    const params = Object.fromEntries(found.find((index) => index.index_name === 'by_vec').params.map((p) => [p.key, p.value]));
    assert.deepEqual([params.index_type, params.metric_type, JSON.parse(params.params)], ['IVF_FLAT', 'COSINE', { nlist: 128 }]);
    assert.equal((await client.getIndexState({ collection_name: name, index_name: 'by_vec' })).state, 'Finished');
    succeed(await client.getIndexBuildProgress({ collection_name: name, index_name: 'by_vec' }));
    succeed(await client.dropIndex({ collection_name: name, index_name: 'by_text' }));
    fail(await client.describeIndex({ collection_name: name, index_name: 'by_text' }), 700, 'index not found');
    fail(await client.createIndex({ collection_name: name, field_name: 'none', index_type: 'FLAT', metric_type: 'L2' }), 65535,
      'cannot create index on non-exist field');
  });
});

describe('partitions, aliases and databases', () => {
  it('partitions hold rows', async () => {
    const name = await filled(5);
    succeed(await client.createPartition({ collection_name: name, partition_name: 'p' }));
    assert.deepEqual((await client.showPartitions({ collection_name: name })).partition_names, ['_default', 'p']);
    assert.equal((await client.hasPartition({ collection_name: name, partition_name: 'p' })).value, true);
    succeed(await client.insert({ collection_name: name, partition_name: 'p', data: rows(5, 8) }));
    const found = await client.query({ collection_name: name, filter: 'id >= 0', partition_names: ['p'], output_fields: ['id'],
      consistency_level: Strong });
    assert.deepEqual(found.data.map((row) => row.id), ['5', '6', '7']);
    fail(await client.insert({ collection_name: name, partition_name: 'none', data: rows(9, 10) }), 200, 'partition not found');
    succeed(await client.releasePartitions({ collection_name: name, partition_names: ['p'] }));
    succeed(await client.dropPartition({ collection_name: name, partition_name: 'p' }));
    assert.equal(await count(name), 5);
  });

  it('aliases name collections', async () => {
    const [one, two] = [await filled(3), await filled(4)];
    const alias = newName();
    succeed(await client.createAlias({ collection_name: one, alias }));
    assert.equal(await count(alias), 3);
    succeed(await client.alterAlias({ collection_name: two, alias }));
    assert.equal(await count(alias), 4);
    assert.equal((await client.describeAlias({ collection_name: two, alias })).collection, two);
    assert.deepEqual((await client.listAliases({ collection_name: two })).aliases, [alias]);
    succeed(await client.dropAlias({ alias }));
    fail(await client.describeAlias({ collection_name: two, alias }), 1600, 'alias not found');
  });

  it('databases keep names apart', async () => {
    const db_name = newName();
    succeed(await client.createDatabase({ db_name, properties: [{ key: 'database.replica.number', value: '1' }] }));
    assert.ok((await client.listDatabases()).db_names.includes(db_name));
    const inside = new MilvusClient({ address, database: db_name });
    await inside.connectPromise;
    succeed(await inside.createCollection({ collection_name: 'c', fields: FIELDS }));
    assert.deepEqual((await inside.showCollections()).data.map((collection) => collection.name), ['c']);
    fail(await inside.dropDatabase({ db_name }), 65535, 'not empty');
    succeed(await inside.dropCollection({ collection_name: 'c' }));
    await inside.closeConnection();
    succeed(await client.describeDatabase({ db_name }));
    succeed(await client.dropDatabase({ db_name }));
    assert.ok(!(await client.listDatabases()).db_names.includes(db_name));
  });
});

describe('partition keys', () => {
  it('pick the partitions', async () => {
    const name = newName();
    const fields = [FIELDS[0], FIELDS[1], { ...FIELDS[2], is_partition_key: true }];
    succeed(await client.createCollection({ collection_name: name, fields, num_partitions: 3 }));
    succeed(await client.createIndex({ collection_name: name, field_name: 'vec', index_type: 'AUTOINDEX', metric_type: 'L2' }));
    succeed(await client.loadCollectionSync({ collection_name: name }));
    assert.equal((await client.showPartitions({ collection_name: name })).partition_names.length, 3);
    const data = Array.from({ length: 30 }, (_, i) => ({ id: i, vec: vector(i), text: `k${i % 5}` }));
    succeed(await client.insert({ collection_name: name, data }));
    assert.equal(await count(name, { expr: 'text == "k2"' }), 6);
    const named = { collection_name: name, partition_names: ['_default_0'] };
    fail(await client.query({ ...named, filter: 'id > 0' }), 1100, 'partition key mode');
    fail(await client.search({ ...named, data: vector(1), limit: 1 }), 65535, 'partition key mode');
  });
});
