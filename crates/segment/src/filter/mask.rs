//! Three-valued answers for a run of rows.

/// For each of some rows: true, false, or unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    rows: usize,
    /// A bit for each row, 64 a word; no bit behind the last row is set.
    yes: Vec<u64>,
    /// The same; never set where `yes` is.
    no: Vec<u64>,
}

impl Mask {
    /// The same answer for all rows.
    #[must_use]
    pub fn all(rows: usize, answer: bool) -> Mask {
        let (set, unset) = (ones(rows), vec![0; rows.div_ceil(64)]);
        if answer { Mask { rows, yes: set, no: unset } } else { Mask { rows, yes: unset, no: set } }
    }

    /// Unknown for all rows.
    #[must_use]
    pub fn unknown(rows: usize) -> Mask {
        Mask { rows, yes: vec![0; rows.div_ceil(64)], no: vec![0; rows.div_ceil(64)] }
    }

    /// The answers `bits` for the rows that `valid` has, unknown for the others.
    pub(super) fn of_bits(rows: usize, mut bits: Vec<u64>, mut valid: Vec<u64>) -> Mask {
        for (yes, no) in bits.iter_mut().zip(&mut valid) {
            *yes &= *no;
            *no &= !*yes;
        }
        Mask { rows, yes: bits, no: valid }
    }

    /// How many rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The answer for a row, counted from the first of the run; `None`: unknown.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn answer(&self, row: usize) -> Option<bool> {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        let has = |words: &[u64]| words[row / 64] >> (row % 64) & 1 == 1;
        if has(&self.yes) { Some(true) } else { has(&self.no).then_some(false) }
    }

    /// Whether a row matches: its answer is true.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn matches(&self, row: usize) -> bool {
        self.answer(row) == Some(true)
    }

    /// How many rows match.
    #[must_use]
    pub fn count(&self) -> usize {
        self.yes.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The rows that match, ascending, counted from the first of the run.
    pub fn matching(&self) -> impl Iterator<Item = usize> {
        set_bits(&self.yes)
    }

    /// A bit for each row that matches, 64 rows a word.
    #[must_use]
    pub fn words(&self) -> &[u64] {
        &self.yes
    }

    /// Gives a row that is unknown an answer.
    pub(super) fn set(&mut self, row: usize, answer: bool) {
        let words = if answer { &mut self.yes } else { &mut self.no };
        words[row / 64] |= 1 << (row % 64);
    }

    /// False where one is false, true where both are true.
    pub(super) fn and(&mut self, other: &Mask) {
        join(&mut self.yes, &other.yes, |mine, theirs| mine & theirs);
        join(&mut self.no, &other.no, |mine, theirs| mine | theirs);
    }

    /// True where one is true, false where both are false.
    pub(super) fn or(&mut self, other: &Mask) {
        join(&mut self.yes, &other.yes, |mine, theirs| mine | theirs);
        join(&mut self.no, &other.no, |mine, theirs| mine & theirs);
    }

    /// Swaps true and false.
    pub(super) fn negated(self) -> Mask {
        Mask { rows: self.rows, yes: self.no, no: self.yes }
    }

    /// Those of `open` that are not false here.
    pub(super) fn open_for_and(&self, open: &[u64]) -> Vec<u64> {
        open.iter().zip(&self.no).map(|(open, no)| open & !no).collect()
    }

    /// Those of `open` that are not true here.
    pub(super) fn open_for_or(&self, open: &[u64]) -> Vec<u64> {
        open.iter().zip(&self.yes).map(|(open, yes)| open & !yes).collect()
    }
}

/// A set bit for each row.
pub(super) fn ones(rows: usize) -> Vec<u64> {
    let mut words = vec![u64::MAX; rows.div_ceil(64)];
    if let Some(last) = words.last_mut()
        && !rows.is_multiple_of(64)
    {
        *last = (1 << (rows % 64)) - 1;
    }
    words
}

/// The places of the set bits, ascending.
pub(super) fn set_bits(words: &[u64]) -> impl Iterator<Item = usize> {
    words.iter().enumerate().flat_map(|(index, &word)| {
        let rest = std::iter::successors(Some(word), |word| Some(word & word.wrapping_sub(1)));
        rest.take_while(|word| *word != 0).map(move |word| index * 64 + word.trailing_zeros() as usize)
    })
}

fn join(mine: &mut [u64], theirs: &[u64], with: impl Fn(u64, u64) -> u64) {
    for (mine, theirs) in mine.iter_mut().zip(theirs) {
        *mine = with(*mine, *theirs);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWERS: [Option<bool>; 3] = [Some(true), Some(false), None];

    fn mask(rows: usize, answer: impl Fn(usize) -> Option<bool>) -> Mask {
        let mut mask = Mask::unknown(rows);
        (0..rows).for_each(|row| answer(row).into_iter().for_each(|answer| mask.set(row, answer)));
        mask
    }

    #[test]
    fn masks_join_by_three_valued_logic() {
        // All nine pairs, over more than two words of rows.
        let (of_left, of_right) = (|row| ANSWERS[row % 3], |row| ANSWERS[row / 3 % 3]);
        let (left, right) = (mask(135, of_left), mask(135, of_right));
        let (mut all, mut any) = (left.clone(), left.clone());
        all.and(&right);
        any.or(&right);
        let not = left.clone().negated();
        for row in 0..135 {
            let (a, b) = (of_left(row), of_right(row));
            let and = if a == Some(false) || b == Some(false) { Some(false) } else { a.and(b) };
            let or = if a == Some(true) || b == Some(true) { Some(true) } else { a.and(b) };
            assert_eq!((all.answer(row), any.answer(row)), (and, or), "{a:?} {b:?}");
            assert_eq!((left.answer(row), not.answer(row)), (a, a.map(|answer| !answer)));
        }
    }

    #[test]
    fn matching_rows_are_counted_and_listed() {
        let mut mask = Mask::unknown(130);
        [0, 63, 64, 129].into_iter().for_each(|row| mask.set(row, true));
        mask.set(5, false);
        assert_eq!((mask.count(), mask.matching().collect::<Vec<_>>()), (4, vec![0, 63, 64, 129]));
        assert_eq!((Mask::all(70, true).count(), Mask::all(70, false).negated().count()), (70, 70));
        assert_eq!((Mask::all(0, true).count(), Mask::all(0, true).is_empty()), (0, true));
    }
}
