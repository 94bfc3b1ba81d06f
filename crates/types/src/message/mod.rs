//! Messages of the log, their stages, and their codec.
