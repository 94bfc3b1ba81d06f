//! Milvus gRPC in, our words out
