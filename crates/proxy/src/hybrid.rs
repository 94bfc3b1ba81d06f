//! Hybrid searches: several searches whose hits are fused.

use cinclus_types::proto::common::KeyValuePair;
use cinclus_types::{Key, Metric, Rows};
use futures::future::try_join_all;
use rustc_hash::FxHashMap;

use crate::consistency::Asked;
use crate::fields::{OutputFields, refuse_aggregates};
use crate::merge::{Merged, concat, running};
use crate::params::{Params, SearchParams, WINDOW};
use crate::proto::milvus::{HybridSearchRequest, SearchResults};
use crate::proxy::{Call, Proxy, Target};
use crate::rank::{List, Ranker};
use crate::read::{Reader, searched_partitions};
use crate::search;
use crate::status::{ProxyError, success};

/// Searches in one request, at most.
const SEARCHES_MAX: usize = 1024;

/// The part of the fused hits that is wanted.
pub(crate) struct Wanted {
    /// Hits (or groups) for each query.
    pub(crate) limit: usize,
    /// Hits (or groups) to skip.
    pub(crate) offset: usize,
    /// Decimals of scores.
    pub(crate) round_decimal: Option<u32>,
    /// The field of groups and how many hits each has.
    pub(crate) group: Option<(cinclus_types::FieldId, usize)>,
}

/// Answers a hybrid search.
///
/// # Errors
/// The request does not fit the collection, or a shard did not answer.
pub(crate) async fn hybrid_search(
    proxy: &Proxy,
    call: &Call,
    request: HybridSearchRequest,
) -> Result<SearchResults, ProxyError> {
    let target = proxy.existing(call, &request.db_name, &request.collection_name)?;
    if request.requests.is_empty() {
        return Err(ProxyError::QueryCount(0));
    }
    if request.requests.len() > SEARCHES_MAX {
        return Err(ProxyError::Invalid(format!("maximum of ann search requests is {SEARCHES_MAX}")));
    }
    let ranker = Ranker::of(
        target.collection.schema(),
        &request.rank_params,
        request.function_score.as_ref(),
        request.requests.len(),
    )?;
    let wanted = Wanted::of(&target, &Params::of(&request.rank_params)?)?;
    refuse_aggregates(&request.output_fields)?;
    let fields = OutputFields::of(target.collection.schema(), &request.output_fields)?;
    let asked = Asked {
        level: request.consistency_level,
        use_default: request.use_default_consistency,
        guarantee: request.guarantee_timestamp,
        iterator: false,
    };
    let reader = Reader {
        verb: "search",
        partitions: searched_partitions(&target, &request.partition_names)?,
        freshness: proxy.freshness(&target, asked).await?,
        ignore_growing: false,
        patience: proxy.patience(call),
        target,
    };
    let mut prepared = Vec::with_capacity(request.requests.len());
    for sub in &request.requests {
        let params = part(&sub.search_params)?;
        let mut one = search::prepare(proxy, &reader, sub, params, &fields).await?;
        let needed = wanted.group.map(|(field, _)| field).into_iter().chain(ranker.field());
        for field in needed {
            if !one.plan.output.contains(&field) {
                one.plan.output.push(field);
            }
        }
        prepared.push(one);
    }
    reader.check_loaded()?;
    let queries = prepared.first().map_or(0, |one| one.plan.nq());
    if prepared.iter().any(|one| one.plan.nq() != queries) {
        return Err(ProxyError::Invalid("the nq of all ann search requests must be equal".to_owned()));
    }
    let lists = try_join_all(prepared.iter().map(|one| search::run(proxy, &reader, one))).await?;
    let metrics: Vec<Metric> = prepared.iter().map(|one| one.plan.metric).collect();
    let mut fused = fuse(&ranker, &metrics, lists, queries, &wanted);
    search::round(&mut fused.scores, wanted.round_decimal);
    let session_ts = fused.at.0;
    let (data, _) = search::result_data(&reader.target, &fields, fused, wanted.limit as i64)?;
    Ok(SearchResults {
        status: Some(success()),
        results: Some(data),
        collection_name: reader.target.collection.name.clone(),
        session_ts,
    })
}

/// The parameters of one of the searches. Which page of the hits is wanted, and groups, are a matter of all of them:
/// what one says of these does not count.
fn part(pairs: &[KeyValuePair]) -> Result<SearchParams, ProxyError> {
    let of_all = ["offset", "group_by_field", "group_size", "strict_group_size"];
    let own = pairs.iter().filter(|pair| !of_all.contains(&pair.key.as_str()));
    let mut params = SearchParams::of(&own.cloned().collect::<Vec<_>>())?;
    (params.offset, params.group_by, params.group_size) = (0, None, 1);
    Ok(params)
}

