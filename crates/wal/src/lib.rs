//! One PChannel: sequencing writer, scanner, transactions, recovery
