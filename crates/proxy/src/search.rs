//! Searches: the hits nearest to each query, best first.

use std::collections::BTreeMap;
use std::sync::Arc;

use cinclus_expr::{Expr, FieldPath};
use cinclus_rpc::{QueryPlan, RangeBounds, SearchPlan};
use cinclus_types::convert::keys_from_wire;
use cinclus_types::proto::schema::{IDs, SearchIteratorV2Results, SearchResultData};
use cinclus_types::{ColumnData, DataType, FieldId, FieldSchema, Key, Keys, Metric, Rows};

use crate::consistency::Asked;
use crate::convert::{keys, output, templates};
use crate::fields::{OutputFields, refuse_aggregates};
use crate::hybrid::{Wanted, fuse};
use crate::index_params;
use crate::merge::{Merged, Page, concat, merge};
use crate::params::{IteratorV2, SearchParams};
use crate::placeholder;
use crate::proto::milvus::{SearchRequest, SearchResults, search_request::SearchInput};
use crate::proxy::{Call, Proxy, Target};
use crate::rank::Ranker;
use crate::read::{Reader, parse_optional, searched_partitions};
use crate::status::{ProxyError, success};

/// Hits at one score that a page of an iterator holds, at most.
const TIES_MAX: usize = 1 << 20;

/// A search that was checked and can be run.
pub(crate) struct Prepared {
    pub(crate) params: SearchParams,
    pub(crate) plan: SearchPlan,
    group: Option<FieldSchema>,
}

/// Answers a search.
///
/// # Errors
/// The request does not fit the collection, or a shard did not answer.
pub(crate) async fn search(
    proxy: &Proxy,
    call: &Call,
    request: SearchRequest,
) -> Result<SearchResults, ProxyError> {
    refuse_unserved(&request)?;
    let target = proxy.existing(call, &request.db_name, &request.collection_name)?;
    let ranker = Ranker::of_function(target.collection.schema(), request.function_score.as_ref(), 1)?;
    refuse_aggregates(&request.output_fields)?;
    let fields = OutputFields::of(target.collection.schema(), &request.output_fields)?;
    let params = SearchParams::of(&request.search_params)?;
    let partitions = searched_partitions(&target, &request.partition_names)?;
    let asked = Asked {
        level: request.consistency_level,
        use_default: request.use_default_consistency,
        guarantee: request.guarantee_timestamp,
        iterator: params.iterator,
    };
    let reader = Reader {
        verb: "search",
        partitions,
        freshness: proxy.freshness(&target, asked).await?,
        ignore_growing: params.ignore_growing,
        patience: proxy.patience(call),
        target,
    };
    let mut prepared = prepare(proxy, &reader, &request, params, &fields).await?;
    reader.check_loaded()?;
    let (mut merged, iterator) = match (prepared.params.iterator_v2.clone(), &ranker) {
        (None, None) => (run(proxy, &reader, &prepared).await?, None),
        (None, Some(ranker)) => (run_ranked(proxy, &reader, &mut prepared, ranker).await?, None),
        (Some(_), Some(_)) => {
            return Err(ProxyError::Unsupported("an iterator over reranked hits".to_owned()));
        }
        (Some(iterator), None) => {
            let merged = run_page(proxy, &reader, &mut prepared, iterator.batch).await?;
            let results = iterator_results(proxy, &iterator, &merged);
            (merged, Some(results))
        }
    };
    round(&mut merged.scores, prepared.params.round_decimal);
    let mut results = results(&reader.target, &fields, merged, &prepared)?;
    if let Some(data) = &mut results.results {
        data.search_iterator_v2_results = iterator;
    }
    Ok(results)
}

fn refuse_unserved(request: &SearchRequest) -> Result<(), ProxyError> {
    let unserved = [
        ("an aggregation of a search", request.search_aggregation.is_some()),
        ("a function chain", !request.function_chains.is_empty()),
        ("a highlighter", request.highlighter.is_some()),
    ];
    match unserved.iter().find(|(_, asked)| *asked) {
        Some((what, _)) => Err(ProxyError::Unsupported((*what).to_owned())),
        None => Ok(()),
    }
}

