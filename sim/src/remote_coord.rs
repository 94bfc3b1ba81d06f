//! The coordinator as others reach it, whichever is the one at the time.

use std::sync::Arc;

use async_trait::async_trait;
use cinclus_rpc::{CoordApi, CoordError, Ddl, DdlDone, DdlError};
use cinclus_types::{AssignmentView, TickRange};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::member::Member;
use crate::network::Network;

/// A coordinator and its process.
type Holder = (Member, Arc<dyn CoordApi>);

/// The coordinator that there is. Clones are the same.
#[derive(Clone, Default)]
pub struct Seat(Arc<Mutex<Option<Holder>>>);

impl Seat {
    /// Somebody takes it.
    pub fn take(&self, member: Member, coord: Arc<dyn CoordApi>) {
        *self.0.lock() = Some((member, coord));
    }

    /// Who has it.
    #[must_use]
    pub fn holder(&self) -> Option<(Member, Arc<dyn CoordApi>)> {
        self.0.lock().clone()
    }
}

/// The way from one member to the coordinator.
pub struct RemoteCoord {
    /// Who asks.
    pub from: Member,
    /// Where the coordinator is.
    pub seat: Seat,
    /// What lies between.
    pub network: Network,
    /// What is known here of who owns what.
    pub view: watch::Receiver<AssignmentView>,
}

#[async_trait]
impl CoordApi for RemoteCoord {
    async fn ticks(&self, count: u32) -> Result<TickRange, CoordError> {
        let unavailable = |text: &str| CoordError::Unavailable(text.to_owned());
        let (to, coord) = self.seat.holder().ok_or_else(|| unavailable("there is none"))?;
        let answer = self.network.call((&self.from, &to), "ticks", coord.ticks(count)).await;
        answer.unwrap_or_else(|_| Err(unavailable("no answer came")))
    }

    async fn ticks_of(&self, caller: &str, count: u32) -> Result<TickRange, CoordError> {
        let unavailable = |text: &str| CoordError::Unavailable(text.to_owned());
        let (to, coord) = self.seat.holder().ok_or_else(|| unavailable("there is none"))?;
        let answer = self.network.call((&self.from, &to), "ticks", coord.ticks_of(caller, count)).await;
        answer.unwrap_or_else(|_| Err(unavailable("no answer came")))
    }

    async fn ddl(&self, ddl: Ddl) -> Result<DdlDone, DdlError> {
        let unavailable = |text: &str| DdlError::Unavailable(text.to_owned());
        let (to, coord) = self.seat.holder().ok_or_else(|| unavailable("there is none"))?;
        if self.network.delays(&self.from) {
            let late = async move { drop(coord.ddl(ddl).await) };
            let lost = self.network.send_late((&self.from, &to), "ddl", late).await;
            return Err(unavailable(&lost.to_string()));
        }
        let answer = self.network.call((&self.from, &to), "ddl", coord.ddl(ddl)).await;
        answer.unwrap_or_else(|_| Err(unavailable("no answer came")))
    }

    fn assignments(&self) -> watch::Receiver<AssignmentView> {
        self.view.clone()
    }
}
