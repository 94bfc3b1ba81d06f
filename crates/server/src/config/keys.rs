//! Every key of the configuration file. Where Milvus has the setting the key is Milvus'; ours are under
//! `cinclus`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use cinclus_meta::TlsVersion;
use cinclus_wal::BufferBudget;
use serde_json::Value;

use super::ServerConfig;
use super::storage::{MetaPlace, Place, Provider, Secret};
use super::values::{bytes, choice, flag, list, number, path, span, text};

/// One key.
pub(crate) struct Key {
    /// Its path, with dots.
    pub name: &'static str,
    /// Puts a value in place.
    pub set: fn(&mut ServerConfig, &Value) -> anyhow::Result<()>,
}

const SECOND: Duration = Duration::from_secs(1);

macro_rules! keys {
    ($($name:literal => |$config:ident, $value:ident| $set:expr;)*) => {
        &[$(Key { name: $name, set: |$config, $value| { $set; Ok(()) } }),*]
    };
}

const KEYS: &[Key] = keys! {
    "localStorage.path" => |c, v| c.data_dir = PathBuf::from(text(v)?);
    "proxy.port" => |c, v| c.listen.set_port(number(v)?);
    "proxy.ip" => |c, v| c.listen.set_ip(ip(v)?);
    "common.gracefulTime" => |c, v| c.proxy.graceful_time = span(v, Duration::from_millis(1))?;
    "common.security.authorizationEnabled" => |_c, v| refuse_true(v)?;
    "log.level" => |c, v| c.log = text(v)?;
    "metrics.port" => |c, v| c.management_listen.set_port(number(v)?);
    "metrics.ip" => |c, v| c.management_listen.set_ip(ip(v)?);
    "msgChannel.chanNamePrefix.cluster" => |c, v| {
        c.coord.channel_prefix = format!("{}-rootcoord-dml", text(v)?);
    };
    "proxy.grpc.serverMaxRecvSize" => |c, v| c.proxy.request_bytes_max = bytes(v)? as usize;
    "proxy.grpc.serverMaxSendSize" => |c, v| c.proxy.answer_bytes_max = bytes(v)? as usize;
    "proxy.idempotentRequests" => |c, v| c.proxy.idempotent_requests = flag(v)?;
    "proxy.maxShardNum" => |c, v| {
        let max = number(v)?;
        c.coord.shards_max = max;
        c.proxy.shards_max = max;
    };
    "common.storageType" => |c, v| c.storage.objects = Some(choice(v, PLACES)?);
    "woodpecker.storage.type" => |c, v| c.storage.log = Some(choice(v, LOG_PLACES)?);
    "metastore.type" => |c, v| c.storage.meta = Some(choice(v, META_PLACES)?);
    "mq.type" => |_c, v| choice(v, QUEUES)?;
    "woodpecker.meta.prefix" => |c, v| c.storage.log_meta_prefix = path(v)?;
    "etcd.endpoints" => |c, v| c.storage.etcd.endpoints = list(v)?;
    "etcd.rootPath" => |c, v| c.storage.etcd.root = path(v)?;
    "etcd.auth.enabled" => |c, v| c.storage.etcd.auth = flag(v)?;
    "etcd.auth.userName" => |c, v| c.storage.etcd.user = text(v)?;
    "etcd.auth.password" => |c, v| c.storage.etcd.password = Secret(text(v)?);
    "etcd.ssl.enabled" => |c, v| c.storage.etcd.tls.enabled = flag(v)?;
    "etcd.ssl.tlsCert" => |c, v| c.storage.etcd.tls.cert = text(v)?;
    "etcd.ssl.tlsKey" => |c, v| c.storage.etcd.tls.key = text(v)?;
    "etcd.ssl.tlsCACert" => |c, v| c.storage.etcd.tls.ca = text(v)?;
    "etcd.ssl.tlsMinVersion" => |c, v| c.storage.etcd.tls.version_min = choice(v, TLS_VERSIONS)?;
    "etcd.requestTimeout" => |c, v| c.storage.etcd.request_timeout = span(v, Duration::from_millis(1))?;
    "cinclus.etcd.txnOperationsMax" => |c, v| c.storage.etcd.txn_operations_max = number(v)?;
    "minio.cloudProvider" => |c, v| c.storage.remote.provider = choice(v, PROVIDERS)?;
    "minio.address" => |c, v| c.storage.remote.address = text(v)?;
    "minio.port" => |c, v| c.storage.remote.port = number(v)?;
    "minio.accessKeyID" => |c, v| c.storage.remote.access_key = text(v)?;
    "minio.secretAccessKey" => |c, v| c.storage.remote.secret_key = Secret(text(v)?);
    "minio.useSSL" => |c, v| c.storage.remote.use_tls = flag(v)?;
    "minio.useIAM" => |c, v| c.storage.remote.use_iam = flag(v)?;
    "minio.useVirtualHost" => |c, v| c.storage.remote.virtual_host = flag(v)?;
    "minio.bucketName" => |c, v| c.storage.remote.bucket = text(v)?;
    "minio.createBucket" => |c, v| c.storage.remote.create_bucket = flag(v)?;
    "minio.rootPath" => |c, v| c.storage.remote.root = text(v)?;
    "minio.region" => |c, v| c.storage.remote.region = text(v)?;
    "rootCoord.dmlChannelNum" => |c, v| c.coord.channels = number(v)?;
    "rootCoord.maxDatabaseNum" => |c, v| c.coord.databases_max = number(v)?;
    "rootCoord.maxPartitionNum" => |c, v| {
        let max = number(v)?;
        c.coord.partitions_max = max;
        c.proxy.partitions_max = max;
    };
    "quotaAndLimits.limits.maxCollectionNum" => |c, v| c.coord.collections_max = number(v)?;
    "dataCoord.segment.maxSize" => |c, v| {
        c.node.wal.segment_bytes_max = number::<u64>(v)? << 20;
    };
    "dataCoord.segment.maxLife" => |c, v| c.node.wal.segment_age_max = span(v, SECOND)?;
    "dataCoord.segment.maxIdleTime" => |c, v| c.node.wal.segment_idle = span(v, SECOND)?;
    "dataCoord.segment.minSizeFromIdleToSealed" => |c, v| {
        c.node.wal.idle_bytes_min = number::<u64>(v)? << 20;
    };
    "streaming.walWriteAheadBuffer.capacity" => |c, v| c.node.wal.buffer = BufferBudget::new(bytes(v)?);
    "streaming.walWriteAheadBuffer.keepalive" => |c, v| c.node.wal.buffer_age_max = span(v, SECOND)?;
    "streaming.walTruncate.retentionInterval" => |c, v| c.node.retention_age = span(v, SECOND)?;
    "cinclus.wal.retentionBytes" => |c, v| c.node.retention_bytes = bytes(v)?;
    "streaming.txn.defaultKeepaliveTimeout" => |c, v| c.node.wal.txn_keepalive_default = span(v, SECOND)?;
    "woodpecker.client.segmentRollingPolicy.maxSize" => |c, v| c.log_roll_bytes = bytes(v)?;
    "woodpecker.client.segmentRollingPolicy.maxInterval" => |c, v| c.log_roll_age = span(v, SECOND)?;
    "cinclus.shutdownTimeout" => |c, v| c.shutdown_timeout = span(v, SECOND)?;
    "cinclus.client.readyPatience" => |c, v| c.client.ready_patience = span(v, SECOND)?;
    "cinclus.wal.inFlightBytesMax" => |c, v| c.node.wal.in_flight_bytes_max = bytes(v)?;
    "cinclus.wal.spaceReserve" => |c, v| c.node.wal.space_reserve_bytes = bytes(v)?;
    "cinclus.wal.subscriptionsMax" => |c, v| c.node.subscriptions_max = number(v)?;
    "cinclus.wal.growingBytesMax" => |c, v| c.node.wal.growing_bytes_max = bytes(v)?;
    "cinclus.recovery.logBytesMax" => |c, v| c.node.recovery_log_bytes_max = bytes(v)?;
    "cinclus.memory.limit" => |c, v| c.memory_limit = Some(bytes(v)?);
    "cinclus.recovery.persistAge" => |c, v| c.node.persist_age = span(v, SECOND)?;
};

