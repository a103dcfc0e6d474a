//! Metrics of a node as a whole: which program it is, what its process takes, and its layout.

use gitstratum_core::metrics::{self, Labels, Reading, Registry, Unit};
use gitstratum_core::placement::{CurrentLayout, Layout, MemberState};
use gitstratum_host::{ProcessUse, process_use};

/// Registers which program this is, and since when it runs.
pub(super) fn register_build(registry: &mut Registry, started_ms: u64) {
    let build =
        [Reading::gauge("build_info", "1; the labels say which program this is", |(): &()| 1)];
    metrics::register_encoded(registry, move |encoder| {
        let labels: Labels = vec![("version", crate::VERSION.to_owned())];
        metrics::encode(encoder, &build, &[(labels, ())])
    });
    let started = Reading::real("start_time", "When the node was started, since the epoch", |ms| {
        *ms as f64 / 1000.0
    });
    metrics::register(registry, vec![started.unit(Unit::Seconds)], move || started_ms);
}

/// Registers what the process takes of its machine, as far as that tells.
pub(super) fn register_process(registry: &mut Registry) {
    type Metric = Reading<ProcessUse>;
    let readings = [
        Metric::seconds("process_cpu", "Processor time of the process, user and system", |it| {
            it.cpu_s
        }),
        Metric::gauge("process_resident_memory", "Memory of the process that is in RAM", |it| {
            it.resident_bytes
        })
        .unit(Unit::Bytes),
        Metric::gauge("process_virtual_memory", "Address space of the process", |it| {
            it.virtual_bytes
        })
        .unit(Unit::Bytes),
        Metric::gauge("process_open_fds", "Files and sockets that are open", |it| {
            it.open_descriptors
        }),
        Metric::real("process_max_fds", "How many files and sockets may be open", |it| {
            it.descriptors_max.unwrap_or(u64::MAX) as f64
        }),
        Metric::gauge("process_threads", "Threads of the process", |it| it.threads),
    ];
    metrics::register_encoded(registry, move |encoder| {
        let known: Vec<_> = process_use().map(|it| (Labels::new(), it)).into_iter().collect();
        metrics::encode(encoder, &readings, &known)
    });
}

/// Registers which layout the node goes by, and how far the cluster is with it.
pub(super) fn register_layout(registry: &mut Registry, layout: CurrentLayout) {
    type Metric = Reading<Layout>;
    let readings = [
        Metric::gauge("layout_version", "The version of the layout in force", |it| it.version),
        Metric::gauge(
            "layout_settled_version",
            "The version up to which objects are where layouts want them; less than the one in \
             force while they are being moved",
            |it| it.settled,
        ),
    ];
    let help = "Members of the layout in force, by what part they take";
    let members = [Reading::gauge("layout_members", help, |count: &u64| *count)];
    let states = [MemberState::Active, MemberState::Draining, MemberState::Removed];
    metrics::register_encoded(registry, move |encoder| {
        let layout = layout.get();
        let counts = states.map(|state| {
            let labels: Labels = vec![("state", state.word().to_owned())];
            (labels, layout.members.iter().filter(|member| member.state == state).count() as u64)
        });
        metrics::encode(encoder, &readings, &[(Labels::new(), (*layout).clone())])?;
        metrics::encode(encoder, &members, &counts)
    });
}
