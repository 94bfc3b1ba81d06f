//! `cinclus wal tail`: follows the logs of a running server.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use anyhow::{anyhow, bail};
use cinclus_client::{ClientConfig, Consumer, LogClient, Logs};
use cinclus_env::Env;
use cinclus_rpc::grpc::{RemoteLog, RemoteView};
use cinclus_rpc::{ConsumeError, Delivery, LogApi, ScanFilter, ScanFrom};
use cinclus_types::message::Kind;
use cinclus_types::{NodeInfo, PChannel, Tick, VChannel};
use clap::Args;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;

use super::tail_from::{From, checkpoint_text, kind};
use super::tail_line::lines;
use super::tail_vchannel;

/// `cinclus wal tail`.
#[derive(Clone, Debug, Args)]
pub(super) struct TailArgs {
    /// Where Milvus clients connect to the server.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:19530")]
    pub(super) address: String,
    /// Only this PChannel; without one, all of them.
    #[arg(long, value_name = "NAME", conflicts_with = "vchannel")]
    pub(super) channel: Option<String>,
    /// Only this VChannel: a shard of a collection.
    #[arg(long, value_name = "NAME")]
    pub(super) vchannel: Option<String>,
    /// Where to start: earliest, latest, tick:N (what came after that tick), or a checkpoint as it is printed.
    #[arg(long, value_name = "WHERE", default_value = "earliest")]
    pub(super) from: From,
    /// Only these kinds of messages, such as insert,delete.
    #[arg(long, value_name = "KINDS", value_delimiter = ',', value_parser = kind)]
    pub(super) kind: Vec<Kind>,
    /// One JSON object a line.
    #[arg(long)]
    pub(super) json: bool,
    /// Go on when everything that is there was printed, also when the server is started again.
    #[arg(long)]
    pub(super) follow: bool,
}

/// Every node is behind the address that was given.
struct OneAddress(Arc<RemoteLog>);

impl Logs for OneAddress {
    fn log(&self, _: &NodeInfo) -> Option<Arc<dyn LogApi>> {
        Some(self.0.clone())
    }
}

/// A log that is followed: to its end of now, or for ever.
struct Followed {
    consumer: Consumer,
    end: Option<Tick>,
}

type Next = BoxFuture<'static, (Followed, Result<Delivery, ConsumeError>)>;

fn next(mut followed: Followed) -> Next {
    Box::pin(async move {
        let next = followed.consumer.next().await;
        (followed, next)
    })
}

/// Prints what is there, and with `--follow` what comes.
pub(super) async fn tail(args: &TailArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let env = Env::os();
    let no_server = |text| anyhow!("no server answers at {}: {text}", args.address);
    let view = RemoteView::follow(&args.address, &env).await.map_err(no_server)?;
    let node = RemoteLog::at(&args.address, &env.tasks).map_err(no_server)?;
    let logs = Arc::new(OneAddress(Arc::new(node)));
    let client = LogClient::new(view, logs, env.clock.clone(), ClientConfig::default());
    let mut reads: FuturesUnordered<Next> = FuturesUnordered::new();
    let channels = wanted(args, &client.channels())?;
    if let Some(vchannel) = &args.vchannel {
        tail_vchannel::check(&args.address, &client, &VChannel::new(vchannel.as_str())).await?;
    }
    for channel in channels {
        reads.push(next(open(args, &client, channel).await?));
    }
    let mut reached = BTreeMap::new();
    while let Some((followed, read)) = reads.next().await {
        let channel = followed.consumer.channel().clone();
        match read {
            Ok(delivery) => {
                print(&delivery, args.json, out)?;
                reached.insert(channel, delivery.checkpoint);
                if followed.end.is_none_or(|end| delivery.tick < end) {
                    reads.push(next(followed));
                }
            }
            Err(ConsumeError::Unavailable(reason)) if args.follow => {
                crate::cli::complain(&format!("{reason}; still trying"));
                reads.push(next(followed));
            }
            Err(error @ ConsumeError::Truncated { .. }) => {
                bail!("{channel}: {error}; --from earliest starts there");
            }
            Err(error) => bail!("{channel}: {error}"),
        }
    }
    for (channel, checkpoint) in reached {
        crate::cli::complain(&format!("{channel} goes on --from {}", checkpoint_text(checkpoint)));
    }
    Ok(())
}

/// The logs that are meant.
fn wanted(args: &TailArgs, known: &[PChannel]) -> anyhow::Result<Vec<PChannel>> {
    let of_vchannel = args.vchannel.as_ref().map(|name| VChannel::new(name.as_str()).pchannel());
    let Some(wanted) = args.channel.as_ref().map(|name| PChannel::new(name.as_str())).or(of_vchannel) else {
        if matches!(args.from, From(ScanFrom::Checkpoint(_))) {
            bail!("a checkpoint is a place in one log: name it with --channel or --vchannel");
        }
        return Ok(known.to_vec());
    };
    if known.contains(&wanted) {
        return Ok(vec![wanted]);
    }
    let mut names: Vec<&str> = known.iter().map(PChannel::name).collect();
    // Channels end in a number: dml_2 comes before dml_10.
    names.sort_by_key(|name| (name.len(), *name));
    bail!("there is no PChannel {wanted}; there are {}", names.join(", "))
}

async fn open(args: &TailArgs, client: &LogClient, channel: PChannel) -> anyhow::Result<Followed> {
    let named = |error: ConsumeError| anyhow!("{channel}: {error}");
    let end = if args.follow {
        None
    } else {
        let mut end = client.consume(&channel, ScanFrom::Latest, ScanFilter::default())?;
        Some(end.next().await.map_err(named)?.tick)
    };
    let kinds = (!args.kind.is_empty()).then(|| args.kind.clone());
    let filter = ScanFilter { vchannel: args.vchannel.as_deref().map(VChannel::new), kinds };
    let consumer = client.consume(&channel, args.from.0, filter).map_err(named)?;
    Ok(Followed { consumer, end })
}

fn print(delivery: &Delivery, json: bool, out: &mut impl Write) -> std::io::Result<()> {
    if delivery.messages.is_empty() {
        return Ok(());
    }
    for line in lines(delivery, json) {
        writeln!(out, "{line}")?;
    }
    out.flush()
}
