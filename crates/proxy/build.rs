//! Compiles the public protocol in `proto/`, without protoc; shared files come from `cinclus-types`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=../types/proto");
    let descriptors = protox::compile(["rg.proto", "milvus.proto"], ["proto", "../types/proto"])?;
    let mut config = prost_build::Config::new();
    config.bytes(["."]).btree_map(["."]);
    tonic_prost_build::configure()
        .extern_path(".milvus.proto.common", "::cinclus_types::proto::common")
        .extern_path(".milvus.proto.msg", "::cinclus_types::proto::msg")
        .extern_path(".milvus.proto.schema", "::cinclus_types::proto::schema")
        .compile_fds_with_config(descriptors, config)?;
    Ok(())
}
