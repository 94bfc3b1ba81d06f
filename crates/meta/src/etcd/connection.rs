//! Calls to the members of an etcd.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cinclus_env::{DynClock, timeout};
use parking_lot::Mutex;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

use super::config::{EtcdConfig, EtcdUser};
use super::failure::Failure;
use super::proto::AuthenticateRequest;
use super::proto::auth_client::AuthClient;
use super::tls::Tls;
use crate::error::OpenError;

/// A member that does not answer a ping for so long is taken for gone.
const PING_EVERY: Duration = Duration::from_secs(5);
const PONG_WITHIN: Duration = Duration::from_secs(3);

/// The members, and who is asked.
pub(super) struct Connection {
    members: Vec<Member>,
    /// The one that is asked first; moves on when it fails.
    current: AtomicUsize,
    user: Option<EtcdUser>,
    token: Mutex<Option<MetadataValue<Ascii>>>,
    clock: DynClock,
    request_timeout: Duration,
}

struct Member {
    address: String,
    channel: Channel,
}

/// Whether a call may be made twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Twice is as good as once.
    Always,
    /// Only if it certainly had no effect.
    IfNothingHappened,
}

impl Connection {
    /// Connects when it is asked for something.
    ///
    /// # Errors
    /// If an address is none.
    pub(super) fn new(config: &EtcdConfig, clock: DynClock) -> Result<Connection, OpenError> {
        let tls = config.tls.as_ref().map(Tls::new).transpose();
        let tls = tls.map_err(|reason| {
            let (address, reason) = (config.endpoints.join(", "), format!("TLS: {reason}"));
            OpenError::Refused { address, reason }
        })?;
        let members = config.endpoints.iter().map(|address| member(address, config, tls.as_ref()));
        let members: Vec<Member> = members.collect::<Result<_, _>>()?;
        if members.is_empty() {
            let reason = "the configuration names no address of etcd".to_owned();
            return Err(OpenError::Refused { address: String::new(), reason });
        }
        Ok(Connection {
            members,
            current: AtomicUsize::new(0),
            user: config.user.clone(),
            token: Mutex::default(),
            clock,
            request_timeout: config.request_timeout,
        })
    }

    pub(super) fn clock(&self) -> &DynClock {
        &self.clock
    }

    /// All addresses, for people.
    pub(super) fn addresses(&self) -> String {
        let addresses: Vec<&str> = self.members.iter().map(|member| member.address.as_str()).collect();
        addresses.join(", ")
    }

