//! Parameters of searches and queries: key-value pairs, some of which hold JSON with more of them.

use std::collections::BTreeMap;

use cinclus_types::proto::common::KeyValuePair;
use serde_json::Value as Json;

use crate::index_params;
use crate::status::ProxyError;

/// topk, offset + limit, queries in a request: at most.
pub const WINDOW: i64 = 16384;
/// Hits in a group, at most.
const GROUP_SIZE_MAX: i64 = 100_000;

/// All parameters as text: those of the request, and those inside its `params`, which some clients wrap
/// once more. An outer one wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(BTreeMap<String, String>);

impl Params {
    /// Reads the pairs of a request.
    ///
    /// # Errors
    /// `params` is not a JSON object.
    pub fn of(pairs: &[KeyValuePair]) -> Result<Params, ProxyError> {
        let mut all = BTreeMap::new();
        for pair in pairs.iter().filter(|pair| pair.key == "params") {
            if pair.value.trim().is_empty() {
                continue;
            }
            match serde_json::from_str(&pair.value) {
                Ok(Json::Object(inner)) => flatten(&mut all, inner),
                Ok(_) | Err(_) => {
                    return Err(ProxyError::Invalid(format!(
                        "search params must be JSON, but got {}",
                        pair.value
                    )));
                }
            }
        }
        // Parameters of indexes count inside `params` only, as in Milvus: the Go client may put them beside it.
        let beside = |pair: &&KeyValuePair| pair.key != "params" && !index_params::is_of_search(&pair.key);
        for pair in pairs.iter().filter(beside) {
            all.insert(pair.key.clone(), pair.value.clone());
        }
        Ok(Params(all))
    }

    /// The text of a key; an empty one is none.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str).filter(|text| !text.is_empty() && *text != "None")
    }

    /// The integer of a key.
    ///
    /// # Errors
    /// It is no integer.
    pub fn integer(&self, key: &str) -> Result<Option<i64>, ProxyError> {
        let wrong = |text: &str| ProxyError::Invalid(format!("{key} [{text}] is invalid"));
        self.text(key).map(|text| text.trim().parse().map_err(|_| wrong(text))).transpose()
    }

    /// The number of a key.
    ///
    /// # Errors
    /// It is no number.
    pub fn float(&self, key: &str) -> Result<Option<f32>, ProxyError> {
        let wrong = |text: &str| ProxyError::Invalid(format!("{key} [{text}] is invalid"));
        let parse = |text: &str| match text.trim().parse::<f64>() {
            Ok(number) if !number.is_nan() => Ok(number as f32),
            Ok(_) | Err(_) => Err(wrong(text)),
        };
        self.text(key).map(parse).transpose()
    }

    /// Whether growing segments are to be left out.
    ///
    /// # Errors
    /// It is neither yes nor no.
    pub fn ignore_growing(&self) -> Result<bool, ProxyError> {
        match self.text("ignore_growing").map(str::to_ascii_lowercase).as_deref() {
            None | Some("" | "false" | "f" | "0") => Ok(false),
            Some("true" | "t" | "1") => Ok(true),
            Some(other) => Err(ProxyError::Invalid(format!("parse ignore growing field failed: {other}"))),
        }
    }

    /// Whether a key says yes, in any spelling: clients send `true`, `True` and `1`.
    #[must_use]
    pub fn flag(&self, key: &str) -> bool {
        self.text(key).is_some_and(|text| text.eq_ignore_ascii_case("true") || text == "1")
    }
}

fn flatten(all: &mut BTreeMap<String, String>, object: serde_json::Map<String, Json>) {
    for (key, value) in object {
        match value {
            Json::Object(inner) if key == "params" => flatten(all, inner),
            Json::Null if !index_params::is_of_search(&key) => {}
            Json::String(text) => {
                all.entry(key).or_insert(text);
            }
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_) => {
                all.entry(key).or_insert(value.to_string());
            }
        }
    }
}

/// Which part of the hits of a search is wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SearchParams {
    /// Hits for each query.
    pub limit: usize,
    /// Hits to skip.
    pub offset: usize,
    /// Decimals to round scores to.
    pub round_decimal: Option<u32>,
    /// The metric that the client expects.
    pub metric: Option<String>,
    /// The vector field.
    pub field: Option<String>,
    /// Leave growing segments out.
    pub ignore_growing: bool,
    /// The far bound of a range search.
    pub radius: Option<f32>,
    /// The near bound of a range search.
    pub range_filter: Option<f32>,
    /// One group for each value of this field, …
    pub group_by: Option<String>,
    /// … with so many hits.
    pub group_size: usize,
    /// Whether this is a read of an iterator.
    pub iterator: bool,
    /// The iterator's own parameters, if it is one of version 2.
    pub iterator_v2: Option<IteratorV2>,
    /// Parameters for kinds of indexes.
    pub(crate) of_indexes: BTreeMap<String, String>,
}

