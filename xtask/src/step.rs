//! Steps of a run: each has a name, is timed, and stands in the table at the end.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// What one step ended with; the text goes into the last column of the table.
pub(crate) type StepResult = Result<String>;

/// A named piece of work.
pub(crate) struct Step<'a> {
    pub(crate) name: &'static str,
    pub(crate) work: Box<dyn FnOnce() -> StepResult + 'a>,
}

/// One line of the table.
struct Row {
    name: &'static str,
    state: &'static str,
    time: Option<Duration>,
    note: String,
}

/// Runs the steps in order and stops at the first that fails. Prints the table in both cases; the error names
/// the step.
pub(crate) fn run_all(steps: Vec<Step<'_>>) -> Result<()> {
    let total = steps.len();
    let begin = Instant::now();
    let mut rows = Vec::with_capacity(total);
    let mut failure = None;
    for (index, step) in steps.into_iter().enumerate() {
        if failure.is_some() {
            rows.push(Row { name: step.name, state: "not run", time: None, note: String::new() });
            continue;
        }
        println!("==> [{}/{total}] {}", index + 1, step.name);
        let step_begin = Instant::now();
        let result = (step.work)();
        let time = step_begin.elapsed();
        let (state, note) = match result {
            Ok(note) => ("ok", note),
            Err(error) => {
                let reason = format!("{error:#}");
                failure = Some((step.name, reason.clone()));
                ("FAILED", reason)
            }
        };
        println!("<== [{}/{total}] {} {state} in {}", index + 1, step.name, seconds(time));
        rows.push(Row { name: step.name, state, time: Some(time), note });
    }
    print!("{}", table(&rows, begin.elapsed()));
    match failure {
        Some((name, reason)) => bail!("step `{name}` failed: {reason}"),
        None => Ok(()),
    }
}

/// Runs a program with our standard streams; any end but success is an error that shows the command.
pub(crate) fn call(command: &mut Command) -> Result<()> {
    let shown = shown(command);
    println!("    {shown}");
    let status = command.status().with_context(|| format!("cannot start `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` ended with {status}");
    }
    Ok(())
}

/// A command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let mut words = vec![program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    words.join(" ")
}

fn table(rows: &[Row], total: Duration) -> String {
    let mut text = String::from("\n  step     state      time  note\n");
    for row in rows {
        let time = row.time.map(seconds).unwrap_or_default();
        let line = format!("  {:<8} {:<8} {time:>7}  {}", row.name, row.state, row.note);
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.push_str(&format!("  {:<8} {:<8} {:>7}\n", "all", "", seconds(total)));
    text
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn step<'a>(name: &'static str, work: impl FnOnce() -> StepResult + 'a) -> Step<'a> {
        Step { name, work: Box::new(work) }
    }

    #[test]
    fn steps_after_a_failed_one_do_not_run() {
        let ran = Cell::new(false);
        let result = run_all(vec![
            step("one", || Ok(String::new())),
            step("two", || bail!("it rained")),
            step("three", || {
                ran.set(true);
                Ok(String::new())
            }),
        ]);
        let error = result.unwrap_err().to_string();
        assert_eq!(error, "step `two` failed: it rained");
        assert!(!ran.get());
    }

    #[test]
    fn a_program_that_fails_is_an_error_that_shows_it() {
        let error = call(Command::new("false").arg("--really")).unwrap_err().to_string();
        assert!(error.starts_with("`false --really` ended with exit status"), "{error}");
        call(&mut Command::new("true")).unwrap();
    }

    #[test]
    fn the_table_shows_each_step_with_its_time() {
        let rows = [
            Row { name: "fmt", state: "ok", time: Some(Duration::from_millis(1200)), note: String::new() },
            Row { name: "test", state: "not run", time: None, note: String::new() },
        ];
        let text = table(&rows, Duration::from_secs(2));
        assert!(text.contains("  fmt      ok         1.2 s\n"), "{text}");
        assert!(text.contains("  test     not run\n"), "{text}");
    }
}
