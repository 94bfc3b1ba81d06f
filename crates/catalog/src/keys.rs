//! The whole layout of the catalog in the metadata store.
