//! Databases, collections, aliases: read from a snapshot, changed by the coordinator.
