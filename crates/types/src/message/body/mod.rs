//! Bodies of messages: what is in the payload.
