//! One function for each rule of [`LogStorage`](crate::LogStorage).
