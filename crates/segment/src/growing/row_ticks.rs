//! The effective tick of each row.

use std::ops::Range;

use cinclus_types::Tick;

/// Effective ticks of rows: one for all, or one each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowTicks {
    /// All rows have this tick.
    One(Tick),
    /// One tick a row.
    Each(Vec<Tick>),
}

impl RowTicks {
    /// The tick of a row.
    ///
    /// # Panics
    /// If there is one tick a row and no such row.
    #[must_use]
    pub fn get(&self, row: usize) -> Tick {
        match self {
            RowTicks::One(tick) => *tick,
            RowTicks::Each(ticks) => ticks[row],
        }
    }

    /// The least and the greatest tick of a range of rows; [`Tick::ZERO`] twice if it is empty.
    #[must_use]
    pub fn span(&self, rows: Range<usize>) -> (Tick, Tick) {
        match self {
            RowTicks::One(tick) => (*tick, *tick),
            RowTicks::Each(ticks) => {
                let ticks = &ticks[rows];
                let least = ticks.iter().min().copied().unwrap_or_default();
                (least, ticks.iter().max().copied().unwrap_or_default())
            }
        }
    }

    /// Appends the ticks of `more_rows` rows behind those of `rows` rows.
    pub(crate) fn append(&mut self, rows: usize, more: &RowTicks, more_rows: usize) {
        if rows == 0 {
            *self = more.clone();
            return;
        }
        if let (RowTicks::One(mine), RowTicks::One(theirs)) = (&*self, more)
            && mine == theirs
        {
            return;
        }
        if let RowTicks::One(tick) = *self {
            *self = RowTicks::Each(vec![tick; rows]);
        }
        if let RowTicks::Each(ticks) = self {
            match more {
                RowTicks::One(tick) => ticks.resize(rows + more_rows, *tick),
                RowTicks::Each(more) => ticks.extend_from_slice(more),
            }
        }
    }

    /// The same ticks in the least memory.
    pub(crate) fn compacted(self) -> RowTicks {
        match self {
            RowTicks::Each(ticks) if ticks.windows(2).all(|pair| pair[0] == pair[1]) && !ticks.is_empty() => {
                RowTicks::One(ticks[0])
            }
            RowTicks::Each(mut ticks) => {
                ticks.shrink_to_fit();
                RowTicks::Each(ticks)
            }
            RowTicks::One(tick) => RowTicks::One(tick),
        }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            RowTicks::One(_) => 0,
            RowTicks::Each(ticks) => ticks.capacity() * size_of::<Tick>(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_kept_once_as_long_as_they_are_the_same() {
        let mut ticks = RowTicks::One(Tick(5));
        ticks.append(0, &RowTicks::One(Tick(7)), 2);
        ticks.append(2, &RowTicks::One(Tick(7)), 1);
        assert_eq!(ticks, RowTicks::One(Tick(7)));
        ticks.append(3, &RowTicks::One(Tick(9)), 2);
        assert_eq!(ticks, RowTicks::Each([7, 7, 7, 9, 9].map(Tick).to_vec()));
        assert_eq!(ticks.span(1..4), (Tick(7), Tick(9)));
        assert_eq!(RowTicks::Each(vec![Tick(3); 4]).compacted(), RowTicks::One(Tick(3)));
    }
}
