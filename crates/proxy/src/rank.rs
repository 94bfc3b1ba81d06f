//! Fusing the hits of several searches into one list.

use std::f32::consts::PI;
use std::ops::Range;

use cinclus_types::proto::common::KeyValuePair;
use cinclus_types::proto::schema::{FunctionScore, FunctionType};
use cinclus_types::{CollectionSchema, FieldId, Key, Metric, Rows};
use rustc_hash::FxHashMap;

use crate::decay::Decay;
use crate::params::{Params, WINDOW};
use crate::status::ProxyError;

/// How hits are fused.
#[derive(Clone, Debug, PartialEq)]
pub enum Ranker {
    /// Reciprocal ranks: the sum of `1 / (k + rank)`, ranks from 1.
    Rrf {
        /// The greater, the less the first ranks count.
        k: f32,
    },
    /// The weighted sum of scores.
    Weighted {
        /// One for each search.
        weights: Vec<f32>,
        /// Whether scores are first brought to 0..1.
        normalise: bool,
    },
    /// The best score times a factor of the row.
    Decay(Decay),
}

/// The hits of one query in one search, best first.
pub struct List<'a> {
    /// Of the scores.
    pub metric: Metric,
    /// Their keys.
    pub keys: &'a [Key],
    /// Their scores.
    pub scores: &'a [f32],
    /// What the ranker multiplies their scores with; empty: nothing.
    pub factors: Vec<f32>,
}

impl Ranker {
    /// The ranker of a hybrid search over `searches` searches: in its rank parameters, or, newer, a function.
    ///
    /// # Errors
    /// There is no such ranker, or its parameters do not fit.
    pub fn of(
        schema: &CollectionSchema,
        pairs: &[KeyValuePair],
        function: Option<&FunctionScore>,
        searches: usize,
    ) -> Result<Ranker, ProxyError> {
        if let Some(ranker) = Ranker::of_function(schema, function, searches)? {
            return Ok(ranker);
        }
        let params = Params::of(pairs)?;
        let name = params.text("strategy").unwrap_or("rrf").to_owned();
        Ranker::named(&name, &params, searches, true)
    }

    /// The ranker that a function is, if there is one.
    ///
    /// # Errors
    /// As [`Ranker::of`].
    pub fn of_function(
        schema: &CollectionSchema,
        score: Option<&FunctionScore>,
        searches: usize,
    ) -> Result<Option<Ranker>, ProxyError> {
        let function = match score.map_or(&[][..], |score| score.functions.as_slice()) {
            [] => return Ok(None),
            [function] => function,
            [_, _, ..] => return Err(ProxyError::Plain("Currently only supports one rerank".to_owned())),
        };
        if function.r#type != FunctionType::Rerank as i32 {
            let name = FunctionType::try_from(function.r#type).map_or("Unknown", |known| known.as_str_name());
            return Err(ProxyError::Plain(format!("{name} is not rerank function.")));
        }
        if !function.output_field_names.is_empty() {
            let text = format!(
                "Rerank function should not have output field, but now is {}",
                function.output_field_names.len()
            );
            return Err(ProxyError::Plain(text));
        }
        let name = function.params.iter().find(|pair| pair.key.eq_ignore_ascii_case("reranker"));
        let name = name.map_or_else(String::new, |pair| pair.value.to_ascii_lowercase());
        match name.as_str() {
            "decay" => Decay::of(schema, function).map(|decay| Some(Ranker::Decay(decay))),
            "rrf" | "weighted" => {
                Ranker::named(&name, &Params::of(&function.params)?, searches, false).map(Some)
            }
            "model" | "boost" => Err(ProxyError::Unsupported(format!("the ranker {name}"))),
            other => Err(ProxyError::Plain(format!(
                "Unsupported rerank function: [{other}] , list of supported [decay,model,rrf,weighted]"
            ))),
        }
    }

    /// The field whose values it needs.
    #[must_use]
    pub fn field(&self) -> Option<FieldId> {
        match self {
            Ranker::Decay(decay) => Some(decay.field),
            Ranker::Rrf { .. } | Ranker::Weighted { .. } => None,
        }
    }

    /// What it multiplies the scores of these rows with; empty: nothing.
    #[must_use]
    pub fn factors(&self, rows: &Rows, hits: Range<usize>) -> Vec<f32> {
        match self {
            Ranker::Decay(decay) => match rows.column(decay.field) {
                Some(column) => hits.map(|hit| decay.factor(&column.value(hit))).collect(),
                None => Vec::new(),
            },
            Ranker::Rrf { .. } | Ranker::Weighted { .. } => Vec::new(),
        }
    }

