//! A client that speaks Milvus' protocol with the real proxy, without a connection.
//!
//! Each write has a name. When its answer is lost it is sent again under that name, in this life or in a later one,
//! and must be there once. Rows say in their value which operation they are of.

use std::sync::Arc;
use std::time::Duration;

use cinclus_catalog::{Collections, Segments};
use cinclus_client::Client;
use cinclus_env::{DynClock, Env, Random};
use cinclus_proxy::proto::milvus::milvus_service_server::MilvusService;
use cinclus_proxy::proto::milvus::{
    CreateCollectionRequest, CreateIndexRequest, DeleteRequest, InsertRequest, LoadCollectionRequest,
    MutationResult, QueryRequest, SearchRequest, UpsertRequest, search_request::SearchInput,
};
use cinclus_proxy::{Proxy, ProxyConfig, ProxyParts, Service};
use cinclus_rpc::{Appended, CoordApi, Freshness};
use cinclus_types::convert::schema_to_wire;
use cinclus_types::proto::common::{KeyValuePair, PlaceholderGroup, PlaceholderValue, Status};
use cinclus_types::proto::schema::{
    FieldData, FloatArray, LongArray, ScalarField, VectorField, field_data, i_ds, scalar_field, vector_field,
};
use cinclus_types::{MessageId, PartitionId, Tick, VChannel};
use parking_lot::Mutex;
use prost::Message;
use tonic::Request;

use crate::history::{Answer, By, Change, History, Outcome, Wish};
use crate::shard::schema;

/// The collection that it works with.
pub const COLLECTION: &str = "proxied";
/// How far a Bounded read may lag behind.
const GRACE: Duration = Duration::from_secs(5);
/// The dimensions of a vector.
pub(crate) const DIM: i64 = 4;
/// As on the wire.
const STRONG: i32 = 0;
const SESSION: i32 = 1;
const BOUNDED: i32 = 2;
const EVENTUALLY: i32 = 3;

/// A write, as it is sent.
#[derive(Clone)]
enum Body {
    Insert(InsertRequest),
    Upsert(UpsertRequest),
    Delete(DeleteRequest),
}

/// A write whose outcome is not known yet.
#[derive(Clone)]
pub struct Pending {
    number: u64,
    body: Body,
}

/// Writes that a later life sends again. Clones are the same.
pub type AllPending = Arc<Mutex<Vec<Pending>>>;

/// The parts of a server that its proxy needs.
pub struct Behind {
    /// The coordinator.
    pub coord: Arc<dyn CoordApi>,
    /// The catalog.
    pub collections: Collections,
    /// What is known of segments.
    pub segments: Segments,
    /// The way to the logs.
    pub client: Client,
    /// The machine.
    pub env: Env,
}

/// A client of the proxy.
pub struct ProxyActor {
    /// Its number.
    pub number: u64,
    /// Its own chance.
    pub random: Random,
    /// Its time.
    pub clock: DynClock,
    /// How many keys there are.
    pub keys: u64,
    /// What it notes.
    pub history: History,
    /// What is to be sent again.
    pub pending: AllPending,
    /// Where its rows are.
    pub home: Option<(VChannel, PartitionId)>,
    /// Ticks that it was told.
    pub told: Vec<Tick>,
    pub(crate) service: Service,
    collections: Collections,
}

/// The real proxy. `idempotent`: a write that comes again under its name is the same one.
#[must_use]
pub fn service(behind: Behind, idempotent: bool) -> Service {
    let Behind { coord, collections, segments, client, env } = behind;
    let config = ProxyConfig {
        idempotent_requests: idempotent,
        patience: Duration::from_secs(5),
        graceful_time: GRACE,
        id_block: 64,
        ..ProxyConfig::default()
    };
    Service::new(Proxy::new(ProxyParts { coord, collections, segments, client, env }, config))
}

pub(crate) fn pair(key: &str, value: &str) -> KeyValuePair {
    KeyValuePair { key: key.to_owned(), value: value.to_owned() }
}

/// What a status says that is no success.
pub(crate) fn checked(status: Option<&Status>) -> Result<(), String> {
    match status {
        Some(status) if status.code == 0 => Ok(()),
        Some(status) => Err(format!("{} ({})", status.reason, status.code)),
        None => Err("no status".to_owned()),
    }
}