    /// Sends `message`, to another member if the first fails, within the time of one request.
    ///
    /// # Errors
    /// Whatever was seen last.
    pub(super) async fn call<M, T, F>(
        &self,
        message: M,
        repeat: Repeat,
        send: impl Fn(Channel, Request<M>) -> F,
    ) -> Result<T, Failure>
    where
        M: Clone,
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let attempts = self.attempts(message, repeat, send);
        match timeout(&*self.clock, self.request_timeout, attempts).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure::Lost(format!("no answer within {:?}", self.request_timeout))),
        }
    }

    async fn attempts<M, T, F>(
        &self,
        message: M,
        repeat: Repeat,
        send: impl Fn(Channel, Request<M>) -> F,
    ) -> Result<T, Failure>
    where
        M: Clone,
        F: Future<Output = Result<Response<T>, Status>>,
    {
        // One more than there are members: a connection that broke while idle is made again.
        let (mut left, mut logins) = (self.members.len(), 1);
        loop {
            let index = self.current.load(Ordering::Relaxed) % self.members.len();
            let failure = match self.attempt(index, message.clone(), &send).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let again = match &failure {
                Failure::Login(_) if logins > 0 && self.user.is_some() => {
                    logins -= 1;
                    self.forget_token();
                    continue;
                }
                Failure::Away(_) | Failure::Busy(_) => true,
                // Invariant M2: what may have happened is not sent again.
                Failure::Lost(_) => repeat == Repeat::Always,
                Failure::Login(_) | Failure::Refused(_) | Failure::Compacted(_) | Failure::LeaseGone(_) => {
                    false
                }
            };
            if matches!(failure, Failure::Away(_) | Failure::Busy(_) | Failure::Lost(_)) {
                self.pass_over(index);
            }
            if !again || left == 0 {
                return Err(failure);
            }
            left -= 1;
        }
    }

    async fn attempt<M, T, F>(
        &self,
        index: usize,
        message: M,
        send: &impl Fn(Channel, Request<M>) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let channel = &self.members[index].channel;
        let token = self.token(channel).await?;
        let mut request = Request::new(message);
        // A member that sees no leader says so at once, before it does anything.
        request.metadata_mut().insert("hasleader", MetadataValue::from_static("true"));
        if let Some(token) = token {
            request.metadata_mut().insert("token", token);
        }
        match send(channel.clone(), request).await {
            Ok(answer) => Ok(answer.into_inner()),
            Err(status) => Err(Failure::of(&status)),
        }
    }

    /// Lets the next call begin with another member.
    pub(super) fn pass_over(&self, index: usize) {
        let next = (index + 1) % self.members.len();
        // Somebody else may have done so.
        let _ = self.current.compare_exchange(index, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// The member that is asked next.
    pub(super) fn current(&self) -> usize {
        self.current.load(Ordering::Relaxed)
    }

    /// Logs in again before the next call.
    pub(super) fn forget_token(&self) {
        *self.token.lock() = None;
    }

    async fn token(&self, channel: &Channel) -> Result<Option<MetadataValue<Ascii>>, Failure> {
        let Some(user) = &self.user else { return Ok(None) };
        let held = self.token.lock().clone();
        if held.is_some() {
            return Ok(held);
        }
        let login = AuthenticateRequest { name: user.name.clone(), password: user.password.clone() };
        let answer = match AuthClient::new(channel.clone()).authenticate(login).await {
            Ok(answer) => answer.into_inner(),
            Err(status) if status.message() == "etcdserver: authentication is not enabled" => {
                return Ok(None);
            }
            // A login changes nothing that is ours, and the call itself was not sent.
            Err(status) => {
                let failure = Failure::of(&status);
                let is_lost = matches!(failure, Failure::Lost(_));
                return Err(if is_lost { Failure::Away(failure.reason().to_owned()) } else { failure });
            }
        };
        let Ok(token) = MetadataValue::try_from(&answer.token) else {
            return Err(Failure::Refused("etcd gave a token that cannot be sent".to_owned()));
        };
        *self.token.lock() = Some(token.clone());
        Ok(Some(token))
    }
}

fn member(address: &str, config: &EtcdConfig, tls: Option<&Tls>) -> Result<Member, OpenError> {
    let refused = |reason: String| OpenError::Refused { address: address.to_owned(), reason };
    let uri = match (address.trim().split_once("://"), tls) {
        (None, None) => format!("http://{}", address.trim()),
        (None, Some(_)) => format!("https://{}", address.trim()),
        (Some(("http", _)), None) | (Some(("https", _)), Some(_)) => address.trim().to_owned(),
        (Some(("https", _)), None) => {
            return Err(refused("https needs the certificate of an authority: etcd.ssl.enabled".to_owned()));
        }
        (Some((scheme, _)), _) => {
            let spoken = if tls.is_some() { "https, because etcd.ssl.enabled says so" } else { "http" };
            return Err(refused(format!("Cinclus does not speak {scheme} with this etcd, only {spoken}")));
        }
    };
    let endpoint = Endpoint::from_shared(uri).map_err(|error| refused(error.to_string()))?;
    let endpoint = endpoint
        .connect_timeout(config.connect_timeout)
        .http2_keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PONG_WITHIN)
        .tcp_nodelay(true);
    let channel = match tls.cloned() {
        None => endpoint.connect_lazy(),
        Some(tls) => {
            let connect = tower::service_fn(move |address| tls.clone().connect(address));
            endpoint.connect_with_connector_lazy(connect)
        }
    };
    Ok(Member { address: address.trim().to_owned(), channel })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cinclus_env::OsClock;

    use super::*;

    fn connect(endpoints: &[&str]) -> Result<Connection, OpenError> {
        let endpoints = endpoints.iter().map(|address| (*address).to_owned()).collect();
        Connection::new(&EtcdConfig { endpoints, ..EtcdConfig::default() }, Arc::new(OsClock))
    }

    #[tokio::test]
    async fn addresses_may_have_a_scheme_but_not_any() {
        let connection = connect(&["localhost:2379", " http://10.0.0.1:2379 "]).unwrap();
        assert_eq!(connection.addresses(), "localhost:2379, http://10.0.0.1:2379");
        let refused = connect(&["https://localhost:2379"]).map(drop).unwrap_err();
        assert!(refused.to_string().contains("etcd.ssl.enabled"), "{refused}");
        assert!(connect(&[]).is_err() && connect(&["a b"]).is_err());
    }

    #[tokio::test]
    async fn the_member_after_one_that_failed_is_asked_next() {
        let connection = connect(&["a", "b"]).unwrap();
        connection.pass_over(0);
        connection.pass_over(0);
        assert_eq!(connection.current(), 1);
        connection.pass_over(1);
        assert_eq!(connection.current(), 0);
    }
}
