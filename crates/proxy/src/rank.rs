//! Fusing the hits of several searches into one list.

use std::f32::consts::PI;

use cinclus_types::proto::common::KeyValuePair;
use cinclus_types::proto::schema::FunctionScore;
use cinclus_types::{Key, Metric};
use rustc_hash::FxHashMap;

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
}

impl Ranker {
    /// The ranker of a hybrid search over `searches` searches: in its rank parameters, or, newer, a function.
    ///
    /// # Errors
    /// There is no such ranker, or its parameters do not fit.
    pub fn of(
        pairs: &[KeyValuePair],
        function: Option<&FunctionScore>,
        searches: usize,
    ) -> Result<Ranker, ProxyError> {
        match function.and_then(|score| score.functions.first()) {
            Some(function) => {
                let params = Params::of(&function.params)?;
                let name = params.text("reranker").unwrap_or_default().to_owned();
                Ranker::named(&name, &params, searches, false)
            }
            None => {
                let params = Params::of(pairs)?;
                let name = params.text("strategy").unwrap_or("rrf").to_owned();
                Ranker::named(&name, &params, searches, true)
            }
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

    /// Fuses the hits of one query: for each search its metric and its hits, best first.
    #[must_use]
    pub fn fuse(&self, lists: &[(Metric, &[Key], &[f32])]) -> Vec<(Key, f32)> {
        let mut sums: FxHashMap<&Key, f32> = FxHashMap::default();
        for (at, (metric, keys, scores)) in lists.iter().enumerate() {
            for (rank, (key, score)) in keys.iter().zip(scores.iter()).enumerate() {
                *sums.entry(key).or_default() += match self {
                    Ranker::Rrf { k } => 1.0 / (k + rank as f32 + 1.0),
                    Ranker::Weighted { weights, normalise } => {
                        weights[at] * normal(*metric, *score, *normalise)
                    }
                };
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

    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<KeyValuePair> {
        pairs
            .iter()
            .map(|(key, value)| KeyValuePair { key: (*key).to_owned(), value: (*value).to_owned() })
            .collect()
    }

    fn ranker(given: &[(&str, &str)]) -> Result<Ranker, String> {
        Ranker::of(&pairs(given), None, 2).map_err(|error| error.to_string())
    }

    fn keys(keys: &[i64]) -> Vec<Key> {
        keys.iter().map(|key| Key::Int64(*key)).collect()
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
            functions: vec![FunctionSchema { params, ..FunctionSchema::default() }],
            params: vec![],
        };
        assert_eq!(
            Ranker::of(&[], Some(&score), 2),
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
        let lists: [(Metric, &[Key], &[f32]); 2] =
            [(Metric::L2, &a, &[0.1, 0.2]), (Metric::Ip, &b, &[9.0, 8.0])];
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
        let lists: [(Metric, &[Key], &[f32]); 2] = [(Metric::Cosine, &a, &[0.5]), (Metric::L2, &b, &[1.0])];
        let fused = Ranker::Weighted { weights: vec![0.5, 1.0], normalise: true }.fuse(&lists);
        assert!((fused[0].1 - (0.5 * 0.75 + 0.5)).abs() < 1e-6);
        let lists: [(Metric, &[Key], &[f32]); 1] = [(Metric::Ip, &a, &[3.0])];
        let raw = Ranker::Weighted { weights: vec![0.5], normalise: false }.fuse(&lists);
        assert!((raw[0].1 - 1.5).abs() < 1e-6);
    }
}
