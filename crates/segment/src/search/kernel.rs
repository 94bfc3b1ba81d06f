//! Distances of float vectors: AVX-512, AVX2 with FMA, or plain code, chosen at run time.
//!
//! The score of a query and a row is the same to the last bit however many queries or rows are computed
//! together: one accumulator of a fixed number of lanes for each pair, summed up in a fixed order. So an
//! iterator may go on "strictly beyond" a score that another search answered.
#![cfg_attr(
    target_arch = "x86_64",
    expect(
        unsafe_code,
        reason = "vector loads take pointers: the one file of the house where they are allowed"
    )
)]

/// What is summed over the dimensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    /// The products: inner product.
    Dot,
    /// The squared differences: squared Euclidean distance.
    Squares,
}

/// Which rows of a block are measured.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Picked<'a> {
    /// So many rows from a row on.
    Run(usize, usize),
    /// These rows.
    Rows(&'a [u32]),
}

impl Picked<'_> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Picked::Run(_, count) => *count,
            Picked::Rows(rows) => rows.len(),
        }
    }

    /// The row in the block of the `at`th picked row.
    #[inline]
    pub(crate) fn row(&self, at: usize) -> usize {
        match self {
            Picked::Run(first, _) => first + at,
            Picked::Rows(rows) => rows[at] as usize,
        }
    }
}

/// The instructions that are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Plain,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// All levels that this machine has, the best last.
    pub(crate) fn available() -> impl Iterator<Item = Level> {
        let plain = std::iter::once(Level::Plain);
        #[cfg(target_arch = "x86_64")]
        let plain = {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let avx512 = is_x86_feature_detected!("avx512f");
            plain.chain(avx2.then_some(Level::Avx2)).chain(avx512.then_some(Level::Avx512))
        };
        plain
    }

    fn best() -> Level {
        Level::available().last().unwrap_or(Level::Plain)
    }
}

/// Measures each query against each picked row of `data`: `scores[query × picked + row]`.
///
/// # Panics
/// If a picked row is not in `data`, or `scores` is not as long as all pairs.
pub(crate) fn measure(
    measure: Measure,
    dim: usize,
    queries: &[f32],
    data: &[f32],
    picked: Picked<'_>,
    scores: &mut [f32],
) {
    measure_at(Level::best(), measure, dim, queries, (data, picked), scores);
}

/// The Euclidean norm of each row.
pub(crate) fn norms(data: &[f32], dim: usize) -> Box<[f32]> {
    let level = Level::best();
    let norm = |row: &[f32]| {
        let mut square = [0.0];
        measure_at(level, Measure::Dot, dim, row, (row, Picked::Run(0, 1)), &mut square);
        square[0].sqrt()
    };
    data.chunks_exact(dim.max(1)).map(norm).collect()
}

