//! The seam to this machine: clock, ticks, randomness, disk, tasks, compute, telemetry
