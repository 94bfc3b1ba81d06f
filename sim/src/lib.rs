//! The simulator: the whole cluster on one thread, broken on purpose, decided by one seed.
//!
//! What runs is our real code: coordinator, streaming nodes, workers, clients, Wals, catalog, log storages. What is
//! simulated is the machine below (a [`MemoryDisk`](cinclus_env::disk::MemoryDisk) that forgets and tears, time
//! that is paused) and what lies between processes ([`network`], [`stores`]). Everything random is drawn from the
//! seed, so a seed that fails fails again: `cargo xtask sim --seed N`, which also builds tokio so that it takes a seed
//! ([`world::REPEATABLE`]).
//!
//! A [`World`](world::World) is what outlives processes. A [`Life`](life::Life) is one start of them on it, with a
//! runtime of its own; when it ends, whatever its tasks were waiting for, they are gone. Actors of the
//! [`workload`] note in the [`History`](history::History) what they wanted and what they were told; the
//! [`Archive`](archive::Archive) keeps every record that was ever in a log. When all lives are over, the
//! [`checkers`] compare the two.

pub mod archive;
pub mod checkers;
pub mod cluster;
pub mod decay;
pub mod director;
pub mod disk_faults;
pub mod ending;
pub mod handed_on;
pub mod history;
pub mod life;
pub mod member;
pub mod mutations;
pub mod network;
pub mod place;
pub mod plan;
pub mod proxied;
pub mod remote_coord;
pub mod remote_node;
pub mod remote_worker;
pub mod run;
pub mod scenarios;
pub mod scene;
pub mod scrolls;
pub mod shard;
pub mod stores;
pub mod storm;
pub mod subscriber;
pub mod tally;
pub mod terms;
pub mod trace;
pub mod wanted;
pub mod weather;
pub mod workload;
pub mod world;