fn measure_at(
    level: Level,
    measure: Measure,
    dim: usize,
    queries: &[f32],
    (data, picked): (&[f32], Picked<'_>),
    scores: &mut [f32],
) {
    let rows = data.len() / dim.max(1);
    let inside = match picked {
        Picked::Run(first, count) => first + count <= rows,
        Picked::Rows(picked) => picked.iter().all(|&row| (row as usize) < rows),
    };
    assert!(inside, "a picked row is not in the block of {rows}");
    assert_eq!(scores.len() * dim, queries.len() * picked.len(), "scores for each query and row");
    match (level, measure) {
        (Level::Plain, Measure::Dot) => plain::run::<false>(dim, queries, data, picked, scores),
        (Level::Plain, Measure::Squares) => plain::run::<true>(dim, queries, data, picked, scores),
        // SAFETY: `available` gives these levels only if the machine has their instructions.
        #[cfg(target_arch = "x86_64")]
        (Level::Avx2, Measure::Dot) => unsafe { avx2::run::<false>(dim, queries, data, picked, scores) },
        #[cfg(target_arch = "x86_64")]
        (Level::Avx2, Measure::Squares) => unsafe { avx2::run::<true>(dim, queries, data, picked, scores) },
        #[cfg(target_arch = "x86_64")]
        (Level::Avx512, Measure::Dot) => unsafe { avx512::run::<false>(dim, queries, data, picked, scores) },
        #[cfg(target_arch = "x86_64")]
        (Level::Avx512, Measure::Squares) => unsafe {
            avx512::run::<true>(dim, queries, data, picked, scores)
        },
    }
}

/// The loops over queries and rows, in tiles of 4 × 4: a tile reads each value once for all its pairs. What
/// does not fill one is done in smaller tiles. `tile` is the level's own.
macro_rules! loops {
    ($($attribute:meta)?) => {
        $(#[$attribute])?
        pub(super) fn run<const SQUARES: bool>(
            dim: usize,
            queries: &[f32],
            data: &[f32],
            picked: Picked<'_>,
            scores: &mut [f32],
        ) {
            if dim == 0 {
                return scores.fill(0.0);
            }
            let stride = picked.len();
            let mut left = (queries, scores);
            while left.0.len() >= 4 * dim {
                let (queries, scores) = (left.0.split_at(4 * dim), left.1.split_at_mut(4 * stride));
                lines::<SQUARES, 4>(dim, queries.0, data, picked, scores.0);
                left = (queries.1, scores.1);
            }
            if left.0.len() >= 2 * dim {
                let (queries, scores) = (left.0.split_at(2 * dim), left.1.split_at_mut(2 * stride));
                lines::<SQUARES, 2>(dim, queries.0, data, picked, scores.0);
                left = (queries.1, scores.1);
            }
            if left.0.len() >= dim {
                lines::<SQUARES, 1>(dim, left.0, data, picked, left.1);
            }
        }

        $(#[$attribute])?
        fn lines<const SQUARES: bool, const Q: usize>(
            dim: usize,
            queries: &[f32],
            data: &[f32],
            picked: Picked<'_>,
            scores: &mut [f32],
        ) {
            let stride = picked.len();
            let queries: [&[f32]; Q] = std::array::from_fn(|q| &queries[q * dim..][..dim]);
            let row = |at: usize| &data[picked.row(at) * dim..][..dim];
            let mut at = 0;
            while at + 4 <= stride {
                let rows = [row(at), row(at + 1), row(at + 2), row(at + 3)];
                for (q, line) in tile::<SQUARES, Q, 4>(queries, rows).iter().enumerate() {
                    scores[q * stride + at..][..4].copy_from_slice(line);
                }
                at += 4;
            }
            while at < stride {
                for (q, line) in tile::<SQUARES, Q, 1>(queries, [row(at)]).iter().enumerate() {
                    scores[q * stride + at] = line[0];
                }
                at += 1;
            }
        }
    };
}

/// A tile of pairs, on vectors of `$lanes` floats. Every slice is as long as the first query.
macro_rules! tile {
    ($lanes:literal, $attribute:meta) => {
        #[$attribute]
        #[inline]
        fn tile<const SQUARES: bool, const Q: usize, const R: usize>(
            queries: [&[f32]; Q],
            rows: [&[f32]; R],
        ) -> [[f32; R]; Q] {
            let dim = queries[0].len();
            assert!(queries.iter().chain(&rows).all(|slice| slice.len() == dim));
            let mut sums = [[zero(); R]; Q];
            let whole = dim - dim % $lanes;
            let mut at = 0;
            while at < whole {
                let mut values = [zero(); R];
                for r in 0..R {
                    // SAFETY: `at + lanes ≤ dim`, the length of every slice.
                    values[r] = unsafe { load_whole(rows[r].as_ptr().add(at)) };
                }
                for q in 0..Q {
                    // SAFETY: as above.
                    let query = unsafe { load_whole(queries[q].as_ptr().add(at)) };
                    for r in 0..R {
                        sums[q][r] = step::<SQUARES>(query, values[r], sums[q][r]);
                    }
                }
                at += $lanes;
            }
            if whole < dim {
                for q in 0..Q {
                    let query = load_part(&queries[q][whole..]);
                    for r in 0..R {
                        sums[q][r] = step::<SQUARES>(query, load_part(&rows[r][whole..]), sums[q][r]);
                    }
                }
            }
            let mut scores = [[0.0; R]; Q];
            for q in 0..Q {
                let mut four = [zero(); 4];
                four[..R].copy_from_slice(&sums[q]);
                scores[q].copy_from_slice(&sum_each(four)[..R]);
            }
            scores
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;

    use super::Picked;

    loops!(target_feature(enable = "avx512f"));
    tile!(16, target_feature(enable = "avx512f"));

    #[target_feature(enable = "avx512f")]
    #[inline]
    fn zero() -> __m512 {
        _mm512_setzero_ps()
    }

    /// # Safety
    /// Sixteen floats can be read.
    #[target_feature(enable = "avx512f")]
    #[inline]
    unsafe fn load_whole(from: *const f32) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_loadu_ps(from) }
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    fn load_part(rest: &[f32]) -> __m512 {
        // SAFETY: only the lanes of the mask are read.
        unsafe { _mm512_maskz_loadu_ps(((1_u32 << rest.len()) - 1) as u16, rest.as_ptr()) }
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    fn step<const SQUARES: bool>(query: __m512, row: __m512, sum: __m512) -> __m512 {
        if SQUARES {
            let difference = _mm512_sub_ps(query, row);
            _mm512_fmadd_ps(difference, difference, sum)
        } else {
            _mm512_fmadd_ps(query, row, sum)
        }
    }

    /// The sum of the lanes of each.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn sum_each([a, b, c, d]: [__m512; 4]) -> [f32; 4] {
        let ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
        let cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
        let (ab, cd) = (_mm512_castps_pd(ab), _mm512_castps_pd(cd));
        // Of each four lanes the first is now of `a`, the second of `b`, …
        let low = _mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd));
        let all = _mm512_add_ps(low, _mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd)));
        let all = _mm512_add_ps(all, _mm512_shuffle_f32x4::<0b01_00_11_10>(all, all));
        let all = _mm512_castps512_ps256(all);
        let all = _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps::<1>(all));
        // SAFETY: four floats are four floats.
        unsafe { std::mem::transmute(all) }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use super::Picked;

    loops!(target_feature(enable = "avx2,fma"));
    tile!(8, target_feature(enable = "avx2,fma"));

    #[target_feature(enable = "avx2,fma")]
    #[inline]
    fn zero() -> __m256 {
        _mm256_setzero_ps()
    }

    /// # Safety
    /// Eight floats can be read.
    #[target_feature(enable = "avx2,fma")]
    #[inline]
    unsafe fn load_whole(from: *const f32) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_loadu_ps(from) }
    }

    #[target_feature(enable = "avx2,fma")]
    #[inline]
    fn load_part(rest: &[f32]) -> __m256 {
        let mut lanes = [0.0; 8];
        lanes[..rest.len()].copy_from_slice(rest);
        // SAFETY: the array has eight floats.
        unsafe { load_whole(lanes.as_ptr()) }
    }

    #[target_feature(enable = "avx2,fma")]
    #[inline]
    fn step<const SQUARES: bool>(query: __m256, row: __m256, sum: __m256) -> __m256 {
        if SQUARES {
            let difference = _mm256_sub_ps(query, row);
            _mm256_fmadd_ps(difference, difference, sum)
        } else {
            _mm256_fmadd_ps(query, row, sum)
        }
    }

    /// The sum of the lanes of each.
    #[target_feature(enable = "avx2,fma")]
    #[inline]
    fn sum_each([a, b, c, d]: [__m256; 4]) -> [f32; 4] {
        let ab = _mm256_add_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
        let cd = _mm256_add_ps(_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
        let (ab, cd) = (_mm256_castps_pd(ab), _mm256_castps_pd(cd));
        // Of each four lanes the first is now of `a`, the second of `b`, …
        let low = _mm256_castpd_ps(_mm256_unpacklo_pd(ab, cd));
        let all = _mm256_add_ps(low, _mm256_castpd_ps(_mm256_unpackhi_pd(ab, cd)));
        let all = _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps::<1>(all));
        // SAFETY: four floats are four floats.
        unsafe { std::mem::transmute(all) }
    }
}

