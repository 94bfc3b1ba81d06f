//! Sessions, versions, health, timestamps.

use std::collections::BTreeMap;

use cinclus_types::proto::common::{ServerInfo, StateCode};

use crate::proto::milvus as wire;
use crate::proxy::{Call, Proxy};
use crate::status::{ProxyError, success};

/// Answers the first call of a client.
///
/// # Errors
/// There is no database of the name that the client wants to work in, if it says so this early.
pub(crate) async fn connect(
    proxy: &Proxy,
    call: &Call,
    _request: wire::ConnectRequest,
) -> Result<wire::ConnectResponse, ProxyError> {
    proxy.database(call, "")?;
    let server_info = ServerInfo {
        build_tags: proxy.config().version.clone(),
        deploy_mode: "STANDALONE".to_owned(),
        reserved: BTreeMap::new(),
        ..ServerInfo::default()
    };
    // Any number but 0 will do; the client sends it with every call.
    let identifier = (proxy.parts().env.random.u64() >> 1).max(1) as i64;
    Ok(wire::ConnectResponse { status: Some(success()), server_info: Some(server_info), identifier })
}

/// Tells the version.
///
/// # Errors
/// None.
pub(crate) async fn version(
    proxy: &Proxy,
    _call: &Call,
    _request: wire::GetVersionRequest,
) -> Result<wire::GetVersionResponse, ProxyError> {
    Ok(wire::GetVersionResponse { status: Some(success()), version: proxy.config().version.clone() })
}

/// Tells whether the coordinator answers.
///
/// # Errors
/// None: what is wrong is in the answer.
pub(crate) async fn health(
    proxy: &Proxy,
    _call: &Call,
    _request: wire::CheckHealthRequest,
) -> Result<wire::CheckHealthResponse, ProxyError> {
    let reasons: Vec<String> = match proxy.parts().coord.ticks(1).await {
        Ok(_) => Vec::new(),
        Err(error) => vec![error.to_string()],
    };
    Ok(wire::CheckHealthResponse {
        status: Some(success()),
        is_healthy: reasons.is_empty(),
        reasons,
        quota_states: Vec::new(),
    })
}

/// Grants a timestamp.
///
/// # Errors
/// The coordinator did not answer.
pub(crate) async fn alloc_timestamp(
    proxy: &Proxy,
    _call: &Call,
    _request: wire::AllocTimestampRequest,
) -> Result<wire::AllocTimestampResponse, ProxyError> {
    let timestamp = proxy.parts().coord.ticks(1).await?.first.0;
    Ok(wire::AllocTimestampResponse { status: Some(success()), timestamp })
}

/// Tells that the proxy is there.
///
/// # Errors
/// None.
pub(crate) async fn component_states(
    _proxy: &Proxy,
    _call: &Call,
    _request: wire::GetComponentStatesRequest,
) -> Result<wire::ComponentStates, ProxyError> {
    let state = wire::ComponentInfo {
        role: "proxy".to_owned(),
        state_code: StateCode::Healthy as i32,
        ..wire::ComponentInfo::default()
    };
    Ok(wire::ComponentStates { state: Some(state), subcomponent_states: Vec::new(), status: Some(success()) })
}

/// Answers nothing, as asked.
///
/// # Errors
/// None.
pub(crate) async fn dummy(
    _proxy: &Proxy,
    _call: &Call,
    _request: wire::DummyRequest,
) -> Result<wire::DummyResponse, ProxyError> {
    Ok(wire::DummyResponse::default())
}
