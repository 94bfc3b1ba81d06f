//! Iterators of Milvus' clients: a snapshot read page after page, over whatever becomes of the rows and of the servers
//! between the pages. All pages together are the snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cinclus_env::Random;
use cinclus_proxy::proto::milvus::milvus_service_server::MilvusService;
use cinclus_proxy::proto::milvus::{FlushRequest, QueryRequest, SearchRequest, search_request::SearchInput};
use cinclus_rpc::Freshness;
use cinclus_types::Tick;
use cinclus_types::proto::common::{PlaceholderGroup, PlaceholderValue};
use cinclus_types::proto::schema::i_ds;
use parking_lot::Mutex;
use prost::Message;
use tonic::Request;

use crate::history::{Answer, Outcome, Wish};
use crate::proxied::{COLLECTION, DIM, ProxyActor, checked, column, pair};
use crate::tally::Tally;

/// Iterators at work at once.
const OPEN_MAX: usize = 4;

/// One iterator, as its client knows it: nothing of it is in a server.
#[derive(Clone, Debug)]
pub struct Scroll {
    number: u64,
    /// What the first answer said; `None` before that.
    snapshot: Option<u64>,
    batch: usize,
    /// How many came.
    pages: u64,
    along: Along,
    rows: BTreeMap<i64, i64>,
}

/// What an iterator goes along.
#[derive(Clone, Debug)]
enum Along {
    /// Keys, from the last one that came.
    Keys(i64),
    /// The distance from the vector of a key.
    Distance { from: i64, token: Option<String>, last: Option<f32> },
}

/// Iterators that are not at their end. Clones are the same.
pub type AllScrolls = Arc<Mutex<BTreeMap<u64, Scroll>>>;

/// Keys and values of a page, and the tick that it says it is of.
struct Page {
    at: u64,
    rows: Vec<(i64, i64)>,
    /// Where the next one begins, if the server says it.
    next: Option<Along>,
}

/// Somebody who goes on with iterators.
pub struct Scroller {
    actor: ProxyActor,
    random: Random,
    scrolls: AllScrolls,
    tally: Tally,
}

impl Scroller {
    /// A client that also goes on with what others began.
    #[must_use]
    pub fn new(actor: ProxyActor, random: Random, scrolls: AllScrolls, tally: Tally) -> Scroller {
        Scroller { actor, random, scrolls, tally }
    }

    /// Begins an iterator, or reads the next page of one.
    ///
    /// # Errors
    /// A page that is not the next one of its snapshot.
    pub async fn step(&mut self) -> Result<(), String> {
        self.actor.clock.sleep(Duration::from_micros(self.random.range(0..150_000))).await;
        if self.random.range(0..12) == 0 {
            let collection_names = vec![COLLECTION.to_owned()];
            let flush = FlushRequest { collection_names, ..FlushRequest::default() };
            // It only changes where rows are.
            drop(self.actor.service.flush(Request::new(flush)).await);
        }
        let open: Vec<u64> = self.scrolls.lock().keys().copied().collect();
        let known = open.get(self.random.range(0..OPEN_MAX as u64) as usize).copied();
        let scroll = known.and_then(|number| self.scrolls.lock().get(&number).cloned());
        let mut scroll = scroll.unwrap_or_else(|| self.begin());
        // Without an answer the same page is asked for again, some time.
        let Ok(page) = self.page(&scroll).await else { return Ok(()) };
        let before = scroll.pages;
        let over = self.take(&mut scroll, page)?;
        let mut scrolls = self.scrolls.lock();
        // A client of another process may have been faster.
        if scrolls.get(&scroll.number).map_or(0, |known| known.pages) != before {
            return Ok(());
        }
        if over {
            scrolls.remove(&scroll.number);
            drop(scrolls);
            self.note(scroll);
        } else {
            scrolls.insert(scroll.number, scroll);
        }
        Ok(())
    }

    fn begin(&self) -> Scroll {
        let along = if self.random.chance(0.5) {
            Along::Keys(-1)
        } else {
            Along::Distance { from: self.random.range(0..self.actor.keys) as i64, token: None, last: None }
        };
        let number = self.random.u64();
        let batch = 1 + self.random.range(0..5) as usize;
        Scroll { number, snapshot: None, batch, pages: 0, along, rows: BTreeMap::new() }
    }

    async fn page(&self, scroll: &Scroll) -> Result<Page, String> {
        match &scroll.along {
            Along::Keys(last) => self.page_of_keys(scroll, *last).await,
            Along::Distance { .. } => self.page_by_distance(scroll).await,
        }
    }