fn longs(name: &str, data: Vec<i64>) -> FieldData {
    let data = Some(scalar_field::Data::LongData(LongArray { data }));
    let field = Some(field_data::Field::Scalars(ScalarField { data, valid_data: Vec::new() }));
    FieldData { field_name: name.to_owned(), r#type: 5, field, ..FieldData::default() }
}

fn vectors(keys: &[i64]) -> FieldData {
    let of_key = |key: &i64| (0..DIM).map(|at| (key * 31 + at) as f32).collect::<Vec<f32>>();
    let data = keys.iter().flat_map(of_key).collect();
    let data = Some(vector_field::Data::FloatVector(FloatArray { data }));
    let field = Some(field_data::Field::Vectors(VectorField { dim: DIM, data, valid_data: Vec::new() }));
    FieldData { field_name: "vector".to_owned(), r#type: 101, field, ..FieldData::default() }
}

fn rows(keys: &[i64], value: i64) -> Vec<FieldData> {
    vec![longs("key", keys.to_vec()), longs("value", vec![value; keys.len()]), vectors(keys)]
}

pub(crate) fn column(fields: &[FieldData], name: &str) -> Vec<i64> {
    let field = fields.iter().find(|field| field.field_name == name);
    match field.and_then(|field| field.field.as_ref()) {
        Some(field_data::Field::Scalars(ScalarField {
            data: Some(scalar_field::Data::LongData(longs)),
            ..
        })) => longs.data.clone(),
        _ => Vec::new(),
    }
}

/// The rows of an answer; it says nothing of their ticks.
fn answer(at: u64, keys: Vec<i64>, values: Vec<i64>) -> Result<Answer, String> {
    if keys.len() != values.len() {
        return Err(format!("{} keys and {} values were answered", keys.len(), values.len()));
    }
    let count = keys.len() as u64;
    let rows = keys.into_iter().zip(values.into_iter().map(|value| (value, Tick::ZERO))).collect();
    Ok(Answer { at: Tick(at), count, rows })
}

impl ProxyActor {
    /// A client.
    #[must_use]
    pub fn new(
        (number, random): (u64, Random),
        (clock, collections): (DynClock, Collections),
        keys: u64,
        (history, pending): (History, AllPending),
        service: Service,
    ) -> ProxyActor {
        let (home, told) = (None, Vec::new());
        ProxyActor { number, random, clock, keys, history, pending, home, told, service, collections }
    }

    /// Makes and loads the collection, and waits until it is served; then sends again what has no answer yet.
    ///
    /// # Errors
    /// As [`ProxyActor::until_served`].
    pub async fn settle(&mut self, patience: Duration) -> Result<(), String> {
        self.until_served(patience).await?;
        let pending = self.pending.lock().clone();
        for one in pending {
            // In a bad life its turn comes again in the next one.
            self.insist(one).await;
        }
        Ok(())
    }

    /// Makes and loads the collection, and waits until it is served.
    ///
    /// # Errors
    /// Why it was not, when patience was over.
    pub async fn until_served(&mut self, patience: Duration) -> Result<(), String> {
        let until = self.clock.monotonic() + patience;
        while let Err(text) = self.create().await {
            if self.clock.monotonic() >= until {
                return Err(text);
            }
            self.clock.sleep(Duration::from_millis(50)).await;
        }
        let view = self.collections.view();
        let entry = view.all_collections().find(|entry| entry.name == COLLECTION).cloned();
        self.home = entry.map(|entry| (entry.vchannels[0].clone(), entry.partitions[0].id));
        while let Err(text) = self.query(STRONG, vec![0]).await {
            if self.clock.monotonic() >= until {
                return Err(text);
            }
            self.clock.sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    async fn create(&self) -> Result<(), String> {
        let (collection_name, text) = (COLLECTION.to_owned(), |error: tonic::Status| error.to_string());
        let request = CreateCollectionRequest {
            collection_name: collection_name.clone(),
            schema: schema_to_wire(&schema(COLLECTION)).encode_to_vec().into(),
            shards_num: 1,
            ..CreateCollectionRequest::default()
        };
        let made = self.service.create_collection(Request::new(request)).await.map_err(text)?;
        checked(Some(made.get_ref()))?;
        let request = CreateIndexRequest {
            collection_name: collection_name.clone(),
            field_name: "vector".to_owned(),
            extra_params: vec![pair("index_type", "FLAT"), pair("metric_type", "L2")],
            ..CreateIndexRequest::default()
        };
        let made = self.service.create_index(Request::new(request)).await.map_err(text)?;
        checked(Some(made.get_ref()))?;
        let request = LoadCollectionRequest { collection_name, ..LoadCollectionRequest::default() };
        let made = self.service.load_collection(Request::new(request)).await.map_err(text)?;
        checked(Some(made.get_ref()))
    }

    fn below(&self, bound: u64) -> u64 {
        self.random.range(0..bound)
    }

    fn some_keys(&self, most: u64) -> Vec<i64> {
        let mut keys: Vec<i64> = (0..=self.below(most)).map(|_| self.below(self.keys) as i64).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Does something.
    ///
    /// # Errors
    /// What must not come of it.
    pub async fn step(&mut self) -> Result<(), String> {
        let told = self.told.last().copied().unwrap_or_default();
        match self.below(16) {
            0..=2 => self.write(self.some_keys(5), Kind::Insert).await,
            3..=6 => self.write(self.some_keys(4), Kind::Upsert).await,
            7 => self.write(self.some_keys(4), Kind::Delete).await,
            8..=10 => self.read(STRONG, Freshness::Strong).await,
            11 => self.read(SESSION, Freshness::AtLeast(told)).await,
            12 => {
                let now = Tick::from_unix_ms(self.clock.unix_ms());
                self.read(BOUNDED, Freshness::AtLeast(now.minus(GRACE))).await
            }
            13 => self.read(EVENTUALLY, Freshness::AtLeast(Tick::ZERO)).await,
            14 => self.search().await,
            _ => {
                self.clock.sleep(Duration::from_micros(self.below(200_000))).await;
                Ok(())
            }
        }
    }

    async fn write(&mut self, keys: Vec<i64>, kind: Kind) -> Result<(), String> {
        let Some((vchannel, partition)) = self.home.clone() else { return Ok(()) };
        let (number, _) = self.history.begin(self.number, |number| {
            let rows = keys.iter().map(|key| (*key, number as i64)).collect();
            let change = match kind {
                Kind::Insert | Kind::Upsert => Change::Insert { partition, rows },
                Kind::Delete => Change::Delete { partition: None, keys: keys.clone() },
            };
            Wish::Append { vchannel, changes: vec![change], key: None, by: By::Proxy }
        });
        let (collection_name, num_rows) = (COLLECTION.to_owned(), keys.len() as u32);
        let fields_data = rows(&keys, number as i64);
        let body = match kind {
            Kind::Insert => {
                Body::Insert(InsertRequest { collection_name, fields_data, num_rows, ..Default::default() })
            }
            Kind::Upsert => {
                Body::Upsert(UpsertRequest { collection_name, fields_data, num_rows, ..Default::default() })
            }
            Kind::Delete => {
                let expr = format!("key in {keys:?}");
                Body::Delete(DeleteRequest { collection_name, expr, ..Default::default() })
            }
        };
        let pending = Pending { number, body };
        self.pending.lock().push(pending.clone());
        self.insist(pending).await;
        Ok(())
    }

    /// Sends a write until its outcome is known, a few times.
    async fn insist(&mut self, pending: Pending) {
        for _ in 0..4 {
            let answer = self.send(&pending).await;
            if self.below(5) == 0 {
                // The answer is lost on its way.
                continue;
            }
            let Ok(result) = answer else { continue };
            self.pending.lock().retain(|other| other.number != pending.number);
            let tick = Tick(result.timestamp);
            self.told.push(tick);
            let (ids, sealed, last_confirmed) = (Vec::new(), Vec::new(), MessageId::EARLIEST);
            let appended = Appended { ids, tick, sealed, last_confirmed };
            return self.history.end(pending.number, Outcome::Appended(appended));
        }
    }

    async fn send(&self, pending: &Pending) -> Result<MutationResult, String> {
        let name = format!("request-{}", pending.number);
        let sent = match pending.body.clone() {
            Body::Insert(body) => self.service.insert(named(body, &name)?).await,
            Body::Upsert(body) => self.service.upsert(named(body, &name)?).await,
            Body::Delete(body) => self.service.delete(named(body, &name)?).await,
        };
        let result = sent.map_err(|error| error.to_string())?.into_inner();
        checked(result.status.as_ref()).map(|()| result)
    }

    async fn query(&self, level: i32, keys: Vec<i64>) -> Result<Answer, String> {
        let told = self.told.last().map_or(0, |tick| tick.0);
        let request = QueryRequest {
            collection_name: COLLECTION.to_owned(),
            expr: format!("key in {keys:?}"),
            output_fields: vec!["key".to_owned(), "value".to_owned()],
            guarantee_timestamp: if level == SESSION { told } else { 0 },
            consistency_level: level,
            ..QueryRequest::default()
        };
        let answered = self.service.query(Request::new(request)).await.map_err(|error| error.to_string())?;
        let results = answered.into_inner();
        checked(results.status.as_ref())?;
        let of = |name| column(&results.fields_data, name);
        answer(results.session_ts, of("key"), of("value"))
    }

    async fn read(&mut self, level: i32, freshness: Freshness) -> Result<(), String> {
        let Some((vchannel, _)) = self.home.clone() else { return Ok(()) };
        let keys = self.some_keys(6);
        let wished = Some(keys.clone());
        let wish = |_| Wish::Read { vchannel, freshness, keys: wished, count_only: false };
        let (number, _) = self.history.begin(self.number, wish);
        let outcome = match self.query(level, keys).await {
            Ok(answer) => {
                self.told.push(answer.at);
                Outcome::Answered(answer)
            }
            Err(text) => Outcome::Refused(text),
        };
        self.history.end(number, outcome);
        Ok(())
    }

    /// Searches; what is found must be there.
    async fn search(&mut self) -> Result<(), String> {
        let Some((vchannel, _)) = self.home.clone() else { return Ok(()) };
        let key = self.below(self.keys) as i64;
        let vector = (0..DIM).flat_map(|at| ((key * 31 + at) as f32).to_le_bytes()).collect::<Vec<u8>>();
        let placeholder = PlaceholderValue {
            tag: "$0".to_owned(),
            r#type: 101,
            values: vec![vector.into()],
            ..Default::default()
        };
        let group = PlaceholderGroup { placeholders: vec![placeholder] };
        let request = SearchRequest {
            collection_name: COLLECTION.to_owned(),
            search_input: Some(SearchInput::PlaceholderGroup(group.encode_to_vec().into())),
            output_fields: vec!["value".to_owned()],
            search_params: vec![pair("topk", "4"), pair("metric_type", "L2"), pair("anns_field", "vector")],
            dsl_type: 1,
            nq: 1,
            ..SearchRequest::default()
        };
        let Ok(found) = self.service.search(Request::new(request)).await else { return Ok(()) };
        let found = found.into_inner();
        let (Ok(()), Some(results)) = (checked(found.status.as_ref()), found.results) else { return Ok(()) };
        let keys = match results.ids.and_then(|ids| ids.id_field) {
            Some(i_ds::IdField::IntId(longs)) => longs.data,
            Some(_) | None => Vec::new(),
        };
        let answered = answer(found.session_ts, keys.clone(), column(&results.fields_data, "value"))?;
        // What it covers beside what it found is not known.
        let freshness = Freshness::AtLeast(Tick::ZERO);
        let wish = |_| Wish::Read { vchannel, freshness, keys: Some(keys), count_only: false };
        let (number, _) = self.history.begin(self.number, wish);
        self.history.end(number, Outcome::Answered(answered));
        Ok(())
    }
}

/// What a write does.
#[derive(Clone, Copy)]
enum Kind {
    Insert,
    Upsert,
    Delete,
}

/// A request with a name.
fn named<T>(body: T, name: &str) -> Result<Request<T>, String> {
    let mut request = Request::new(body);
    let value = name.parse().map_err(|_| format!("{name} is no name"))?;
    request.metadata_mut().insert("client-request-id", value);
    Ok(request)
}
