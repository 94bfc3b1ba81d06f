//! Queries: rows that match a filter, in the order of their keys.

use cinclus_rpc::{QueryPlan, merge_answers};
use cinclus_types::Rows;

use crate::consistency::Asked;
use crate::convert::{output, templates};
use crate::fields::OutputFields;
use crate::params::QueryParams;
use crate::proto::milvus::{QueryRequest, QueryResults};
use crate::proxy::{Call, Proxy, Target};
use crate::read::{Gathered, Reader, parse_optional, partitions};
use crate::status::{ProxyError, success};

/// The output field that asks for the number of rows.
const COUNT: &str = "count(*)";

/// Answers a query.
///
/// # Errors
/// The request does not fit the collection, or a shard did not answer.
pub(crate) async fn query(
    proxy: &Proxy,
    call: &Call,
    request: QueryRequest,
) -> Result<QueryResults, ProxyError> {
    let target = proxy.target(call, &request.db_name, &request.collection_name)?;
    let params = QueryParams::of(&request.query_params)?;
    let values = templates::values(&request.expr_template_values);
    let filter = parse_optional(&target, &request.expr, &values)?;
    let counts = request.output_fields.iter().any(|name| name.trim().eq_ignore_ascii_case(COUNT));
    if counts && params.limit.is_some() {
        return Err(ProxyError::Plain("count entities with pagination is not allowed".to_owned()));
    }
    if filter.is_none() && params.limit.is_none() && !counts {
        return Err(ProxyError::EmptyExpression);
    }
    refuse_aggregations(&target, &request.output_fields)?;
    let fields = if counts {
        OutputFields { fields: Vec::new(), names: vec![COUNT.to_owned()], keys: None }
    } else {
        OutputFields::of(target.collection.schema(), &request.output_fields)?
            .with_first(target.primary_key()?)
    };
    let partitions = partitions(&target, &request.partition_names)?;
    let asked = Asked {
        level: request.consistency_level,
        use_default: request.use_default_consistency,
        guarantee: request.guarantee_timestamp,
        iterator: params.iterator,
    };
    let reader = Reader {
        verb: "query",
        partitions,
        freshness: proxy.freshness(&target, asked).await?,
        ignore_growing: params.ignore_growing,
        patience: proxy.patience(call),
        target,
    };
    reader.check_loaded()?;
    let limit = params.limit.map(|limit| limit + params.offset);
    let plan = QueryPlan { filter, limit, count_only: counts, output: fields.ids() };
    let answer = reader.query(proxy, plan.clone()).await?;
    results(&reader.target, &fields, answer, &plan, params.offset)
}

/// Refuses to count the values of a field.
fn refuse_aggregations(target: &Target, asked: &[String]) -> Result<(), ProxyError> {
    let field = |name: &String| {
        let inside = name.trim().strip_prefix("count(")?.strip_suffix(')')?.trim();
        (inside != "*").then(|| inside.to_owned())
    };
    match asked.iter().find_map(field) {
        None => Ok(()),
        Some(field) if target.collection.schema().field(&field).is_some() => {
            Err(ProxyError::Unsupported(format!("the aggregation count({field})")))
        }
        Some(field) => {
            let text = format!("target field {field} for aggregation:count does not exist");
            Err(ProxyError::Plain(text))
        }
    }
}

fn results(
    target: &Target,
    fields: &OutputFields,
    answer: Gathered,
    plan: &QueryPlan,
    offset: usize,
) -> Result<QueryResults, ProxyError> {
    let session_ts = answer.at().0;
    let fields_data = if plan.count_only {
        vec![output::count(answer.0.iter().map(|shard| shard.count).sum())]
    } else {
        fields.columns(page(answer, plan, offset))
    };
    Ok(QueryResults {
        status: Some(success()),
        fields_data,
        collection_name: target.collection.name.clone(),
        output_fields: fields.names.clone(),
        session_ts,
        primary_field_name: target.primary_key()?.name.clone(),
        element_indices: Vec::new(),
    })
}

/// The asked rows of all shards, in the order of their keys.
fn page(answer: Gathered, plan: &QueryPlan, offset: usize) -> Rows {
    let mut shards = answer.0;
    let rows = match shards.as_mut_slice() {
        [only] => std::mem::take(&mut only.rows),
        _ => merge_answers(&shards, plan).rows,
    };
    if offset == 0 {
        return rows;
    }
    let kept: Vec<usize> = (offset..rows.count).collect();
    rows.take(&kept)
}

#[cfg(test)]
mod tests {
    use cinclus_rpc::QueryAnswer;
    use cinclus_types::{Column, ColumnData, FieldId, Key, Tick};

    use super::*;

    fn shard(keys: &[i64]) -> QueryAnswer {
        QueryAnswer {
            keys: keys.iter().map(|key| Key::Int64(*key)).collect(),
            ticks: vec![Tick(1); keys.len()],
            rows: Rows {
                count: keys.len(),
                columns: vec![Column::new(FieldId(100), ColumnData::Int64(keys.to_vec()))],
            },
            ..QueryAnswer::default()
        }
    }

    fn check(shards: &[&[i64]], limit: Option<usize>, offset: usize, expected: &[i64]) {
        let answer = Gathered(shards.iter().map(|keys| shard(keys)).collect());
        let limit = limit.map(|limit| limit + offset);
        let plan = QueryPlan { filter: None, limit, count_only: false, output: vec![FieldId(100)] };
        let rows = page(answer, &plan, offset);
        let found = match rows.columns.first().map(|column| &column.data) {
            Some(ColumnData::Int64(found)) => found.clone(),
            _ => Vec::new(),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn rows_of_shards_come_in_the_order_of_their_keys() {
        check(&[&[1, 4, 6], &[2, 3, 9]], None, 0, &[1, 2, 3, 4, 6, 9]);
        check(&[&[1, 4, 6], &[2, 3, 9]], Some(3), 1, &[2, 3, 4]);
        check(&[&[1, 4]], Some(1), 1, &[4]);
        check(&[&[1]], Some(1), 1, &[]);
        check(&[&[1, 4]], None, 0, &[1, 4]);
        check(&[&[], &[]], None, 0, &[]);
    }
}
