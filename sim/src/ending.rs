//! How a life ends, and what it leaves on the disk.

use cinclus_env::Random;
use cinclus_env::disk::{Keep, MemoryDisk};

/// When a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// In the middle of an operation of the disk, counted from its beginning.
    AtOperation(u64),
    /// Before or after an effect at a seam, counted alike.
    AtMoment(u64),
    /// At a time, in microseconds, wherever everybody is then.
    AtTime(u64),
    /// When all is done.
    AtItsEnd,
}

/// What the disk remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// The power went: of what was not synced, this.
    Power(Keep),
    /// The process was killed: everything that was written is still seen.
    Process,
}

/// The end of a life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// When.
    pub when: When,
    /// What is left.
    pub left: Left,
}

impl Ending {
    /// An ending by chance.
    #[must_use]
    pub fn draw(random: &Random) -> Ending {
        // Often early: the start and the recovery of a life are where most is at stake.
        let early = |most: u64| 1 + random.range(0..1 + random.range(0..most));
        let when = match random.range(0..8) {
            0..=2 => When::AtOperation(early(1_500)),
            3..=4 => When::AtMoment(early(600)),
            5..=6 => When::AtTime(early(8_000_000)),
            _ => When::AtItsEnd,
        };
        let left = match random.range(0..6) {
            0 => Left::Power(Keep::Nothing),
            1 => Left::Power(Keep::Everything),
            2 | 3 => Left::Power(Keep::Random),
            _ => Left::Process,
        };
        Ending { when, left }
    }

    /// The end of a life that nothing disturbs.
    #[must_use]
    pub fn peaceful() -> Ending {
        Ending { when: When::AtItsEnd, left: Left::Process }
    }

    /// Does to the disk what the end does. `in_place`: something on it overwrites in place, and relies on torn
    /// writes leaving the old bytes or the new ones.
    pub fn leave(self, disk: &MemoryDisk, in_place: bool) {
        match self.left {
            Left::Power(Keep::Random) if in_place => disk.crash(Keep::RandomOverOld),
            Left::Power(keep) => disk.crash(keep),
            Left::Process => disk.restart(),
        }
    }
}
