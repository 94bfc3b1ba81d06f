//! Reading a whole log from the page cache through the ports of a server: everything between a file and a
//! client's hands. Server and client are this process, so its CPU time is that of both.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use cinclus_rpc::grpc::{RemoteLog, RemoteView};
use cinclus_rpc::{Deliveries, DeliveryKind, LogApi, ScanFilter, ScanFrom, Subscription};
use cinclus_types::message::{Draft, Kind, Message};
use cinclus_types::{PChannel, Term, VChannel};
use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::oneshot;

use super::args::WalArgs;
use crate::assemble::Standalone;
use crate::bench::report::{Reach, Report, Unit};
use crate::bench::statistics::median;
use crate::bench::usage::Process;
use crate::config::ServerConfig;
use crate::listen::Listeners;
use crate::outside::client::Client;
use crate::outside::rows::{self, Noise, Vectors};
use crate::outside::spawned::Home;

/// Bytes of each log.
const BYTES: usize = 256 << 20;
/// Appends in flight while it is written.
const AT_ONCE: usize = 64;
/// CPU time is counted in hundredths of a second: a round reads this often.
const TIMES: usize = 2;
/// Bytes of an insert of one row beside its vector, about.
const ROW_OVERHEAD: usize = 220;

/// A log that is served, and a message that it holds many times.
struct Served {
    node: RemoteLog,
    channel: PChannel,
    term: Term,
    vchannel: VChannel,
    message_bytes: usize,
    count: usize,
}

/// Catch-up over gRPC, for messages of some size.
pub(super) async fn deliver(args: &WalArgs, bytes: usize) -> anyhow::Result<Report> {
    let unit = Unit::MegabytesPerSecond;
    let columns = [("read", unit), ("MB a core-s", Unit::Count), ("messages", Unit::PerSecond)];
    let mut report = Report::new("wal: files, reading over gRPC from the page cache", &columns);
    let home = Home::create(&args.place.dir, "wal")?;
    let (stop, serving) = (oneshot::channel::<()>(), config(&home));
    let listeners = Listeners::bind(&serving).await?;
    let address = format!("http://{}", listeners.service_addr()?);
    let (standalone, _superseded) = Standalone::assemble(&serving).await?;
    let standalone = Arc::new(standalone);
    let server = {
        let (standalone, stopped) = (standalone.clone(), stop.1);
        let stopped = async move { drop(stopped.await) };
        tokio::spawn(async move { listeners.serve(&standalone, &serving, stopped).await })
    };
    let served = Served::fill(&standalone, &address, bytes).await?;
    report.setting("bytes of each message", served.message_bytes);
    report.setting("messages", served.count);
    report.setting("times a round", TIMES);
    for _ in 0..args.show.rounds {
        let (own, mut read) = (Process::own(), 0);
        let start = own.snapshot()?;
        for _ in 0..TIMES {
            read += served.read().await?;
        }
        let usage = own.since(&start)?;
        let [wall, core] = [usage.seconds, usage.cpu_seconds].map(|seconds| read as f64 / 1e6 / seconds);
        report.round(&[wall, core, (served.count * TIMES) as f64 / usage.seconds]);
    }
    // On one core: whichever is less, what came in a second and what came for a second of CPU.
    let least = median(&report.column("read")).min(median(&report.column("MB a core-s")));
    let name = format!("files: catch-up over gRPC, {} KiB, on one core", bytes >> 10);
    report.outcome(name, least, unit, Some(Reach::AtLeast(500.0)));
    drop(served);
    drop(stop.0);
    server.await??;
    standalone.close().await;
    Ok(report)
}

/// As a server is by default, on any ports; nothing of the log goes.
fn config(home: &Home) -> ServerConfig {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut config = ServerConfig {
        data_dir: home.data().to_path_buf(),
        listen: any,
        management_listen: any,
        ..ServerConfig::default()
    };
    config.node.retention_bytes = u64::MAX;
    config.node.recovery_log_bytes_max = 16 << 30;
    config
}

impl Served {
    /// Makes a collection, inserts a row as clients do, and appends the same message again and again.
    async fn fill(standalone: &Standalone, address: &str, bytes: usize) -> anyhow::Result<Served> {
        let mut client = Client::connect(address).await?;
        let dim = (bytes - ROW_OVERHEAD) / size_of::<f32>();
        client.create("rows", dim).await?;
        let row = Vectors::new(Noise::new(5).floats(dim), dim);
        client.insert(rows::insert("rows", 1, &row)).await?;
        let view = RemoteView::follow(address, &standalone.env).await.map_err(anyhow::Error::msg)?;
        let node = RemoteLog::at(address, &standalone.env.tasks).map_err(anyhow::Error::msg)?;
        let owned: Vec<_> =
            view.borrow().channels.iter().map(|(channel, owner)| (channel.clone(), owner.term)).collect();
        for (channel, term) in owned {
            let Some(first) = first_insert(&node, &channel, term).await? else { continue };
            let vchannel = first.vchannel().context("an insert has a VChannel")?.clone();
            let message_bytes = first.payload().len();
            let count = BYTES / message_bytes;
            let (logs, _) = &standalone.logs;
            let appends = (1..count).map(|_| {
                let draft = Draft::new(vchannel.clone(), first.header().clone(), first.payload().clone());
                logs.append(&channel, term, vec![draft])
            });
            stream::iter(appends).buffer_unordered(AT_ONCE).try_for_each(async |_| Ok(())).await?;
            return Ok(Served { node, channel, term, vchannel, message_bytes, count });
        }
        anyhow::bail!("no log has the row that was inserted")
    }

    /// Reads it all; how many bytes of payloads that is.
    async fn read(&self) -> anyhow::Result<u64> {
        let mut deliveries = self.consume(ScanFrom::Earliest).await?;
        let (mut bytes, mut count) = (0, 0);
        while count < self.count {
            let delivery = deliveries.next().await?;
            for message in delivery.messages.iter().filter(|message| message.kind() == Kind::Insert) {
                bytes += message.payload().len() as u64;
                count += 1;
            }
        }
        Ok(bytes)
    }

    async fn consume(&self, from: ScanFrom) -> anyhow::Result<Box<dyn Deliveries>> {
        let filter = ScanFilter::of(self.vchannel.clone());
        Ok(self.node.consume(&self.channel, self.term, Subscription { from, filter }).await?)
    }
}

/// The first insert in a log, if there is one.
async fn first_insert(node: &RemoteLog, channel: &PChannel, term: Term) -> anyhow::Result<Option<Message>> {
    let subscription = |from| Subscription { from, filter: ScanFilter::default() };
    let end = node.consume(channel, term, subscription(ScanFrom::Latest)).await?.next().await?.tick;
    let mut deliveries = node.consume(channel, term, subscription(ScanFrom::Earliest)).await?;
    loop {
        let delivery = deliveries.next().await?;
        if delivery.kind == DeliveryKind::Message && delivery.messages[0].kind() == Kind::Insert {
            return Ok(delivery.messages.into_iter().next());
        }
        if delivery.tick >= end {
            return Ok(None);
        }
    }
}
