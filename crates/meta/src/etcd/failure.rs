//! Whether a call to etcd that failed may have had an effect.

use std::error::Error;

use tonic::{Code, ConnectError, Status};

use crate::error::MetaError;

/// What every error text of etcd's own begins with.
const OWN: &str = "etcdserver: ";

/// A call that failed. Only [`Lost`](Failure::Lost) may have had an effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// There was no connection to send it over.
    Away(String),
    /// The member takes nothing at the moment.
    Busy(String),
    /// The token, or the user, is not accepted.
    Login(String),
    /// It is never taken as it is.
    Refused(String),
    /// It speaks of a revision that is no longer kept.
    Compacted(String),
    /// It hangs a key on a lease that is not there.
    LeaseGone(String),
    /// The answer did not come, or says that nobody knows.
    Lost(String),
}

impl Failure {
    pub(super) fn of(status: &Status) -> Failure {
        if never_connected(status) {
            return Failure::Away(with_cause(status));
        }
        let text = status.message().to_owned();
        let own = text.strip_prefix(OWN);
        match (status.code(), own) {
            (Code::ResourceExhausted, None) if text.contains("received message larger than max") => {
                Failure::Refused(format!("the request is larger than etcd takes: {text}"))
            }
            // A broken connection has many codes, and a proxy in between may make up any.
            (_, None) => Failure::Lost(format!("{}: {}", status.code(), with_cause(status))),
            (Code::ResourceExhausted, Some(_)) | (Code::Unavailable, Some("no leader")) => {
                Failure::Busy(text)
            }
            (Code::Unauthenticated, Some(_)) => Failure::Login(text),
            (_, Some("revision of auth store is old")) => Failure::Login(text),
            (Code::NotFound, Some("requested lease not found")) => Failure::LeaseGone(text),
            (Code::OutOfRange, Some("mvcc: required revision has been compacted")) => {
                Failure::Compacted(text)
            }
            (
                Code::InvalidArgument
                | Code::FailedPrecondition
                | Code::AlreadyExists
                | Code::NotFound
                | Code::OutOfRange
                | Code::PermissionDenied,
                Some(_),
            ) => Failure::Refused(text),
            // Such as "request timed out" and "leader changed": it may have been proposed.
            (_, Some(_)) => Failure::Lost(text),
        }
    }

    /// The error of a call that changes nothing.
    pub(super) fn of_read(self) -> MetaError {
        if let Failure::Lost(reason) = self {
            return MetaError::Unavailable(reason);
        }
        self.of_write()
    }

    /// The error of a call that changes something.
    pub(super) fn of_write(self) -> MetaError {
        match self {
            Failure::Away(reason)
            | Failure::Busy(reason)
            | Failure::Login(reason)
            | Failure::Compacted(reason) => MetaError::Unavailable(reason),
            Failure::Refused(reason) | Failure::LeaseGone(reason) => {
                MetaError::Invalid(format!("etcd refuses: {reason}"))
            }
            // Invariant M2.
            Failure::Lost(reason) => MetaError::Unknown(reason),
        }
    }

    pub(super) fn reason(&self) -> &str {
        match self {
            Failure::Away(reason)
            | Failure::Busy(reason)
            | Failure::Login(reason)
            | Failure::Refused(reason)
            | Failure::Compacted(reason)
            | Failure::LeaseGone(reason)
            | Failure::Lost(reason) => reason,
        }
    }
}

/// What a status says, and what lies at the bottom of it: a refused connection, a certificate that is not trusted.
fn with_cause(status: &Status) -> String {
    let text = status.message().to_owned();
    let mut cause = status.source();
    while let Some(below) = cause.and_then(Error::source) {
        cause = Some(below);
    }
    match cause.map(ToString::to_string) {
        Some(cause) if !text.contains(&cause) => format!("{text}: {cause}"),
        Some(_) | None => text,
    }
}

/// Whether the call ended at making the connection.
fn never_connected(status: &Status) -> bool {
    let mut source = status.source();
    while let Some(error) = source {
        if error.is::<ConnectError>() {
            return true;
        }
        source = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn only_what_etcd_refuses_by_name_had_no_effect() {
        let lost = |code, text: &str| {
            let error = Failure::of(&Status::new(code, text)).of_write();
            assert!(matches!(error, MetaError::Unknown(_)), "{text}: {error:?}");
        };
        lost(Code::Unavailable, "etcdserver: request timed out");
        lost(Code::Unavailable, "etcdserver: leader changed");
        lost(Code::Unavailable, "etcdserver: request timed out, possibly due to previous leader failure");
        lost(Code::Unavailable, "etcdserver: server stopped");
        lost(Code::Unavailable, "error reading server preface: EOF");
        lost(Code::InvalidArgument, "said by a proxy");
        lost(Code::ResourceExhausted, "h2 protocol error: enhance your calm");
        lost(Code::Unknown, "transport error");
        let none = |code, text: &str| {
            let failure = Failure::of(&Status::new(code, text));
            assert!(!matches!(failure, Failure::Lost(_)), "{text}: {failure:?}");
            assert!(!matches!(failure.of_write(), MetaError::Unknown(_)), "{text}");
        };
        none(Code::InvalidArgument, "etcdserver: too many operations in txn request");
        none(Code::InvalidArgument, "etcdserver: request is too large");
        none(Code::ResourceExhausted, "grpc: received message larger than max (5000000 vs. 2097152)");
        none(Code::ResourceExhausted, "etcdserver: mvcc: database space exceeded");
        none(Code::Unavailable, "etcdserver: no leader");
        none(Code::Unauthenticated, "etcdserver: invalid auth token");
        none(Code::PermissionDenied, "etcdserver: permission denied");
        none(Code::NotFound, "etcdserver: requested lease not found");
    }

    #[test]
    fn a_connection_that_was_never_made_took_nothing() {
        let mut status = Status::unavailable("tcp connect error");
        assert!(matches!(Failure::of(&status), Failure::Lost(_)));
        status.set_source(Arc::new(ConnectError("refused".into())));
        assert!(matches!(Failure::of(&status).of_write(), MetaError::Unavailable(_)));
    }
}
