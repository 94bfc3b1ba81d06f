//! Chunks, tail files and delete files in object storage.
