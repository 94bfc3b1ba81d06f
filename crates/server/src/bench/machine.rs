//! What this machine is, so that figures can be read.

use std::fmt;

use serde::Serialize;

/// A machine, as `/proc` describes it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Machine {
    /// The processor's name.
    pub(super) processor: String,
    /// Its logical cores.
    pub(super) cores: usize,
    /// Memory in bytes.
    pub(super) memory_bytes: u64,
    /// The kernel's release.
    pub(super) kernel: String,
    /// Tasks that wanted to run in the last minute, others' work included.
    pub(super) load: f64,
}

impl Machine {
    /// This one. What cannot be read stays empty.
    pub(super) fn this() -> Machine {
        let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        Machine {
            processor: processor(&text("/proc/cpuinfo")),
            cores: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
            memory_bytes: memory_bytes(&text("/proc/meminfo")),
            kernel: text("/proc/sys/kernel/osrelease").trim().to_owned(),
            load: load(&text("/proc/loadavg")),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gib = self.memory_bytes as f64 / f64::from(1 << 30);
        let Machine { processor, cores, kernel, load, .. } = self;
        write!(f, "{processor}, {cores} cores, {gib:.0} GiB, Linux {kernel}, load {load:.1}")
    }
}

fn processor(cpuinfo: &str) -> String {
    let name = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    name.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}

fn memory_bytes(meminfo: &str) -> u64 {
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kibibytes = total.and_then(|total| total.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kibibytes.unwrap_or(0) << 10
}

fn load(loadavg: &str) -> f64 {
    loadavg.split_whitespace().next().and_then(|text| text.parse().ok()).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_proc_are_read() {
        assert_eq!(processor("processor\t: 0\nmodel name\t: Quick CPU @ 3GHz\n"), "Quick CPU @ 3GHz");
        assert_eq!(processor("processor\t: 0\n"), std::env::consts::ARCH);
        assert_eq!(memory_bytes("MemTotal:       1024 kB\nMemFree: 1 kB\n"), 1 << 20);
        assert_eq!(load("0.52 0.58 0.59 1/467 12345\n"), 0.52);
        assert!(Machine::this().memory_bytes > 0 && !Machine::this().kernel.is_empty());
    }
}
