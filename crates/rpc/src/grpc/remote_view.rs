//! Follows over gRPC who owns which log.

use std::time::Duration;

use cinclus_env::Env;
use cinclus_types::{Assignment, AssignmentView, NodeId, NodeInfo, PChannel, Term, ViewVersion};
use tokio::sync::watch;
use tonic::Request;
use tonic::transport::Channel;

use super::error;
use super::proto::assignment_discover_response::Response;
use super::proto::streaming_coord_assignment_service_client::StreamingCoordAssignmentServiceClient;
use super::proto::{AssignmentDiscoverRequest, FullStreamingNodeAssignmentWithVersion};
use super::remote_log::connection;

/// The pauses between attempts to connect.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// The assignment view of a coordinator in another process.
pub struct RemoteView;

impl RemoteView {
    /// Follows the view told at an address such as `http://127.0.0.1:19530`, as a task of `env`: it returns with
    /// the first view, and connects again whenever the connection breaks.
    ///
    /// # Errors
    /// The address is none, or the first view cannot be had; in words.
    pub async fn follow(address: &str, env: &Env) -> Result<watch::Receiver<AssignmentView>, String> {
        let coord = connection(address)?;
        let view = watch::Sender::new(AssignmentView::default());
        let mut answers = Stream::open(coord.clone()).await?;
        answers.next(&view).await?;
        let receiver = view.subscribe();
        let clock = env.clock.clone();
        env.tasks.spawn_until_cancelled("assignment view", async move {
            let mut pause = PAUSE_MIN;
            loop {
                while answers.next(&view).await.is_ok() {
                    pause = PAUSE_MIN;
                }
                answers = loop {
                    if view.is_closed() {
                        return;
                    }
                    clock.sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                    if let Ok(answers) = Stream::open(coord.clone()).await {
                        break answers;
                    }
                };
            }
        });
        Ok(receiver)
    }
}

/// A stream of views; asking stays open as long as it is read.
struct Stream {
    answers: tonic::Streaming<super::proto::AssignmentDiscoverResponse>,
}

impl Stream {
    async fn open(coord: Channel) -> Result<Stream, String> {
        let mut client = StreamingCoordAssignmentServiceClient::new(coord);
        let requests = Request::new(futures::stream::pending::<AssignmentDiscoverRequest>());
        let answers = client.assignment_discover(requests).await;
        Ok(Stream { answers: answers.map_err(|status| error::told(&status))?.into_inner() })
    }

    /// Takes in the next view.
    async fn next(&mut self, view: &watch::Sender<AssignmentView>) -> Result<(), String> {
        let answer = self.answers.message().await.map_err(|status| error::told(&status))?;
        let Some(Response::FullAssignment(full)) = answer.and_then(|answer| answer.response) else {
            return Err("the stream of assignments ended".to_owned());
        };
        let read = read(full);
        // Views never go back; the first one of all has the least version there is.
        view.send_if_modified(|known| {
            let newer = read.version > known.version || known.channels.is_empty();
            if newer {
                *known = read;
            }
            newer
        });
        Ok(())
    }
}

fn read(full: FullStreamingNodeAssignmentWithVersion) -> AssignmentView {
    let version = full.version.unwrap_or_default();
    let mut view = AssignmentView {
        version: ViewVersion { global: version.global, local: version.local },
        ..AssignmentView::default()
    };
    for assignment in full.assignments {
        let node = assignment.node.unwrap_or_default();
        let node = NodeInfo { id: NodeId(node.server_id), address: node.address };
        for channel in assignment.channels {
            let owner = Assignment { term: Term(channel.term), node: node.clone() };
            view.channels.insert(PChannel::new(channel.name), owner);
        }
    }
    view
}
