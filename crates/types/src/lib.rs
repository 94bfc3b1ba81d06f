//! The words of Cinclus: channels, ticks, ids, messages, schema, rows
