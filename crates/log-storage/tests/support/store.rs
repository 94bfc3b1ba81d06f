//! An object store that is slow and fails as told, around another one, and counts what it is asked.

use std::fmt::{Display, Formatter};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cinclus_env::Random;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use parking_lot::Mutex;

/// How often what fails, 0 to 1, and how slow what is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Plan {
    /// A put that does nothing.
    pub put_before: f64,
    /// A put that is done, and whose answer is lost.
    pub put_after: f64,
    /// A get, or a listing, that fails.
    pub read: f64,
    /// A delete that does nothing.
    pub delete_before: f64,
    /// A delete that is done, and whose answer is lost.
    pub delete_after: f64,
    /// The least time of a call.
    pub delay_min: Duration,
    /// The longest.
    pub delay_max: Duration,
    /// How much longer a listing takes.
    pub list_delay: Duration,
    /// Conditions of puts are not looked at.
    pub unconditional: bool,
}

/// Called with each put before anything else is done.
pub type Hook = Arc<dyn Fn(&dyn ObjectStore, &Path, &PutPayload) + Send + Sync>;

/// The store.
#[derive(Clone)]
pub struct FaultyStore {
    pub inner: Arc<dyn ObjectStore>,
    hook: Arc<Mutex<Option<Hook>>>,
    plan: Arc<Mutex<Plan>>,
    random: Random,
    pub puts: Arc<AtomicU64>,
    pub gets: Arc<AtomicU64>,
    pub lists: Arc<AtomicU64>,
}

impl FaultyStore {
    /// Around one in memory.
    pub fn new(seed: u64) -> FaultyStore {
        FaultyStore::around(Arc::new(InMemory::new()), seed)
    }

    pub fn around(inner: Arc<dyn ObjectStore>, seed: u64) -> FaultyStore {
        FaultyStore {
            inner,
            hook: Arc::default(),
            plan: Arc::default(),
            random: Random::seeded(seed),
            puts: Arc::default(),
            gets: Arc::default(),
            lists: Arc::default(),
        }
    }

    pub fn set(&self, plan: Plan) {
        *self.plan.lock() = plan;
    }

    pub fn set_hook(&self, hook: Option<Hook>) {
        *self.hook.lock() = hook;
    }

    /// Requests so far.
    pub fn requests(&self) -> u64 {
        [&self.puts, &self.gets, &self.lists].map(|count| count.load(Ordering::SeqCst)).iter().sum()
    }

    pub fn plan(&self) -> Plan {
        *self.plan.lock()
    }

    fn fails(&self, chance: f64) -> Result<()> {
        if chance > 0.0 && self.random.chance(chance) {
            return Err(Error::Generic { store: "faulty", source: "injected".into() });
        }
        Ok(())
    }

    async fn delay(&self) {
        let plan = self.plan();
        let span = plan.delay_max.saturating_sub(plan.delay_min).mul_f64(self.random.fraction());
        if !plan.delay_max.is_zero() {
            tokio::time::sleep(plan.delay_min + span).await;
        }
    }
}

impl std::fmt::Debug for FaultyStore {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("faulty")
    }
}

impl Display for FaultyStore {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("faulty")
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.puts.fetch_add(1, Ordering::SeqCst);
        let hook = self.hook.lock().clone();
        if let Some(hook) = hook {
            hook(&*self.inner, path, &payload);
        }
        let options = if self.plan().unconditional { PutOptions::default() } else { options };
        self.fails(self.plan().put_before)?;
        // The effect comes somewhere in the time that the call takes.
        self.delay().await;
        let done = self.inner.put_opts(path, payload, options).await;
        self.fails(self.plan().put_after)?;
        done
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.gets.fetch_add(1, Ordering::SeqCst);
        self.delay().await;
        self.fails(self.plan().read)?;
        self.inner.get_opts(path, options).await
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(path, ranges).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        paths
            .then(move |path| {
                let store = store.clone();
                async move {
                    let path = path?;
                    store.fails(store.plan().delete_before)?;
                    store.delay().await;
                    let one = stream::iter([Ok(path)]).boxed();
                    let done: Vec<Path> = store.inner.delete_stream(one).try_collect().await?;
                    store.fails(store.plan().delete_after)?;
                    Ok(done.into_iter().next().unwrap())
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.lists.fetch_add(1, Ordering::SeqCst);
        let (store, prefix) = (self.clone(), prefix.cloned());
        let listing = async move {
            store.delay().await;
            // What comes to be while a listing is under way is not in it.
            let found = store.inner.list(prefix.as_ref());
            tokio::time::sleep(store.plan().list_delay).await;
            match store.fails(store.plan().read) {
                Ok(()) => found,
                Err(error) => stream::iter([Err(error)]).boxed(),
            }
        };
        listing.into_stream().flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
