//! Where logs, metadata and segment files are kept.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use cinclus_meta::{EtcdTls, TlsIdentity, TlsVersion};

/// Where the three are kept, as far as the configuration says, and how to get there.
#[derive(Clone, Debug)]
pub(crate) struct StorageConfig {
    /// `common.storageType`: where segment files are.
    pub objects: Option<Place>,
    /// `woodpecker.storage.type`: where logs are.
    pub log: Option<Place>,
    /// `metastore.type`.
    pub meta: Option<MetaPlace>,
    /// `woodpecker.meta.prefix`: the metadata of logs below `etcd.rootPath`.
    pub log_meta_prefix: String,
    /// The object storage.
    pub remote: RemoteConfig,
    /// etcd.
    pub etcd: EtcdSettings,
}

/// Where files are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the data directory.
    Local,
    /// In the object storage.
    Remote,
}

/// Where metadata is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MetaPlace {
    /// In a file of the data directory.
    Embedded,
    /// In the object storage, for one process at a time.
    Objects,
    /// In etcd.
    Etcd,
}

/// An object storage and where in it everything lies. The keys are Milvus' `minio.*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RemoteConfig {
    /// Whose storage it is.
    pub provider: Provider,
    /// A host, `host:port`, or a URL; empty: the provider's own.
    pub address: String,
    /// The port, if the address has none.
    pub port: u16,
    /// Who asks.
    pub access_key: String,
    /// Its secret.
    pub secret_key: Secret,
    /// Credentials come from the machine, not from the configuration.
    pub use_iam: bool,
    /// Whether the storage is reached over TLS.
    pub use_tls: bool,
    /// Whether the bucket is a part of the host's name.
    pub virtual_host: bool,
    /// The bucket, or container.
    pub bucket: String,
    /// Whether a missing bucket is made.
    pub create_bucket: bool,
    /// What the names of all objects begin with.
    pub root: String,
    /// The region.
    pub region: String,
}

/// Whose object storage it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Provider {
    /// S3, or any storage that speaks its protocol.
    S3,
    /// Azure Blob Storage: the access key is the account.
    Azure,
    /// Google Cloud Storage, with the machine's credentials.
    Gcs,
}

/// A text that is not shown.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_empty() { "none" } else { "***" })
    }
}

impl Default for RemoteConfig {
    fn default() -> Self {
        RemoteConfig {
            provider: Provider::S3,
            address: String::new(),
            port: 9000,
            access_key: "minioadmin".to_owned(),
            secret_key: Secret("minioadmin".to_owned()),
            use_iam: false,
            use_tls: false,
            virtual_host: false,
            bucket: "a-bucket".to_owned(),
            create_bucket: true,
            root: "files".to_owned(),
            region: "us-east-1".to_owned(),
        }
    }
}

/// How etcd is reached. The keys are Milvus' `etcd.*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EtcdSettings {
    /// What every key begins with, as a path.
    pub root: String,
    /// The members.
    pub endpoints: Vec<String>,
    /// Whether somebody logs in.
    pub auth: bool,
    /// Who.
    pub user: String,
    /// The password.
    pub password: Secret,
    /// Whether it is reached over TLS, and with what.
    pub tls: EtcdTlsSettings,
    /// How long one call may take.
    pub request_timeout: Duration,
    /// How many operations it takes in one transaction.
    pub txn_operations_max: usize,
}

/// TLS to etcd. The keys are Milvus' `etcd.ssl.*`; the files are PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EtcdTlsSettings {
    /// Whether TLS is spoken.
    pub enabled: bool,
    /// The file with our certificate, if etcd asks who we are.
    pub cert: String,
    /// The file with its key.
    pub key: String,
    /// The file with the certificates of the authorities that may have signed etcd's.
    pub ca: String,
    /// The oldest version.
    pub version_min: TlsVersion,
}

impl Default for EtcdTlsSettings {
    fn default() -> Self {
        let (cert, key, ca) = (String::new(), String::new(), String::new());
        EtcdTlsSettings { enabled: false, cert, key, ca, version_min: TlsVersion::V1_3 }
    }
}

impl EtcdTlsSettings {
    fn validate(&self) -> anyhow::Result<()> {
        ensure!(
            !self.enabled || !self.ca.is_empty(),
            "etcd.ssl.enabled is true and etcd.ssl.tlsCACert names no file: who signed etcd's certificate?"
        );
        ensure!(
            !self.enabled || self.cert.is_empty() == self.key.is_empty(),
            "etcd.ssl.tlsCert and etcd.ssl.tlsKey belong together: a certificate and its key"
        );
        Ok(())
    }

