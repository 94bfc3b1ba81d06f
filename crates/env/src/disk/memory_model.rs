//! The state of a memory disk: what programs see, what a crash leaves, and why.
//!
//! For files the model holds the page cache and the durable bytes with the changes between them; for
//! directories the names that are seen, those that are durable, and the changes between them. A crash
//! keeps some of those changes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::DiskError;
use super::memory_faults::{Fault, FaultError, FaultOperation, Keep};
use crate::random::Random;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Dir,
    File(u64),
}

#[derive(Clone, Debug)]
enum Change {
    Write { offset: u64, bytes: Bytes },
    SetLen(u64),
}

#[derive(Clone, Debug)]
enum NameChange {
    Link(PathBuf, Node),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf),
}

#[derive(Default)]
pub(super) struct Inode {
    pub(super) cache: Vec<u8>,
    durable: Vec<u8>,
    changes: Vec<Change>,
}

pub(super) struct Model {
    random: Random,
    files: BTreeMap<u64, Inode>,
    seen: BTreeMap<PathBuf, Node>,
    durable: BTreeMap<PathBuf, Node>,
    name_changes: BTreeMap<PathBuf, Vec<NameChange>>,
    next_file: u64,
    operations: u64,
    trace: Vec<String>,
    powered: bool,
    crash_at: Option<u64>,
    faults: Vec<Fault>,
    pub(super) locks: BTreeMap<PathBuf, u64>,
    /// Grows with each crash: handles of before are dead.
    pub(super) age: u64,
    pub(super) capacity_bytes: u64,
}

impl Model {
    pub(super) fn new(seed: u64) -> Model {
        Model {
            random: Random::seeded(seed),
            files: BTreeMap::new(),
            seen: BTreeMap::new(),
            durable: BTreeMap::new(),
            name_changes: BTreeMap::new(),
            next_file: 0,
            operations: 0,
            trace: Vec::new(),
            powered: true,
            crash_at: None,
            faults: Vec::new(),
            locks: BTreeMap::new(),
            age: 0,
            capacity_bytes: u64::MAX,
        }
    }

    pub(super) fn operations(&self) -> u64 {
        self.operations
    }

    pub(super) fn trace(&self) -> &[String] {
        &self.trace
    }

    pub(super) fn set_crash_at(&mut self, operation: Option<u64>) {
        self.crash_at = operation;
    }

