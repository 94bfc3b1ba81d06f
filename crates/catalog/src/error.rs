//! What can go wrong with the catalog.
