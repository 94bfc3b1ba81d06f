//! How much log lies behind a point that a reader has to resume at.

use std::collections::VecDeque;

use cinclus_types::MessageId;

/// Counts the bytes that were read, and remembers where transactions began among them.
#[derive(Debug, Default)]
pub(super) struct Behind {
    read: u64,
    /// The ids of begins, and how much had been read before each.
    begins: VecDeque<(MessageId, u64)>,
}

impl Behind {
    /// A record was read.
    pub(super) fn read(&mut self, id: MessageId, begins: bool, bytes: u64) {
        if begins {
            self.begins.push_back((id, self.read));
        }
        self.read += bytes;
    }

    /// Nobody resumes before this id any more.
    pub(super) fn forget(&mut self, resume: MessageId) {
        while self.begins.front().is_some_and(|(begin, _)| *begin < resume) {
            self.begins.pop_front();
        }
    }

    /// How much was read from a begin on; nothing from where none is known.
    pub(super) fn since(&self, resume: MessageId) -> u64 {
        let begin = self.begins.iter().find(|(begin, _)| *begin == resume);
        begin.map_or(0, |(_, before)| self.read - before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_from_the_begin_that_is_resumed_at() {
        let mut behind = Behind::default();
        for (id, begins) in [(1, false), (2, true), (3, false), (4, true), (5, false)] {
            behind.read(MessageId(id), begins, 10);
        }
        assert_eq!([2, 4, 6].map(|id| behind.since(MessageId(id))), [40, 20, 0]);
        behind.forget(MessageId(4));
        assert_eq!([2, 4].map(|id| behind.since(MessageId(id))), [0, 20]);
    }
}