/// Checks a search and makes its plan.
///
/// # Errors
/// The request does not fit the collection.
pub(crate) async fn prepare(
    proxy: &Proxy,
    reader: &Reader,
    request: &SearchRequest,
    params: SearchParams,
    fields: &OutputFields,
) -> Result<Prepared, ProxyError> {
    let target = &reader.target;
    let field = vector_field(target, params.field.as_deref())?;
    let metric = metric(target, field, params.metric.as_deref())?;
    let index = target.collection.index_of(field.id);
    if let Some(kind) = index.and_then(|index| index.params.get("index_type")) {
        index_params::check_search(&params.of_indexes, &kind.to_ascii_uppercase())?;
    }
    let values = templates::values(&request.expr_template_values);
    let filter = parse_optional(target, &request.dsl, &values)?;
    let group = params.group_by.as_deref().map(|name| group_field(target, name)).transpose()?;
    let queries = match &request.search_input {
        Some(SearchInput::PlaceholderGroup(group)) => placeholder::queries(field, group, request.nq)?,
        Some(SearchInput::Ids(ids)) => vectors_of(proxy, reader, field, ids).await?,
        None => return Err(ProxyError::Invalid("a search needs vectors or ids".to_owned())),
    };
    if params.iterator_v2.is_some() && queries.len() > field.dim() {
        return Err(ProxyError::Plain(
            "not support search iteration over multiple vectors at present".to_owned(),
        ));
    }
    let mut output = fields.ids();
    if let Some(group) = group.as_ref().filter(|group| !output.contains(&group.id)) {
        output.push(group.id);
    }
    let plan = SearchPlan {
        field: field.id,
        metric,
        dim: field.dim(),
        queries,
        k: params.limit + params.offset,
        filter,
        range: range(metric, &params)?,
        beyond: params.iterator_v2.as_ref().and_then(|iterator| iterator.last_bound),
        output,
        group_by: group.as_ref().map(|group| group.id),
        group_size: params.group_size,
    };
    Ok(Prepared { params, plan, group })
}

/// The vector field to search: the named one, or the only one.
fn vector_field<'a>(target: &'a Target, name: Option<&str>) -> Result<&'a FieldSchema, ProxyError> {
    let schema = target.collection.schema();
    match name {
        Some(name) => match schema.field(name) {
            Some(field) if field.data_type.is_vector() => Ok(field),
            Some(field) => Err(ProxyError::Invalid(format!(
                "failed to create query plan: field ({}) to search is not of vector data type",
                field.name
            ))),
            None => Err(ProxyError::SearchFieldNotFound(name.to_owned())),
        },
        None => {
            let mut fields = schema.vector_fields();
            match (fields.next(), fields.next()) {
                (Some(field), None) => Ok(field),
                _ => Err(ProxyError::AmbiguousVectorField),
            }
        }
    }
}

/// The metric of the field's index, which the asked one must equal.
fn metric(target: &Target, field: &FieldSchema, asked: Option<&str>) -> Result<Metric, ProxyError> {
    let index = target.collection.index_of(field.id);
    let expected = index.and_then(|index| index.params.get("metric_type")).map(String::as_str);
    match (expected, asked) {
        (Some(expected), Some(asked)) if !expected.eq_ignore_ascii_case(asked) => {
            Err(ProxyError::Unexpected {
                what: "metric type not match".into(),
                expected: expected.to_owned(),
                actual: asked.to_owned(),
            })
        }
        (named, asked) => {
            let name = named.or(asked).unwrap_or("COSINE");
            Metric::from_name(name).ok_or_else(|| {
                ProxyError::Invalid(format!("metric type {name} of field {} is not valid", field.name))
            })
        }
    }
}

fn group_field(target: &Target, name: &str) -> Result<FieldSchema, ProxyError> {
    let Some(field) = target.collection.schema().field(name) else {
        return Err(ProxyError::Plain(format!(
            "groupBy field not found in schema: field not found[field={name}]"
        )));
    };
    if field.data_type.is_integer() || matches!(field.data_type, DataType::Bool | DataType::VarChar) {
        return Ok(field.clone());
    }
    Err(ProxyError::Plain(format!("unsupported data type {:?} for group by operator", field.data_type)))
}

fn range(metric: Metric, params: &SearchParams) -> Result<Option<RangeBounds>, ProxyError> {
    let Some(radius) = params.radius else { return Ok(None) };
    if let Some(filter) = params.range_filter {
        let empty = if metric.greater_is_better() { filter <= radius } else { filter >= radius };
        if empty {
            let must = if metric.greater_is_better() { "greater" } else { "less" };
            return Err(ProxyError::Invalid(format!(
                "range_filter ({filter}) must be {must} than radius ({radius}) for metric type {}",
                metric.name()
            )));
        }
    }
    Ok(Some(RangeBounds { radius, filter: params.range_filter }))
}