impl Wanted {
    fn of(target: &Target, params: &Params) -> Result<Wanted, ProxyError> {
        let limit = params.integer("limit")?.unwrap_or(10);
        let offset = params.integer("offset")?.unwrap_or(0);
        let window = limit.saturating_add(offset);
        if limit < 1 || offset < 0 || window > WINDOW {
            return Err(ProxyError::Window(if limit < 1 { limit } else { window }));
        }
        let round_decimal = params.integer("round_decimal")?.filter(|decimals| (0..=6).contains(decimals));
        let group = match params.text("group_by_field") {
            None => None,
            Some(name) => {
                let size = params.integer("group_size")?.unwrap_or(1).max(1) as usize;
                Some((search::group_of(target, name)?, size))
            }
        };
        Ok(Wanted {
            limit: limit as usize,
            offset: offset as usize,
            round_decimal: round_decimal.map(|decimals| decimals as u32),
            group,
        })
    }
}

/// Fuses the hits of all searches, query by query.
pub(crate) fn fuse(
    ranker: &Ranker,
    metrics: &[Metric],
    lists: Vec<Merged>,
    queries: usize,
    wanted: &Wanted,
) -> Merged {
    let at = lists.iter().map(|list| list.at).min().unwrap_or_default();
    let mut fused = Merged { at, ..Merged::default() };
    let bases = running(lists.iter().map(|list| list.keys.len()));
    let mut starts = vec![0; lists.len()];
    let mut picked = Vec::new();
    let mut chosen = Vec::new();
    for query in 0..queries {
        let mut parts: Vec<List<'_>> = Vec::new();
        let mut places: FxHashMap<&Key, usize> = FxHashMap::default();
        for (at, list) in lists.iter().enumerate() {
            let hits = starts[at]..starts[at] + list.counts[query];
            starts[at] = hits.end;
            for hit in hits.clone() {
                places.entry(&list.keys[hit]).or_insert(bases[at] + hit);
            }
            parts.push(List {
                metric: metrics[at],
                keys: &list.keys[hits.clone()],
                scores: &list.scores[hits.clone()],
                factors: ranker.factors(&list.rows, hits),
            });
        }
        let hits = ranker.fuse(&parts);
        picked.push(hits.iter().map(|(key, _)| places[key]).collect::<Vec<usize>>());
        chosen.push(hits);
    }
    let rows = concat(lists.into_iter().map(|list| list.rows));
    let mut kept = Vec::new();
    for (hits, places) in chosen.into_iter().zip(picked) {
        let page = page(&rows, &places, wanted);
        fused.counts.push(page.len());
        for at in page {
            fused.keys.push(hits[at].0.clone());
            fused.scores.push(hits[at].1);
            kept.push(places[at]);
        }
    }
    fused.rows = rows.take(&kept);
    fused
}

/// Which of the fused hits (by their positions) are wanted.
fn page(rows: &Rows, places: &[usize], wanted: &Wanted) -> Vec<usize> {
    let Some((field, size)) = wanted.group else {
        return (0..places.len()).skip(wanted.offset).take(wanted.limit).collect();
    };
    let value =
        |place| rows.column(field).map_or_else(String::new, |column| format!("{:?}", column.value(place)));
    let mut groups: Vec<(String, Vec<usize>)> = Vec::new();
    for (at, place) in places.iter().enumerate() {
        let name = value(*place);
        match groups.iter_mut().find(|group| group.0 == name) {
            Some(group) if group.1.len() < size => group.1.push(at),
            Some(_) => {}
            None => groups.push((name, vec![at])),
        }
    }
    groups.into_iter().skip(wanted.offset).take(wanted.limit).flat_map(|group| group.1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_and_groups_of_one_search_do_not_count() {
        let pair = |(key, value): &(&str, &str)| KeyValuePair { key: (*key).into(), value: (*value).into() };
        let read = |pairs: &[(&str, &str)]| part(&pairs.iter().map(pair).collect::<Vec<_>>());
        let given = [("topk", "3"), ("offset", "16385"), ("group_by_field", "color"), ("group_size", "99")];
        let params = read(&given).unwrap();
        assert_eq!((params.limit, params.offset, params.group_by, params.group_size), (3, 0, None, 1));
        let inside = read(&[("topk", "3"), ("params", r#"{"group_by_field":"color","offset":2}"#)]).unwrap();
        assert_eq!((inside.offset, inside.group_by), (0, None));
        assert!(read(&[("topk", "0")]).is_err());
    }
}
