//! The stored form, byte for byte.
