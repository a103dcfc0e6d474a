//! Process statistics.
//!
//! What the process takes of its machine, as the kernel tells it: what client libraries of Prometheus
//! call the process metrics. In the simulated world a hundred nodes share one process, which is
//! nobody's, and there are none.

/// What the process takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProcessUse {
    /// Seconds of processor time, in user and in kernel mode.
    pub cpu_s: f64,
    /// Bytes of memory that are in RAM.
    pub resident_bytes: u64,
    /// Bytes of address space.
    pub virtual_bytes: u64,
    /// Files and sockets that are open.
    pub open_descriptors: u64,
    /// How many may be; `None` is no limit.
    pub descriptors_max: Option<u64>,
    /// Threads.
    pub threads: u64,
}

/// What the process takes now; `None` where nobody tells. It reads a few lines that the kernel makes
/// up, and no disk.
#[cfg(not(madsim))]
pub fn process_use() -> Option<ProcessUse> {
    use procfs::process::Process;
    use rustix::process::{Resource, getrlimit};

    let process = Process::myself().ok()?;
    let stat = process.stat().ok()?;
    let ticks = stat.utime + stat.stime;
    Some(ProcessUse {
        cpu_s: ticks as f64 / procfs::ticks_per_second() as f64,
        resident_bytes: stat.rss * procfs::page_size(),
        virtual_bytes: stat.vsize,
        open_descriptors: process.fd_count().ok()? as u64,
        descriptors_max: getrlimit(Resource::Nofile).current,
        threads: u64::try_from(stat.num_threads).unwrap_or(0),
    })
}

/// Nothing.
#[cfg(madsim)]
pub fn process_use() -> Option<ProcessUse> {
    None
}

#[cfg(all(test, not(madsim)))]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_what_it_takes() {
        let before = process_use().expect("the kernel tells");
        assert!(before.resident_bytes > 100_000 && before.virtual_bytes > before.resident_bytes);
        assert!(before.threads >= 1, "{before:?}");
        let open: Vec<_> =
            (0..20).map(|_| std::fs::File::open("/proc/self/stat").unwrap()).collect();
        let with_open = process_use().unwrap();
        assert!(with_open.open_descriptors >= open.len() as u64, "{with_open:?}");
        assert!(with_open.descriptors_max.is_none_or(|max| max >= with_open.open_descriptors));
        let mut sum = 0u64;
        while process_use().unwrap().cpu_s <= before.cpu_s {
            sum = (0..1_000_000).fold(sum, |sum, number| sum.wrapping_add(number));
        }
    }
}
