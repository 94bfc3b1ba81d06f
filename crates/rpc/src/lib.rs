//! The calls between the roles: traits and words
