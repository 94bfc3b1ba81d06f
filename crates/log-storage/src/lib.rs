//! LogStorage: durable, ordered records of one PChannel
