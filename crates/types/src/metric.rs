//! How near two vectors are.

use serde::{Deserialize, Serialize};

/// A metric of float vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Metric {
    /// Squared Euclidean distance: less is better.
    L2,
    /// Inner product: more is better.
    Ip,
    /// Cosine of the angle: more is better.
    Cosine,
}

impl Metric {
    /// Whether a greater score is a better one.
    #[must_use]
    pub const fn greater_is_better(self) -> bool {
        matches!(self, Metric::Ip | Metric::Cosine)
    }

    /// The name that Milvus uses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Metric::L2 => "L2",
            Metric::Ip => "IP",
            Metric::Cosine => "COSINE",
        }
    }

    /// The metric of a name, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Metric> {
        [Metric::L2, Metric::Ip, Metric::Cosine].into_iter().find(|m| m.name().eq_ignore_ascii_case(name))
    }
}
