//! Compiles the contract with `protox`, so that a machine without `protoc` can build.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let proto = "proto/gitstratum/v1/node.proto";
    println!("cargo:rerun-if-changed={proto}");
    let descriptors = protox::compile([proto], ["proto"])?;
    tonic_prost_build::configure().bytes(".").build_transport(false).compile_fds(descriptors)?;
    Ok(())
}
