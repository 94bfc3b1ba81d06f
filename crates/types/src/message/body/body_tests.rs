//! Payloads, byte for byte and there and back.