    async fn page_of_keys(&self, scroll: &Scroll, last: i64) -> Result<Page, String> {
        // The first call only asks which snapshot it is.
        let limit = if scroll.snapshot.is_none() { 1 } else { scroll.batch };
        let request = QueryRequest {
            collection_name: COLLECTION.to_owned(),
            expr: format!("key > {last}"),
            output_fields: vec!["key".to_owned(), "value".to_owned()],
            guarantee_timestamp: scroll.snapshot.unwrap_or_default(),
            query_params: vec![
                pair("iterator", "True"),
                pair("limit", &limit.to_string()),
                pair("reduce_stop_for_best", "True"),
            ],
            ..QueryRequest::default()
        };
        let answered = self.actor.service.query(Request::new(request)).await;
        let results = answered.map_err(|error| error.to_string())?.into_inner();
        checked(results.status.as_ref())?;
        let of = |name| column(&results.fields_data, name);
        let rows = of("key").into_iter().zip(of("value")).collect();
        Ok(Page { at: results.session_ts, rows, next: None })
    }

    async fn page_by_distance(&self, scroll: &Scroll) -> Result<Page, String> {
        let found = self.actor.service.search(Request::new(search(scroll))).await;
        let found = found.map_err(|error| error.to_string())?.into_inner();
        checked(found.status.as_ref())?;
        let results = found.results.ok_or("no results")?;
        let keys = match results.ids.and_then(|ids| ids.id_field) {
            Some(i_ds::IdField::IntId(longs)) => longs.data,
            Some(_) | None => Vec::new(),
        };
        let values = column(&results.fields_data, "value");
        let iterator = results.search_iterator_v2_results.ok_or("no word of the iterator")?;
        let Along::Distance { from, .. } = scroll.along else { return Err("it goes along keys".to_owned()) };
        let (token, last) = (Some(iterator.token), Some(iterator.last_bound));
        let next = Some(Along::Distance { from, token, last });
        Ok(Page { at: found.session_ts, rows: keys.into_iter().zip(values).collect(), next })
    }

    /// Adds a page to what came; says whether it was the last one.
    fn take(&self, scroll: &mut Scroll, page: Page) -> Result<bool, String> {
        self.tally.count("pages of iterators");
        scroll.pages += 1;
        if let Some(next) = page.next {
            scroll.along = next;
        }
        let first = scroll.snapshot.is_none();
        let snapshot = *scroll.snapshot.get_or_insert(page.at);
        if page.at != snapshot {
            return Err(format!("a page of the iterator at {snapshot} is of {}", page.at));
        }
        if let (Along::Keys(_), true) = (&scroll.along, first) {
            return Ok(false);
        }
        for (key, value) in &page.rows {
            if scroll.rows.insert(*key, *value).is_some() {
                return Err(format!("the iterator at {snapshot} has key {key} on two pages"));
            }
            if let Along::Keys(last) = &mut scroll.along {
                if *key <= *last {
                    return Err(format!("key {key} of the iterator at {snapshot} comes after {last}"));
                }
                *last = *key;
            }
        }
        Ok(match scroll.along {
            Along::Keys(_) => page.rows.len() < scroll.batch,
            Along::Distance { .. } => page.rows.is_empty(),
        })
    }

    /// An iterator is at its end: it was a read of its snapshot.
    fn note(&self, scroll: Scroll) {
        let (Some((vchannel, _)), Some(at)) = (self.actor.home.clone(), scroll.snapshot) else { return };
        self.tally.count(match scroll.along {
            Along::Keys(_) => "checked: iterators over keys",
            Along::Distance { .. } => "checked: iterators by distance",
        });
        let freshness = Freshness::Snapshot(Tick(at));
        let wish = |_| Wish::Read { vchannel, freshness, keys: None, count_only: false };
        let (number, _) = self.actor.history.begin(self.actor.number, wish);
        let count = scroll.rows.len() as u64;
        let rows = scroll.rows.into_iter().map(|(key, value)| (key, (value, Tick::ZERO))).collect();
        self.actor.history.end(number, Outcome::Answered(Answer { at: Tick(at), count, rows }));
    }
}

/// The search of the next page.
fn search(scroll: &Scroll) -> SearchRequest {
    let Along::Distance { from, token, last } = &scroll.along else { return SearchRequest::default() };
    let vector = (0..DIM).flat_map(|at| ((from * 31 + at) as f32).to_le_bytes()).collect::<Vec<u8>>();
    let (tag, values) = ("$0".to_owned(), vec![vector.into()]);
    let placeholders = vec![PlaceholderValue { tag, r#type: 101, values, ..Default::default() }];
    let batch = scroll.batch.to_string();
    let mut search_params = vec![
        pair("topk", &batch),
        pair("metric_type", "L2"),
        pair("anns_field", "vector"),
        pair("iterator", "True"),
        pair("search_iter_v2", "True"),
        pair("search_iter_batch_size", &batch),
    ];
    search_params.extend(token.as_ref().map(|token| pair("search_iter_id", token)));
    search_params.extend(last.map(|last| pair("search_iter_last_bound", &f64::from(last).to_string())));
    SearchRequest {
        collection_name: COLLECTION.to_owned(),
        search_input: Some(SearchInput::PlaceholderGroup(
            PlaceholderGroup { placeholders }.encode_to_vec().into(),
        )),
        output_fields: vec!["value".to_owned()],
        search_params,
        guarantee_timestamp: scroll.snapshot.unwrap_or_default(),
        dsl_type: 1,
        nq: 1,
        ..SearchRequest::default()
    }
}
