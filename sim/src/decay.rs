//! One bit of what is stored is another one than was written, until it is healed.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use cinclus_env::Random;
use futures::executor::block_on;
use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectStore, ObjectStoreExt, PutOptions, PutPayload};

use crate::place::{DIR, Place};
use crate::world::World;

/// How much around the bit must be as it was, for the bit to be the one that was flipped.
const AROUND: usize = 32;

/// A bit that flipped at rest.
#[derive(Clone, Debug)]
pub struct Flip {
    place: Place,
    /// The file, or the object.
    pub path: String,
    offset: usize,
    bit: u8,
    /// What stood around it then.
    around: Vec<u8>,
}

/// The parts of a place of which some are flipped more often than by their number.
const LIKELY: [&str; 3] = ["data.log", ".blk", ".parquet"];

impl Flip {
    /// Flips a bit of something that is stored, if there is anything. No process runs.
    #[must_use]
    pub fn somewhere(world: &World, random: &Random) -> Option<Flip> {
        let place = world.place();
        let mut files = stored(world);
        files.retain(|(_, bytes)| !bytes.is_empty());
        if random.chance(0.8) {
            let kind = LIKELY[random.range(0..LIKELY.len() as u64) as usize];
            let likely: Vec<_> = files.iter().filter(|(path, _)| path.contains(kind)).cloned().collect();
            files = if likely.is_empty() { files } else { likely };
        }
        if files.is_empty() {
            return None;
        }
        let (path, bytes) = files.swap_remove(random.range(0..files.len() as u64) as usize);
        // The end of a file is where it is not clear what was written.
        let from = if random.chance(0.3) { bytes.len().saturating_sub(400) as u64 } else { 0 };
        let offset = random.range(from..bytes.len() as u64) as usize;
        let bit = random.range(0..8) as u8;
        let mut flip = Flip { place, path, offset, bit, around: Vec::new() };
        flip.turn(world, &bytes);
        let mut flipped = bytes.to_vec();
        flipped[offset] ^= 1 << bit;
        flip.around = flip.window(&flipped).to_vec();
        let kind = LIKELY.iter().find(|kind| flip.path.contains(**kind));
        world.tally.count(match kind {
            Some(&"data.log" | &".blk") => "fault bit flipped in a log",
            Some(_) => "fault bit flipped in a segment file",
            None => "fault bit flipped elsewhere",
        });
        let at = std::time::Duration::ZERO;
        world.trace.note(at, format_args!("bit {bit} of byte {offset} of {} flips", flip.path));
        Some(flip)
    }

    /// Whether a text says which file it is.
    #[must_use]
    pub fn is_named_by(&self, text: &str) -> bool {
        let objects = Path::new(DIR).join("objects");
        let relative = Path::new(&self.path).strip_prefix(&objects).ok().and_then(Path::to_str);
        text.contains(&self.path) || relative.is_some_and(|name| text.contains(name))
    }

    /// Turns the bit back, if what is there is what it was flipped in. No process runs.
    pub fn heal(&self, world: &World) {
        let now = stored(world).into_iter().find(|(path, _)| *path == self.path);
        let Some((_, bytes)) = now.filter(|(_, bytes)| self.window(bytes) == self.around) else {
            world.tally.count("bits that were gone before they were healed");
            return;
        };
        self.turn(world, &bytes);
        world.tally.count("bits healed");
    }

    fn window<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let end = (self.offset + AROUND).min(bytes.len());
        &bytes[self.offset.saturating_sub(AROUND).min(end)..end]
    }

    fn turn(&self, world: &World, bytes: &[u8]) {
        match self.place {
            Place::Disk | Place::Files => {
                world.disk.flip(Path::new(&self.path), self.offset as u64, self.bit);
            }
            Place::Objects => {
                let mut bytes = bytes.to_vec();
                bytes[self.offset] ^= 1 << self.bit;
                let path = object_store::path::Path::from(self.path.as_str());
                let turned = async {
                    let attributes = world.objects.get(&path).await?.attributes;
                    let options = PutOptions { attributes, ..PutOptions::default() };
                    world.objects.put_opts(&path, PutPayload::from(bytes), options).await
                };
                // What was just read in memory is there.
                let _ = block_on(turned);
            }
        }
    }
}

/// Everything that is stored, by name.
fn stored(world: &World) -> Vec<(String, Bytes)> {
    match world.place() {
        Place::Disk | Place::Files => {
            let name = |path: PathBuf| path.to_string_lossy().into_owned();
            world.disk.files().into_iter().map(|(path, bytes)| (name(path), bytes.into())).collect()
        }
        Place::Objects => {
            let objects: &dyn ObjectStore = &*world.objects;
            let all = objects.list(None).and_then(|meta| async move {
                let bytes = objects.get(&meta.location).await?.bytes().await?;
                Ok((meta.location.to_string(), bytes))
            });
            let mut all: Vec<_> = block_on(all.filter_map(async |found| found.ok()).collect());
            all.sort();
            all
        }
    }
}