    /// Reads the files.
    ///
    /// # Errors
    /// Names the key whose file cannot be read.
    pub(crate) fn read(&self) -> anyhow::Result<Option<EtcdTls>> {
        if !self.enabled {
            return Ok(None);
        }
        let read = |key: &str, file: &str| {
            std::fs::read_to_string(file).with_context(|| format!("{key}: cannot read {file}"))
        };
        let identity = match self.cert.as_str() {
            "" => None,
            cert => Some(TlsIdentity {
                certificate_pem: read("etcd.ssl.tlsCert", cert)?,
                key_pem: read("etcd.ssl.tlsKey", &self.key)?,
            }),
        };
        let ca_pem = read("etcd.ssl.tlsCACert", &self.ca)?;
        Ok(Some(EtcdTls { ca_pem, identity, version_min: self.version_min }))
    }
}

impl Default for EtcdSettings {
    fn default() -> Self {
        EtcdSettings {
            root: "by-dev".to_owned(),
            endpoints: vec!["localhost:2379".to_owned()],
            auth: false,
            user: String::new(),
            password: Secret::default(),
            tls: EtcdTlsSettings::default(),
            request_timeout: Duration::from_secs(10),
            txn_operations_max: 128,
        }
    }
}

impl Default for StorageConfig {
    fn default() -> Self {
        StorageConfig {
            objects: None,
            log: None,
            meta: None,
            log_meta_prefix: "woodpecker".to_owned(),
            remote: RemoteConfig::default(),
            etcd: EtcdSettings::default(),
        }
    }
}

impl StorageConfig {
    /// Where segment files are.
    pub(crate) fn objects(&self) -> Place {
        self.objects.unwrap_or(Place::Local)
    }

    /// Where logs are: beside the segment files if nothing else is said.
    pub(crate) fn log(&self) -> Place {
        self.log.unwrap_or(self.objects())
    }

    /// Where metadata is: on objects if everything else is there and nothing else is said.
    pub(crate) fn meta(&self) -> MetaPlace {
        let all_remote = self.objects() == Place::Remote && self.log() == Place::Remote;
        self.meta.unwrap_or(if all_remote { MetaPlace::Objects } else { MetaPlace::Embedded })
    }

    /// Whether anything is in the data directory.
    pub(crate) fn uses_disk(&self) -> bool {
        self.objects() == Place::Local || self.log() == Place::Local || self.meta() == MetaPlace::Embedded
    }

    /// Whether anything is in the object storage.
    pub(crate) fn uses_remote(&self) -> bool {
        self.objects() == Place::Remote || self.log() == Place::Remote || self.meta() == MetaPlace::Objects
    }

    /// What the keys of the logs' metadata begin with, as Woodpecker has it.
    pub(crate) fn log_metadata_prefix(&self) -> String {
        format!("{}/{}", self.etcd.root, self.log_meta_prefix)
    }

    /// Checks what belongs together.
    ///
    /// # Errors
    /// Names the keys that do not fit.
    pub(crate) fn validate(&self) -> anyhow::Result<()> {
        if self.uses_remote() {
            self.remote.validate()?;
        }
        ensure!(
            self.meta() != MetaPlace::Etcd || !self.etcd.endpoints.is_empty(),
            "metastore.type is etcd and etcd.endpoints is empty"
        );
        self.etcd.tls.validate()?;
        Ok(())
    }
}

impl RemoteConfig {
    fn validate(&self) -> anyhow::Result<()> {
        ensure!(!self.bucket.is_empty(), "minio.bucketName is empty");
        ensure!(
            !self.root.is_empty() && !self.root.starts_with('/') && !self.root.ends_with('/'),
            "minio.rootPath must be a path without a slash at its ends, not {:?}",
            self.root
        );
        match self.provider {
            Provider::S3 if self.address.is_empty() && !self.use_iam && self.access_key.is_empty() => {
                bail!("minio.address or minio.accessKeyID must say which object storage is meant")
            }
            Provider::Azure if self.access_key.is_empty() => {
                bail!("minio.accessKeyID must name the storage account when minio.cloudProvider is azure")
            }
            Provider::S3 | Provider::Azure | Provider::Gcs => Ok(()),
        }
    }

