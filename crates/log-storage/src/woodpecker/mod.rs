//! The Woodpecker log: its record format and its local layout.