    fn named(name: &str, params: &Params, searches: usize, normalise: bool) -> Result<Ranker, ProxyError> {
        match name.to_ascii_lowercase().as_str() {
            "rrf" => {
                let k = params.float("k")?.unwrap_or(60.0);
                if k <= 0.0 || k >= WINDOW as f32 {
                    return Err(ProxyError::Invalid(format!(
                        "The rank params k should be in range (0, {WINDOW}), but got {k}"
                    )));
                }
                Ok(Ranker::Rrf { k })
            }
            "weighted" => {
                let normalise =
                    if params.text("norm_score").is_some() { params.flag("norm_score") } else { normalise };
                Ok(Ranker::Weighted { weights: weights(params, searches)?, normalise })
            }
            other => Err(ProxyError::Unsupported(format!("the ranker {other}"))),
        }
    }

    /// Fuses the hits of one query, found by several searches.
    #[must_use]
    pub fn fuse(&self, lists: &[List<'_>]) -> Vec<(Key, f32)> {
        let mut sums: FxHashMap<&Key, f32> = FxHashMap::default();
        for (at, list) in lists.iter().enumerate() {
            for (rank, (key, score)) in list.keys.iter().zip(list.scores).enumerate() {
                match self {
                    Ranker::Rrf { k } => *sums.entry(key).or_default() += 1.0 / (k + rank as f32 + 1.0),
                    Ranker::Weighted { weights, normalise } => {
                        *sums.entry(key).or_default() +=
                            weights[at] * normal(list.metric, *score, *normalise);
                    }
                    Ranker::Decay(_) => {
                        // A row has one factor, and factors are not negative: the best score stays the best.
                        let factor = list.factors.get(rank).copied().unwrap_or(0.0);
                        let score = factor * normal(list.metric, *score, false);
                        sums.entry(key).and_modify(|best| *best = best.max(score)).or_insert(score);
                    }
                }
            }
        }
        let mut fused: Vec<(Key, f32)> = sums.into_iter().map(|(key, score)| (key.clone(), score)).collect();
        fused.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        fused
    }
}

/// A score as a number of which a greater one is better.
fn normal(metric: Metric, score: f32, normalise: bool) -> f32 {
    match metric {
        Metric::L2 => 1.0 - 2.0 * score.atan() / PI,
        Metric::Cosine if normalise => (1.0 + score) / 2.0,
        Metric::Ip if normalise => 0.5 + score.atan() / PI,
        Metric::Cosine | Metric::Ip => score,
    }
}

fn weights(params: &Params, searches: usize) -> Result<Vec<f32>, ProxyError> {
    let text = params.text("weights").unwrap_or_default();
    let weights: Vec<f32> = serde_json::from_str(text).map_err(|_| {
        ProxyError::Invalid(format!("the weights param must be a list of numbers, but got {text}"))
    })?;
    if weights.len() != searches {
        return Err(ProxyError::Unexpected {
            what: "the length of weights param mismatch with ann search requests".into(),
            expected: searches.to_string(),
            actual: weights.len().to_string(),
        });
    }
    match weights.iter().find(|weight| !(0.0..=1.0).contains(*weight)) {
        None => Ok(weights),
        Some(weight) => {
            Err(ProxyError::Invalid(format!("rank param weight should be in range [0, 1], but got {weight}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use cinclus_types::proto::schema::FunctionSchema;
    use cinclus_types::{Column, ColumnData, DataType, FieldSchema};

    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<KeyValuePair> {
        pairs
            .iter()
            .map(|(key, value)| KeyValuePair { key: (*key).to_owned(), value: (*value).to_owned() })
            .collect()
    }

    fn ranker(given: &[(&str, &str)]) -> Result<Ranker, String> {
        Ranker::of(&CollectionSchema::default(), &pairs(given), None, 2).map_err(|error| error.to_string())
    }

    fn keys(keys: &[i64]) -> Vec<Key> {
        keys.iter().map(|key| Key::Int64(*key)).collect()
    }

    fn list<'a>(metric: Metric, keys: &'a [Key], scores: &'a [f32]) -> List<'a> {
        List { metric, keys, scores, factors: Vec::new() }
    }

    #[test]
    fn the_best_score_of_a_row_is_multiplied_with_its_factor() {
        let mut schema = CollectionSchema::default();
        schema.fields.push(FieldSchema::new(FieldId(101), "at", DataType::Int64));
        let function = FunctionSchema {
            params: pairs(&[("reranker", "decay"), ("function", "exp"), ("origin", "0"), ("scale", "1")]),
            input_field_names: vec!["at".to_owned()],
            r#type: FunctionType::Rerank as i32,
            ..FunctionSchema::default()
        };
        let score = FunctionScore { functions: vec![function.clone()], params: vec![] };
        let ranker = Ranker::of_function(&schema, Some(&score), 1).unwrap().unwrap();
        let column = Column::new(FieldId(101), ColumnData::Int64(vec![9, 0, 1]));
        let rows = Rows { count: 3, columns: vec![column] };
        assert_eq!((ranker.field(), ranker.factors(&rows, 1..3)), (Some(FieldId(101)), vec![1.0, 0.5]));
        let (a, b) = (keys(&[1, 2]), keys(&[2]));
        let lists = [
            List { factors: vec![0.25, 1.0], ..list(Metric::Cosine, &a, &[0.8, 0.1]) },
            List { factors: vec![1.0], ..list(Metric::Cosine, &b, &[0.5]) },
        ];
        assert_eq!(ranker.fuse(&lists), [(Key::Int64(2), 0.5), (Key::Int64(1), 0.2)]);

        let refused = |change: fn(&mut FunctionSchema)| {
            let mut function = function.clone();
            change(&mut function);
            let score = FunctionScore { functions: vec![function], params: vec![] };
            Ranker::of_function(&schema, Some(&score), 1).unwrap_err().to_string()
        };
        assert!(refused(|f| f.params[0].value = "1".into()).starts_with("Unsupported rerank function: [1]"));
        assert_eq!(refused(|f| f.r#type = 1), "BM25 is not rerank function.");
        assert!(
            refused(|f| f.output_field_names = vec!["x".into()]).contains("should not have output field")
        );
        assert!(refused(|f| f.params[0].value = "model".into()).contains("not supported"));
        let two = FunctionScore { functions: vec![function.clone(), function.clone()], params: vec![] };
        assert!(Ranker::of_function(&schema, Some(&two), 1).is_err());
        assert_eq!(Ranker::of_function(&schema, None, 1), Ok(None));
    }

    #[test]
    fn rankers_are_read_from_both_forms() {
        assert_eq!(ranker(&[]), Ok(Ranker::Rrf { k: 60.0 }));
        assert_eq!(ranker(&[("strategy", "rrf"), ("params", r#"{"k":10}"#)]), Ok(Ranker::Rrf { k: 10.0 }));
        assert_eq!(
            ranker(&[("strategy", "weighted"), ("params", r#"{"weights":[0.3,0.7],"norm_score":false}"#)]),
            Ok(Ranker::Weighted { weights: vec![0.3, 0.7], normalise: false })
        );
        let params = pairs(&[("reranker", "weighted"), ("weights", "[0.5, 1]")]);
        let score = FunctionScore {
            functions: vec![FunctionSchema {
                params,
                r#type: FunctionType::Rerank as i32,
                ..FunctionSchema::default()
            }],
            params: vec![],
        };
        assert_eq!(
            Ranker::of(&CollectionSchema::default(), &[], Some(&score), 2),
            Ok(Ranker::Weighted { weights: vec![0.5, 1.0], normalise: false })
        );
    }

    #[test]
    fn parameters_that_do_not_fit_are_refused() {
        let weighted = |weights| ranker(&[("strategy", "weighted"), ("params", weights)]).unwrap_err();
        assert_eq!(
            weighted(r#"{"weights":[0.3]}"#),
            "the length of weights param mismatch with ann search requests: invalid parameter[expected=2][actual=1]"
        );
        assert!(weighted(r#"{"weights":[0.3,1.5]}"#).contains("rank param weight should be in range [0, 1]"));
        assert!(weighted("{}").contains("must be a list of numbers"));
        let rrf = ranker(&[("params", r#"{"k":16384}"#)]).unwrap_err();
        assert!(rrf.contains("The rank params k should be in range (0, 16384)"));
        assert!(ranker(&[("strategy", "decay")]).is_err());
    }

    #[test]
    fn reciprocal_ranks_add_up() {
        let (a, b) = (keys(&[1, 2]), keys(&[2, 3]));
        let lists = [list(Metric::L2, &a, &[0.1, 0.2]), list(Metric::Ip, &b, &[9.0, 8.0])];
        let fused = Ranker::Rrf { k: 60.0 }.fuse(&lists);
        let expected = [(2, 1.0 / 62.0 + 1.0 / 61.0), (1, 1.0 / 61.0), (3, 1.0 / 62.0)];
        for ((key, score), (number, sum)) in fused.iter().zip(expected) {
            assert_eq!(key, &Key::Int64(number));
            assert!((score - sum).abs() < 1e-6);
        }
        assert_eq!(fused.len(), 3);
    }

    #[test]
    fn weighted_scores_are_normalised_by_metric() {
        let (a, b) = (keys(&[1]), keys(&[1]));
        let lists = [list(Metric::Cosine, &a, &[0.5]), list(Metric::L2, &b, &[1.0])];
        let fused = Ranker::Weighted { weights: vec![0.5, 1.0], normalise: true }.fuse(&lists);
        assert!((fused[0].1 - (0.5 * 0.75 + 0.5)).abs() < 1e-6);
        let lists = [list(Metric::Ip, &a, &[3.0])];
        let raw = Ranker::Weighted { weights: vec![0.5], normalise: false }.fuse(&lists);
        assert!((raw[0].1 - 1.5).abs() < 1e-6);
    }
}
