//! The streaming node: hosts Wals, pump, persisting, serves produce, consume, search
