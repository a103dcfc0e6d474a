//! A network of our own: this process, a firewall, and a machine for a node behind it.
//!
//! Three network namespaces in a row, made without any right on the machine itself: a
//! process is started again in namespaces of its own (user, network, mount, process), where
//! it may do what it likes. The firewall routes between the other two, and forgets flows
//! when it is told to: from then on it drops their packets, both ways and without a word,
//! while new flows go through. That is a rule of its routing, so `unshare` and `ip` are all
//! that is needed. Whatever was started there dies with the process.
//!
//! Not every machine lets one make namespaces: then the reason is the answer.

use std::ffi::OsStr;
use std::net::Ipv4Addr;
use std::process::Command;

/// Set for a process that was started inside.
const INSIDE: &str = "GITSTRATUM_NAMESPACE";

const NAMESPACES: [&str; 8] = [
    "--user",
    "--map-root-user",
    "--net",
    "--mount",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
];

/// Where the node behind the firewall listens.
pub const NODE: Ipv4Addr = Ipv4Addr::new(10, 77, 2, 2);

/// What joins them. `fw` is the firewall's namespace, `node` the node's.
const SETUP: &str = "
    mount -t tmpfs none /run
    ip link set lo up
    ip netns add fw
    ip netns add node
    ip link add us type veth peer name us0 netns fw
    ip -n node link add it type veth peer name it0 netns fw
    ip addr add 10.77.1.2/24 dev us
    ip -n fw addr add 10.77.1.1/24 dev us0
    ip -n fw addr add 10.77.2.1/24 dev it0
    ip -n node addr add 10.77.2.2/24 dev it
    ip link set us up
    ip -n fw link set us0 up
    ip -n fw link set it0 up
    ip -n node link set lo up
    ip -n node link set it up
    ip route add default via 10.77.1.1
    ip -n node route add default via 10.77.2.1
    ip netns exec fw sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward'
";

/// Whether this process was started inside.
pub fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// A command that becomes `program` in namespaces of its own, or why there can be none.
pub fn entering(program: impl AsRef<OsStr>) -> Result<Command, String> {
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(NAMESPACES);
        command
    };
    done(unshare().arg("true"))?;
    done(Command::new("ip").arg("-V"))?;
    let mut command = unshare();
    command.arg(program).env(INSIDE, "1");
    Ok(command)
}

/// Runs a command that has nothing to say unless it fails.
fn done(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().display().to_string();
    let output = command.output().map_err(|error| format!("{name}: {error}"))?;
    let words = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{name}: {}", words.trim())) }
}

/// The firewall and the machine behind it. There is one for each process that is inside.
pub struct Network(());

impl Network {
    /// Makes it, for a process that is inside.
    ///
    /// # Errors
    /// Why this machine has no such thing.
    pub fn make() -> Result<Self, String> {
        assert!(is_inside(), "the machine's own network is left alone");
        done(Command::new("sh").args(["-e", "-c", SETUP]))?;
        Ok(Network(()))
    }

    /// A command that becomes `program` on the machine behind the firewall.
    pub fn behind(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", "node"]).arg(program);
        command
    }

    /// The firewall forgets all flows from this process to `port` of the node; returns how
    /// many there were.
    ///
    /// # Errors
    /// What could not be done.
    pub fn forget(&self, port: u16) -> Result<usize, String> {
        let table = std::fs::read_to_string("/proc/self/net/tcp");
        let table = table.map_err(|error| format!("/proc/self/net/tcp: {error}"))?;
        let ours = flows(&table, port);
        for ours in &ours {
            for end in ["sport", "dport"] {
                let rule = ["-n", "fw", "rule", "add", "pref", "10", "ipproto", "tcp"];
                let which = [end, &ours.to_string(), "blackhole"];
                done(Command::new("ip").args(rule).args(which))?;
            }
        }
        Ok(ours.len())
    }
}

/// Our ports of the established connections to `port` of the node, from the kernel's table:
/// lines of number, our end, the other end, state.
fn flows(table: &str, port: u16) -> Vec<u16> {
    let node = format!("{:08X}:{port:04X}", u32::from_ne_bytes(NODE.octets()));
    let ours = table.lines().filter_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let (ours, theirs, state) = (words.next()?, words.next()?, words.next()?);
        let (_, port) = ours.split_once(':')?;
        if theirs == node && state == "01" { u16::from_str_radix(port, 16).ok() } else { None }
    });
    ours.collect()
}
