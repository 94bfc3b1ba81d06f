//! The streaming client: view, router, producers, consumers
