//! `cinclus wal repair`.

use std::io::Write;

use anyhow::Context;
use cinclus_env::Env;
use cinclus_log_storage::woodpecker::LocalConfig;
use cinclus_log_storage::woodpecker::local::repair::{Lost, Repair, drop_after, plan};
use cinclus_log_storage::woodpecker::metadata::WoodpeckerMetadata;
use cinclus_meta::{DynMetaStore, EmbeddedMetaStore};
use cinclus_types::PChannel;

use super::args::RepairArgs;

/// Prints what is lost; drops it if told to.
pub(super) async fn repair(args: &RepairArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let env = Env::os();
    let dir = &args.dir;
    let used = || format!("the data directory {} cannot be used", dir.display());
    let missing = || format!("{} is no data directory", dir.display());
    env.disk.metadata(&dir.join("FORMAT")).await.with_context(missing)?;
    let _lock = env.disk.lock(&dir.join("LOCK")).await.with_context(used)?;
    let meta = EmbeddedMetaStore::open(&dir.join("meta"), &cinclus_meta::Config::default(), &env).await?;
    let meta: DynMetaStore = std::sync::Arc::new(meta);
    let local = LocalConfig::new(dir.join("wal"));
    let metadata =
        WoodpeckerMetadata::new(meta, &local.metadata_prefix, env.clock.clone(), env.random.clone());
    let repair = Repair {
        disk: &env.disk,
        root: &local.root,
        metadata: &metadata,
        channel: &PChannel::new(args.channel.as_str()),
        segment: args.drop_after.segment,
        block: args.drop_after.block,
    };
    let lost = if args.yes { drop_after(&repair).await? } else { plan(&repair).await? };
    let verb = if args.yes { "lost" } else { "would be lost" };
    for part in &lost {
        writeln!(out, "{verb}: {}", line(part))?;
    }
    if !args.yes {
        writeln!(out, "nothing was changed; add --yes to do it")?;
    }
    Ok(())
}

fn line(lost: &Lost) -> String {
    let Lost { segment, file, from_block, from_entry, last_entry, bytes } = lost;
    let entries = match last_entry {
        Some(last) => format!("entries {from_entry} to {last}"),
        None => format!("the entries from {from_entry} on, nobody knows how many"),
    };
    format!("segment {segment} from block {from_block} on, {entries}, {bytes} bytes of {}", file.display())
}
