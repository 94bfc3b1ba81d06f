//! What many rounds say together.

/// The middle value; of an even number the mean of the two in the middle; NaN of none.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => sorted[middle],
        _ => sorted[middle - 1].midpoint(sorted[middle]),
    }
}

/// The median of own / base, round by round.
pub(super) fn median_ratio(own: &[f64], base: &[f64]) -> f64 {
    let ratios: Vec<f64> = own.iter().zip(base).map(|(own, base)| own / base).collect();
    median(&ratios)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&[7.0]), 7.0);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn the_median_of_ratios_forgives_one_slow_round() {
        // In the second round the machine was ten times as slow for both, in the third for one only.
        let ratio = median_ratio(&[1.5, 15.0, 1.5, 1.4, 1.6], &[1.0, 10.0, 10.0, 1.0, 1.0]);
        assert!((ratio - 1.5).abs() < 1e-9, "{ratio}");
    }
}
