//! Changes of what exists, one after another, while everything else goes on.

use std::time::Duration;

use cinclus_env::{Clock, Random};
use cinclus_rpc::{CoordApi, Ddl};
use cinclus_types::Advice;

use crate::history::{History, Outcome, Wish};
use crate::wanted::{create, index, load};

/// Somebody who cannot decide.
pub struct Storm<'a> {
    /// Its number as an actor.
    pub number: u64,
    /// Its chance.
    pub random: Random,
    /// Who is asked.
    pub coord: &'a dyn CoordApi,
    /// Its time.
    pub clock: &'a dyn Clock,
    /// What it notes.
    pub history: History,
}

impl Storm<'_> {
    /// Changes something.
    pub async fn step(&self) {
        let name = format!("s{}", self.random.range(0..3));
        let database = String::new();
        let (collection, partition) = (name.clone(), format!("p{}", self.random.range(0..2)));
        let ddl = match self.random.range(0..10) {
            0..=2 => create(&name, 1 + self.random.range(0..3) as u32),
            3 | 4 => Ddl::DropCollection { database, name },
            5 => Ddl::CreatePartition { database, collection, partition },
            6 => Ddl::DropPartition { database, collection, partition },
            7 => index(&name),
            8 => load(&name),
            _ => Ddl::Flush { database, collection },
        };
        let (number, _) = self.history.begin(self.number, |_| Wish::Other(format!("{ddl:?}")));
        self.history.end(
            number,
            match self.coord.ddl(ddl).await {
                Ok(_) => Outcome::Done,
                Err(error) if error.advice() == Advice::Reject => Outcome::Refused(error.to_string()),
                Err(error) => Outcome::Unknown(error.to_string()),
            },
        );
        self.clock.sleep(Duration::from_millis(self.random.range(0..400))).await;
    }
}
