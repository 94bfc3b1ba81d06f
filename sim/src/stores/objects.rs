//! An object storage behind a seam.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cinclus_env::timeout;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::member::Member;
use crate::stores::late::{Effect, Landed, Late};

/// How long somebody waits at most for what is late.
const PATIENCE: Duration = Duration::from_secs(5);

/// An object storage as one member reaches it.
pub struct SeamObjects {
    /// The storage itself.
    pub inner: Arc<dyn ObjectStore>,
    /// Who asks.
    pub member: Member,
    /// What comes to be late.
    pub late: Late,
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

/// Sends an effect that comes to be late, and waits for it, or not so long. `None` if it is not to be late.
async fn late(
    (member, late, inner): (&Member, &Late, &Arc<dyn ObjectStore>),
    effect: impl FnOnce() -> Effect,
) -> Option<Landed> {
    let scene = &member.scene;
    if !scene.strikes("object late", |weather| weather.object_late) {
        return None;
    }
    let outcome = late.send(inner, scene, effect());
    let answer = timeout(&*scene.clock, scene.span(PATIENCE), outcome).await;
    member.pass().await;
    Some(answer.ok().and_then(std::result::Result::ok).unwrap_or_else(|| Err(injected())))
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
        let effect = || Effect::Put(location.clone(), payload.clone(), options.clone());
        if let Some(put) = late((&self.member, &self.late, &self.inner), effect).await {
            let put = put?.ok_or_else(injected)?;
            end(&self.member).await?;
            return Ok(put);
        }
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
        let (slow, inner) = (self.late.clone(), self.inner.clone());
        let begun = locations.then(move |location| {
            let (member, slow, inner) = (before.clone(), slow.clone(), inner.clone());
            async move {
                let location = location?;
                begin(&member, format!("removes {location}")).await?;
                if let Some(removed) =
                    late((&member, &slow, &inner), || Effect::Remove(location.clone())).await
                {
                    removed?;
                }
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