    /// `http` or `https`, host and port; nothing if the provider's own address is meant.
    pub(crate) fn endpoint(&self) -> Option<String> {
        let address = self.address.trim_end_matches('/');
        if address.is_empty() {
            return None;
        }
        if address.contains("://") {
            return Some(address.to_owned());
        }
        let scheme = if self.use_tls { "https" } else { "http" };
        // An IPv6 address is in brackets, so a colon behind them begins a port.
        let has_port = address.rsplit_once(']').map_or(address, |(_, rest)| rest).contains(':');
        Some(if has_port {
            format!("{scheme}://{address}")
        } else {
            format!("{scheme}://{address}:{}", self.port)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn config(objects: Option<Place>, log: Option<Place>, meta: Option<MetaPlace>) -> StorageConfig {
        StorageConfig { objects, log, meta, ..StorageConfig::default() }
    }

    #[test]
    fn certificates_of_etcd_are_read_and_what_is_missing_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            let mut file = tempfile::NamedTempFile::with_prefix_in(name, dir.path()).unwrap();
            file.write_all(name.as_bytes()).unwrap();
            file.into_temp_path().keep().unwrap().to_string_lossy().into_owned()
        };
        let (enabled, version_min) = (true, TlsVersion::V1_2);
        let settings =
            EtcdTlsSettings { enabled, cert: file("cert"), key: file("key"), ca: file("ca"), version_min };
        settings.validate().unwrap();
        let identity = TlsIdentity { certificate_pem: "cert".to_owned(), key_pem: "key".to_owned() };
        let wanted = EtcdTls { ca_pem: "ca".to_owned(), identity: Some(identity), version_min };
        assert_eq!(settings.read().unwrap(), Some(wanted));
        assert_eq!(EtcdTlsSettings { enabled: false, ..settings.clone() }.read().unwrap(), None);
        let says = |settings: EtcdTlsSettings, text: &str| {
            let error = settings.validate().and_then(|()| settings.read().map(drop)).unwrap_err();
            assert!(format!("{error:#}").contains(text), "{error:#}");
        };
        says(EtcdTlsSettings { ca: String::new(), ..settings.clone() }, "etcd.ssl.tlsCACert");
        says(EtcdTlsSettings { key: String::new(), ..settings.clone() }, "etcd.ssl.tlsKey");
        says(EtcdTlsSettings { ca: "/not/there.pem".to_owned(), ..settings }, "/not/there.pem");
    }

    #[test]
    fn what_is_not_said_follows_from_what_is() {
        let nothing = config(None, None, None);
        assert!(nothing.uses_disk() && !nothing.uses_remote());
        assert_eq!((nothing.log(), nothing.meta()), (Place::Local, MetaPlace::Embedded));
        let zero_disk = config(Some(Place::Remote), None, None);
        assert!(!zero_disk.uses_disk() && zero_disk.uses_remote());
        assert_eq!((zero_disk.log(), zero_disk.meta()), (Place::Remote, MetaPlace::Objects));
        let local_log = config(Some(Place::Remote), Some(Place::Local), None);
        assert_eq!(local_log.meta(), MetaPlace::Embedded);
        let etcd = config(Some(Place::Remote), None, Some(MetaPlace::Etcd));
        assert!(!etcd.uses_disk());
    }

    #[test]
    fn an_address_becomes_an_endpoint() {
        let endpoint = |address: &str, use_tls| {
            let config = RemoteConfig { address: address.to_owned(), use_tls, ..RemoteConfig::default() };
            config.endpoint()
        };
        assert_eq!(endpoint("", false), None);
        assert_eq!(endpoint("localhost", false).unwrap(), "http://localhost:9000");
        assert_eq!(endpoint("10.0.0.1:8333", true).unwrap(), "https://10.0.0.1:8333");
        assert_eq!(endpoint("[::1]", false).unwrap(), "http://[::1]:9000");
        assert_eq!(endpoint("[::1]:1", false).unwrap(), "http://[::1]:1");
        assert_eq!(endpoint("https://s3.example.com/", false).unwrap(), "https://s3.example.com");
    }

    #[test]
    fn a_secret_is_not_shown() {
        let shown = format!(
            "{:?}",
            RemoteConfig { secret_key: Secret("hush".to_owned()), ..RemoteConfig::default() }
        );
        assert!(!shown.contains("hush"), "{shown}");
    }
}
