//! The query node: sealed segments, sub-plans, forwarded deletes
