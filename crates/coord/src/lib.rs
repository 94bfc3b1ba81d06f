//! The coordinator: channel table, TSO, broadcaster, DDL, placement