/// The vectors of rows that the client names by their keys, in that order.
async fn vectors_of(
    proxy: &Proxy,
    reader: &Reader,
    field: &FieldSchema,
    ids: &IDs,
) -> Result<Arc<[f32]>, ProxyError> {
    let wanted = keys_from_wire(ids.clone()).map_err(|error| ProxyError::Invalid(error.to_string()))?;
    let key = reader.target.primary_key()?;
    if wanted.is_empty() || wanted.len() as i64 > crate::params::WINDOW {
        return Err(ProxyError::QueryCount(wanted.len() as i64));
    }
    if matches!(wanted, Keys::VarChar(_)) != (key.data_type == DataType::VarChar) {
        return Err(ProxyError::Invalid(format!("the ids to search by are not of the type of {}", key.name)));
    }
    let path = FieldPath {
        field: key.id,
        name: key.name.clone(),
        data_type: key.data_type,
        element_type: None,
        steps: Vec::new(),
    };
    let filter = Some(Arc::new(Expr::of_keys(path, wanted.iter())));
    let plan = QueryPlan { filter, limit: None, count_only: false, output: vec![field.id] };
    let mut places: BTreeMap<Key, usize> = BTreeMap::new();
    let mut parts: Vec<Rows> = Vec::new();
    for shard in reader.query(proxy, plan).await?.0 {
        for key in shard.keys {
            let place = places.len();
            places.insert(key, place);
        }
        parts.push(shard.rows);
    }
    let rows = concat(parts.into_iter());
    let missing: Vec<String> =
        wanted.iter().filter(|key| !places.contains_key(key)).map(|key| key.to_string()).collect();
    if !missing.is_empty() {
        let what = "some of the provided primary key IDs do not exist";
        return Err(ProxyError::Invalid(format!("{what}: missing IDs = [{}]", missing.join(" "))));
    }
    let mut floats = Vec::with_capacity(wanted.len() * field.dim());
    for key in wanted.iter() {
        let Some(place) = places.get(&key) else { continue };
        if let Some(ColumnData::FloatVector { dim, data }) = rows.column(field.id).map(|column| &column.data)
        {
            floats.extend_from_slice(&data[place * dim..(place + 1) * dim]);
        }
    }
    Ok(floats.into())
}

/// Runs a search on all shards and merges their hits.
///
/// # Errors
/// That of a shard.
pub(crate) async fn run(proxy: &Proxy, reader: &Reader, prepared: &Prepared) -> Result<Merged, ProxyError> {
    let page = Page {
        offset: prepared.params.offset,
        limit: prepared.params.limit,
        groups: prepared.plan.group_by.map(|field| (field, prepared.params.group_size)),
    };
    run_plan(proxy, reader, prepared.plan.clone(), page).await
}

/// Runs a search whose hits are given other scores, and with them another order.
async fn run_ranked(
    proxy: &Proxy,
    reader: &Reader,
    prepared: &mut Prepared,
    ranker: &Ranker,
) -> Result<Merged, ProxyError> {
    let (plan, params) = (&mut prepared.plan, &prepared.params);
    if let Some(field) = ranker.field().filter(|field| !plan.output.contains(field)) {
        plan.output.push(field);
    }
    let group = plan.group_by.map(|field| (field, params.group_size));
    // What is skipped is skipped in the new order.
    let page = Page { offset: 0, limit: params.limit + params.offset, groups: group };
    let (metric, queries) = (plan.metric, plan.nq());
    let (limit, offset) = (params.limit, params.offset);
    let found = run_plan(proxy, reader, plan.clone(), page).await?;
    let wanted = Wanted { limit, offset, round_decimal: None, group };
    Ok(fuse(ranker, &[metric], vec![found], queries, &wanted))
}

async fn run_plan(
    proxy: &Proxy,
    reader: &Reader,
    plan: SearchPlan,
    page: Page,
) -> Result<Merged, ProxyError> {
    let plan = Arc::new(plan);
    let answers = reader.search(proxy, Arc::clone(&plan)).await?;
    Ok(merge(answers, &plan, &page))
}

/// Runs one step of an iterator. The next step goes on strictly beyond the last score, so hits at one score
/// are never parted: a page ends before such a run, or, if it is nothing else, after it.
async fn run_page(
    proxy: &Proxy,
    reader: &Reader,
    prepared: &mut Prepared,
    batch: usize,
) -> Result<Merged, ProxyError> {
    let mut wanted = batch + 1;
    loop {
        prepared.plan.k = wanted;
        let page = Page { offset: 0, limit: wanted, groups: None };
        let mut merged = run_plan(proxy, reader, prepared.plan.clone(), page).await?;
        match page_end(&merged.scores, batch, wanted) {
            Some(end) => {
                cut(&mut merged, end);
                return Ok(merged);
            }
            None if wanted >= TIES_MAX => return Ok(merged),
            None => wanted *= 2,
        }
    }
}

/// Where a page of about `batch` hits ends if `wanted` were asked for; `None` if more must be asked for.
fn page_end(scores: &[f32], batch: usize, wanted: usize) -> Option<usize> {
    if scores.len() <= batch {
        return Some(scores.len());
    }
    let last = scores[batch - 1];
    if scores[batch] != last {
        return Some(batch);
    }
    let start = scores.iter().position(|score| *score == last).unwrap_or(0);
    if start > 0 {
        return Some(start);
    }
    let end = scores.iter().position(|score| *score != last);
    end.or_else(|| (scores.len() < wanted).then_some(scores.len()))
}

