//! Memory that is free goes back to the system, also when nothing happens any more.

use std::hint::black_box;
use std::time::Duration;

use cinclus_env::Env;

const EVERY: Duration = Duration::from_secs(1);
/// Enough for the allocator to take it from, and give it to, what its threads share.
const NUDGE_BYTES: usize = 4 << 20;

/// The allocator returns free memory a moment after it was freed, and looks at that only when something is
/// allocated or freed: without this, a server that becomes quiet would keep what its last burst needed.
pub(crate) fn start(env: &Env) {
    let clock = env.clock.clone();
    env.tasks.spawn_until_cancelled("give-back", async move {
        loop {
            clock.sleep(EVERY).await;
            // Never touched, so it costs no memory.
            drop(black_box(Vec::<u8>::with_capacity(NUDGE_BYTES)));
        }
    });
}