/// What a search iterator of version 2 sends.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IteratorV2 {
    /// Hits wanted at once.
    pub batch: usize,
    /// The token of the first answer.
    pub token: Option<String>,
    /// The score of the last hit that the client has.
    pub last_bound: Option<f32>,
}

/// Parameters that ask for something else than hits in the order of their scores.
const UNSERVED: [&str; 4] = ["order_by_fields", "group_by_fields", "json_path", "highlighter"];

impl SearchParams {
    /// Reads the parameters of a search.
    ///
    /// # Errors
    /// One that is out of its range or cannot be read.
    pub fn of(pairs: &[KeyValuePair]) -> Result<SearchParams, ProxyError> {
        let params = Params::of(pairs)?;
        if let Some(key) = UNSERVED.iter().find(|key| params.text(key).is_some()) {
            return Err(ProxyError::Unsupported(format!("the search parameter {key}")));
        }
        let topk = params.integer("topk")?.or(params.integer("limit")?);
        let topk = topk.ok_or_else(|| ProxyError::Invalid("topk not found in search_params".to_owned()))?;
        let iterator = params.flag("iterator");
        // An iterator is not bound by it: it takes what it gets and asks again.
        let topk = if iterator && !(1..=WINDOW).contains(&topk) { WINDOW } else { topk };
        if !(1..=WINDOW).contains(&topk) {
            return Err(ProxyError::TopK(topk));
        }
        let offset = params.integer("offset")?.unwrap_or(0);
        if offset < 0 {
            return Err(ProxyError::Plain(format!(
                "offset [{offset}] is invalid, it should be in range [1, {WINDOW}], but got {offset}"
            )));
        }
        if offset.saturating_add(topk) > WINDOW {
            return Err(ProxyError::OffsetTopK(offset.saturating_add(topk)));
        }
        let iterator_v2 = IteratorV2::of(&params, topk)?;
        let group_by = params.text("group_by_field").map(str::to_owned);
        if iterator && group_by.is_some() {
            return Err(ProxyError::Plain("Not allowed to do groupBy when doing iteration".to_owned()));
        }
        if iterator_v2.is_some() && offset > 0 {
            return Err(ProxyError::Plain("offset is not supported for search iterator".to_owned()));
        }
        Ok(SearchParams {
            limit: topk as usize,
            offset: offset as usize,
            round_decimal: round_decimal(&params)?,
            metric: params.text("metric_type").map(str::to_owned),
            field: params.text("anns_field").map(str::to_owned),
            ignore_growing: params.ignore_growing()?,
            radius: params.float("radius")?,
            range_filter: params.float("range_filter")?,
            group_size: group_size(&params)?,
            group_by,
            iterator,
            iterator_v2,
            of_indexes: params
                .0
                .iter()
                .filter(|(key, _)| index_params::is_of_search(key))
                .map(|(key, text)| (key.clone(), text.clone()))
                .collect(),
        })
    }
}

impl IteratorV2 {
    fn of(params: &Params, topk: i64) -> Result<Option<IteratorV2>, ProxyError> {
        if !params.flag("search_iter_v2") {
            return Ok(None);
        }
        let batch = params.integer("search_iter_batch_size")?.unwrap_or(topk);
        if !(1..=WINDOW).contains(&batch) {
            return Err(ProxyError::Plain(format!(
                "batch size is invalid, it should be in range [1, {WINDOW}], but got {batch}"
            )));
        }
        Ok(Some(IteratorV2 {
            batch: batch as usize,
            token: params.text("search_iter_id").map(str::to_owned),
            last_bound: params.float("search_iter_last_bound")?,
        }))
    }
}

fn round_decimal(params: &Params) -> Result<Option<u32>, ProxyError> {
    match params.integer("round_decimal")? {
        None | Some(-1) => Ok(None),
        Some(decimals) if (0..=6).contains(&decimals) => Ok(Some(decimals as u32)),
        Some(decimals) => Err(ProxyError::Plain(format!(
            "round_decimal [{decimals}] is invalid, it should be -1 or an integer in range [0, 6]"
        ))),
    }
}

fn group_size(params: &Params) -> Result<usize, ProxyError> {
    match params.integer("group_size")?.unwrap_or(1) {
        size if (1..=GROUP_SIZE_MAX).contains(&size) => Ok(size as usize),
        size => {
            Err(ProxyError::Invalid(format!("input group size:{size} is out of range [1, {GROUP_SIZE_MAX}]")))
        }
    }
}

/// Which part of the rows of a query is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryParams {
    /// Rows, if bounded.
    pub limit: Option<usize>,
    /// Rows to skip.
    pub offset: usize,
    /// Leave growing segments out.
    pub ignore_growing: bool,
    /// Whether this is a read of an iterator.
    pub iterator: bool,
}