fn cut(merged: &mut Merged, end: usize) {
    merged.keys.truncate(end);
    merged.scores.truncate(end);
    let rows: Vec<usize> = (0..end).collect();
    merged.rows = merged.rows.take(&rows);
    merged.counts = vec![end];
}

fn iterator_results(proxy: &Proxy, iterator: &IteratorV2, merged: &Merged) -> SearchIteratorV2Results {
    let token = || {
        let random = &proxy.parts().env.random;
        let (high, low) = (random.u64(), random.u64());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            (low >> 48) & 0x3fff | 0x8000,
            low & 0xffff_ffff_ffff
        )
    };
    SearchIteratorV2Results {
        token: iterator.token.clone().unwrap_or_else(token),
        last_bound: merged.scores.last().copied().or(iterator.last_bound).unwrap_or_default(),
    }
}

/// Rounds scores to some decimals.
pub(crate) fn round(scores: &mut [f32], decimals: Option<u32>) {
    if let Some(decimals) = decimals {
        let factor = 10f64.powi(decimals as i32);
        scores.iter_mut().for_each(|score| *score = ((f64::from(*score) * factor).round() / factor) as f32);
    }
}

fn results(
    target: &Target,
    fields: &OutputFields,
    merged: Merged,
    prepared: &Prepared,
) -> Result<SearchResults, ProxyError> {
    let session_ts = merged.at.0;
    let mut data = result_data(target, fields, merged, prepared.params.limit as i64)?;
    if let (Some(group), Some(rows)) = (&prepared.group, data.1.as_mut()) {
        data.0.group_by_field_value = Some(output::take_column(rows, group));
    }
    Ok(SearchResults {
        status: Some(success()),
        results: Some(data.0),
        collection_name: target.collection.name.clone(),
        session_ts,
    })
}

/// The wire form of merged hits, and their rows once more if a group must be shown.
pub(crate) fn result_data(
    target: &Target,
    fields: &OutputFields,
    merged: Merged,
    limit: i64,
) -> Result<(SearchResultData, Option<Rows>), ProxyError> {
    let key = target.primary_key()?;
    let any = !merged.keys.is_empty();
    let rows = any.then(|| merged.rows.clone());
    let data = SearchResultData {
        num_queries: merged.counts.len() as i64,
        top_k: merged.counts.iter().copied().max().map_or(limit, |most| most as i64),
        fields_data: if any { fields.columns(merged.rows) } else { Vec::new() },
        scores: merged.scores,
        ids: Some(keys::to_wire(&merged.keys, key.data_type)),
        topks: merged.counts.iter().map(|count| *count as i64).collect(),
        output_fields: fields.names.clone(),
        primary_field_name: key.name.clone(),
        ..SearchResultData::default()
    };
    Ok((data, rows))
}

/// The fields of a group, for hybrid searches.
pub(crate) fn group_of(target: &Target, name: &str) -> Result<FieldId, ProxyError> {
    group_field(target, name).map(|field| field.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_an_iterator_never_parts_equal_scores() {
        assert_eq!(page_end(&[1.0, 2.0], 3, 4), Some(2));
        assert_eq!(page_end(&[1.0, 2.0, 3.0, 4.0], 3, 4), Some(3));
        assert_eq!(page_end(&[1.0, 2.0, 2.0, 2.0], 3, 4), Some(1));
        assert_eq!(page_end(&[2.0, 2.0, 2.0, 2.0], 3, 4), None);
        assert_eq!(page_end(&[2.0, 2.0, 2.0, 2.0], 3, 8), Some(4));
        assert_eq!(page_end(&[2.0, 2.0, 2.0, 2.0, 5.0], 3, 8), Some(4));
    }

    #[test]
    fn scores_are_rounded_only_if_asked() {
        let mut scores = [0.126, -1.235];
        round(&mut scores, None);
        assert_eq!(scores, [0.126, -1.235]);
        round(&mut scores, Some(2));
        assert_eq!(scores, [0.13, -1.24]);
    }

    #[test]
    fn a_range_must_not_be_empty() {
        let params = |radius, filter| SearchParams {
            radius: Some(radius),
            range_filter: Some(filter),
            ..SearchParams::default()
        };
        assert!(range(Metric::L2, &params(2.0, 1.0)).is_ok());
        assert!(range(Metric::L2, &params(1.0, 2.0)).is_err());
        assert!(range(Metric::Ip, &params(0.1, 0.9)).is_ok());
        assert!(range(Metric::Cosine, &params(0.9, 0.1)).is_err());
    }
}
