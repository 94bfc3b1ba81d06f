//! Which scores may be answered.

use cinclus_types::Metric;

use cinclus_rpc::{RangeBounds, SearchPlan};

/// The order of scores as a *rank*, of which less is better, and the scores that may be answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Minus one if a greater score is a better one.
    sign: f32,
    range: Option<RangeBounds>,
    beyond: Option<f32>,
}

impl Bounds {
    pub(super) fn of(plan: &SearchPlan) -> Bounds {
        Bounds { sign: sign(plan.metric), range: plan.range, beyond: plan.beyond }
    }

    /// The rank of a score.
    #[inline]
    pub(super) fn rank(&self, score: f32) -> f32 {
        // Adding zero makes one zero of both, so that they are equal scores. No branch: this is done in strips.
        score * self.sign + 0.0
    }

    /// The score of a rank.
    pub(super) fn score(&self, rank: f32) -> f32 {
        self.rank(rank)
    }

    /// Whether a score may be answered; what is no number may not.
    pub(super) fn admit(&self, score: f32) -> bool {
        let rank = self.rank(score);
        let beyond = self.beyond.is_none_or(|beyond| rank > self.rank(beyond));
        beyond
            && !score.is_nan()
            && self.range.is_none_or(|range| {
                rank < self.rank(range.radius) && range.filter.is_none_or(|filter| rank >= self.rank(filter))
            })
    }
}

fn sign(metric: Metric) -> f32 {
    if metric.greater_is_better() { -1.0 } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_near_bound_is_inclusive_and_the_far_one_and_beyond_are_exclusive() {
        let range = Some(RangeBounds { radius: 4.0, filter: Some(2.0) });
        let l2 = Bounds { sign: sign(Metric::L2), range, beyond: None };
        assert_eq!([1.9, 2.0, 3.9, 4.0].map(|score| l2.admit(score)), [false, true, true, false]);
        let range = Some(RangeBounds { radius: 2.0, filter: Some(4.0) });
        let ip = Bounds { sign: sign(Metric::Ip), range, beyond: None };
        assert_eq!([2.0, 2.1, 4.0, 4.1].map(|score| ip.admit(score)), [false, true, true, false]);
        let further = Bounds { sign: sign(Metric::Cosine), range: None, beyond: Some(0.5) };
        assert_eq!([0.6, 0.5, 0.4, f32::NAN].map(|score| further.admit(score)), [false, false, true, false]);
        assert_eq!(ip.rank(0.0).to_bits(), ip.rank(-0.0).to_bits());
    }
}
