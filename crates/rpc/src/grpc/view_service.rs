//! Tells over gRPC who owns which log.

use std::collections::BTreeMap;
use std::pin::Pin;

use cinclus_types::AssignmentView;
use futures::Stream;
use tokio::sync::watch;
use tonic::{Request, Response, Status, Streaming};

use super::error;
use super::log_service::stopped;
use super::metadata::channel_wire;
use super::proto::assignment_discover_request::Command;
use super::proto::assignment_discover_response::Response as Answer;
use super::proto::streaming_coord_assignment_service_server::{
    StreamingCoordAssignmentService, StreamingCoordAssignmentServiceServer,
};
use super::proto::{
    AssignmentDiscoverRequest, AssignmentDiscoverResponse, CloseAssignmentDiscoverResponse,
    FullStreamingNodeAssignmentWithVersion, StreamingNodeAssignment, StreamingNodeInfo, VersionPair,
};

/// Milvus' `StreamingCoordAssignmentService`: the whole view, and again with each change.
pub struct ViewService {
    view: watch::Receiver<AssignmentView>,
    address: String,
    stopping: watch::Receiver<bool>,
}

impl ViewService {
    /// Tells `view`. A node without an address of its own is in this process, which is called at `address`.
    /// Streams end soon after `stopping` says so.
    #[must_use]
    pub fn new(
        view: watch::Receiver<AssignmentView>,
        address: String,
        stopping: watch::Receiver<bool>,
    ) -> ViewService {
        ViewService { view, address, stopping }
    }

    /// As a service of a tonic server.
    #[must_use]
    pub fn into_service(self) -> StreamingCoordAssignmentServiceServer<ViewService> {
        StreamingCoordAssignmentServiceServer::new(self)
    }
}

/// A stream under way.
struct State {
    view: watch::Receiver<AssignmentView>,
    address: String,
    stopping: watch::Receiver<bool>,
    inbound: Streaming<AssignmentDiscoverRequest>,
    told: bool,
    over: bool,
}

impl State {
    async fn next(&mut self) -> Option<Result<Answer, Status>> {
        loop {
            if self.over {
                return None;
            }
            if !self.told {
                self.told = true;
                return Some(Ok(self.full()));
            }
            tokio::select! {
                biased;
                () = stopped(&mut self.stopping) => {
                    self.over = true;
                    return Some(Err(error::status(error::on_shutdown())));
                }
                request = self.inbound.message() => match request.ok().flatten().map(|request| request.command) {
                    Some(Some(Command::Close(_))) => {
                        self.over = true;
                        return Some(Ok(Answer::Close(CloseAssignmentDiscoverResponse {})));
                    }
                    // Who owns a log is known by the leases and terms here, not by what clients think.
                    Some(Some(Command::ReportError(_)) | None) => {}
                    None => return None,
                },
                changed = self.view.changed() => match changed {
                    Ok(()) => self.told = false,
                    Err(_) => return None,
                },
            }
        }
    }

    fn full(&mut self) -> Answer {
        let view = self.view.borrow_and_update();
        let mut nodes: BTreeMap<i64, StreamingNodeAssignment> = BTreeMap::new();
        for (channel, owner) in &view.channels {
            let node = nodes.entry(owner.node.id.0).or_insert_with(|| {
                let own = owner.node.address.is_empty();
                let address = if own { self.address.clone() } else { owner.node.address.clone() };
                let node = Some(StreamingNodeInfo { server_id: owner.node.id.0, address });
                StreamingNodeAssignment { node, channels: Vec::new() }
            });
            node.channels.push(channel_wire(channel, owner.term));
        }
        Answer::FullAssignment(FullStreamingNodeAssignmentWithVersion {
            version: Some(VersionPair { global: view.version.global, local: view.version.local }),
            assignments: nodes.into_values().collect(),
        })
    }
}

#[tonic::async_trait]
impl StreamingCoordAssignmentService for ViewService {
    type AssignmentDiscoverStream =
        Pin<Box<dyn Stream<Item = Result<AssignmentDiscoverResponse, Status>> + Send>>;

    async fn assignment_discover(
        &self,
        request: Request<Streaming<AssignmentDiscoverRequest>>,
    ) -> Result<Response<Self::AssignmentDiscoverStream>, Status> {
        let state = State {
            view: self.view.clone(),
            address: self.address.clone(),
            stopping: self.stopping.clone(),
            inbound: request.into_inner(),
            told: false,
            over: false,
        };
        let answers = futures::stream::unfold(state, |mut state| async move {
            let answer = state.next().await?;
            let answer = answer.map(|response| AssignmentDiscoverResponse { response: Some(response) });
            Some((answer, state))
        });
        Ok(Response::new(Box::pin(answers)))
    }
}