mod plain {
    use super::Picked;

    loops!();

    /// Sixteen sums side by side, which compilers turn into vectors.
    fn tile<const SQUARES: bool, const Q: usize, const R: usize>(
        queries: [&[f32]; Q],
        rows: [&[f32]; R],
    ) -> [[f32; R]; Q] {
        queries.map(|query| rows.map(|row| pair::<SQUARES>(query, row)))
    }

    fn pair<const SQUARES: bool>(query: &[f32], row: &[f32]) -> f32 {
        let step = |a: f32, b: f32, sum: f32| if SQUARES { (a - b) * (a - b) + sum } else { a * b + sum };
        let mut sums = [0.0; 16];
        let (query, row) = (query.chunks_exact(16), row.chunks_exact(16));
        let rest = query.remainder().iter().zip(row.remainder());
        for (query, row) in query.zip(row) {
            for lane in 0..16 {
                sums[lane] = step(query[lane], row[lane], sums[lane]);
            }
        }
        for (lane, (&a, &b)) in rest.enumerate() {
            sums[lane] = step(a, b, sums[lane]);
        }
        let mut width = 8;
        while width > 0 {
            for lane in 0..width {
                sums[lane] += sums[lane + width];
            }
            width /= 2;
        }
        sums[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(seed: u64, count: usize) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    fn exact(measure: Measure, query: &[f32], row: &[f32]) -> f64 {
        let pairs = query.iter().zip(row).map(|(&a, &b)| (f64::from(a), f64::from(b)));
        match measure {
            Measure::Dot => pairs.map(|(a, b)| a * b).sum(),
            Measure::Squares => pairs.map(|(a, b)| (a - b) * (a - b)).sum(),
        }
    }

    #[test]
    fn every_level_measures_every_pair_at_every_dimension() {
        for level in Level::available() {
            for dim in [1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 128, 130] {
                let (queries, data) = (floats(dim as u64, 7 * dim), floats(99, 11 * dim));
                let rows = [10, 0, 3, 3, 5, 7, 1_u32];
                for (kind, picked) in [
                    (Measure::Dot, Picked::Run(0, 11)),
                    (Measure::Squares, Picked::Run(2, 6)),
                    (Measure::Dot, Picked::Rows(&rows)),
                    (Measure::Squares, Picked::Rows(&rows)),
                ] {
                    let mut scores = vec![f32::NAN; 7 * picked.len()];
                    measure_at(level, kind, dim, &queries, (&data, picked), &mut scores);
                    for (at, &score) in scores.iter().enumerate() {
                        let (q, r) = (at / picked.len(), picked.row(at % picked.len()));
                        let (query, row) = (&queries[q * dim..][..dim], &data[r * dim..][..dim]);
                        let difference = (f64::from(score) - exact(kind, query, row)).abs();
                        assert!(difference < 1e-4, "{level:?} {kind:?} {dim}: {difference}");
                        let mut alone = [0.0];
                        measure_at(level, kind, dim, query, (row, Picked::Run(0, 1)), &mut alone);
                        assert_eq!(alone[0].to_bits(), score.to_bits(), "{level:?} {kind:?} {dim}");
                    }
                }
            }
        }
    }

    #[test]
    fn norms_are_those_of_euclid() {
        assert_eq!(&norms(&[3.0, 4.0, 0.0, 0.0], 2)[..], &[5.0, 0.0]);
    }
}
