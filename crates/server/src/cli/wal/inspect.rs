//! `cinclus wal inspect`.

use std::io::Write;

use cinclus_env::{DynDisk, Env};
use cinclus_log_storage::LogError;
use cinclus_log_storage::woodpecker::local::inspect::{BlockReport, SegmentReport, Shape, verify_segment};
use cinclus_types::MessageId;

use super::args::InspectArgs;
use super::{place, show};

/// Lists what there is.
pub(super) async fn inspect(args: &InspectArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let env = Env::os();
    for log in place::find_logs(&env.disk, &args.place).await? {
        writeln!(out, "{}", show::log_line(&log))?;
        for segment in &log.segments {
            if args.segment.is_none_or(|wanted| wanted == segment.id) {
                inspect_segment(&env.disk, segment, args, out).await?;
            }
        }
    }
    Ok(())
}

async fn inspect_segment(
    disk: &DynDisk,
    segment: &SegmentReport,
    args: &InspectArgs,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    // Without a footer, only reading tells how many blocks there are.
    let segment = match &segment.shape {
        Shape::Unfinished { .. } => match verify_segment(disk, &segment.file, segment.id).await {
            Ok(verified) => verified,
            Err(_) if !disk.exists(&segment.file).await? => return Ok(()),
            Err(error) => return Err(error.into()),
        },
        Shape::Empty | Shape::Finished | Shape::Damaged { .. } => segment.clone(),
    };
    writeln!(out, "  {}", show::segment_line(&segment))?;
    if args.blocks || args.messages {
        inspect_blocks(disk, &segment, args, out).await?;
    }
    Ok(())
}

async fn inspect_blocks(
    disk: &DynDisk,
    segment: &SegmentReport,
    args: &InspectArgs,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let Some(mut walk) = place::walk(disk, segment).await? else { return Ok(()) };
    loop {
        match walk.next_block().await {
            Ok(Some(block)) => inspect_block(&block, segment.id, args.messages, out)?,
            Ok(None) => return Ok(()),
            Err(error @ LogError::Corrupt { .. }) => {
                writeln!(out, "    {error}")?;
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn inspect_block(
    block: &BlockReport,
    segment: u64,
    messages: bool,
    out: &mut impl Write,
) -> std::io::Result<()> {
    let BlockReport { number, offset, bytes, first_entry, records } = block;
    let last = first_entry + records.len() as u64 - 1;
    writeln!(
        out,
        "    block {segment}/{number} · at byte {offset}, {bytes} bytes, entries {first_entry} to {last}"
    )?;
    if !messages {
        return Ok(());
    }
    for (entry, record) in (*first_entry..).zip(records) {
        match show::message(MessageId::from_parts(0, segment, entry), record) {
            Ok(message) => writeln!(out, "      {}", show::message_line(&message))?,
            Err(error) => writeln!(out, "      {segment}/{entry} · not a message: {error}")?,
        }
    }
    Ok(())
}