/// Values of `common.storageType`.
const PLACES: &[(&str, Result<Place, &str>)] =
    &[("local", Ok(Place::Local)), ("remote", Ok(Place::Remote)), ("minio", Ok(Place::Remote))];
/// Values of `woodpecker.storage.type`.
const LOG_PLACES: &[(&str, Result<Place, &str>)] = &[
    ("local", Ok(Place::Local)),
    ("minio", Ok(Place::Remote)),
    ("default", Ok(Place::Remote)),
    ("service", Err("logs on a quorum of Woodpecker's servers are not supported")),
];
/// Values of `metastore.type`.
const META_PLACES: &[(&str, Result<MetaPlace, &str>)] = &[
    ("embedded", Ok(MetaPlace::Embedded)),
    ("objects", Ok(MetaPlace::Objects)),
    ("etcd", Ok(MetaPlace::Etcd)),
    ("tikv", Err("metadata in TiKV is not supported")),
];
/// Values of `etcd.ssl.tlsMinVersion`.
const TLS_VERSIONS: &[(&str, Result<TlsVersion, &str>)] = &[
    ("1.0", Err("versions before 1.2 are not spoken")),
    ("1.1", Err("versions before 1.2 are not spoken")),
    ("1.2", Ok(TlsVersion::V1_2)),
    ("1.3", Ok(TlsVersion::V1_3)),
];
/// Values of `mq.type`.
const QUEUES: &[(&str, Result<(), &str>)] = &[
    ("default", Ok(())),
    ("woodpecker", Ok(())),
    ("kafka", Err("logs in Kafka are not supported yet")),
    ("pulsar", Err("logs in Pulsar are not supported yet")),
    ("rocksmq", Err("use woodpecker with woodpecker.storage.type local")),
];
/// Values of `minio.cloudProvider`.
const PROVIDERS: &[(&str, Result<Provider, &str>)] = &[
    ("aws", Ok(Provider::S3)),
    ("azure", Ok(Provider::Azure)),
    ("gcp", Ok(Provider::Gcs)),
    ("gcpnative", Ok(Provider::Gcs)),
    ("aliyun", Err("its condition for puts is not supported: use its S3 endpoint with aws")),
    ("tencent", Err("its condition for puts is not supported: use its S3 endpoint with aws")),
];

/// The key of a path.
pub(crate) fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == path)
}

/// The names of all keys.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|key| key.name)
}

fn ip(value: &Value) -> anyhow::Result<IpAddr> {
    let text = text(value)?;
    text.parse().with_context(|| format!("expected an IP address, not {text:?}"))
}

fn refuse_true(value: &Value) -> anyhow::Result<()> {
    anyhow::ensure!(!flag(value)?, "users and roles are not served yet; only false is possible");
    Ok(())
}
