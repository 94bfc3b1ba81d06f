//! Our words from and to Milvus' wire words: schemas, columns of rows, keys.
