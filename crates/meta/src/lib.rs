//! Metadata: versioned keys, transactions, watches, leases