    pub(super) fn add_fault(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub(super) fn clear_faults(&mut self) {
        self.faults.clear();
    }

    pub(super) fn is_powered(&self) -> bool {
        self.powered
    }

    pub(super) fn used_bytes(&self) -> u64 {
        self.files.values().map(|file| file.cache.len() as u64).sum()
    }

    pub(super) fn check_power(&self, operation: &'static str, path: &Path) -> Result<(), DiskError> {
        if self.powered { Ok(()) } else { Err(powered_off(operation, path)) }
    }

    /// Counts and traces an operation that changes something. The operation that the crash was planned
    /// for still has its effect on what is not yet durable; its caller gets the error of
    /// [`Model::finish`].
    pub(super) fn begin(
        &mut self,
        operation: &'static str,
        path: &Path,
        detail: &str,
    ) -> Result<(), DiskError> {
        self.check_power(operation, path)?;
        self.operations += 1;
        self.trace.push(format!("{} {operation} {}{detail}", self.operations, path.display()));
        if self.crash_at == Some(self.operations) {
            self.crash_at = None;
            self.powered = false;
        }
        Ok(())
    }

    /// The outcome of the operation that has just been begun: an error if the power went off in it.
    pub(super) fn finish(&self, operation: &'static str, path: &Path) -> Result<(), DiskError> {
        self.check_power(operation, path)
    }

    pub(super) fn fault(
        &mut self,
        kind: FaultOperation,
        operation: &'static str,
        path: &Path,
    ) -> Result<(), DiskError> {
        let text = path.to_string_lossy();
        for fault in &mut self.faults {
            if fault.operation != kind || fault.times == 0 || !text.contains(&fault.path_contains) {
                continue;
            }
            if fault.after > 0 {
                fault.after -= 1;
                continue;
            }
            fault.times -= 1;
            let path = path.to_owned();
            self.trace.push(format!("  {operation} fails: {:?}", fault.error));
            return Err(match fault.error {
                FaultError::OutOfSpace => DiskError::OutOfSpace { operation, path },
                FaultError::Io => DiskError::Failed {
                    operation,
                    path,
                    kind: std::io::ErrorKind::Other,
                    message: "input/output error (injected)".to_owned(),
                },
            });
        }
        Ok(())
    }

    // Names.

    pub(super) fn node(&self, path: &Path) -> Option<Node> {
        if is_root(path) { Some(Node::Dir) } else { self.seen.get(path).copied() }
    }

    pub(super) fn children(&self, dir: &Path) -> impl Iterator<Item = (&Path, Node)> {
        self.seen
            .iter()
            .filter(move |(path, _)| parent(path) == dir)
            .map(|(path, node)| (path.as_path(), *node))
    }

    pub(super) fn link(&mut self, path: &Path, node: Node) {
        self.change_names(parent(path).to_owned(), NameChange::Link(path.to_owned(), node));
    }

    pub(super) fn create_file(&mut self, path: &Path) -> u64 {
        self.next_file += 1;
        self.files.insert(self.next_file, Inode::default());
        self.link(path, Node::File(self.next_file));
        self.next_file
    }

    pub(super) fn unlink(&mut self, path: &Path) {
        self.change_names(parent(path).to_owned(), NameChange::Unlink(path.to_owned()));
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) {
        if parent(from) == parent(to) {
            let change = NameChange::Rename(from.to_owned(), to.to_owned());
            self.change_names(parent(from).to_owned(), change);
        } else if let Some(node) = self.node(from) {
            self.link(to, node);
            self.unlink(from);
        }
    }

    pub(super) fn sync_names(&mut self, dir: &Path) {
        for change in self.name_changes.remove(dir).unwrap_or_default() {
            change.apply(&mut self.durable);
        }
    }

    fn change_names(&mut self, dir: PathBuf, change: NameChange) {
        change.apply(&mut self.seen);
        self.name_changes.entry(dir).or_default().push(change);
    }

    // Contents.

    pub(super) fn file(&self, id: u64) -> Option<&Inode> {
        self.files.get(&id)
    }

    pub(super) fn write(&mut self, id: u64, offset: u64, bytes: &Bytes) {
        if let Some(file) = self.files.get_mut(&id) {
            let change = Change::Write { offset, bytes: bytes.clone() };
            change.apply(&mut file.cache);
            file.changes.push(change);
        }
    }

    pub(super) fn contents(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let files = self.seen.iter().filter_map(|(path, node)| Some((path, self.files.get(&node.file()?)?)));
        files.map(|(path, file)| (path.clone(), file.cache.clone())).collect()
    }

    pub(super) fn flip(&mut self, path: &Path, offset: u64, bit: u8) -> bool {
        let id = self.node(path).and_then(Node::file);
        let Some(file) = id.and_then(|id| self.files.get_mut(&id)) else { return false };
        let at = offset as usize;
        if at >= file.cache.len() {
            return false;
        }
        file.cache[at] ^= 1 << bit;
        if let Some(byte) = file.durable.get_mut(at) {
            *byte ^= 1 << bit;
        }
        for change in &mut file.changes {
            change.flip(offset, bit);
        }
        true
    }

    /// How many bytes of a write that ran out of space are there all the same.
    pub(super) fn torn_len(&self, len: u64) -> u64 {
        self.random.range(0..len + 1)
    }

    pub(super) fn set_len(&mut self, id: u64, len: u64) {
        if let Some(file) = self.files.get_mut(&id) {
            let change = Change::SetLen(len);
            change.apply(&mut file.cache);
            file.changes.push(change);
        }
    }

    pub(super) fn sync(&mut self, id: u64) {
        if let Some(file) = self.files.get_mut(&id) {
            for change in file.changes.drain(..) {
                change.apply(&mut file.durable);
            }
        }
    }

    /// A failed sync: some of the changes reached the disk, the rest is gone although it is still seen.
    pub(super) fn sync_failed(&mut self, id: u64) {
        let random = &self.random;
        if let Some(file) = self.files.get_mut(&id) {
            for change in file.changes.drain(..) {
                change.keep_some(random, &mut file.durable, false);
            }
        }
    }

    /// The power goes off and on again: what is seen afterwards is what was durable and what `keep` adds.
    pub(super) fn crash(&mut self, keep: Keep) {
        self.trace.push(format!("  crash, keeping {keep:?}"));
        for (_, changes) in std::mem::take(&mut self.name_changes) {
            let kept = match keep {
                Keep::Nothing => 0,
                Keep::Everything => changes.len(),
                Keep::Random | Keep::RandomOverOld => self.random.range(0..changes.len() as u64 + 1) as usize,
            };
            for change in &changes[..kept] {
                change.apply(&mut self.durable);
            }
        }
        let orphans: Vec<PathBuf> =
            self.durable.keys().filter(|path| !self.reachable(path)).cloned().collect();
        for path in orphans {
            self.durable.remove(&path);
        }
        self.seen = self.durable.clone();
        self.crash_files(keep);
        self.let_go();
    }

    /// The process ends and the machine goes on: nothing is lost and nothing becomes durable.
    pub(super) fn restart(&mut self) {
        self.trace.push("  restart".to_owned());
        self.let_go();
    }

    fn let_go(&mut self) {
        self.locks.clear();
        self.crash_at = None;
        self.powered = true;
        self.age += 1;
    }

    fn crash_files(&mut self, keep: Keep) {
        let random = &self.random;
        for file in self.files.values_mut() {
            for change in file.changes.drain(..) {
                match keep {
                    Keep::Nothing => {}
                    Keep::Everything => change.apply(&mut file.durable),
                    Keep::Random => change.keep_some(random, &mut file.durable, false),
                    Keep::RandomOverOld => change.keep_some(random, &mut file.durable, true),
                }
            }
            file.cache.clone_from(&file.durable);
        }
        let names: Vec<u64> = self.seen.values().filter_map(|node| node.file()).collect();
        self.files.retain(|id, _| names.contains(id));
    }

    fn reachable(&self, path: &Path) -> bool {
        let mut at = parent(path);
        while !is_root(at) {
            if self.durable.get(at) != Some(&Node::Dir) {
                return false;
            }
            at = parent(at);
        }
        true
    }
}

impl Node {
    fn file(self) -> Option<u64> {
        match self {
            Node::File(id) => Some(id),
            Node::Dir => None,
        }
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Change::Write { offset, bytes } => put(content, *offset as usize, bytes),
            Change::SetLen(len) => content.resize(*len as usize, 0),
        }
    }

