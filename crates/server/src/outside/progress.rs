//! Progress bars on standard error, when somebody can see them.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

/// One bar.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// A bar of `steps`.
    pub(crate) fn new(what: &str, steps: u64) -> Progress {
        if !std::io::stderr().is_terminal() {
            return Progress(ProgressBar::hidden());
        }
        let template = "{msg:32} {wide_bar} {human_pos}/{human_len} {eta:>4}";
        let style = ProgressStyle::with_template(template).expect("the template is valid");
        Progress(ProgressBar::new(steps).with_style(style).with_message(what.to_owned()))
    }

    /// Goes on.
    pub(crate) fn advance(&self, steps: u64) {
        self.0.inc(steps);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
