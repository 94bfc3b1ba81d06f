//! Compiles the protocol files in `proto/`, without protoc.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = ["common.proto", "schema.proto", "msg.proto", "messages.proto"];
    let descriptors = protox::compile(files, ["proto"])?;
    prost_build::Config::new()
        .bytes(["."])
        .btree_map(["."])
        // Vectors are nearly all of the bytes: `src/proto/float_array.rs` moves them by the block.
        .extern_path(".milvus.proto.schema.FloatArray", "crate::proto::schema::FloatArray")
        .compile_fds(descriptors)?;
    Ok(())
}