    /// What is still on its way has the flipped bit too.
    fn flip(&mut self, at: u64, bit: u8) {
        let Change::Write { offset, bytes } = self else { return };
        if let Some(within) = at.checked_sub(*offset).filter(|within| *within < bytes.len() as u64) {
            let mut flipped = bytes.to_vec();
            flipped[within as usize] ^= 1 << bit;
            *bytes = flipped.into();
        }
    }

    fn keep_some(&self, random: &Random, content: &mut Vec<u8>, old_in_holes: bool) {
        let Change::Write { offset, bytes } = self else {
            if random.chance(0.5) {
                self.apply(content);
            }
            return;
        };
        let cut = random.range(0..bytes.len() as u64 + 1) as usize;
        match random.range(0..4) {
            0 => {}
            1 => put(content, *offset as usize, bytes),
            2 => put(content, *offset as usize, &bytes[..cut]),
            // The new length reached the disk, a part of the data did not. Bytes that were there before
            // are whole sectors of the old or the new content, never zeros.
            _ => {
                let end = cut + random.range(0..(bytes.len() - cut) as u64 + 1) as usize;
                let old = content.len().saturating_sub(*offset as usize);
                let (cut, end) = (cut.max(old).min(bytes.len()), end.max(old).min(bytes.len()));
                let mut holed = bytes.to_vec();
                holed[cut..end].fill(0);
                if old_in_holes {
                    let from = (*offset as usize + cut).min(content.len());
                    let old = &content[from..(*offset as usize + end).min(content.len())];
                    holed[cut..cut + old.len()].copy_from_slice(old);
                }
                put(content, *offset as usize, &holed);
            }
        }
    }
}

fn put(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(bytes);
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<PathBuf, Node>) {
        match self {
            NameChange::Link(path, node) => {
                names.insert(path.clone(), *node);
            }
            NameChange::Unlink(path) => names.retain(|name, _| !name.starts_with(path)),
            NameChange::Rename(from, to) => {
                let moved: Vec<PathBuf> =
                    names.keys().filter(|name| name.starts_with(from)).cloned().collect();
                names.retain(|name, _| !name.starts_with(to));
                for name in moved {
                    let rest = name.strip_prefix(from).expect("it starts with it");
                    let fresh = if rest.as_os_str().is_empty() { to.clone() } else { to.join(rest) };
                    if let Some(node) = names.remove(&name) {
                        names.insert(fresh, node);
                    }
                }
            }
        }
    }
}

pub(super) fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

fn is_root(path: &Path) -> bool {
    path.as_os_str().is_empty() || path == Path::new("/") || path == Path::new(".")
}

pub(super) fn powered_off(operation: &'static str, path: &Path) -> DiskError {
    DiskError::Failed {
        operation,
        path: path.to_owned(),
        kind: std::io::ErrorKind::Other,
        message: "the disk has no power".to_owned(),
    }
}
