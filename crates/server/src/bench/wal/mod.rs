//! `cinclus bench wal`: the log by itself, in this process, against the disk and the object store below it.
//!
//! | file | what |
//! | --- | --- |
//! | [`args`], [`run`] | the command line, the cases, the table in the end |
//! | [`files`], [`served`] | a log on files, and one that is written and read as a node does it |
//! | [`lone`], [`writers`], [`large`], [`catch_up`], [`deliver`], [`tail`], [`idle`] | the cases on files |
//! | [`slow_store`], [`objects`] | an object store of which every call takes a while, and a log on it |
//! | [`lone_put`], [`uploads`], [`gets`], [`unfinished`] | the cases on objects |

pub(super) mod args;
mod catch_up;
mod deliver;
mod files;
mod gets;
mod idle;
mod large;
mod lone;
mod lone_put;
mod objects;
pub(super) mod run;
mod served;
mod slow_store;
mod tail;
mod unfinished;
mod uploads;
mod writers;
