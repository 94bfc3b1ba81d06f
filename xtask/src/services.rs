//! `cargo xtask services`: the real servers that conformance tests talk to.
//!
//! They are installed below the user's cache folder, never into the system and never into the repository; they listen
//! on loopback only; each has one pinned version, in one table. A service keeps its data between starts.

mod catalog;
mod health;
mod process;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::step::{StepResult, call};
use catalog::{SERVICES, Service, Source};
use process::Process;

/// How long a service may take until it is healthy.
const READY_MAX: Duration = Duration::from_secs(60);

const HELP: &str = "\
cargo xtask services: the real servers that tests use

USAGE
    cargo xtask services install NAME... Fetch and unpack the pinned version.
    cargo xtask services start NAME...   Start it on loopback and wait until it is healthy.
    cargo xtask services stop NAME...    End the process that `start` started.
    cargo xtask services status [NAME]   What is installed and what runs.

Everything lies below $XDG_CACHE_HOME/cinclus/services (or ~/.cache/cinclus/services).

";

/// Runs one of the commands above.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["install", names @ ..] if !names.is_empty() => each(names, install),
        ["start", names @ ..] if !names.is_empty() => each(names, start),
        ["stop", names @ ..] if !names.is_empty() => each(names, stop),
        ["status", name] => status(find(name)?),
        ["status"] => SERVICES.iter().try_for_each(status),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}{}", table());
            Ok(())
        }
        _ => {
            print!("{HELP}{}", table());
            bail!("services does not understand {words:?}")
        }
    }
}

fn each(names: &[&str], act: impl Fn(&Service) -> Result<()>) -> Result<()> {
    let services: Vec<&Service> = names.iter().map(|name| find(name)).collect::<Result<_>>()?;
    services.into_iter().try_for_each(act)
}

/// Runs `work` while all services run; ends those that did not run before. `work` is given the variables that
/// tell tests of them: `CINCLUS_TEST_<NAME>` is the program, `CINCLUS_TEST_<NAME>_ADDRESS` where it answers.
pub(crate) fn with_all(work: impl FnOnce(&[(String, OsString)]) -> StepResult) -> StepResult {
    let mut started = Vec::new();
    let mut variables = Vec::new();
    let mut outcome = Ok(());
    for service in SERVICES {
        let folder = folder(service)?;
        let ran = Process::of(&folder, service.program).running()?.is_some();
        outcome = start(service);
        if !ran {
            started.push(service);
        }
        if outcome.is_err() {
            break;
        }
        let name = format!("CINCLUS_TEST_{}", service.name.to_uppercase());
        variables.push((format!("{name}_ADDRESS"), format!("127.0.0.1:{}", service.port).into()));
        variables.push((name, folder.join(service.program).into()));
    }
    let result = outcome.and_then(|()| work(&variables));
    let stopped = started.into_iter().try_for_each(stop);
    result.and_then(|note| stopped.map(|()| note))
}

fn find(name: &str) -> Result<&'static Service> {
    let known: Vec<&str> = SERVICES.iter().map(|service| service.name).collect();
    let found = SERVICES.iter().find(|service| service.name == name);
    found.with_context(|| format!("no service `{name}`; there are: {}", known.join(" ")))
}

fn table() -> String {
    let line = |service: &Service| {
        format!(
            "    {:<10} {:<8} 127.0.0.1:{:<5} {}\n",
            service.name, service.version, service.port, service.what
        )
    };
    format!("SERVICES\n{}", SERVICES.iter().map(line).collect::<String>())
}

fn install(service: &Service) -> Result<()> {
    let folder = folder(service)?;
    let program = folder.join(service.program);
    if program.exists() {
        println!("{} {} is installed in {}", service.name, service.version, folder.display());
        return Ok(());
    }
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    match service.source {
        Source::Debian { package, version } => unpack_debian(&folder, package, version)?,
        Source::Python { requirement } => {
            call(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
            let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement];
            call(Command::new(folder.join("bin/python")).args(pip))?;
        }
    }
    if !program.exists() {
        bail!("{} was installed, but {} is not there", service.name, program.display());
    }
    println!("{} {} is installed in {}", service.name, service.version, folder.display());
    Ok(())
}

/// Takes the files out of a package of the system's distribution without installing it.
fn unpack_debian(folder: &Path, package: &str, version: &str) -> Result<()> {
    let wanted = format!("{package}={version}");
    let download =
        || call(Command::new("apt-get").args(["download", "--quiet", &wanted]).current_dir(folder));
    if download().is_err() {
        // The lists of packages may be missing or old.
        call(Command::new("apt-get").args(["update", "--quiet"]))?;
        download()?;
    }
    let archive = std::fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .with_context(|| format!("apt-get left no package in {}", folder.display()))?;
    call(Command::new("dpkg").arg("-x").arg(&archive).arg(folder))?;
    std::fs::remove_file(archive).context("cannot remove the package after unpacking")
}

fn start(service: &Service) -> Result<()> {
    install(service)?;
    let folder = folder(service)?;
    let process = Process::of(&folder, service.program);
    if let Some(pid) = process.running()? {
        println!("{} runs as process {pid}", service.name);
        return health::wait(service, &process, READY_MAX);
    }
    if health::is_healthy(service) {
        bail!("something else answers on 127.0.0.1:{}: stop it first", service.port);
    }
    let data = folder.join("data");
    std::fs::create_dir_all(&data)?;
    let pid = process.spawn(&(service.arguments)(&data))?;
    health::wait(service, &process, READY_MAX)?;
    println!(
        "{} runs as process {pid} on 127.0.0.1:{}, data in {}",
        service.name,
        service.port,
        data.display()
    );
    Ok(())
}

fn stop(service: &Service) -> Result<()> {
    match Process::of(&folder(service)?, service.program).stop()? {
        Some(pid) => println!("{} (process {pid}) is stopped", service.name),
        None => println!("{} does not run", service.name),
    }
    Ok(())
}

fn status(service: &Service) -> Result<()> {
    let folder = folder(service)?;
    let state = if !folder.join(service.program).exists() {
        "not installed".to_owned()
    } else if let Some(pid) = Process::of(&folder, service.program).running()? {
        let health = if health::is_healthy(service) { "healthy" } else { "not healthy" };
        format!("runs as process {pid}, {health} on 127.0.0.1:{}", service.port)
    } else {
        "installed, does not run".to_owned()
    };
    println!("{} {}: {state}", service.name, service.version);
    Ok(())
}

/// Where a service of this version lives.
fn folder(service: &Service) -> Result<PathBuf> {
    let cache = match (std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME")) {
        (Some(cache), _) if !cache.is_empty() => PathBuf::from(cache),
        (_, Some(home)) => PathBuf::from(home).join(".cache"),
        (_, None) => bail!("neither XDG_CACHE_HOME nor HOME is set"),
    };
    Ok(cache.join("cinclus").join("services").join(format!("{}-{}", service.name, service.version)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_service_is_refused_with_the_known_ones() {
        let error = run(&["start".to_owned(), "etcdd".to_owned()]).unwrap_err().to_string();
        assert_eq!(error, "no service `etcdd`; there are: etcd seaweedfs");
    }

    #[test]
    fn the_table_names_every_service_with_its_version() {
        for service in SERVICES {
            assert!(table().contains(service.name) && table().contains(service.version));
        }
    }
}
