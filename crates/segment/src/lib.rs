//! One segment: growing rows, deletes, chunk files, vector search, filters
