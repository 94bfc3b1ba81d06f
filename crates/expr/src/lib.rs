//! The filter language of Milvus: text to a tree checked against a schema
