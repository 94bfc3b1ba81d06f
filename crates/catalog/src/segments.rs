//! Segments, delete files and checkpoints of each log: written by its owner, watched by delegators.