impl QueryParams {
    /// Reads the parameters of a query.
    ///
    /// # Errors
    /// One that is out of its range or cannot be read.
    pub fn of(pairs: &[KeyValuePair]) -> Result<QueryParams, ProxyError> {
        let params = Params::of(pairs)?;
        if let Some(key) =
            ["order_by_fields", "group_by_fields"].iter().find(|key| params.text(key).is_some())
        {
            return Err(ProxyError::Unsupported(format!("the query parameter {key}")));
        }
        let limit = params.integer("limit")?;
        let offset = params.integer("offset")?.unwrap_or(0);
        if offset < 0 {
            return Err(ProxyError::Plain(format!(
                "invalid max query result window, offset [{offset}] is invalid, should be gte than 0"
            )));
        }
        if let Some(limit) = limit {
            let window = limit.saturating_add(offset);
            if limit < 1 {
                return Err(ProxyError::Limit(limit));
            }
            if window > WINDOW {
                return Err(ProxyError::Window(window));
            }
        }
        Ok(QueryParams {
            limit: limit.map(|limit| limit as usize),
            // Without a limit all rows are wanted, as Milvus has it.
            offset: if limit.is_some() { offset as usize } else { 0 },
            ignore_growing: params.ignore_growing()?,
            iterator: params.flag("iterator"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<KeyValuePair> {
        pairs
            .iter()
            .map(|(key, value)| KeyValuePair { key: (*key).to_owned(), value: (*value).to_owned() })
            .collect()
    }

    fn search(given: &[(&str, &str)]) -> Result<SearchParams, String> {
        SearchParams::of(&pairs(given)).map_err(|error| error.to_string())
    }

    #[test]
    fn parameters_are_read_from_all_layers() {
        let params = search(&[
            ("topk", "10"),
            ("offset", "5"),
            ("ignore_growing", "False"),
            ("round_decimal", "2"),
            ("metric_type", "L2"),
            ("params", r#"{"nprobe":10,"metric_type":"IP","params":{"radius":1.5,"range_filter":"0.5"}}"#),
        ])
        .unwrap();
        assert_eq!((params.limit, params.offset, params.round_decimal), (10, 5, Some(2)));
        assert_eq!((params.radius, params.range_filter), (Some(1.5), Some(0.5)));
        assert_eq!(
            (params.metric.as_deref(), params.ignore_growing, params.group_size),
            (Some("L2"), false, 1)
        );
    }

    #[test]
    fn what_is_for_indexes_stands_as_it_was_written() {
        let json =
            r#"{"ef": null, "params": {"nprobe": 32.0}, "refine_k": true, "reorder_k": "8", "radius": null}"#;
        let params = search(&[("topk", "3"), ("params", json), ("ef", "-1")]).unwrap();
        let found: Vec<(&str, &str)> =
            params.of_indexes.iter().map(|(key, text)| (key.as_str(), text.as_str())).collect();
        assert_eq!(found, [("ef", "null"), ("nprobe", "32.0"), ("refine_k", "true"), ("reorder_k", "8")]);
        assert_eq!(params.radius, None);
    }

    #[test]
    fn an_iterator_of_version_2_is_recognised() {
        let params = search(&[
            ("topk", "3"),
            ("iterator", "True"),
            ("search_iter_v2", "True"),
            ("search_iter_batch_size", "3"),
            ("search_iter_last_bound", "0.25"),
            ("search_iter_id", "x"),
        ])
        .unwrap();
        let expected = IteratorV2 { batch: 3, token: Some("x".into()), last_bound: Some(0.25) };
        assert_eq!((params.iterator, params.iterator_v2), (true, Some(expected)));
    }

    #[test]
    fn ranges_are_kept_with_the_documented_texts() {
        let check = |given: &[(&str, &str)], text: &str| assert_eq!(search(given).unwrap_err(), text);
        check(&[("topk", "0")], "topk [0] is invalid, it should be in range [1, 16384], but got 0");
        check(
            &[("topk", "16385")],
            "topk [16385] is invalid, it should be in range [1, 16384], but got 16385",
        );
        check(
            &[("topk", "16384"), ("offset", "1")],
            "offset+topk [16385] is invalid, it should be in range [1, 16384], but got 16385",
        );
        check(&[("topk", "x")], "topk [x] is invalid: invalid parameter");
        check(
            &[("topk", "1"), ("round_decimal", "7")],
            "round_decimal [7] is invalid, it should be -1 or an integer in range [0, 6]",
        );
        let query =
            |given: &[(&str, &str)]| QueryParams::of(&pairs(given)).map_err(|error| error.to_string());
        assert_eq!(
            query(&[("limit", "16380"), ("offset", "5")]).unwrap_err(),
            "invalid max query result window, (offset+limit) should be in range [1, 16384], but got 16385"
        );
        assert_eq!(
            query(&[("limit", "0")]).unwrap_err(),
            "invalid max query result window, limit [0] is invalid, should be greater than 0: it should be in range [1, 16384], but got 0"
        );
        assert_eq!(query(&[("limit", "2"), ("offset", "1")]).map(|p| (p.limit, p.offset)), Ok((Some(2), 1)));
    }
}
