//! The coordinator on metadata and logs that outlive it.

mod desk;
mod fake_node;
mod faults;
mod samples;
mod world;

mod channels;
mod going_away;
mod planning;
mod planning_collections;
mod planning_load;
mod roll_forward;
mod stuck;
mod tso;
