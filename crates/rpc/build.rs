//! Compiles the protocol between roles in `proto/`, without protoc; shared files come from `cinclus-types`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=../types/proto");
    let descriptors = protox::compile(["streaming.proto"], ["proto", "../types/proto"])?;
    let mut config = prost_build::Config::new();
    config.bytes(["."]).btree_map(["."]);
    tonic_prost_build::configure()
        .extern_path(".milvus.proto.common", "::cinclus_types::proto::common")
        .extern_path(".milvus.proto.messages", "::cinclus_types::proto::messages")
        .extern_path(".milvus.proto.streaming.ConsumeMessageReponse", "crate::grpc::delivered::Delivered")
        .codec_path("crate::grpc::codec::Codec")
        .compile_fds_with_config(descriptors, config)?;
    Ok(())
}
