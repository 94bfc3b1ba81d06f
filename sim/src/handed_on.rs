//! Transactions that outlive the process of their log: begun in one life, ended in a later one.

use std::sync::Arc;
use std::time::Duration;

use cinclus_env::Random;
use cinclus_rpc::{AppendError, Appended, CoordApi, LogApi};
use cinclus_types::message::{Draft, TxnContext};
use cinclus_types::{Advice, MessageId, Term, VChannel};
use parking_lot::Mutex;

use crate::history::Outcome;
use crate::life::Life;
use crate::world::World;

/// How often one is tried in a life, while nothing comes of it.
const TRIES: u64 = 20;

/// An open transaction, and what is still to be said in it.
#[derive(Clone, Debug)]
pub struct HandedOn {
    /// The operation.
    pub number: u64,
    /// Where it writes.
    pub vchannel: VChannel,
    /// Its name in the log.
    pub txn: TxnContext,
    /// Its last message.
    pub rest: Option<Draft>,
    /// A commit may have been stored.
    pub committing: bool,
}

/// All of them. Clones are the same.
pub type AllHandedOn = Arc<Mutex<Vec<HandedOn>>>;

/// Ends those that earlier lives left, or leaves them for the next one.
pub async fn end_all(world: &World, life: &Life, number: u64) {
    let random = world.random.fork(&format!("handed on {number}"));
    let all = std::mem::take(&mut *world.handed_on.lock());
    for (at, one) in all.iter().enumerate() {
        // What this life does not come to is there for the next.
        world.handed_on.lock().extend(all.get(at).cloned());
        if random.chance(0.7) {
            end(world, life, &random, one.clone()).await;
        }
    }
}

async fn end(world: &World, life: &Life, random: &Random, mut one: HandedOn) {
    for _ in 0..TRIES {
        life.pause(Duration::from_micros(random.range(0..100_000))).await;
        let outcome = match go_on(world, life, &mut one).await {
            Ok(Appended { tick, .. }) => {
                world.tally.count("sessions committed in a later life");
                let (ids, sealed, last_confirmed) = (Vec::new(), Vec::new(), MessageId::EARLIEST);
                Outcome::Appended(Appended { ids, tick, sealed, last_confirmed })
            }
            Err(error) => match error.advice() {
                Advice::Retry | Advice::Reroute => continue,
                Advice::Unknown if one.committing => continue,
                // An earlier commit may have been stored, and forgotten.
                Advice::Reject if one.committing => Outcome::Unknown(error.to_string()),
                Advice::Reject | Advice::Unknown => {
                    world.tally.count("sessions over in a later life");
                    Outcome::Refused(error.to_string())
                }
            },
        };
        world.handed_on.lock().retain(|other| other.number != one.number);
        return world.history.end(one.number, outcome);
    }
}

/// Says the last message, and commits.
async fn go_on(world: &World, life: &Life, one: &mut HandedOn) -> Result<Appended, AppendError> {
    let term = term(life, &one.vchannel).ok_or(AppendError::NotOwner)?;
    if let Some(rest) = one.rest.take() {
        // A client that dies meanwhile does not know whether it was stored, and never commits.
        world.handed_on.lock().retain(|other| other.number != one.number);
        let said = life.node.append_in_txn(&one.vchannel, term, one.txn, vec![rest.clone()]).await;
        if let Err(error) = said {
            if matches!(error.advice(), Advice::Retry | Advice::Reroute) {
                one.rest = Some(rest);
            }
            return Err(error);
        }
    }
    let before = std::mem::replace(&mut one.committing, true);
    {
        let mut all = world.handed_on.lock();
        all.retain(|other| other.number != one.number);
        all.push(one.clone());
    }
    let committed = life.node.commit_txn(&one.vchannel, term, one.txn).await;
    // What certainly had no effect is as if it had not been tried.
    one.committing = before || !matches!(&committed, Err(error) if error.advice() != Advice::Unknown);
    committed
}

fn term(life: &Life, vchannel: &VChannel) -> Option<Term> {
    let view = life.coord.assignments().borrow().clone();
    view.channels.get(&vchannel.pchannel()).map(|assignment| assignment.term)
}
