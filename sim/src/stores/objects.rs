//! An object storage behind a seam.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::member::Member;

/// An object storage as one member reaches it.
pub struct SeamObjects {
    /// The storage itself.
    pub inner: Arc<dyn ObjectStore>,
    /// Who asks.
    pub member: Member,
}

fn injected() -> Error {
    Error::Generic { store: "sim", source: "injected".into() }
}

impl SeamObjects {
    async fn reading(&self) -> Result<()> {
        let scene = &self.member.scene;
        self.member.pass().await;
        scene.dawdle(|weather| weather.object_delay).await;
        self.member.pass().await;
        if scene.strikes("object not read", |weather| weather.object_read) { Err(injected()) } else { Ok(()) }
    }
}

/// Before an effect.
async fn begin(member: &Member, effect: String) -> Result<()> {
    member.before(effect).await;
    member.scene.dawdle(|weather| weather.object_delay).await;
    member.pass().await;
    let strikes = member.scene.strikes("object not written", |weather| weather.object_before);
    if strikes { Err(injected()) } else { Ok(()) }
}

/// After it.
async fn end(member: &Member) -> Result<()> {
    member.scene.dawdle(|weather| weather.object_delay).await;
    member.after().await;
    let strikes = member.scene.strikes("answer of an object lost", |weather| weather.object_lost);
    if strikes { Err(injected()) } else { Ok(()) }
}

impl fmt::Debug for SeamObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl fmt::Display for SeamObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.inner, f)
    }
}

#[async_trait]
impl ObjectStore for SeamObjects {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        begin(&self.member, format!("puts {location}")).await?;
        let put = self.inner.put_opts(location, payload, options).await?;
        end(&self.member).await?;
        Ok(put)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.member.pass().await;
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.reading().await?;
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.reading().await?;
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let (before, after) = (self.member.clone(), self.member.clone());
        let begun = locations.then(move |location| {
            let member = before.clone();
            async move {
                let location = location?;
                begin(&member, format!("removes {location}")).await?;
                Ok(location)
            }
        });
        let ended = self.inner.delete_stream(begun.boxed()).then(move |location| {
            let member = after.clone();
            async move {
                let location = location?;
                end(&member).await?;
                Ok(location)
            }
        });
        ended.boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.reading().await?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        begin(&self.member, format!("copies {from}")).await?;
        self.inner.copy_opts(from, to, options).await?;
        end(&self.member).await
    }
}
