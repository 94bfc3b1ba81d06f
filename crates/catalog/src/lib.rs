//! What is known of collections and segments, on MetaStore
